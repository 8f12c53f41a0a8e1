//! What operators see of backups and do with them.

use std::time::Duration;

use clap::Parser as _;
use metachat_jobs::backups::Level;
use metachat_jobs::cli::{self, Cli, Exit, Printer};
use metachat_jobs::compose;
use metachat_jobs::config::Sources;
use metachat_jobs::jobs::{CheckBackups, PruneBackups, VerifyBackup};
use metachat_jobs::telemetry;
use serde_json::Value;
use windlass::model::AuditFilter;
use windlass::{Job, State};

use super::mail::Letters;
use super::rig::{Rig, entries};
use crate::api::Api;
use crate::jobs::server::{Server, says};
use crate::lines::Lines;

const SETTINGS: &str = "
    [backups.keep]
    days = 0
    last = 1
    daily = 0
    weekly = 0
    monthly = 0
    floor = 1
    [backups.places.other]
    kind = \"folder\"
    path = \"{folder}/other\"
    [backups.targets.settings]
    kind = \"configuration\"
    place = \"local\"
    copies = [\"other\"]
";

/// Runs `jobctl` with the settings of the rig.
pub(super) async fn jobctl(rig: &Rig, args: &[&str]) -> (Exit, String, String) {
    let words = ["jobctl"].into_iter().chain(args.iter().copied());
    let cli = Cli::try_parse_from(words).unwrap();
    let (out, err) = (Lines::default(), Lines::default());
    let mut printer = Printer::new(cli.json, out.clone(), err.clone());
    let sources = Sources {
        file: Some(rig.path("settings.toml")),
        ..Sources::default()
    };
    let exit = cli::run(cli, sources, compose::catalogue, &mut printer).await;
    (exit, out.text(), err.text())
}

async fn json(rig: &Rig, args: &[&str]) -> Value {
    let (exit, out, err) = jobctl(rig, &[args, &["--json"]].concat()).await;
    assert_eq!(exit, Exit::Done, "{err}");
    serde_json::from_str(&out).unwrap()
}

fn ids(listed: &Value) -> Vec<String> {
    let id = |line: &Value| line["manifest"]["id"].as_str().unwrap().to_owned();
    listed.as_array().unwrap().iter().map(id).collect()
}

#[tokio::test]
async fn backups_are_made_listed_pinned_and_pruned_by_jobctl() {
    let rig = Rig::new(SETTINGS).await;
    for _ in 0..4 {
        json(
            &rig,
            &["backup", "create", "settings", "--reason", "a test"],
        )
        .await;
        rig.drain().await;
    }
    let newest_first = ids(&json(&rig, &["backup", "list"]).await);
    assert_eq!(newest_first.len(), 4);
    let oldest = &newest_first[3];
    let pinned = json(
        &rig,
        &[
            "backup",
            "pin",
            "settings",
            oldest,
            "--reason",
            "the first one",
        ],
    )
    .await;
    assert_eq!(pinned["places"], serde_json::json!(["local", "other"]));

    let (exit, out, err) = jobctl(&rig, &["backup", "prune"]).await;
    assert_eq!(exit, Exit::Done, "{err}");
    assert!(
        err.contains("nothing was deleted; do it with --apply"),
        "{err}"
    );
    assert_eq!(
        out.matches("would go").count(),
        4,
        "two in each place:\n{out}"
    );
    assert!(out.contains("pinned by jobctl:"), "{out}");
    assert_eq!(rig.list("local", "settings").await.len(), 4);

    let done = json(
        &rig,
        &["backup", "prune", "--apply", "--reason", "too many"],
    )
    .await;
    assert_eq!(done["deleted"], 4);
    let left = [newest_first[0].clone(), oldest.clone()];
    for place in ["local", "other"] {
        assert_eq!(
            ids(&json(&rig, &["backup", "list", "settings", "--place", place]).await),
            left
        );
        assert_eq!(entries(&rig.path(place).join("settings")).len(), 2);
    }
    let audit = rig
        .client
        .audit(&AuditFilter::default(), None, 100)
        .await
        .unwrap();
    let mut acts: Vec<&str> = audit
        .iter()
        .map(|entry| entry.audit.action.as_str())
        .collect();
    acts.dedup();
    assert_eq!(
        acts,
        ["backups.prune", "backups.pin", "backups.create"],
        "newest first"
    );

    json(&rig, &["backup", "unpin", "settings", oldest]).await;
    let shown = json(&rig, &["backup", "show", "settings", "newest"]).await;
    assert_eq!(shown["manifest"]["id"], *newest_first[0]);
    let (exit, _, err) = jobctl(&rig, &["backup", "show", "nothing", "newest"]).await;
    assert_eq!(exit, Exit::Usage);
    assert!(err.contains("known are: settings"), "{err}");
    let (exit, ..) = jobctl(
        &rig,
        &["backup", "show", "settings", "20200101T000000Z-00000000"],
    )
    .await;
    assert_eq!(exit, Exit::NotFound);
}

#[tokio::test]
async fn retention_by_the_clock_waits_for_the_copy() {
    let rig = Rig::new(SETTINGS).await;
    for _ in 0..3 {
        rig.created("settings").await;
    }
    let newest = rig
        .list("other", "settings")
        .await
        .pop()
        .unwrap()
        .manifest
        .id;
    rig.backups()
        .repository("other")
        .unwrap()
        .delete("settings", &newest)
        .await
        .unwrap();
    let prune = async || {
        let id = rig
            .client
            .enqueue(&PruneBackups::default())
            .await
            .unwrap()
            .id();
        rig.drain().await;
        let job = rig.client.get(id, None).await.unwrap().unwrap();
        assert_eq!(job.state, State::Completed);
        serde_json::from_str::<Value>(job.result.unwrap().as_str()).unwrap()
    };
    let told = prune().await;
    assert_eq!(told["deleted"], 0);
    assert!(
        told["waitsFor"][0]
            .as_str()
            .unwrap()
            .ends_with("to be copied to other"),
        "{told}"
    );
    rig.created("settings").await;
    assert_eq!(prune().await["deleted"], 5, "three here, two there");
    let audit = rig
        .client
        .audit(&AuditFilter::default(), None, 100)
        .await
        .unwrap();
    assert_eq!(audit[0].audit.actor, PruneBackups::KIND);
}

#[tokio::test]
async fn backups_are_seen_by_the_api_and_measured() {
    let rig = Rig::new(SETTINGS).await;
    let api = Api::of(rig.client.clone(), Duration::from_secs(30), |state| {
        state.with_backups(rig.backups().clone())
    });
    let listed = api.get("/v1/backups").await.json();
    assert_eq!(listed["targets"][0]["late"], true, "{listed}");
    let backup = rig.created("settings").await.manifest;
    // Its first trial follows by itself, and is all there is to try of settings.
    let mut looks = tokio::time::interval(Duration::from_millis(20));
    let verified = tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            looks.tick().await;
            let listed = api.get("/v1/backups?target=settings").await.json();
            if listed["targets"][0]["unverified"] == false {
                return listed;
            }
        }
    });
    let listed = verified.await.expect("nobody tried the backup");
    let target = &listed["targets"][0];
    assert_eq!(target["late"], Value::from(false));
    assert!(target["rpo_seconds"].as_f64().unwrap() < 60.0);
    assert_eq!(target["backups"][0]["id"], backup.id.as_str());
    let path = format!("/v1/backups/settings/{}", backup.id);
    let shown = api.get(&path).await.json();
    assert_eq!(shown["manifest"]["sha256"], backup.sha256.as_str());
    assert_eq!(shown["place"], "local");
    for (status, path) in [
        (404, "/v1/backups?target=x"),
        (422, "/v1/backups/x/y"),
        (422, "/v1/backups/settings/20200230T000000Z-00000000"),
        (404, "/v1/backups/settings/20200101T000000Z-00000000"),
    ] {
        assert_eq!(api.get(path).await.status, status, "{path}");
    }

    let recorder = telemetry::recorder().unwrap();
    let handle = recorder.handle();
    let standing = rig
        .backups()
        .standing("settings", rig.client.now().await.unwrap())
        .await
        .unwrap();
    metrics::with_local_recorder(&recorder, || standing.tell());
    let rendered = handle.render();
    for name in [
        "backup_last_success_timestamp_seconds",
        "backup_rpo_seconds",
        "backup_size_bytes",
        "backup_count",
        "backup_last_verified_timestamp_seconds",
        "backup_verify_level",
    ] {
        assert!(
            rendered.contains(&format!("{name}{{target=\"settings\"}}")),
            "{rendered}"
        );
    }
}

#[tokio::test]
async fn people_are_told_of_failures_and_of_silence() {
    let server = Server::start().await;
    for _ in 0..3 {
        server.will([says(200, Value::Null)]);
    }
    let rig = Rig::new(&format!(
        "[backups.notify]\nwebhook_url = \"http://127.0.0.1:{0}/hook\"\nping_url = \"http://127.0.0.1:{0}/ping/{{target}}\"\n{SETTINGS}",
        server.port
    ))
    .await;
    let check = async || {
        let id = rig
            .client
            .enqueue(&CheckBackups::default())
            .await
            .unwrap()
            .id();
        rig.drain().await;
        assert_eq!(
            rig.client.get(id, None).await.unwrap().unwrap().state,
            State::Completed
        );
    };
    // There is none yet, and so none that was verified.
    check().await;
    rig.created("settings").await;
    let seen = server.asked(2).await;
    assert_eq!(seen[0].target, "/hook");
    let message = seen[0].json()["message"].as_str().unwrap().to_owned();
    assert!(
        message.contains("settings: no backup in time; the last one: never"),
        "{message}"
    );
    assert_eq!(seen[1].target, "/ping/settings");
    // A backup that will never work is told of at once.
    std::fs::set_permissions(
        rig.path("local"),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let job = rig.create("settings").await;
    assert_eq!(job.state, State::Dead);
    let seen = server.asked(3).await;
    let told = seen[2].json();
    assert_eq!(
        told["subject"],
        "metachat-jobs: the backup of settings failed"
    );
    assert!(
        told["message"].as_str().unwrap().contains("chmod 700"),
        "{told}"
    );
}

#[tokio::test]
async fn people_are_told_of_a_backup_that_does_not_hold() {
    let server = Server::start().await;
    server.will([says(200, Value::Null)]);
    let (smtp, letters) = Letters::start().await;
    let rig = Rig::new(&format!(
        "[backups.notify]\nwebhook_url = \"http://127.0.0.1:{}/hook\"\nsmtp_url = \"{smtp}\"\n\
         email_from = \"backups@example.com\"\nemail_to = \"Ops <ops@example.com>, boss@example.com\"\n{SETTINGS}",
        server.port
    ))
    .await;
    let backup = rig.created("settings").await.manifest;
    // Its first trial, which it passes.
    rig.drain().await;
    let home = rig.path("local").join("settings").join(backup.id.as_str());
    std::fs::write(home.join("files/configuration.json"), "{}").unwrap();
    let verify = VerifyBackup {
        backup: Some(backup.id.clone()),
        ..VerifyBackup::newest("settings", Level::Contents)
    };
    let id = rig.client.enqueue(&verify).await.unwrap().id();
    rig.drain().await;
    let job = rig.client.get(id, None).await.unwrap().unwrap();
    assert_eq!(job.state, State::Dead, "{job:?}");
    let told = server.asked(1).await[0].json();
    assert_eq!(
        told["subject"],
        "metachat-jobs: a backup of settings does not hold"
    );
    let reason = "configuration.json is damaged: it has 2 bytes";
    assert!(told["message"].as_str().unwrap().contains(reason), "{told}");
    let letters = letters.all();
    assert_eq!(letters.len(), 1, "{letters:?}");
    for part in [
        "RCPT TO:<ops@example.com>",
        "RCPT TO:<boss@example.com>",
        "Subject: metachat-jobs: a backup of settings does not hold",
    ] {
        assert!(letters[0].contains(part), "{part}: {}", letters[0]);
    }
    // Long lines are folded.
    let text = letters[0].replace("=\n", "");
    assert!(text.contains(reason), "{text}");
}

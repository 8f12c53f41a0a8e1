//! Commands by way of a real server's API.

use serde_json::json;

use super::house::{House, JOB, mode, told};
use crate::program::KEY;

const NO_JOB: &str = "0198f2c4-7d6e-7cc1-9d2b-3f1e0a5b6c7d";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_is_looked_after_by_the_api() {
    let house = House::new().await;
    let id = house.done(&[&JOB[..], &["--delay-ms", "600000", "--tag", "books"]].concat());
    let listed = house.json(&["list", "--state", "scheduled", "--kind", "ingest_document"]);
    assert_eq!(listed["jobs"][0]["id"], *id);
    let table = house.done(&["list"]);
    assert!(table.contains(&id) && table.starts_with("ID"), "{table}");
    let sheet = house.done(&["show", &id, "--args"]);
    assert!(sheet.contains("args") && sheet.contains("d-1"), "{sheet}");
    assert!(!sheet.contains('\u{1b}'), "{sheet:?}");

    assert_eq!(house.done(&["requeue", &id]), id);
    let due = "2126-01-31T12:00:00Z";
    house.done(&["snooze", &id, "--until", due]);
    let shown = house.json(&["show", &id])["run_at"].to_string();
    assert!(shown.contains("2126-01-31T12:00:00"), "{shown}");
    house.done(&["discard", &id, "--reason", "a mistake"]);
    house.done(&["requeue", &id, "--at", due]);
    assert_eq!(house.json(&["show", &id])["state"], "scheduled");
    house.done(&["discard", &id, "--reason", "a mistake"]);
    assert_eq!(house.json(&["show", &id])["state"], "dead");
    let again = house.done(&["rerun", &id]);
    assert_ne!(again, id);
    house.done(&["cancel", &again, "--tenant", "acme"]);
    assert_eq!(house.json(&["show", &again])["state"], "cancelled");

    house.done(&["pause", "--queue", "mail", "--reason", "it's\u{1b}[2J late"]);
    let pauses = house.done(&["pause"]);
    assert!(
        pauses.contains("mail") && pauses.contains("late") && !pauses.contains('\u{1b}'),
        "{pauses}"
    );
    house.done(&["resume", "--queue", "mail"]);
    house.done(&["slots", "a/b", "7"]);
    house.done(&[
        "policy",
        "set",
        "mail",
        r#"{"concurrency": 3}"#,
        "--reason",
        "ünüsual",
    ]);
    let log = house.json(&["audit", "--limit", "100"]);
    let entries = log["entries"].as_array().unwrap();
    let actor = entries[0]["actor"].as_str().unwrap();
    assert!(actor.starts_with("admin (jobctl:"), "{actor}");
    let by = |action: &str| entries.iter().find(|it| it["action"] == action).unwrap();
    assert_eq!(by("job.discard")["reason"], "a mistake");
    assert_eq!(by("queue.slots")["subject"], "queue/a/b");
    for args in [
        &["queues"][..],
        &["workers"],
        &["errors"],
        &["schedules", "list"],
        &["flows", "list"],
        &["outbox", "list", "--state", "unknown"],
        &["quarantine", "list"],
        &["backup", "list"],
    ] {
        house.done(args);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_has_its_exit_code() {
    let mut house = House::new().await;
    for (args, code, said) in [
        (&["show", NO_JOB][..], 3, "no job"),
        (
            &["schedules", "pause", "none", "--note", "x"],
            3,
            "no schedule has this name",
        ),
        (&["enqueue", "no_such_kind"], 2, "no job of this kind"),
        (&["migrate"], 2, "works on the database itself"),
        (&["list", "--profile", "gone"], 2, "it has here"),
        (
            &["list", "--database", "sqlite:x", "--profile", "here"],
            2,
            "leave one of them out",
        ),
    ] {
        let told = house.run(args);
        assert_eq!(told.code, Some(code), "{args:?}: {told:?}");
        assert!(told.err.contains(said), "{args:?}: {told:?}");
    }
    let mut command = house.command(&["list", "--profile", "here"]);
    let wrong = told(command.env("KEY_OF_HERE", "a-wrong-key-0123456789"));
    assert_eq!(wrong.code, Some(1), "{wrong:?}");
    assert!(
        wrong.err.contains("does not take the key of profile here"),
        "{wrong:?}"
    );
    assert!(!wrong.err.contains("a-wrong-key"), "{wrong:?}");
    house.server = None;
    let gone = house.run(&["list"]);
    assert_eq!(gone.code, Some(1), "{gone:?}");
    assert!(gone.err.contains("cannot be reached"), "{gone:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_comes_from_a_file_a_variable_a_program_or_a_private_profile() {
    let house = House::new().await;
    let secret = house.path().join("key");
    std::fs::write(&secret, format!("{KEY}\n")).unwrap();
    let (url, file) = (&house.url, secret.display());
    let profiles = house.profiles(&format!(
        "[profiles.by_file]\nurl = \"{url}\"\nkey.file = \"{file}\"\n\
         [profiles.by_variable]\nurl = \"{url}\"\nkey.env = \"KEY_OF_HERE\"\n\
         [profiles.by_program]\nurl = \"{url}\"\nkey.command = [\"cat\", \"{file}\"]\n\
         [profiles.by_nothing]\nurl = \"{url}\"\nkey.env = \"NOT_SET\"\n\
         [profiles.by_failure]\nurl = \"{url}\"\nkey.command = [\"false\"]\n"
    ));
    let list = |name: &str| told(&mut house.command(&["list", "--profile", name]));
    let read = list("by_file");
    assert_eq!(read.code, Some(2));
    assert!(read.err.contains("chmod 600"), "{read:?}");
    mode(&secret, 0o600);
    for (name, code, said) in [
        ("by_file", 0, ""),
        ("by_variable", 0, ""),
        ("by_program", 0, ""),
        ("by_nothing", 2, "NOT_SET, which is not set"),
        ("by_failure", 1, "key command false failed"),
    ] {
        let told = list(name);
        assert_eq!(told.code, Some(code), "{name}: {told:?}");
        assert!(told.err.contains(said), "{name}: {told:?}");
    }

    let listed = told(&mut house.command(&["profiles", "--json"]));
    let listed: serde_json::Value = serde_json::from_str(&listed.out).unwrap();
    assert_eq!(listed[0]["key"], "command false", "{listed}");
    assert_eq!(listed[0]["name"], "by_failure", "{listed}");

    let inline = format!("[profiles.inline]\nurl = \"{url}\"\nkey.inline = \"{KEY}\"\n");
    house.profiles(&inline);
    for args in [&["list", "--profile", "inline"][..], &["profiles"]] {
        let open = told(&mut house.command(args));
        assert_eq!(open.code, Some(2), "{open:?}");
        assert!(open.err.contains("chmod 600"), "{open:?}");
    }
    mode(&profiles, 0o600);
    assert_eq!(list("inline").code, Some(0));
    let listed = told(&mut house.command(&["profiles"]));
    assert!(listed.out.contains("in the profile"), "{listed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_changes_nothing() {
    let house = House::new().await;
    let id = house.done(&JOB);
    for args in [
        &["cancel", &id][..],
        &["rerun", &id],
        &["signal", &id, "go"],
    ] {
        let by_api = house.json(&[args, &["--dry-run"]].concat());
        let direct = house.direct(&[args, &["--dry-run", "--json"]].concat());
        assert_eq!(direct.code, Some(0), "{direct:?}");
        let direct: serde_json::Value = serde_json::from_str(&direct.out).unwrap();
        assert_eq!(by_api, direct);
        assert_eq!(by_api["state"], "available", "{by_api}");
        assert_eq!(by_api["dry_run"], true);
    }
    let said = house.run(&["cancel", &id, "--dry-run"]);
    assert_eq!(
        said.out,
        format!("would cancel job {id}, which is available\n")
    );
    assert_eq!(house.run(&["cancel", NO_JOB, "--dry-run"]).code, Some(3));
    let bulk = ["bulk", "discard", "--kind", "ingest_document", "--dry-run"];
    let would = "discard all jobs that match";
    let expected = json!({"dry_run": true, "would": would, "jobs": 1, "at_least": false});
    assert_eq!(house.json(&bulk), expected);
    for args in [
        &["pause", "--queue", "mail"][..],
        &["slots", "mail", "3"],
        &["policy", "set", "mail", r#"{"concurrency": 3}"#],
        &[
            "enqueue",
            "ingest_document",
            r#"{"tenantId":"acme","documentId":"d-2"}"#,
        ],
        &["schedules", "pause", "partitions_ahead", "--note", "x"],
        &["schedules", "run", "partitions_ahead"],
        &["flows", "cancel", NO_JOB],
        &["drain", "w1"],
        &["webhooks", "replay", NO_JOB],
        &["outbox", "resend", NO_JOB],
        &["quarantine", "discard", NO_JOB],
    ] {
        let told = house.run(&[args, &["--dry-run"]].concat());
        assert_eq!(told.code, Some(0), "{args:?}: {told:?}");
        assert!(told.out.starts_with("would "), "{args:?}: {told:?}");
    }
    // What only the database knows.
    for args in [
        &["keys", "create", "x", "--role", "viewer"][..],
        &["migrate"],
        &["sealing", "reseal"],
        &["backup", "create", "x"],
    ] {
        let told = house.direct(&[args, &["--dry-run"]].concat());
        assert_eq!(told.code, Some(0), "{args:?}: {told:?}");
        assert!(told.out.starts_with("would "), "{args:?}: {told:?}");
    }
    assert_eq!(house.json(&["show", &id])["state"], "available");
    assert_eq!(house.json(&["list"])["jobs"].as_array().unwrap().len(), 1);
    let log = house.json(&["audit"]);
    assert_eq!(log["entries"], json!([]), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bulk_operation_is_followed_to_its_end() {
    let house = House::with_role("all").await;
    for document in ["d-1", "d-2", "d-3"] {
        let args = format!(r#"{{"tenantId":"acme","documentId":"{document}"}}"#);
        house.done(&["enqueue", "ingest_document", &args, "--delay-ms", "600000"]);
    }
    let bulk = ["bulk", "discard", "--kind", "ingest_document", "--follow"];
    let by_api = house.run(&bulk);
    assert_eq!(by_api.code, Some(0), "{by_api:?}");
    assert!(
        by_api.err.contains("completed: 3 jobs seen, 3 changed"),
        "{by_api:?}"
    );
    let direct = house.direct(&["bulk", "cancel", "--tag", "none", "--follow"]);
    assert_eq!(direct.code, Some(0), "{direct:?}");
    assert!(direct.err.contains("completed: 0 jobs seen"), "{direct:?}");
}

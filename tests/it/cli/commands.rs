use std::path::PathBuf;

use clap::Parser as _;
use metachat_jobs::cli::{self, Cli, Exit, Printer};
use metachat_jobs::config::Sources;
use serde_json::{Value, json};

use crate::api::kinds;
use crate::lines::Lines;
use crate::support::{startable_at_one_per_key, with_postgres};

/// A database that `jobctl` works on.
pub(super) struct Desk {
    url: String,
    folder: tempfile::TempDir,
}

pub(super) struct Told {
    pub(super) exit: Exit,
    pub(super) out: String,
    pub(super) err: String,
}

impl Desk {
    /// With its tables.
    pub(super) async fn new() -> Self {
        let desk = Self::empty();
        assert_eq!(desk.run(&["migrate"]).await.exit, Exit::Done);
        desk
    }

    /// A file that is not there yet.
    pub(super) fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("jobs.db");
        Self {
            url: format!("sqlite:{}", file.display()),
            folder,
        }
    }

    pub(super) fn on_postgres(url: String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { url, folder }
    }

    pub(super) fn file(&self) -> PathBuf {
        self.folder.path().join("jobs.db")
    }

    pub(super) async fn run(&self, args: &[&str]) -> Told {
        let words = ["jobctl", "--database", &self.url].into_iter();
        let cli = Cli::try_parse_from(words.chain(args.iter().copied())).unwrap();
        let (out, err) = (Lines::default(), Lines::default());
        let mut printer = Printer::new(cli.json, out.clone(), err.clone());
        let exit = cli::run(cli, Sources::default(), |_, _| Ok(kinds()), &mut printer).await;
        Told {
            exit,
            out: out.text(),
            err: err.text(),
        }
    }

    pub(super) async fn json(&self, args: &[&str]) -> Value {
        let told = self.run(&[args, &["--json"]].concat()).await;
        assert_eq!(told.exit, Exit::Done, "{}", told.err);
        serde_json::from_str(&told.out).unwrap()
    }

    async fn enqueue(&self, more: &[&str]) -> String {
        let args = [&["enqueue", "greet", r#"{"name":"Ada"}"#], more].concat();
        let told = self.run(&args).await;
        assert_eq!(told.exit, Exit::Done, "{}", told.err);
        told.out.trim().to_owned()
    }
}

#[tokio::test]
async fn a_job_is_enqueued_shown_and_looked_after() {
    look_after_a_job(&Desk::new().await).await;
}

#[tokio::test]
async fn a_job_is_enqueued_shown_and_looked_after_on_postgres() {
    with_postgres(async |url| {
        let desk = Desk::on_postgres(url);
        let doctor = desk.run(&["doctor"]).await;
        assert_eq!(doctor.exit, Exit::Failed);
        assert!(doctor.out.contains("FAIL  schema"), "{}", doctor.out);
        assert_eq!(desk.run(&["migrate"]).await.exit, Exit::Done);
        let doctor = desk.run(&["doctor"]).await;
        assert_eq!(doctor.exit, Exit::Done, "{}", doctor.out);
        assert!(!doctor.out.contains("FAIL"), "{}", doctor.out);
        look_after_a_job(&desk).await;
    })
    .await;
}

#[tokio::test]
async fn a_key_is_rotated() {
    rotate_a_key(&Desk::new().await).await;
}

#[tokio::test]
async fn a_key_is_rotated_on_postgres() {
    with_postgres(async |url| {
        let desk = Desk::on_postgres(url);
        assert_eq!(desk.run(&["migrate"]).await.exit, Exit::Done);
        rotate_a_key(&desk).await;
    })
    .await;
}

async fn rotate_a_key(desk: &Desk) {
    const OLD: &str = "sealing.keys=old:ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=";
    const NEW: &str = "sealing.keys=new:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
    let both = format!("{NEW},{}", OLD.split_once('=').unwrap().1);
    let words = r#"{"words":"hunter2"}"#;
    let without = desk.run(&["enqueue", "whisper", words]).await;
    assert_eq!(without.exit, Exit::Usage, "{}", without.err);
    assert!(
        without.err.contains("kind whisper is to be sealed"),
        "{}",
        without.err
    );
    let mut ids = Vec::new();
    for _ in 0..3 {
        let told = desk.run(&["enqueue", "whisper", words, "--set", OLD]).await;
        assert_eq!(told.exit, Exit::Done, "{}", told.err);
        ids.push(told.out.trim().to_owned());
    }
    assert_eq!(desk.run(&["discard", &ids[0]]).await.exit, Exit::Done);
    let shown = desk.run(&["show", &ids[0], "--args"]).await.out;
    assert!(
        shown.contains("sealed, ") && !shown.contains("hunter2"),
        "{shown}"
    );
    let shown = desk.run(&["show", &ids[0], "--args", "--reveal"]).await.out;
    assert!(
        shown.contains("is sealed with key old, which this process does not have"),
        "{shown}"
    );

    let status =
        async |keys: &str| desk.json(&["sealing", "status", "--set", keys]).await["keys"].clone();
    assert_eq!(
        status(&both).await,
        json!([{"key": "new", "role": "seals", "values": 0}, {"key": "old", "role": "opens", "values": 3}])
    );
    let none = desk.run(&["sealing", "reseal"]).await;
    assert_eq!(none.exit, Exit::Usage);
    assert!(
        none.err.contains("METACHAT_JOBS__SEALING__KEYS"),
        "{}",
        none.err
    );
    let partly = desk
        .json(&["sealing", "reseal", "--unfinished", "--set", &both])
        .await;
    assert_eq!(
        (&partly["resealed"], &partly["keys"][1]["values"]),
        (&json!(2), &json!(0))
    );
    assert_eq!(
        status(NEW).await,
        json!([{"key": "new", "role": "seals", "values": 2}, {"key": "old", "role": "missing here", "values": 1}])
    );
    let rest = desk.json(&["sealing", "reseal", "--set", &both]).await;
    assert_eq!(
        (&rest["resealed"], &rest["done"]),
        (&json!(1), &json!(true))
    );
    assert_eq!(
        status(NEW).await,
        json!([{"key": "new", "role": "seals", "values": 3}])
    );
    let shown = desk
        .run(&["show", &ids[0], "--args", "--reveal", "--set", NEW])
        .await
        .out;
    assert!(shown.contains("hunter2"), "{shown}");
}

async fn look_after_a_job(desk: &Desk) {
    let more = [
        "--priority",
        "2",
        "--tag",
        "a",
        "--tenant",
        "acme",
        "--correlation",
        "c-1",
    ];
    let id = desk.enqueue(&more).await;

    let job = desk.json(&["show", &id]).await;
    assert_eq!(job["kind"], "greet");
    assert_eq!(job["state"], "available");
    assert_eq!(
        (&job["priority"], &job["tenant_id"]),
        (&2.into(), &"acme".into())
    );
    assert_eq!(job.get("args"), None, "args are not shown unasked");
    let job = desk.json(&["show", &id, "--args"]).await;
    assert_eq!(job["args"]["name"], "Ada");

    let message = r#"{"tenantId":"t","channel":"webchat","message":{"id":"m","conversationId":"c",
        "content":{"text":"hunter2"}}}"#;
    let told = desk.run(&["enqueue", "process_message", message]).await;
    let about = told.out.trim();
    for (more, seen) in [("--json", false), ("--reveal", true)] {
        let told = desk.run(&["show", about, "--args", more]).await;
        assert_eq!(told.out.contains("hunter2"), seen, "{}", told.out);
        assert_eq!(told.out.contains("[redacted]"), !seen, "{}", told.out);
    }
    assert_eq!(desk.run(&["discard", about]).await.exit, Exit::Done);

    let text = desk.run(&["show", &id]).await.out;
    assert!(text.contains("state         available"), "{text}");
    assert!(text.contains("correlation   c-1"), "{text}");
    assert!(!text.contains("Ada"), "{text}");

    let queues = desk.json(&["queues"]).await;
    assert_eq!(queues[0]["available"], 1);
    assert_eq!(desk.json(&["workers"]).await, Value::Array(Vec::new()));

    assert_eq!(desk.json(&["cancel", &id]).await["status"], "done");
    assert_eq!(desk.json(&["show", &id]).await["state"], "cancelled");
    assert_eq!(desk.run(&["requeue", &id]).await.exit, Exit::Done);
    assert_eq!(desk.run(&["discard", &id]).await.exit, Exit::Done);
    assert_eq!(desk.json(&["show", &id]).await["state"], "dead");
    let refused = desk.run(&["cancel", &id]).await;
    assert_eq!(refused.exit, Exit::Failed);
    assert!(
        refused.err.contains("a dead job cannot be cancelled"),
        "{}",
        refused.err
    );
}

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    let desk = Desk::new().await;
    let older = desk.enqueue(&["--tenant", "acme"]).await;
    let newer = desk.enqueue(&["--delay-ms", "60000"]).await;

    let page = desk.json(&["list", "--limit", "1"]).await;
    assert_eq!(page["jobs"][0]["id"], newer.as_str());
    let next = page["next"].as_str().unwrap();
    let page = desk.json(&["list", "--limit", "1", "--after", next]).await;
    assert_eq!(page["jobs"][0]["id"], older.as_str());
    assert_eq!(page["next"], Value::Null);

    let scheduled = desk.json(&["list", "--state", "scheduled,dead"]).await;
    assert_eq!(scheduled["jobs"].as_array().unwrap().len(), 1);
    let text = desk.run(&["list", "--tenant", "acme"]).await.out;
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(text.lines().next().unwrap().starts_with("ID"), "{text}");
    assert!(!text.contains("Ada"), "{text}");
}

#[tokio::test]
async fn a_unique_job_is_there_once() {
    let desk = Desk::new().await;
    let first = desk.enqueue(&["--unique", "k"]).await;
    let second = desk
        .run(&["enqueue", "greet", r#"{"name":"Bob"}"#, "--unique", "k"])
        .await;
    assert_eq!(second.out.trim(), first);
    assert!(second.err.contains("was there already"), "{}", second.err);
}

#[tokio::test]
async fn what_is_asked_wrongly_is_refused_with_the_remedy() {
    let desk = Desk::new().await;
    let cases: [(&[&str], Exit, &str); 6] = [
        (
            &["enqueue", "nope"],
            Exit::Usage,
            "known are deliver_message, greet, process_message",
        ),
        (
            &["enqueue", "greet", "{"],
            Exit::Usage,
            "args: not valid JSON: line 1, column 1",
        ),
        (
            &["enqueue", "greet", "{}"],
            Exit::Usage,
            "missing field `name`",
        ),
        (
            &["enqueue", "greet", r#"{"name":"x"}"#, "--queue", "a b"],
            Exit::Usage,
            "queue: must be",
        ),
        (
            &["show", "0198f2c4-7d6e-7cc1-9d2b-3f1e0a5b6c7d"],
            Exit::NotFound,
            "check the id",
        ),
        (
            &["--set", "server.prot=1", "list"],
            Exit::Usage,
            "did you mean server.port?",
        ),
    ];
    for (args, exit, remedy) in cases {
        let told = desk.run(args).await;
        assert_eq!(told.exit, exit, "{args:?}: {}", told.err);
        assert!(told.err.contains(remedy), "{args:?}: {}", told.err);
        assert_eq!(told.out, "", "{args:?}: talk went to stdout");
    }
    assert_eq!(desk.json(&["list"]).await["jobs"], Value::Array(Vec::new()));

    for args in [
        &["enqueue", "greet", "{}", "--priority", "10"][..],
        &["enqueue", "greet", "{}", "--delay-ms", "-5"],
        &["list", "--state", "done"],
        &["show", "42"],
        &["--set", "server.port", "list"],
    ] {
        let words = ["jobctl"].into_iter().chain(args.iter().copied());
        assert_eq!(
            Cli::try_parse_from(words).unwrap_err().exit_code(),
            2,
            "{args:?}"
        );
    }
}

#[tokio::test]
async fn migrating_twice_changes_nothing() {
    let desk = Desk::new().await;
    let again = desk.run(&["migrate"]).await;
    assert!(again.out.contains("already"), "{}", again.out);
}

#[tokio::test]
async fn the_doctor_finds_a_healthy_database_well() {
    let desk = Desk::new().await;
    let report = desk.json(&["doctor"]).await;
    let findings = report["findings"].as_array().unwrap();
    let verdict = |check: &str| {
        let found = findings.iter().find(|finding| finding["check"] == check);
        found.unwrap_or_else(|| panic!("no {check} in {report}"))["verdict"].clone()
    };
    for check in [
        "settings", "disk", "database", "clock", "schema", "platform", "wake-ups",
    ] {
        assert_eq!(verdict(check), "ok", "{check}");
    }
    assert_eq!(verdict("admin key"), "warn");
}

#[tokio::test]
async fn the_doctor_finds_a_missing_schema_and_says_what_to_do() {
    let desk = Desk::empty();
    std::fs::write(desk.file(), b"").unwrap();
    for _ in 0..2 {
        let told = desk.run(&["doctor"]).await;
        assert_eq!(told.exit, Exit::Failed);
        assert!(told.out.contains("FAIL  schema"), "{}", told.out);
        assert!(told.out.contains("run `jobctl migrate`"), "{}", told.out);
    }
}

#[tokio::test]
async fn a_file_that_is_not_there_is_not_made_by_looking() {
    let desk = Desk::empty();
    let listed = desk.run(&["list"]).await;
    assert_eq!(listed.exit, Exit::Failed);
    assert!(listed.err.contains("jobctl migrate"), "{}", listed.err);
    let doctor = desk.run(&["doctor"]).await;
    assert_eq!(doctor.exit, Exit::Failed);
    assert!(doctor.out.contains("FAIL  database"), "{}", doctor.out);
    assert!(!desk.file().exists());
}

#[tokio::test]
async fn whoever_gives_orders_is_in_the_audit_log() {
    let desk = Desk::new().await;
    let paused = desk
        .json(&[
            "pause",
            "--queue",
            "mail",
            "--reason",
            "the provider is down",
        ])
        .await;
    assert_eq!(paused["pauses"][0]["queue"], "mail");
    let by = paused["pauses"][0]["by"].as_str().unwrap();
    assert!(
        by.starts_with("jobctl:") && by.len() > "jobctl:".len(),
        "{by}"
    );
    let table = desk.run(&["pause"]).await.out;
    assert!(table.contains("the provider is down"), "{table}");
    assert_eq!(
        desk.run(&["resume", "--kind", "greet"]).await.exit,
        Exit::NotFound
    );
    assert_eq!(
        desk.json(&["resume", "--queue", "mail"]).await["pauses"],
        json!([])
    );
    assert_eq!(
        desk.run(&["pause", "--queue", "a b"]).await.exit,
        Exit::Usage
    );

    assert_eq!(desk.json(&["slots", "mail", "3"]).await, json!({"mail": 3}));
    assert_eq!(desk.run(&["slots", "mail", "0"]).await.exit, Exit::Usage);
    assert_eq!(desk.json(&["slots", "mail"]).await, json!({}));
    assert_eq!(desk.run(&["drain", "nobody"]).await.exit, Exit::NotFound);
    assert_eq!(
        desk.run(&["drain", "nobody", "--undo"]).await.exit,
        Exit::NotFound
    );

    let id = desk.enqueue(&[]).await;
    assert_eq!(desk.run(&["rerun", &id]).await.exit, Exit::Failed);
    desk.run(&["discard", &id, "--reason", "a mistake"]).await;
    let again = desk
        .json(&["rerun", &id, "--args", r#"{"name":"Eve"}"#])
        .await;
    assert_ne!(again["id"].as_str().unwrap(), id);
    let wrong = desk.run(&["rerun", &id, "--args", "{}"]).await;
    assert_eq!(wrong.exit, Exit::Usage, "{}", wrong.err);
    let same = desk
        .json(&["rerun", &id, "--in-place", "--args", r#"{"name":"Bob"}"#])
        .await;
    assert_eq!(
        (same["id"].as_str(), &same["status"]),
        (Some(&*id), &json!("done"))
    );

    let count = desk
        .json(&["bulk", "cancel", "--kind", "greet", "--dry-run"])
        .await;
    let would = "cancel all jobs that match";
    assert_eq!(
        count,
        json!({"dry_run": true, "would": would, "jobs": 2, "at_least": false})
    );
    assert_eq!(desk.run(&["bulk", "cancel"]).await.exit, Exit::Usage);
    let bulk = desk.json(&["bulk", "cancel", "--all"]).await;
    let shown = desk.json(&["show", bulk["id"].as_str().unwrap()]).await;
    assert_eq!(shown["queue"], "windlass");

    let log = desk.json(&["audit", "--limit", "100"]).await;
    let actions: Vec<_> = log
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|line| line["action"].as_str().unwrap())
        .collect();
    let expected = [
        "pause.set",
        "pause.end",
        "queue.slots",
        "queue.slots",
        "job.discard",
        "job.rerun",
        "job.requeue",
        "jobs.cancel",
    ];
    assert_eq!(actions, expected);
    assert!(
        log.as_array()
            .unwrap()
            .iter()
            .all(|line| line["actor"] == by)
    );
    let mistakes = desk.run(&["audit", "--action", "job.discard"]).await.out;
    assert!(mistakes.contains("a mistake"), "{mistakes}");
}

#[tokio::test]
async fn a_policy_is_set_shown_and_cleared() {
    let desk = Desk::new().await;
    let policy = r#"{"concurrency":3,"fair":{}}"#;
    let set = desk
        .run(&["policy", "set", "mail", policy, "--reason", "slow"])
        .await;
    assert_eq!(set.exit, Exit::Done, "{}", set.err);
    let shown = desk.json(&["policy", "show", "mail"]).await;
    assert_eq!(shown["policy"].to_string(), policy);
    let all = desk.run(&["policy", "show"]).await;
    assert_eq!(all.out, format!("mail\t{policy}\n"));
    let log = desk.json(&["audit"]).await.to_string();
    for told in [r#""policy.set""#, r#""jobctl:"#, r#""slow""#] {
        assert!(log.contains(told), "{log} does not tell {told}");
    }

    let zero = desk
        .run(&["policy", "set", "mail", r#"{"concurrency":0}"#])
        .await;
    assert_eq!(zero.exit, Exit::Usage);
    assert!(
        zero.err.contains("concurrency: zero would let nothing run"),
        "{}",
        zero.err
    );
    let odd = desk.run(&["policy", "set", "mail", r#"{"speed":1}"#]).await;
    assert!(odd.err.contains("unknown field `speed`"), "{}", odd.err);

    assert_eq!(
        desk.run(&["policy", "clear", "mail"]).await.exit,
        Exit::Done
    );
    assert_eq!(
        desk.run(&["policy", "clear", "mail"]).await.exit,
        Exit::NotFound
    );
    assert_eq!(
        desk.run(&["policy", "show", "mail"]).await.exit,
        Exit::NotFound
    );
}

#[tokio::test]
async fn an_enqueue_says_what_limits_count_its_job_by() {
    let desk = Desk::new().await;
    for key in ["account 1", "account 1", "account 2"] {
        desk.enqueue(&["--tenant", "acme", "--limit-key", key])
            .await;
    }
    let file = windlass::db::Sqlite::new(desk.file(), &windlass::db::SqliteOptions::default());
    let store = windlass::store::sqlite::SqliteStore::new(file);
    let jobs = startable_at_one_per_key(&store).await;
    assert_eq!(jobs, 2, "one of each account");
}

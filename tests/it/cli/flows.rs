//! `jobctl flows` and `jobctl signal`.

use metachat_jobs::cli::Exit;
use serde_json::json;
use windlass::db::{Sqlite, SqliteOptions};
use windlass::model::{FlowId, NewFlow};
use windlass::store::Flows as _;
use windlass::store::sqlite::SqliteStore;
use windlass::{JobId, Json, NewJob};

use super::commands::Desk;

/// A desk with a flow of two steps, the second after the first.
async fn desk() -> (Desk, FlowId, JobId) {
    let desk = Desk::new().await;
    let job = |args: &str| NewJob::new("greet", Json::parse(args).unwrap());
    let mut flow = NewFlow::chain(
        "month",
        [
            ("sales", job(r#"{"name":"hunter2"}"#)),
            ("report", job(r#"{"name":"hunter2"}"#)),
        ],
    );
    flow.tenant_id = Some("acme".to_owned());
    for step in &mut flow.steps {
        step.job.tenant_id.clone_from(&flow.tenant_id);
    }
    let store = SqliteStore::new(Sqlite::new(desk.file(), &SqliteOptions::default()));
    store.start(&flow, None).await.unwrap();
    let first = flow.steps[0].job.id;
    (desk, flow.id, first)
}

#[tokio::test]
async fn are_listed_shown_cancelled_and_retried() {
    let (desk, id, _) = desk().await;
    let id = id.to_string();
    let listed = desk.json(&["flows", "list", "--tenant", "acme"]).await;
    assert_eq!(listed["flows"][0]["id"], id);
    assert_eq!(listed["flows"][0]["state"], "running");
    assert_eq!(listed["next"], json!(null));
    let others = desk.json(&["flows", "list", "--finished", "true"]).await;
    assert_eq!(others["flows"], json!([]));
    let table = desk.run(&["flows", "list"]).await.out;
    assert!(
        table.contains(&format!("{id}  month  running  0/2")),
        "{table}"
    );

    let sheet = desk.run(&["flows", "show", &id]).await.out;
    assert!(sheet.contains("of 2 steps 0 completed"), "{sheet}");
    assert!(sheet.contains("waits for 1 parent to complete"), "{sheet}");
    assert!(!sheet.contains("hunter2"), "{sheet}");
    let page = desk.json(&["flows", "show", &id, "--limit", "1"]).await;
    assert_eq!(page["steps"][0]["name"], "sales");
    assert_eq!(page["next"], 0);
    let page = desk.json(&["flows", "show", &id, "--after", "0"]).await;
    assert_eq!(page["steps"][0]["name"], "report");
    assert_eq!(page["next"], json!(null));

    let early = desk.run(&["flows", "retry", &id]).await;
    assert_eq!(early.exit, Exit::Failed);
    assert!(early.err.contains("no step has failed"), "{}", early.err);
    let cancel = ["flows", "cancel", &id, "--reason", "wrong month"];
    let cancelled = desk.run(&cancel).await;
    assert_eq!(cancelled.exit, Exit::Done, "{}", cancelled.err);
    assert!(
        cancelled.out.contains("2 steps cancelled"),
        "{}",
        cancelled.out
    );
    assert_eq!(
        desk.run(&cancel).await.exit,
        Exit::Failed,
        "it has finished"
    );

    let from = ["flows", "retry", &id, "--from", "sales"];
    assert_eq!(desk.json(&from).await, json!({"id": id, "steps": 2}));
    let unknown = desk.run(&["flows", "retry", &id, "--from", "none"]).await;
    assert_eq!(unknown.exit, Exit::NotFound, "{}", unknown.err);

    let subject = format!("flow/{id}");
    let log = desk.json(&["audit", "--subject", &subject]).await;
    let log = log.to_string();
    assert!(
        log.contains("wrong month") && log.contains("jobctl:"),
        "{log}"
    );
    assert!(
        log.contains("flow.cancel") && log.contains("flow.retry"),
        "{log}"
    );
}

#[tokio::test]
async fn another_tenants_are_not_there() {
    let (desk, id, job) = desk().await;
    let (id, job) = (id.to_string(), job.to_string());
    for command in [
        &["flows", "show", &id][..],
        &["flows", "cancel", &id],
        &["flows", "retry", &id, "--from", "sales"],
        &["signal", &job, "approved", "true"],
    ] {
        let told = desk.run(&[command, &["--tenant", "other"]].concat()).await;
        assert_eq!(told.exit, Exit::NotFound, "{command:?}: {}", told.err);
    }
    let unknown = FlowId::new().to_string();
    let told = desk.run(&["flows", "show", &unknown]).await;
    assert_eq!(told.exit, Exit::NotFound);
    assert!(told.err.contains("no flow"), "{}", told.err);
    let shown = desk.json(&["flows", "show", &id]).await;
    assert_eq!(shown["flow"]["unfinished"], 2, "nothing was done");
}

#[tokio::test]
async fn a_job_gets_its_message() {
    let (desk, _, job) = desk().await;
    let id = job.to_string();
    let told = desk
        .run(&["signal", &id, "approved", r#"{"by":"hunter2"}"#])
        .await;
    assert_eq!(told.exit, Exit::Done, "{}", told.err);
    assert_eq!(told.out, format!("{id} has its message\n"));
    let store = SqliteStore::new(Sqlite::new(desk.file(), &SqliteOptions::default()));
    let left = store.signalled(job, "approved").await.unwrap();
    assert_eq!(left.payload.unwrap().as_str(), r#"{"by":"hunter2"}"#);
    let log = desk
        .run(&["audit", "--subject", &format!("job/{id}")])
        .await;
    assert!(log.out.contains("job.signal"), "{}", log.out);
    assert!(!log.out.contains("hunter2"), "{}", log.out);

    let wrong = desk.run(&["signal", &id, "approved", "{hunter2"]).await;
    assert_eq!(wrong.exit, Exit::Usage);
    assert!(!wrong.err.contains("hunter2"), "{}", wrong.err);
    assert_eq!(desk.run(&["cancel", &id]).await.exit, Exit::Done);
    let late = desk.run(&["signal", &id, "approved", "true"]).await;
    assert_eq!(late.exit, Exit::Failed);
    assert!(late.err.contains("cannot be signalled"), "{}", late.err);
}

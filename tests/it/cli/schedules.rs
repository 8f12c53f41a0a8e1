//! `jobctl schedules`.

use metachat_jobs::cli::Exit;
use windlass::db::{Sqlite, SqliteOptions};
use windlass::model::Schedule;
use windlass::store::Schedules as _;
use windlass::store::sqlite::SqliteStore;
use windlass::{Json, Store as _};

use super::commands::Desk;

async fn desk() -> Desk {
    let desk = Desk::new().await;
    let store = SqliteStore::new(Sqlite::new(desk.file(), &SqliteOptions::default()));
    let args = Json::parse(r#"{"name":"Ada"}"#).unwrap();
    let daily = Schedule::new("daily_greeting", "0 0 * * *", "greet", args);
    let now = store.now().await.unwrap();
    store.declare_schedules(&[daily], Some(now)).await.unwrap();
    desk
}

#[tokio::test]
async fn are_listed_paused_and_run() {
    let desk = desk().await;
    let listed = desk.json(&["schedules", "list"]).await;
    assert_eq!(listed[0]["name"], "daily_greeting");
    assert_eq!(listed[0]["next"].as_array().unwrap().len(), 5);
    let table = desk.run(&["schedules", "list"]).await;
    assert!(
        table.out.contains("daily_greeting  active  0 0 * * *"),
        "{}",
        table.out
    );

    let paused = desk
        .run(&["schedules", "pause", "daily_greeting", "--note", "flood"])
        .await;
    assert_eq!(paused.out, "daily_greeting is paused\n");
    let shown = desk.run(&["schedules", "show", "daily_greeting"]).await;
    assert!(shown.err.contains("paused: flood"), "{}", shown.err);
    let resumed = desk.run(&["schedules", "resume", "daily_greeting"]).await;
    assert_eq!(resumed.exit, Exit::Done);
    assert_eq!(
        desk.run(&["schedules", "resume", "daily_greeting"])
            .await
            .exit,
        Exit::Failed
    );

    let job = desk.json(&["schedules", "run", "daily_greeting"]).await;
    let shown = desk.json(&["schedules", "show", "daily_greeting"]).await;
    assert_eq!(shown["ticks"][0]["job_id"], job["job_id"]);
    let busy = desk.run(&["schedules", "run", "daily_greeting"]).await;
    assert_eq!(busy.exit, Exit::Failed);
    assert!(busy.err.contains("unfinished"), "{}", busy.err);
}

#[tokio::test]
async fn are_backfilled_after_a_preview() {
    let desk = desk().await;
    let range = [
        "--from",
        "2026-01-01T00:00:00Z",
        "--until",
        "2026-01-03T12:00:00Z",
    ];
    let command = [&["schedules", "backfill", "daily_greeting"][..], &range].concat();
    let preview = desk.json(&[&command[..], &["--preview"]].concat()).await;
    assert_eq!(preview["count"], 3);
    let jobs = async || desk.run(&["list"]).await.out.matches(" greet ").count();
    assert_eq!(jobs().await, 0, "a preview does nothing");
    assert_eq!(desk.json(&command).await["count"], 3);
    assert_eq!(jobs().await, 3);
    assert_eq!(desk.json(&command).await["count"], 0);
}

#[tokio::test]
async fn an_expression_is_explained_and_mistakes_are_told() {
    let desk = desk().await;
    let next = [
        "schedules",
        "next",
        "30 2 * * MON",
        "--zone",
        "Europe/Berlin",
    ];
    let told = desk.json(&next).await;
    assert_eq!(told["next"].as_array().unwrap().len(), 5);
    let wrong = desk.run(&["schedules", "next", "0 0 30 2 *"]).await;
    assert_eq!(wrong.exit, Exit::Usage);
    assert!(wrong.err.contains("never fires"), "{}", wrong.err);
    let none = desk.run(&["schedules", "show", "none"]).await;
    assert_eq!(none.exit, Exit::NotFound);
}

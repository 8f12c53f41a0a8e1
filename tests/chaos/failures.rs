//! A message whose worker is killed again and again: its writer is told, once.

use std::time::Duration;

use metachat_jobs::jobs::FindFailures;
use metachat_jobs::platform::Direction;
use serde_json::json;
use windlass::model::{AttemptOutcome, Filter, Page};
use windlass::{JobRecord, State};

use super::database::{Database, Server, TENANT};
use super::model::Model;
use super::process::Process;

const PATIENCE: Duration = Duration::from_mins(1);
/// As many as the engine allows by default.
const CRASHES: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_writer_of_a_message_that_kills_its_workers_is_told_once_on_postgres() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    killed_for_ever(&Database::postgres(server.url()).await, folder.path()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_writer_of_a_message_that_kills_its_workers_is_told_once_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    killed_for_ever(&Database::sqlite(folder.path()).await, folder.path()).await;
}

async fn killed_for_ever(database: &Database, folder: &std::path::Path) {
    // A model that does not answer while anybody lives.
    let (model_url, model) = Model::start(Duration::from_hours(1)).await;
    let settings = [
        ("database.url", database.url.as_str()),
        ("security.admin_key", "a-key-for-this-test-only"),
        ("server.port", "0"),
        ("engine.lease_ms", "2000"),
        ("models.model", "ollama"),
        ("models.ollama.base_url", model_url.as_str()),
    ];
    // Somebody must be left to notice.
    let mut scheduler = Process::start("scheduler", folder, &settings);
    let job = database.send("hello").await.unwrap();
    for crash in 1..=CRASHES {
        let mut worker = Process::start("worker", folder, &settings);
        let asked = database.until(job, PATIENCE, |_| model.asked() >= crash);
        asked.await;
        worker.kill();
    }
    let dead = database
        .until(job, PATIENCE, |job| job.state.is_finished())
        .await;
    assert_eq!(dead.state, State::Dead, "{dead:?}");
    let crashed = dead.all_attempts();
    let crashed = crashed
        .iter()
        .filter(|attempt| attempt.outcome == AttemptOutcome::Crashed);
    assert_eq!(crashed.count(), CRASHES);

    let mut worker = Process::start("worker", folder, &settings);
    // The schedule does it every minute; and twice is once.
    for _ in 0..2 {
        let look = database
            .client
            .enqueue(&FindFailures::default())
            .await
            .unwrap()
            .id();
        let look = database
            .until(look, PATIENCE, |job| job.state.is_finished())
            .await;
        assert_eq!(look.state, State::Completed);
        let told = finished(database, "tell_failure").await;
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].state, State::Completed);
        let result: serde_json::Value = told[0].result.as_ref().unwrap().decode().unwrap();
        assert_eq!(result["told"], json!(true));
    }
    let conversation = conversation(database).await;
    assert_eq!(
        database.rows(&conversation).await,
        (1, 1, 1),
        "inbound, outbound, metrics"
    );
    let said = database
        .platform
        .history(TENANT, &conversation, 10)
        .await
        .unwrap();
    assert_eq!(said[0].text(), Some("hello"));
    assert_eq!(said[1].direction, Direction::Outbound);
    assert_eq!(said[1].metadata["failed"], json!(true));
    let delivered = finished(database, "deliver_message").await;
    assert_eq!(delivered.len(), 1);
    assert_eq!(delivered[0].state, State::Completed);
    for process in [&mut worker, &mut scheduler] {
        process.signal("TERM");
        assert!(process.wait().success(), "{}", process.log());
    }
}

/// All jobs of a kind, once each of them has ended.
async fn finished(database: &Database, kind: &str) -> Vec<JobRecord> {
    let filter = Filter {
        kind: Some(kind.to_owned()),
        ..Filter::default()
    };
    let jobs = database
        .client
        .list(&filter, Page::default())
        .await
        .unwrap();
    let mut ended = Vec::new();
    for job in jobs {
        ended.push(
            database
                .until(job.id, PATIENCE, |job| job.state.is_finished())
                .await,
        );
    }
    ended
}

async fn conversation(database: &Database) -> String {
    let told = finished(database, "deliver_message").await;
    let args: serde_json::Value = told[0].args.decode().unwrap();
    args["conversationId"].as_str().unwrap().to_owned()
}

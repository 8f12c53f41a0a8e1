//! A worker that was frozen for longer than its lease and wakes up: its outcome must not count.

use std::time::Duration;

use serde_json::Value;
use windlass::State;
use windlass::model::AttemptOutcome;

use super::database::{Database, Server};
use super::model::Model;
use super::process::Process;

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_workers_outcome_is_refused_and_visible_on_postgres() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    zombie(&Database::postgres(server.url()).await, folder.path()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_workers_outcome_is_refused_and_visible_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    zombie(&Database::sqlite(folder.path()).await, folder.path()).await;
}

async fn zombie(database: &Database, folder: &std::path::Path) {
    let (model_url, model) = Model::start(Duration::from_millis(1500)).await;
    let settings = [
        ("database.url", database.url.as_str()),
        ("security.admin_key", "a-key-for-this-test-only"),
        ("server.port", "0"),
        ("engine.lease_ms", "1000"),
        ("models.model", "ollama"),
        ("models.ollama.base_url", model_url.as_str()),
    ];
    let mut frozen = Process::start("worker", folder, &settings);
    let job = database.send("message").await.unwrap();
    let asked = async {
        let mut pulse = tokio::time::interval(Duration::from_millis(5));
        while model.asked() == 0 {
            pulse.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, asked)
        .await
        .expect("the model was not asked");
    frozen.signal("STOP");

    let mut other = Process::start("worker", folder, &settings);
    let done = database
        .until(job, PATIENCE, |job| job.state == State::Completed)
        .await;
    let by: Vec<_> = done
        .all_attempts()
        .iter()
        .map(|a| (a.outcome, a.worker.clone()))
        .collect();
    assert_eq!(by.len(), 2, "{by:?}");
    assert_eq!(
        (by[0].0, by[1].0),
        (AttemptOutcome::Crashed, AttemptOutcome::Completed)
    );
    assert_ne!(by[0].1, by[1].1);

    frozen.signal("CONT");
    let noticed = async {
        let mut pulse = tokio::time::interval(Duration::from_millis(20));
        while frozen.said("lease lost") + frozen.said("lease was lost") == 0 {
            pulse.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, noticed)
        .await
        .expect("the late worker said nothing");
    for worker in [&mut frozen, &mut other] {
        worker.signal("TERM");
        assert!(worker.wait().success(), "{}", worker.log());
    }
    let after = database.client.get(job, None).await.unwrap().unwrap();
    assert_eq!(after, done, "nothing of the late worker was recorded");
    let result: Value = after.result.unwrap().decode().unwrap();
    let conversation = result["conversationId"].as_str().unwrap();
    assert_eq!(database.rows(conversation).await, (1, 1, 1));
}

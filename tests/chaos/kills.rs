//! `kill -9` of a worker in the middle of a message, fifty times, at random points.

use std::time::Duration;

use rand::Rng;
use serde_json::Value;
use windlass::model::AttemptOutcome;
use windlass::{State, Timestamp};

use super::database::{Database, Server, TENANT};
use super::model::Model;
use super::process::Process;

const KILLS: usize = 50;
const LEASE: Duration = Duration::from_secs(2);
/// The promise: one and a half leases. The rest is for a machine busy with other tests.
const RESCUED_WITHIN: Duration = Duration::from_secs(3 + 2);
const PATIENCE: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_kills_lose_and_double_no_message_on_postgres() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    fifty_kills(&Database::postgres(server.url()).await, folder.path()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_kills_lose_and_double_no_message_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    fifty_kills(&Database::sqlite(folder.path()).await, folder.path()).await;
}

async fn fifty_kills(database: &Database, folder: &std::path::Path) {
    let (model_url, model) = Model::start(Duration::ZERO).await;
    let lease = LEASE.as_millis().to_string();
    let settings = [
        ("database.url", database.url.as_str()),
        ("security.admin_key", "a-key-for-this-test-only"),
        ("server.port", "0"),
        ("engine.lease_ms", lease.as_str()),
        // Chance may hit one message more than three times: that is another promise's test. On a busy machine
        // the oldest, which is claimed first, is hit by nearly all of them.
        ("engine.max_crashes", "60"),
        ("models.model", "ollama"),
        ("models.ollama.base_url", model_url.as_str()),
    ];
    // Somebody must be left to notice.
    let mut scheduler = Process::start("scheduler", folder, &settings);
    let start = || Process::start("worker", folder, &settings);
    let mut worker = start();
    let mut messages = Vec::new();
    for n in 0..KILLS {
        model.take(Duration::from_millis(rand::rng().random_range(0..40)));
        let job = database.send(&format!("message {n}")).await.unwrap();
        database
            .until(job, PATIENCE, |job| job.state != State::Available)
            .await;
        let moment = Duration::from_millis(rand::rng().random_range(0..60));
        tokio::time::sleep(moment).await;
        worker.kill();
        messages.push((job, database.client.now().await.unwrap()));
        worker = start();
    }
    let mut crashes = 0;
    for (job, killed_at) in messages {
        crashes += check(database, job, killed_at).await;
    }
    assert!(
        crashes > 0,
        "no kill hit a running message: the test shows nothing"
    );
    for process in [&mut worker, &mut scheduler] {
        process.signal("TERM");
        assert!(process.wait().success(), "{}", process.log());
    }
}

/// One job completed once, one row each way, one metric, one delivery; says how often it crashed.
async fn check(database: &Database, job: windlass::JobId, killed_at: Timestamp) -> usize {
    let job = database
        .until(job, PATIENCE, |job| job.state.is_finished())
        .await;
    assert_eq!(job.state, State::Completed, "{job:?}");
    let attempts = job.all_attempts();
    let completed = attempts
        .iter()
        .filter(|a| a.outcome == AttemptOutcome::Completed)
        .count();
    assert_eq!(completed, 1, "{attempts:?}");
    let crashed: Vec<_> = attempts
        .iter()
        .filter(|a| a.outcome == AttemptOutcome::Crashed)
        .collect();
    if let Some(first) = crashed.first() {
        let took = first.ended_at.since(killed_at);
        assert!(
            took <= RESCUED_WITHIN,
            "rescued only {took:?} after the kill"
        );
    }
    let result: Value = job.result.unwrap().decode().unwrap();
    let conversation = result["conversationId"].as_str().unwrap();
    assert_eq!(
        database.rows(conversation).await,
        (1, 1, 1),
        "inbound, outbound, metrics"
    );
    let said = database
        .platform
        .history(TENANT, conversation, 10)
        .await
        .unwrap();
    assert_eq!(said.len(), 2);
    assert!(said[1].text().unwrap().starts_with("answer to message"));
    let delivery = result["deliveryJobId"].as_str().unwrap().parse().unwrap();
    let delivery = database
        .until(delivery, PATIENCE, |job| job.state.is_finished())
        .await;
    assert_eq!(delivery.state, State::Completed);
    crashed.len()
}

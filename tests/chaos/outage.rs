//! PostgreSQL stopped for a minute under load, and started again.

use std::time::Duration;

use windlass::State;

use super::database::{Database, Server};
use super::process::Process;

const DOWN: Duration = Duration::from_mins(1);
const PATIENCE: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_minute_without_postgres_ends_no_process_and_loses_nothing() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let database = Database::postgres(server.url()).await;
    let settings = [
        ("database.url", database.url.as_str()),
        ("security.admin_key", "a-key-for-this-test-only"),
        ("server.port", "0"),
    ];
    let mut workers = ["all", "worker"].map(|role| Process::start(role, folder.path(), &settings));

    let mut accepted = Vec::new();
    for n in 0..200 {
        accepted.push(database.send(&format!("before {n}")).await.unwrap());
    }
    database
        .until(accepted[20], PATIENCE, |job| job.state.is_finished())
        .await;
    // In the middle of the load: jobs wait, run and are being recorded.
    server.down();
    tokio::time::sleep(DOWN).await;
    for worker in &mut workers {
        assert!(worker.is_running(), "{}", worker.log());
    }
    server.up();
    for n in 0..50 {
        accepted.push(send_until_accepted(&database, &format!("after {n}")).await);
    }
    for job in &accepted {
        let job = database
            .until(*job, PATIENCE, |job| job.state.is_finished())
            .await;
        assert_eq!(job.state, State::Completed, "{job:?}");
    }
    for worker in &mut workers {
        let lost = worker.said("out of reach");
        // Eleven fetchers and nine other loops at most: each says so once when it is lost ..
        assert!(
            (1..=20).contains(&lost),
            "told of the loss {lost} times: {}",
            worker.log()
        );
        // .. and once when it is back, the slowest of them at its next beat.
        let mut pulse = tokio::time::interval(Duration::from_millis(50));
        let all_back = async {
            while worker.said("the store is back") < lost {
                pulse.tick().await;
            }
        };
        assert!(
            tokio::time::timeout(PATIENCE, all_back).await.is_ok(),
            "{}",
            worker.log()
        );
        assert_eq!(worker.said("the store is back"), lost, "{}", worker.log());
        worker.signal("TERM");
        assert!(worker.wait().success(), "{}", worker.log());
    }
}

/// The server is up; the pool's dead connections may cost a try each.
async fn send_until_accepted(database: &Database, id: &str) -> windlass::JobId {
    let mut pulse = tokio::time::interval(Duration::from_millis(50));
    let accepted = async {
        loop {
            pulse.tick().await;
            if let Ok(job) = database.send(id).await {
                return job;
            }
        }
    };
    tokio::time::timeout(PATIENCE, accepted)
        .await
        .expect("no enqueue was accepted")
}

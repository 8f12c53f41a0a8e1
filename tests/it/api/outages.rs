//! A database that does not answer: 503 and when to try again, never a hang and never a lie.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::json;
use windlass::Store;
use windlass::db::{Sqlite, SqliteOptions};
use windlass::store::postgres::{PgStore, PgStoreOptions};
use windlass::store::sqlite::SqliteStore;

use super::Api;

#[tokio::test]
async fn a_busy_database_is_told_as_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jobs.db");
    let impatient = SqliteOptions {
        busy_timeout: Duration::from_millis(1),
        ..SqliteOptions::default()
    };
    let store = SqliteStore::new(Sqlite::new(&file, &impatient));
    store.migrate().await.unwrap();
    let api = Api::over(Arc::new(store), Duration::from_secs(30));

    let elsewhere = Sqlite::new(&file, &SqliteOptions::default());
    let lock = elsewhere.begin().await.unwrap();
    let job = json!({"kind": "greet", "args": {"name": "x"}});
    let answer = api.post("/v1/jobs", job.clone()).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.json()["type"], "/problems/unavailable");
    assert_eq!(answer.header("retry-after"), Some("1"));

    lock.rollback().await.unwrap();
    assert_eq!(api.post("/v1/jobs", job).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_server_that_is_gone_is_told_as_unavailable() {
    // A port that was free a moment ago, and on which nobody listens.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://u:hunter2@{}/x", gone.local_addr().unwrap());
    drop(gone);
    let store = PgStore::connect(&url, &PgStoreOptions::default()).unwrap();
    let api = Api::over(Arc::new(store), Duration::from_secs(30));

    let job = json!({"kind": "greet", "args": {"name": "x"}});
    for answer in [api.post("/v1/jobs", job).await, api.get("/v1/queues").await] {
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.json()["type"], "/problems/unavailable");
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert!(!answer.text.contains("hunter2"), "{}", answer.text);
    }
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let db = Sqlite::new(folder.path().join("jobs.db"), &SqliteOptions::default());
    let store = SqliteStore::new(db.clone());
    store.migrate().await.unwrap();
    let api = Api::over(Arc::new(store), Duration::from_millis(20));

    let lock = db.begin().await.unwrap();
    let job = json!({"kind": "greet", "args": {"name": "x"}});
    let answer = api.post("/v1/jobs", job).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.json()["type"], "/problems/timed-out");
    assert!(answer.text.contains("idempotency-key"), "{}", answer.text);
    assert_eq!(answer.header("retry-after"), Some("1"));
    lock.rollback().await.unwrap();
}

#[tokio::test]
async fn health_is_bad_while_the_database_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("missing").join("jobs.db");
    let store = SqliteStore::new(Sqlite::new(nowhere, &SqliteOptions::default()));
    let api = Api::over(Arc::new(store), Duration::from_secs(30));

    let health = api.get("/health").await;
    assert_eq!(health.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(health.json()["status"], "unhealthy");
    assert_eq!(health.json()["services"]["database"], "down");
    let ready = api.get("/health/ready").await;
    assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ready.json()["error"], "the database does not answer");
    assert_eq!(api.get("/health/live").await.status, StatusCode::OK);
}

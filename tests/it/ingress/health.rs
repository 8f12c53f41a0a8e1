//! What is said of the broker when somebody asks how this process is.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use metachat_jobs::api::Probe;
use metachat_jobs::services::broker::Broker;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use windlass::Client;
use windlass::store::memory::MemoryStore;

use super::rig::{broker, server};
use crate::api::Api;

async fn health(broker: Option<Broker>) -> Value {
    let client = Client::new(Arc::new(MemoryStore::default()));
    let api = Api::of(client, Duration::from_secs(30), |state| {
        let probe = broker.map(|broker| {
            Probe::new(move || {
                let broker = broker.clone();
                async move { broker.answers(Duration::from_secs(2)).await }
            })
        });
        state.with_broker(probe)
    });
    let health = api.get("/health").await;
    assert_eq!(health.status, StatusCode::OK, "{}", health.text);
    let health = health.json();
    let (status, rabbitmq) = (&health["status"], &health["services"]["rabbitmq"]);
    let errors = api.get("/api/health").await.json()["errors"].to_string();
    let is_told = errors.contains("rabbitmq does not answer");
    json!([status, rabbitmq, is_told])
}

#[tokio::test]
async fn health_tells_whether_the_broker_answers() {
    assert_eq!(
        health(None).await,
        json!(["healthy", "not_configured", false])
    );
    let real = broker(&server());
    assert_eq!(health(Some(real)).await, json!(["healthy", "up", false]));

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("amqp://{}/%2f", listener.local_addr().unwrap());
    let down = json!(["degraded", "down", true]);
    assert_eq!(
        health(Some(broker(&silent))).await,
        down,
        "it never answers"
    );
    drop(listener);
    assert_eq!(health(Some(broker(&silent))).await, down, "nobody listens");
}

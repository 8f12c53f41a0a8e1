//! A model server that takes a while: a real one on a real port, speaking Ollama's chat protocol.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};

#[derive(Clone, Default)]
pub(crate) struct Model {
    /// How long an answer takes, in milliseconds.
    latency: Arc<AtomicU64>,
    /// Questions asked so far.
    asked: Arc<AtomicUsize>,
}

impl Model {
    /// Starts it; the base URL and its controls.
    pub(crate) async fn start(latency: Duration) -> (String, Self) {
        let model = Self::default();
        model.take(latency);
        let app = Router::new()
            .route("/api/chat", post(answer))
            .with_state(model.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        (url, model)
    }

    pub(crate) fn take(&self, latency: Duration) {
        self.latency.store(
            u64::try_from(latency.as_millis()).unwrap(),
            Ordering::SeqCst,
        );
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn answer(State(model): State<Model>, Json(request): Json<Value>) -> String {
    model.asked.fetch_add(1, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(model.latency.load(Ordering::SeqCst))).await;
    let question = request["messages"]
        .as_array()
        .and_then(|all| all.last())
        .cloned();
    let words = question
        .as_ref()
        .and_then(|q| q["content"].as_str())
        .unwrap_or_default();
    let line = |content: &str, done: bool| {
        let line = json!({
            "model": "slow", "message": {"role": "assistant", "content": content}, "done": done,
            "prompt_eval_count": 5, "eval_count": 7,
        });
        format!("{line}\n")
    };
    line(&format!("answer to {words}"), false) + &line("", true)
}

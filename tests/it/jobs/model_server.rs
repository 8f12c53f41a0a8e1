//! A server that embeds as Ollama does, and as slowly as it is told to. Tests and benches share it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use metachat_jobs::services::models::{EmbedderKind, ModelOptions, OllamaOptions};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;

/// What one call costs, and each text in it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    pub(crate) call: Duration,
    pub(crate) text: Duration,
}

#[derive(Clone)]
pub(crate) struct ModelServer {
    pub(crate) url: String,
    inner: Arc<Inner>,
}

struct Inner {
    cost: Cost,
    dimensions: AtomicUsize,
    /// How many texts each call carried that was answered.
    calls: Mutex<Vec<usize>>,
    /// Refuses calls once it has embedded so many texts ...
    breaks_after: AtomicUsize,
    /// ... so many times.
    breaks_for: AtomicUsize,
}

impl ModelServer {
    pub(crate) async fn start(cost: Cost) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            inner: Arc::new(Inner {
                cost,
                dimensions: AtomicUsize::new(1024),
                calls: Mutex::default(),
                breaks_after: AtomicUsize::new(usize::MAX),
                breaks_for: AtomicUsize::new(0),
            }),
        };
        let router = Router::new()
            .route("/api/embed", post(embed))
            .route("/api/embeddings", post(embed_one))
            .layer(axum::extract::DefaultBodyLimit::max(16 << 20))
            .with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        server
    }

    pub(crate) fn options(&self) -> ModelOptions {
        ModelOptions {
            embedder: EmbedderKind::Ollama,
            ollama: OllamaOptions {
                base_url: self.url.clone(),
                ..OllamaOptions::default()
            },
            ..ModelOptions::default()
        }
    }

    /// How many calls and texts it answered since it was last asked.
    pub(crate) fn take(&self) -> (usize, usize) {
        let calls = std::mem::take(&mut *self.inner.calls.lock().unwrap());
        (calls.len(), calls.iter().sum())
    }

    pub(crate) fn answer_with(&self, dimensions: usize) {
        self.inner.dimensions.store(dimensions, Ordering::Relaxed);
    }

    pub(crate) fn break_after(&self, texts: usize, times: usize) {
        self.inner.breaks_for.store(times, Ordering::Relaxed);
        self.inner.breaks_after.store(texts, Ordering::Relaxed);
    }

    async fn answer(&self, texts: usize) -> Option<Response> {
        let Inner { cost, calls, .. } = &*self.inner;
        let embedded: usize = calls.lock().unwrap().iter().sum();
        let is_broken = embedded >= self.inner.breaks_after.load(Ordering::Relaxed)
            && self
                .inner
                .breaks_for
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                    left.checked_sub(1)
                })
                .is_ok();
        if is_broken {
            let soon = [(header::RETRY_AFTER, "1")];
            return Some((StatusCode::SERVICE_UNAVAILABLE, soon).into_response());
        }
        // The model at work: this is what is being measured, and synchronises nothing.
        let took = cost.call + cost.text * u32::try_from(texts).unwrap();
        if !took.is_zero() {
            tokio::time::sleep(took).await;
        }
        calls.lock().unwrap().push(texts);
        None
    }

    /// Any text has the same vector each time, and another than other texts.
    fn vector(&self, text: &str) -> Vec<f32> {
        let digest = Sha256::digest(text);
        let mut vector = vec![0.0; self.inner.dimensions.load(Ordering::Relaxed)];
        for (place, byte) in vector.iter_mut().zip(digest.iter().cycle()) {
            *place = f32::from(*byte) - 127.5;
        }
        vector
    }
}

async fn embed(State(server): State<ModelServer>, Json(body): Json<Value>) -> Response {
    let texts: Vec<&str> = body["input"]
        .as_array()
        .unwrap()
        .iter()
        .map(|text| text.as_str().unwrap())
        .collect();
    if let Some(refusal) = server.answer(texts.len()).await {
        return refusal;
    }
    let vectors: Vec<_> = texts.iter().map(|text| server.vector(text)).collect();
    Json(json!({"embeddings": vectors})).into_response()
}

async fn embed_one(State(server): State<ModelServer>, Json(body): Json<Value>) -> Response {
    if let Some(refusal) = server.answer(1).await {
        return refusal;
    }
    let vector = server.vector(body["prompt"].as_str().unwrap());
    Json(json!({"embedding": vector})).into_response()
}

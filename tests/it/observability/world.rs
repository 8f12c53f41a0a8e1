//! Everybody whom the program talks to, in one server: a model, the Graph API, a tenant's endpoint, a
//! collector of traces and a receiver of Sentry's protocol.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::{Json, Router};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

const PATIENCE: Duration = Duration::from_secs(30);

/// A request as it came.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Asked {
    pub(super) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }
}

/// How the tenant's endpoint answers, one status after the other; the last one for ever.
type Statuses = Arc<Mutex<Vec<u16>>>;

#[derive(Clone)]
pub(super) struct World {
    pub(super) url: String,
    asked: watch::Sender<Vec<Asked>>,
    hook: Statuses,
}

impl World {
    pub(super) async fn start(hook: &[u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let world = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            asked: watch::Sender::new(Vec::new()),
            hook: Arc::new(Mutex::new(hook.to_vec())),
        };
        let router = Router::new()
            .fallback(any(answer))
            .with_state(world.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        world
    }

    /// `http://key@host/1`, as Sentry calls an address.
    pub(super) fn dsn(&self) -> String {
        format!(
            "{}/1",
            self.url.replace("http://", "http://0123456789abcdef@")
        )
    }

    /// What was asked so far under a path that begins so.
    pub(super) fn asked(&self, path: &str) -> Vec<Asked> {
        let all = self.asked.borrow();
        all.iter()
            .filter(|asked| asked.path.starts_with(path))
            .cloned()
            .collect()
    }

    /// Waits until what was asked is as it should be.
    pub(super) async fn until<T>(&self, what: &str, found: impl Fn(&Self) -> Option<T>) -> T {
        let mut news = self.asked.subscribe();
        let wait = async {
            loop {
                if let Some(found) = found(self) {
                    return found;
                }
                news.changed().await.unwrap();
            }
        };
        let waited = tokio::time::timeout(PATIENCE, wait).await;
        waited.unwrap_or_else(|_| panic!("it did not come to pass: {what}"))
    }

    /// Every span that was exported.
    pub(super) fn spans(&self) -> Vec<Span> {
        let batches = self.asked("/v1/traces").into_iter().map(|asked| {
            ExportTraceServiceRequest::decode(asked.body).expect("a request of the protocol")
        });
        let resources = batches.flat_map(|batch| batch.resource_spans);
        let scopes = resources.flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }

    /// Every item of Sentry's envelopes of a type.
    pub(super) fn reports(&self, kind: &str) -> Vec<Value> {
        let mut reports = Vec::new();
        for asked in self.asked("/api/1/envelope/") {
            assert!(asked.header("x-sentry-auth").contains("0123456789abcdef"));
            let text = String::from_utf8(asked.body.to_vec()).unwrap();
            let mut lines = text.lines().skip(1);
            while let (Some(head), Some(item)) = (lines.next(), lines.next()) {
                let head: Value = serde_json::from_str(head).unwrap();
                if head["type"] == kind {
                    reports.push(serde_json::from_str(item).unwrap());
                }
            }
        }
        reports
    }
}

async fn answer(State(world): State<World>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let path = uri.path().to_owned();
    let response = match path.as_str() {
        "/api/chat" => {
            let line = json!({
                "model": "m", "message": {"role": "assistant", "content": "A lease is kept."},
                "done": true, "done_reason": "stop", "prompt_eval_count": 3, "eval_count": 4,
            });
            format!("{line}\n").into_response()
        }
        "/hook" => {
            let mut statuses = world.hook.lock().unwrap();
            let status = if statuses.len() > 1 {
                statuses.remove(0)
            } else {
                statuses[0]
            };
            StatusCode::from_u16(status).unwrap().into_response()
        }
        path if path.ends_with("/messages") => {
            Json(json!({"messages": [{"id": "wamid.1"}]})).into_response()
        }
        _ => Json(json!({})).into_response(),
    };
    let asked = Asked {
        path,
        headers,
        body,
    };
    world.asked.send_modify(|all| all.push(asked));
    response
}

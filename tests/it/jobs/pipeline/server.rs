//! A real little server that stands for the providers of models, and remembers what it was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// What it does next.
#[derive(Clone)]
pub(super) enum Reply {
    /// Says this.
    Say(&'static str),
    /// Asks for the documents about this.
    Search(&'static str),
    /// Refuses with this status, and says when to come back.
    Refuse(u16, Option<&'static str>),
}

#[derive(Clone)]
pub(super) struct ModelServer {
    pub(super) url: String,
    inner: Arc<Inner>,
}

struct Inner {
    /// The last one is repeated for ever.
    replies: Mutex<VecDeque<Reply>>,
    asked: Mutex<Vec<Asked>>,
    /// Calls wait for one each, if there is a gate.
    gate: Option<Semaphore>,
}

/// A request.
#[derive(Clone)]
pub(super) struct Asked {
    pub(super) key: String,
    pub(super) body: Value,
}

impl ModelServer {
    pub(super) async fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self::with(replies, None).await
    }

    /// Answers when [`ModelServer::open`] lets it.
    pub(super) async fn behind_a_gate(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self::with(replies, Some(Semaphore::new(0))).await
    }

    async fn with(replies: impl IntoIterator<Item = Reply>, gate: Option<Semaphore>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            inner: Arc::new(Inner {
                replies: Mutex::new(replies.into_iter().collect()),
                asked: Mutex::default(),
                gate,
            }),
        };
        let router = Router::new().fallback(handle).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        server
    }

    /// Lets one call be answered.
    pub(super) fn open(&self) {
        self.inner.gate.as_ref().unwrap().add_permits(1);
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.inner.asked.lock().unwrap().clone()
    }

    /// A tenant's `llm` that chooses this server.
    pub(super) fn llm(&self, provider: &str) -> Value {
        json!({
            "provider": provider, "model": "m", "apiKey": "tenants-key", "baseUrl": self.url,
            "pricing": {"promptTokenUsdPer1K": 0.01, "completionTokenUsdPer1K": 0.1},
        })
    }
}

async fn handle(State(server): State<ModelServer>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let text = |name: &str| {
        let value = parts.headers.get(name)?;
        Some(value.to_str().unwrap().to_owned())
    };
    let key = text("authorization").or_else(|| text("x-api-key"));
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let inner = &server.inner;
    inner.asked.lock().unwrap().push(Asked {
        key: key.unwrap_or_default(),
        body: serde_json::from_slice(&body).unwrap(),
    });
    if let Some(gate) = &inner.gate {
        gate.acquire().await.unwrap().forget();
    }
    let reply = {
        let mut replies = inner.replies.lock().unwrap();
        let next = replies.pop_front().expect("a reply");
        if replies.is_empty() {
            replies.push_back(next.clone());
        }
        next
    };
    match reply {
        Reply::Refuse(status, retry_after) => {
            let status = StatusCode::from_u16(status).unwrap();
            let mut response = (status, "no").into_response();
            if let Some(seconds) = retry_after {
                let headers = response.headers_mut();
                headers.insert(header::RETRY_AFTER, seconds.parse().unwrap());
            }
            response
        }
        Reply::Say(text) => worded(parts.uri.path(), Some(text), None),
        Reply::Search(query) => worded(parts.uri.path(), None, Some(query)),
    }
}

/// In the words of whoever is spoken to; 10 tokens read and 2 written each time.
fn worded(path: &str, say: Option<&str>, search: Option<&str>) -> Response {
    let name = "search_knowledge_base";
    let arguments = json!({"query": search});
    match path {
        "/chat/completions" => {
            let calls = search.map(|_| {
                let function = json!({"name": name, "arguments": arguments.to_string()});
                json!([{"id": "call_1", "type": "function", "function": function}])
            });
            Json(json!({
                "choices": [{"message": {"content": say, "tool_calls": calls}}],
                "usage": {"prompt_tokens": 10, "completion_tokens": 2},
            }))
            .into_response()
        }
        "/v1/messages" => {
            let content = match say {
                Some(text) => json!([{"type": "text", "text": text}]),
                None => json!([{"type": "tool_use", "id": "t1", "name": name, "input": arguments}]),
            };
            Json(json!({
                "content": content,
                "usage": {"input_tokens": 10, "output_tokens": 2},
            }))
            .into_response()
        }
        "/api/chat" => {
            let calls =
                search.map(|_| json!([{"function": {"name": name, "arguments": arguments}}]));
            let message =
                json!({"content": say.unwrap_or(""), "tool_calls": calls.unwrap_or(json!([]))});
            let line =
                json!({"message": message, "done": true, "prompt_eval_count": 10, "eval_count": 2});
            format!("{line}\n").into_response()
        }
        // Vectors that no column of ours holds.
        "/api/embed" => Json(json!({"embeddings": [vec![0.5; 768]]})).into_response(),
        path => panic!("nobody speaks {path}"),
    }
}

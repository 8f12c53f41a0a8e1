//! The API, request by request through its router: no port, a real store.

mod access;
mod any_request;
mod bad_input;
mod bounds;
mod control;
mod dashboard;
mod events;
mod flows;
mod jobs;
mod limits;
mod messages;
mod openapi;
mod operations;
mod outages;
mod policies;
mod schedules;
mod secrets;
mod stats;
mod webhooks;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use metachat_jobs::api::{self, ApiState, SecurityOptions, ServerOptions};
use metachat_jobs::records::Records;
use metachat_jobs::telemetry;
use metrics_exporter_prometheus::PrometheusHandle;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tower::ServiceExt as _;
use windlass::model::{Filter, Page};
use windlass::store::Claim;
use windlass::store::memory::MemoryStore;
use windlass::{Client, Context, Job, JobId, JobOptions, JobRecord, Outcome, Registry, Store};

use crate::support::sqlite;

pub(crate) const KEY: &str = "a-key-of-the-tests-0123456789";

/// A job that anyone may enqueue.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Greet {
    name: String,
}

impl Job for Greet {
    const KIND: &'static str = "greet";
    type Services = ();

    async fn run(self, _: Context<()>) -> anyhow::Result<Outcome> {
        Ok(Outcome::complete())
    }
}

/// Takes what the kind that answers messages takes.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ProcessMessage {
    tenant_id: String,
    channel: String,
    message: Message,
    correlation_id: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    id: String,
    conversation_id: String,
    content: Value,
}

impl Job for ProcessMessage {
    const KIND: &'static str = "process_message";
    type Services = ();

    fn redact() -> &'static [&'static str] {
        &["/message/content"]
    }

    fn ordering_key(&self) -> Option<String> {
        Some(self.message.conversation_id.clone())
    }

    fn tenant(&self) -> Option<&str> {
        Some(&self.tenant_id)
    }

    async fn run(self, _: Context<()>) -> anyhow::Result<Outcome> {
        Ok(Outcome::complete())
    }
}

/// Takes what the kind that delivers messages takes.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DeliverMessage {
    tenant_id: String,
    channel: String,
    conversation_id: String,
    message_id: String,
}

impl Job for DeliverMessage {
    const KIND: &'static str = "deliver_message";
    type Services = ();

    async fn run(self, _: Context<()>) -> anyhow::Result<Outcome> {
        Ok(Outcome::complete())
    }
}

/// A job whose args nobody may read at rest.
#[derive(Serialize, Deserialize)]
pub(crate) struct Whisper {
    pub(crate) words: String,
}

impl Job for Whisper {
    const KIND: &'static str = "whisper";
    type Services = ();

    fn options() -> JobOptions {
        JobOptions {
            seal: true,
            ..JobOptions::default()
        }
    }

    async fn run(self, _: Context<()>) -> anyhow::Result<Outcome> {
        Ok(Outcome::complete())
    }
}

/// How the platform's credentials are checked in these tests.
pub(crate) fn platform_access() -> api::PlatformAccessOptions {
    api::PlatformAccessOptions {
        jwt_secret: "a-secret-of-the-platform-0123456789".into(),
        jwt_issuer: "meta-chat-platform".to_owned(),
        admin_jwt_issuer: "meta-chat-api".to_owned(),
        admin_jwt_audience: "admin".to_owned(),
        admin_key_pepper: "pepper".into(),
    }
}

/// The kinds of these tests.
pub(crate) fn kinds() -> windlass::engine::Catalogue {
    Registry::new(())
        .register::<Greet>()
        .register::<ProcessMessage>()
        .register::<Whisper>()
        .register::<DeliverMessage>()
        .catalogue()
}

/// An API over a store of its own.
pub(crate) struct Api {
    pub(crate) client: Client,
    pub(crate) metrics: PrometheusHandle,
    router: Router,
}

/// What a request was answered with.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Api {
    pub(crate) fn new() -> Self {
        Self::over(Arc::new(MemoryStore::default()), Duration::from_secs(30))
    }

    pub(crate) fn over(store: Arc<dyn Store>, request_timeout: Duration) -> Self {
        let client = Client::new(store).with_catalogue(kinds());
        Self::of(client, request_timeout, |state| state)
    }

    pub(crate) fn of(
        client: Client,
        request_timeout: Duration,
        change: impl FnOnce(ApiState) -> ApiState,
    ) -> Self {
        let server = ServerOptions {
            request_body_limit_bytes: 4 * 1024 * 1024,
            request_timeout_ms: u64::try_from(request_timeout.as_millis()).unwrap(),
            ..ServerOptions::default()
        };
        Self::within(client, &server, change)
    }

    pub(crate) fn within(
        client: Client,
        server: &ServerOptions,
        change: impl FnOnce(ApiState) -> ApiState,
    ) -> Self {
        let security = SecurityOptions {
            admin_key: KEY.into(),
            platform: platform_access(),
        };
        let metrics = telemetry::recorder().unwrap().handle();
        let state = ApiState::new(client.clone(), server, &security, metrics.clone()).unwrap();
        // Opened when it is first used, which only tests do that bring their own.
        let records = Records::new(sqlite(std::path::Path::new("unused")));
        let state = state
            .with_records(records)
            .with_backups(metachat_jobs::backups::Backups::default());
        Self {
            client,
            metrics,
            router: api::app(change(state)),
        }
    }

    /// A request with the key.
    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        self.call_with(method, path, &[], body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, Some(body)).await
    }

    /// A request with the key and further headers.
    pub(crate) async fn call_with(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("x-admin-key", KEY);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = match body {
            Some(body) => request
                .header("content-type", "application/json")
                .body(Body::from(body.to_string())),
            None => request.body(Body::empty()),
        };
        self.send(request.unwrap()).await
    }

    /// A request with the key whose answer need not end.
    pub(crate) async fn open(
        &self,
        path: &str,
        headers: &[(&str, &str)],
    ) -> (StatusCode, HeaderMap, Body) {
        let mut request = Request::builder().uri(path).header("x-admin-key", KEY);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.begin(request.body(Body::empty()).unwrap()).await
    }

    /// Exactly this request, whose answer need not end.
    pub(crate) async fn begin(&self, request: Request<Body>) -> (StatusCode, HeaderMap, Body) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        (parts.status, parts.headers, body)
    }

    /// Exactly this request.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await;
        let text = String::from_utf8(bytes.unwrap().to_vec()).unwrap();
        Answer {
            status,
            headers,
            text,
        }
    }

    /// How many bytes the answer to this request has, whatever they are.
    async fn size_of(&self, request: Request<Body>) -> usize {
        let response = self.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        axum::body::to_bytes(response.into_body(), usize::MAX)
            .await
            .unwrap()
            .len()
    }

    /// Every job there is.
    pub(crate) async fn jobs(&self) -> Vec<JobRecord> {
        let page = Page {
            after: None,
            limit: 1000,
        };
        self.client.list(&Filter::default(), page).await.unwrap()
    }

    pub(crate) async fn job(&self, id: JobId) -> JobRecord {
        self.client.get(id, None).await.unwrap().unwrap()
    }

    /// Makes the oldest job of the default queue a running one.
    pub(crate) async fn claim(&self) {
        let claim = Claim {
            queue: "default",
            worker: "w",
            limit: 1,
            lease: Duration::from_mins(1),
            now: None,
        };
        let claimed = self.client.store().claim(claim).await.unwrap();
        assert_eq!(claimed.len(), 1);
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", self.text))
    }

    pub(crate) fn id(&self) -> JobId {
        self.json()["id"].as_str().unwrap().parse().unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

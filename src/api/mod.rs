//! The HTTP API: enqueue jobs, look at them, look after them.
//!
//! One resource, one file: its types, its handlers, its `router()`. Errors are `application/problem+json`
//! that name the field and the remedy ([`problem`]); the description at `/openapi.json` is derived
//! from the handlers. It uses nothing but [`windlass::Client`]: it knows kinds by name only, and no SQL.

mod actor;
mod audit;
mod auth;
mod backups;
mod body;
mod dashboard;
mod deliveries;
mod flows;
mod health;
mod idempotency;
mod integrations;
mod jobs;
mod messages;
mod metrics;
mod observe;
mod openapi;
mod outbox;
mod pauses;
mod policies;
pub mod problem;
mod quarantine;
mod query;
mod queues;
mod schedules;
mod schema;
mod workers;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use metrics_exporter_prometheus::PrometheusHandle;
use secrecy::SecretString;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::OpenApiRouter;
use windlass::Client;

use auth::AdminKey;
use health::Health;
use problem::Problem;

pub use auth::NoAdminKey;
pub use integrations::Doors;
pub use quarantine::Quarantine;

use crate::backups::Backups;
use crate::records::Records;

/// Schedules so far behind are told to be late, unless other is said.
const LATE: Duration = Duration::from_mins(1);

/// Where the API listens, and its bounds.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerOptions {
    /// The address.
    pub bind: IpAddr,
    /// The port.
    pub port: u16,
    /// The largest request body.
    pub request_body_limit_bytes: usize,
    /// How long a request may take.
    pub request_timeout_ms: u64,
}

/// Who may use the API.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecurityOptions {
    /// What `x-admin-key` must carry; empty if it was not set.
    pub admin_key: SecretString,
}

/// What every handler works with. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ApiState {
    client: Client,
    doors: Option<Doors>,
    quarantine: Option<Quarantine>,
    records: Option<Records>,
    backups: Option<Backups>,
    key: AdminKey,
    metrics: PrometheusHandle,
    health: Arc<Health>,
    request_timeout: Duration,
    body_limit: usize,
}

impl ApiState {
    /// Refuses to be made without a key: an API that anyone may use is never what was meant.
    pub fn new(
        client: Client,
        server: &ServerOptions,
        security: &SecurityOptions,
        metrics: PrometheusHandle,
    ) -> Result<Self, NoAdminKey> {
        Ok(Self {
            key: AdminKey::new(&security.admin_key)?,
            health: Arc::new(Health::new(client.clone(), LATE)),
            client,
            doors: None,
            quarantine: None,
            records: None,
            backups: None,
            metrics,
            request_timeout: Duration::from_millis(server.request_timeout_ms),
            body_limit: server.request_body_limit_bytes,
        })
    }
}

impl ApiState {
    /// Tells schedules to be late when they are so far behind.
    #[must_use]
    pub fn with_late_after(mut self, late_after: Duration) -> Self {
        self.health = Arc::new(Health::new(self.client.clone(), late_after));
        self
    }

    /// Also looks after messages that could not become jobs.
    #[must_use]
    pub fn with_quarantine(mut self, quarantine: Quarantine) -> Self {
        self.quarantine = Some(quarantine);
        self
    }

    /// Also takes in Meta's webhooks.
    #[must_use]
    pub fn with_doors(mut self, doors: Doors) -> Self {
        self.doors = Some(doors);
        self
    }
}

impl ApiState {
    /// Also shows the product's own records, and what operators decide on them.
    #[must_use]
    pub fn with_records(mut self, records: Records) -> Self {
        self.records = Some(records);
        self
    }

    /// Also shows backups.
    #[must_use]
    pub fn with_backups(mut self, backups: Backups) -> Self {
        self.backups = Some(backups);
        self
    }
}

/// Every route, ready to be served or to be called in a test.
pub fn app(state: ApiState) -> Router {
    let mut guarded = OpenApiRouter::new()
        .merge(jobs::router())
        .merge(flows::router())
        .merge(messages::router())
        .merge(quarantine::router())
        .merge(queues::router())
        .merge(schedules::router())
        .merge(policies::router())
        .merge(workers::router())
        .merge(pauses::router())
        .merge(audit::router())
        .merge(metrics::router())
        .merge(openapi::router());
    if let Some(records) = &state.records {
        guarded = guarded
            .merge(outbox::router(state.clone(), records.clone()))
            .merge(deliveries::router(state.clone(), records.clone()));
    }
    if let Some(backups) = &state.backups {
        guarded = guarded.merge(backups::router(state.clone(), backups.clone()));
    }
    let guarded = guarded.route_layer(from_fn_with_state(state.clone(), auth::require_key));
    let mut routes = OpenApiRouter::with_openapi(openapi::base())
        .merge(guarded)
        .merge(health::router());
    if let Some(doors) = &state.doors {
        let webhooks = integrations::router(state.client.clone(), doors.clone());
        routes = routes.merge(webhooks);
    }
    let (routes, description) = routes.split_for_parts();
    let routes = routes.merge(dashboard::router());

    // The last layer is the outermost: a panic and a timeout are observed as any other answer.
    routes
        .fallback(|| async { Problem::no_such_route() })
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
        .layer(openapi::described_by(&description))
        .layer(DefaultBodyLimit::max(state.body_limit))
        .layer(from_fn_with_state(state.clone(), observe::time_out))
        .layer(CatchPanicLayer::custom(observe::answer_panic))
        .layer(from_fn(observe::observe))
        .with_state(state)
}

/// What a process answers that serves no API: health checks and, with the key, metrics.
pub fn probes(state: ApiState) -> Router {
    let metrics = OpenApiRouter::new()
        .merge(metrics::router())
        .route_layer(from_fn_with_state(state.clone(), auth::require_key));
    let (routes, _) = OpenApiRouter::new()
        .merge(metrics)
        .merge(health::router())
        .split_for_parts();
    routes
        .fallback(|| async { Problem::no_such_route() })
        .layer(from_fn_with_state(state.clone(), observe::time_out))
        .layer(CatchPanicLayer::custom(observe::answer_panic))
        .layer(from_fn(observe::observe))
        .with_state(state)
}

/// Serves until `shutdown`, then finishes what it has begun.
pub async fn serve(
    listener: TcpListener,
    app: Router,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    axum::serve(listener, app)
        .with_graceful_shutdown(shutdown.cancelled_owned())
        .await
}

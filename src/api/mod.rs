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
mod correlations;
mod dashboard;
mod deliveries;
mod flows;
mod health;
mod idempotency;
mod integrations;
mod jobs;
mod limits;
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

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler as _;
use axum::middleware::{from_fn, from_fn_with_state};
use ipnet::IpNet;
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
pub use limits::{InvalidRedisUrl, RateLimitOptions, RateLimits};
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
    /// Whose `X-Forwarded-For` is believed: addresses of proxies, or networks of them.
    #[serde(deserialize_with = "limits::networks")]
    pub trusted_proxies: Vec<IpNet>,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            bind: [127, 0, 0, 1].into(),
            port: 0,
            request_body_limit_bytes: 8 * 1024 * 1024,
            request_timeout_ms: 15_000,
            trusted_proxies: Vec::new(),
        }
    }
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
    limits: Option<RateLimits>,
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
            limits: None,
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

    /// Limits how often whom may ask for what.
    #[must_use]
    pub fn with_rate_limits(mut self, limits: RateLimits) -> Self {
        self.limits = Some(limits);
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
        .merge(correlations::router())
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
    let mut open = health::router();
    if let Some(doors) = &state.doors {
        let webhooks = integrations::router(state.client.clone(), doors.clone());
        open = open.merge(webhooks);
    }
    let routes = OpenApiRouter::with_openapi(openapi::base())
        .merge(guarded_by_key(guarded, &state))
        .merge(open.route_layer(from_fn_with_state(state.clone(), limits::by_address)));
    let (routes, description) = routes.split_for_parts();
    let routes = routes.merge(dashboard::router());

    // The last layer is the outermost: a panic and a timeout are observed as any other answer.
    routes
        .fallback(no_such_route.layer(from_fn_with_state(state.clone(), limits::by_address)))
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
    let open = health::router();
    let (routes, _) = OpenApiRouter::new()
        .merge(guarded_by_key(metrics::router(), &state))
        .merge(open.route_layer(from_fn_with_state(state.clone(), limits::by_address)))
        .split_for_parts();
    routes
        .fallback(no_such_route.layer(from_fn_with_state(state.clone(), limits::by_address)))
        .layer(from_fn_with_state(state.clone(), observe::time_out))
        .layer(CatchPanicLayer::custom(observe::answer_panic))
        .layer(from_fn(observe::observe))
        .with_state(state)
}

/// Lets nobody pass without the key, and nobody try too many. The last layer is the outermost.
fn guarded_by_key(routes: OpenApiRouter<ApiState>, state: &ApiState) -> OpenApiRouter<ApiState> {
    routes
        .route_layer(from_fn_with_state(state.clone(), limits::by_identity))
        .route_layer(from_fn_with_state(state.clone(), auth::require_key))
        .route_layer(from_fn_with_state(state.clone(), limits::before_proof))
}

async fn no_such_route() -> Problem {
    Problem::no_such_route()
}

/// Serves until `shutdown`, then finishes what it has begun.
pub async fn serve(
    listener: TcpListener,
    app: Router,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, app)
        .with_graceful_shutdown(shutdown.cancelled_owned())
        .await
}

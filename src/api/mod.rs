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
mod bounds;
mod contract;
mod correlations;
mod dashboard;
mod deliveries;
mod errors;
mod etag;
mod events;
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
mod serve;
mod stats;
mod system;
mod workers;

use std::net::IpAddr;
use std::ops::Deref;
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
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::OpenApiRouter;
use windlass::Client;

use auth::{AdminKey, Credentials};
use events::Feed;
use health::Health;
use problem::Problem;

pub use auth::{NoAdminKey, PlatformAccess, PlatformAccessOptions};
pub use health::Probe;
pub use integrations::Doors;
pub use limits::{InvalidRedisUrl, RateLimitOptions, RateLimits};
pub use quarantine::Quarantine;
pub use serve::serve;

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
    /// How long a client may take for the head of a request, and be idle between two.
    pub header_timeout_ms: u64,
    /// The most connections at once.
    pub max_connections: usize,
    /// The most requests at once.
    pub max_concurrent_requests: usize,
    /// How long to go on serving after readiness has said no.
    pub drain_ms: u64,
    /// Clients that are told of events.
    pub events: EventOptions,
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
            header_timeout_ms: 10_000,
            max_connections: 20_000,
            max_concurrent_requests: 512,
            drain_ms: 0,
            events: EventOptions {
                max_clients: 10_000,
                poll_ms: 500,
                heartbeat_ms: 15_000,
            },
            trusted_proxies: Vec::new(),
        }
    }
}

/// Clients that are told of events.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventOptions {
    /// The most of them.
    pub max_clients: usize,
    /// How often the database is asked for what is new, while anyone listens.
    pub poll_ms: u64,
    /// How often they are told that it is there still, when nothing else is.
    pub heartbeat_ms: u64,
}

/// Who may use the API.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecurityOptions {
    /// What `x-admin-key` must carry; empty if it was not set.
    pub admin_key: SecretString,
    /// What the platform's credentials are checked with.
    pub platform: PlatformAccessOptions,
}

/// What every handler works with. Cheap to clone, as each layer around a handler does it for every request.
#[derive(Debug, Clone)]
pub struct ApiState(Arc<Parts>);

/// What an [`ApiState`] is made of.
#[derive(Debug, Clone)]
pub struct Parts {
    client: Client,
    doors: Option<Doors>,
    quarantine: Option<Quarantine>,
    records: Option<Records>,
    backups: Option<Backups>,
    credentials: Credentials,
    metrics: PrometheusHandle,
    health: Arc<Health>,
    late_after: Duration,
    limits: Option<RateLimits>,
    broker: Option<Probe>,
    feed: Arc<Feed>,
    places: Arc<Semaphore>,
    stopping: CancellationToken,
    request_timeout: Duration,
    body_limit: usize,
}

impl Deref for ApiState {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl ApiState {
    /// Refuses to be made without a key: an API that anyone may use is never what was meant.
    pub fn new(
        client: Client,
        server: &ServerOptions,
        security: &SecurityOptions,
        metrics: PrometheusHandle,
    ) -> Result<Self, NoAdminKey> {
        let key = AdminKey::new(&security.admin_key)?;
        Ok(Self::behind(
            Credentials::new(Some(key)),
            client,
            server,
            metrics,
        ))
    }

    /// For an installation whose callers all have credentials of their own: there must be some.
    pub fn without_admin_key(
        client: Client,
        server: &ServerOptions,
        metrics: PrometheusHandle,
    ) -> Self {
        Self::behind(Credentials::new(None), client, server, metrics)
    }

    fn behind(
        credentials: Credentials,
        client: Client,
        server: &ServerOptions,
        metrics: PrometheusHandle,
    ) -> Self {
        Self(Arc::new(Parts {
            credentials,
            health: Arc::new(Health::new(client.clone(), LATE)),
            late_after: LATE,
            feed: feed(&client, server, CancellationToken::new()),
            places: Arc::new(Semaphore::new(server.max_concurrent_requests)),
            stopping: CancellationToken::new(),
            client,
            doors: None,
            quarantine: None,
            records: None,
            backups: None,
            metrics,
            limits: None,
            broker: None,
            request_timeout: Duration::from_millis(server.request_timeout_ms),
            body_limit: server.request_body_limit_bytes,
        }))
    }

    fn parts(&mut self) -> &mut Parts {
        Arc::make_mut(&mut self.0)
    }

    /// Also lets those in who hold a credential of the platform.
    #[must_use]
    pub fn with_platform_access(mut self, platform: PlatformAccess) -> Self {
        self.parts().credentials.set_platform(platform);
        self
    }
}

impl ApiState {
    /// Tells schedules to be late when they are so far behind.
    #[must_use]
    pub fn with_late_after(mut self, late_after: Duration) -> Self {
        let health = Health::new(self.client.clone(), late_after);
        self.parts().health = Arc::new(health.with(self.limits.clone(), self.broker.clone()));
        self.parts().late_after = late_after;
        self
    }

    /// Also looks after messages that could not become jobs.
    #[must_use]
    pub fn with_quarantine(mut self, quarantine: Quarantine) -> Self {
        self.parts().quarantine = Some(quarantine);
        self
    }

    /// Also takes in Meta's webhooks.
    #[must_use]
    pub fn with_doors(mut self, doors: Doors) -> Self {
        self.parts().doors = Some(doors);
        self
    }
}

impl ApiState {
    /// Also shows the product's own records, and what operators decide on them.
    #[must_use]
    pub fn with_records(mut self, records: Records) -> Self {
        self.parts().credentials.set_records(records.clone());
        self.parts().records = Some(records);
        self
    }

    /// Takes a credential that was good for good so long, rather than for ten seconds: revoked, it opens for
    /// that long still. Streams of events end within three times that.
    #[must_use]
    pub fn with_credentials_good_for(mut self, time: Duration) -> Self {
        self.parts().credentials.set_good_for(time);
        self
    }

    /// Says no when asked for readiness, and ends streams of events, from the moment that this fires.
    #[must_use]
    pub fn until(mut self, stop: CancellationToken, server: &ServerOptions) -> Self {
        self.parts().feed = feed(&self.client, server, stop.clone());
        self.parts().stopping = stop;
        self
    }

    /// Limits how often whom may ask for what.
    #[must_use]
    pub fn with_rate_limits(mut self, limits: RateLimits) -> Self {
        self.parts().limits = Some(limits);
        let late_after = self.late_after;
        self.with_late_after(late_after)
    }

    /// Tells whether the broker answers, if there is to be one.
    #[must_use]
    pub fn with_broker(mut self, broker: Option<Probe>) -> Self {
        self.parts().broker = broker;
        let late_after = self.late_after;
        self.with_late_after(late_after)
    }

    /// Also shows backups.
    #[must_use]
    pub fn with_backups(mut self, backups: Backups) -> Self {
        self.parts().backups = Some(backups);
        self
    }
}

fn feed(client: &Client, server: &ServerOptions, stop: CancellationToken) -> Arc<Feed> {
    let options = &server.events;
    let millis = Duration::from_millis;
    Arc::new(Feed::new(
        client.clone(),
        options.max_clients,
        millis(options.poll_ms),
        millis(options.heartbeat_ms),
        stop,
    ))
}

/// Every route, ready to be served or to be called in a test.
pub fn app(state: ApiState) -> Router {
    let mut closed = OpenApiRouter::new()
        .merge(jobs::router())
        .merge(flows::router())
        .merge(messages::router())
        .merge(quarantine::router())
        .merge(errors::router())
        .merge(stats::router())
        .merge(system::router())
        .merge(correlations::router())
        .merge(queues::router())
        .merge(schedules::router())
        .merge(policies::router())
        .merge(workers::router())
        .merge(pauses::router())
        .merge(audit::router())
        .merge(events::router())
        .merge(metrics::router())
        .merge(auth::router())
        .merge(openapi::router());
    if let Some(records) = &state.records {
        closed = closed
            .merge(outbox::router(state.clone(), records.clone()))
            .merge(deliveries::router(state.clone(), records.clone()));
    }
    if let Some(backups) = &state.backups {
        closed = closed.merge(backups::router(state.clone(), backups.clone()));
    }
    let mut open = health::router().merge(auth::doors());
    if let Some(doors) = &state.doors {
        let webhooks = integrations::router(state.client.clone(), doors.clone());
        open = open.merge(webhooks);
    }
    let by_address = from_fn_with_state(state.clone(), limits::by_address);
    let routes = OpenApiRouter::with_openapi(openapi::base())
        .merge(guarded(closed, &state))
        .merge(open.route_layer(by_address.clone()));
    let (routes, mut description) = routes.split_for_parts();
    auth::describe(&mut description);
    let routes = routes
        .merge(auth::login().route_layer(by_address.clone()))
        .merge(dashboard::router().route_layer(by_address));

    // The last layer is the outermost: a panic and a timeout are observed as any other answer.
    routes
        .fallback(no_such_route.layer(from_fn_with_state(state.clone(), limits::by_address)))
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
        .layer(openapi::described_by(&description))
        .layer(DefaultBodyLimit::max(state.body_limit))
        .layer(from_fn_with_state(state.clone(), bounds::time_out))
        .layer(CatchPanicLayer::custom(observe::answer_panic))
        .layer(from_fn_with_state(state.clone(), bounds::shed))
        .layer(from_fn(observe::observe))
        .with_state(state)
}

/// What a process answers that serves no API: health checks and, with the key, metrics.
pub fn probes(state: ApiState) -> Router {
    let open = health::router();
    let (routes, _) = OpenApiRouter::new()
        .merge(guarded(metrics::router(), &state))
        .merge(open.route_layer(from_fn_with_state(state.clone(), limits::by_address)))
        .split_for_parts();
    routes
        .fallback(no_such_route.layer(from_fn_with_state(state.clone(), limits::by_address)))
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
        .layer(from_fn_with_state(state.clone(), bounds::time_out))
        .layer(CatchPanicLayer::custom(observe::answer_panic))
        .layer(from_fn_with_state(state.clone(), bounds::shed))
        .layer(from_fn(observe::observe))
        .with_state(state)
}

/// Lets nobody pass who may not, and nobody try too many keys. The last layer is the outermost.
fn guarded(routes: OpenApiRouter<ApiState>, state: &ApiState) -> OpenApiRouter<ApiState> {
    routes
        .route_layer(from_fn(etag::tag))
        .route_layer(from_fn(auth::allow))
        .route_layer(from_fn_with_state(state.clone(), limits::by_identity))
        .route_layer(from_fn_with_state(state.clone(), auth::recognise))
        .route_layer(from_fn_with_state(state.clone(), limits::before_proof))
}

async fn no_such_route() -> Problem {
    Problem::no_such_route()
}

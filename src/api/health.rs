//! Health, as the platform and its orchestrators ask for it. Needs no key and tells nothing but this.

mod platform;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures_util::future::BoxFuture;
use serde::Serialize;
use tokio::sync::Mutex;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use windlass::model::{WorkerRecord, lateness};
use windlass::{Client, Timestamp, store};

use super::schema::Limited;
use super::{ApiState, RateLimits};
use crate::telemetry;

/// For how long an answer is given again: anyone may ask, as often as they like.
const KEEP: Duration = Duration::from_secs(3);
/// A worker that has not reported for so long is not counted on.
const SILENT: Duration = Duration::from_mins(1);
/// How long the database may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(show))
        .routes(routes!(live))
        .routes(routes!(ready))
        .merge(platform::router())
}

/// Asks something that this room does not know whether it answers, in a few seconds at most.
#[derive(Clone)]
pub struct Probe(Arc<dyn Fn() -> BoxFuture<'static, bool> + Send + Sync>);

impl Probe {
    /// Asks in this way.
    pub fn new<F>(answers: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = bool> + Send + 'static,
    {
        Self(Arc::new(move || Box::pin(answers())))
    }
}

impl std::fmt::Debug for Probe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Probe")
    }
}

/// Asks the database, at most once at a time and once in a while.
#[derive(Debug)]
pub(super) struct Health {
    client: Client,
    late_after: Duration,
    started: Instant,
    limits: Option<RateLimits>,
    broker: Option<Probe>,
    last: Mutex<Option<(Instant, Condition)>>,
}

/// What was found.
#[derive(Debug, Clone, Copy)]
struct Condition {
    database_is_up: bool,
    /// How long the schedule that is the longest behind has been due.
    late: Duration,
    /// How long it took to find out.
    latency: Duration,
    /// Workers that have reported within the last minute.
    workers: usize,
    /// Whether Redis answers, if there is to be one.
    redis: Option<bool>,
    /// Whether RabbitMQ answers, if there is to be one.
    rabbitmq: Option<bool>,
}

impl Condition {
    fn latency_ms(&self) -> u64 {
        u64::try_from(self.latency.as_millis()).unwrap_or(u64::MAX)
    }
}

/// How this process and what it needs are.
#[derive(Debug, Serialize, ToSchema)]
struct HealthReport {
    status: HealthStatus,
    services: Services,
    /// How far behind what is done by the clock is, in seconds, if that is too far: does a process of
    /// role all or scheduler run?
    #[serde(skip_serializing_if = "Option::is_none")]
    schedules_late_seconds: Option<u64>,
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum HealthStatus {
    Healthy,
    /// It works, but something is behind: see the services.
    Degraded,
    Unhealthy,
}

/// What this process needs.
#[derive(Debug, Serialize, ToSchema)]
struct Services {
    database: ServiceStatus,
    redis: ServiceStatus,
    rabbitmq: ServiceStatus,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ServiceStatus {
    Up,
    Down,
    /// This process does not use it.
    NotConfigured,
}

impl ServiceStatus {
    /// None is one that there is not to be.
    const fn of(answers: Option<bool>) -> Self {
        match answers {
            Some(true) => Self::Up,
            Some(false) => Self::Down,
            None => Self::NotConfigured,
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
struct Liveness {
    #[schema(example = "alive")]
    status: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
struct Readiness {
    #[schema(example = "ready")]
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    /// What is wrong though requests can be sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<&'static str>,
}

/// How this process and what it needs are.
#[utoipa::path(
    get,
    path = "/health",
    operation_id = "health",
    tag = "health",
    security(()),
    responses(
        (status = 200, description = "Healthy", body = HealthReport),
        (status = 503, description = "Unhealthy", body = HealthReport),
        Limited
    )
)]
async fn show(State(state): State<ApiState>) -> Response {
    let Condition {
        database_is_up,
        late,
        redis,
        rabbitmq,
        ..
    } = state.health.condition().await;
    let is_late = late > state.health.late_after;
    let is_behind = is_late || rabbitmq == Some(false);
    let (code, status, database) = match (database_is_up, is_behind) {
        (true, false) => (StatusCode::OK, HealthStatus::Healthy, ServiceStatus::Up),
        (true, true) => (StatusCode::OK, HealthStatus::Degraded, ServiceStatus::Up),
        (false, _) => (
            StatusCode::SERVICE_UNAVAILABLE,
            HealthStatus::Unhealthy,
            ServiceStatus::Down,
        ),
    };
    let report = HealthReport {
        status,
        services: Services {
            database,
            redis: ServiceStatus::of(redis),
            rabbitmq: ServiceStatus::of(rabbitmq),
        },
        schedules_late_seconds: is_late.then_some(late.as_secs()),
        timestamp: wall_clock(),
    };
    (code, Json(report)).into_response()
}

/// Whether this process answers at all: restart it if not.
#[utoipa::path(
    get,
    path = "/health/live",
    operation_id = "healthLive",
    tag = "health",
    security(()),
    responses((status = 200, description = "It does", body = Liveness))
)]
async fn live() -> Json<Liveness> {
    Json(Liveness { status: "alive" })
}

/// Whether this process can do its work: send it no requests if not.
#[utoipa::path(
    get,
    path = "/health/ready",
    operation_id = "healthReady",
    tag = "health",
    security(()),
    responses(
        (status = 200, description = "It can", body = Readiness),
        (status = 503, description = "It cannot", body = Readiness),
    )
)]
async fn ready(State(state): State<ApiState>) -> Response {
    if state.stopping.is_cancelled() {
        return not_ready("this process is stopping");
    }
    let condition = state.health.condition().await;
    if !condition.database_is_up {
        return not_ready("the database does not answer");
    }
    let is_late = condition.late > state.health.late_after;
    let ready = Readiness {
        status: "ready",
        error: None,
        warning: is_late.then_some("schedules are late: does a scheduler run?"),
    };
    Json(ready).into_response()
}

fn not_ready(error: &'static str) -> Response {
    let not_ready = Readiness {
        status: "not ready",
        error: Some(error),
        warning: None,
    };
    (StatusCode::SERVICE_UNAVAILABLE, Json(not_ready)).into_response()
}

impl Health {
    pub(super) fn new(client: Client, late_after: Duration) -> Self {
        Self {
            client,
            late_after,
            started: Instant::now(),
            limits: None,
            broker: None,
            last: Mutex::new(None),
        }
    }

    /// Also looks at the Redis that these count in, and at the broker.
    pub(super) fn with(mut self, limits: Option<RateLimits>, broker: Option<Probe>) -> Self {
        self.limits = limits;
        self.broker = broker;
        self
    }

    async fn condition(&self) -> Condition {
        // Held while asking, so that everyone who comes meanwhile gets the same answer.
        let mut last = self.last.lock().await;
        if let Some((at, condition)) = *last
            && at.elapsed() < KEEP
        {
            return condition;
        }
        let asking = Instant::now();
        let asked = tokio::time::timeout(PATIENCE, self.ask()).await;
        let latency = asking.elapsed();
        let (redis, rabbitmq) = tokio::join!(self.redis(), self.rabbitmq());
        let condition = match asked.unwrap_or_else(|_| Err(store::Error::timeout(PATIENCE))) {
            Ok((late, workers)) => Condition {
                database_is_up: true,
                late,
                latency,
                workers,
                redis,
                rabbitmq,
            },
            Err(error) => {
                telemetry::http::store_failed(&error);
                Condition {
                    database_is_up: false,
                    late: Duration::ZERO,
                    latency,
                    workers: 0,
                    redis,
                    rabbitmq,
                }
            }
        };
        *last = Some((Instant::now(), condition));
        condition
    }

    async fn redis(&self) -> Option<bool> {
        self.limits.as_ref()?.redis_answers().await
    }

    async fn rabbitmq(&self) -> Option<bool> {
        let Probe(answers) = self.broker.as_ref()?;
        Some(answers().await)
    }

    /// How late the schedules are, of a database that answers. Told from what is stored: so it is told
    /// just when no scheduler runs.
    /// And how many workers there are.
    async fn ask(&self) -> Result<(Duration, usize), store::Error> {
        let now = self.client.now().await?;
        let schedules = match self.client.schedules().await {
            // Before the tables are made there is no schedule to be late.
            Err(error) if !error.is_transient() => return Ok((Duration::ZERO, 0)),
            schedules => schedules?,
        };
        let workers = self.client.workers().await?;
        let alive = |worker: &&WorkerRecord| now.since(worker.beat_at) < SILENT;
        let late = lateness(&schedules, now).map_or(Duration::ZERO, |(_, late)| late);
        Ok((late, workers.iter().filter(alive).count()))
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "health must tell the time when the database, whose clock counts, does not answer"
)]
fn wall_clock() -> Timestamp {
    Timestamp::from_datetime(chrono::Utc::now())
}

//! Health as the platform's own pages ask for it: `/api/health`, `/health/version`, `/health/metrics`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use windlass::Timestamp;

use super::{Condition, HealthStatus, wall_clock};
use crate::api::ApiState;
use crate::api::schema::Limited;

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// A database that takes longer is told as degraded.
const SLOW_MS: u64 = 1000;

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(show))
        .routes(routes!(live))
        .routes(routes!(ready))
        .routes(routes!(version))
        .routes(routes!(metrics))
}

/// What the platform's system page reads.
#[derive(Debug, Serialize, ToSchema)]
struct SystemHealth {
    status: HealthStatus,
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
    /// Seconds since this process started.
    uptime: u64,
    database: Word,
    redis: Word,
    /// Whether any process runs jobs.
    worker: Word,
    services: SystemServices,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Word {
    Ok,
    Down,
    /// This process does not use it.
    NotConfigured,
}

impl Word {
    const fn of(is_up: bool) -> Self {
        if is_up { Self::Ok } else { Self::Down }
    }
}

#[derive(Debug, Serialize, ToSchema)]
struct SystemServices {
    database: DatabaseHealth,
    process: ProcessHealth,
}

#[derive(Debug, Serialize, ToSchema)]
struct DatabaseHealth {
    status: Word,
    /// Milliseconds that it took to answer.
    latency: u64,
}

#[derive(Debug, Serialize, ToSchema)]
struct ProcessHealth {
    pid: u32,
    /// Seconds since it started.
    uptime: u64,
    version: &'static str,
}

/// What runs here.
#[derive(Debug, Serialize, ToSchema)]
struct Versions {
    #[serde(rename = "apiVersion")]
    api: &'static str,
    #[serde(rename = "orchestratorVersion")]
    orchestrator: &'static str,
    #[serde(rename = "embeddingsVersion")]
    embeddings: &'static str,
}

/// One figure of the platform's health page.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Figure {
    #[schema(example = "database_latency_ms")]
    name: &'static str,
    status: FigureStatus,
    value: String,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum FigureStatus {
    Healthy,
    Degraded,
    Down,
}

/// How this process and what it needs are, as the platform's system page reads it.
#[utoipa::path(
    get,
    path = "/api/health",
    operation_id = "systemHealth",
    tag = "health",
    security(()),
    responses(
        (status = 200, description = "It works, though perhaps slowly", body = SystemHealth),
        (status = 503, description = "It does not", body = SystemHealth),
        Limited
    )
)]
async fn show(State(state): State<ApiState>) -> Response {
    let condition = state.health.condition().await;
    let mut errors = Vec::new();
    if !condition.database_is_up {
        errors.push("the database does not answer");
    }
    if condition.workers == 0 {
        errors.push("no worker has reported within the last minute");
    }
    if condition.redis == Some(false) {
        errors.push("redis does not answer");
    }
    if condition.rabbitmq == Some(false) {
        errors.push("rabbitmq does not answer");
    }
    if condition.late > state.health.late_after {
        errors.push("schedules are late: does a scheduler run?");
    }
    let is_slow = condition.latency_ms() > SLOW_MS;
    let (code, status) = match (condition.database_is_up, errors.is_empty() && !is_slow) {
        (true, true) => (StatusCode::OK, HealthStatus::Healthy),
        (true, false) => (StatusCode::OK, HealthStatus::Degraded),
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, HealthStatus::Unhealthy),
    };
    let uptime = state.health.started.elapsed().as_secs();
    let report = SystemHealth {
        status,
        timestamp: wall_clock(),
        uptime,
        database: Word::of(condition.database_is_up),
        redis: condition.redis.map_or(Word::NotConfigured, Word::of),
        worker: Word::of(condition.workers > 0),
        services: SystemServices {
            database: DatabaseHealth {
                status: Word::of(condition.database_is_up),
                latency: condition.latency_ms(),
            },
            process: ProcessHealth {
                pid: std::process::id(),
                uptime,
                version: VERSION,
            },
        },
        errors,
    };
    (code, Json(report)).into_response()
}

/// Whether this process answers at all.
#[utoipa::path(
    get,
    path = "/api/health/live",
    operation_id = "systemLive",
    tag = "health",
    security(()),
    responses((status = 200, description = "It does", body = super::Liveness))
)]
async fn live() -> Json<super::Liveness> {
    super::live().await
}

/// Whether this process can do its work.
#[utoipa::path(
    get,
    path = "/api/health/ready",
    operation_id = "systemReady",
    tag = "health",
    security(()),
    responses(
        (status = 200, description = "It can", body = super::Readiness),
        (status = 503, description = "It cannot", body = super::Readiness),
    )
)]
async fn ready(state: State<ApiState>) -> Response {
    super::ready(state).await
}

/// What runs here.
#[utoipa::path(
    get,
    path = "/health/version",
    operation_id = "healthVersion",
    tag = "health",
    security(()),
    responses((status = 200, description = "The versions", body = Versions), Limited)
)]
async fn version() -> Json<Versions> {
    Json(Versions {
        api: VERSION,
        orchestrator: VERSION,
        embeddings: VERSION,
    })
}

/// A few figures for the platform's health page; `/metrics` has all of them.
#[utoipa::path(
    get,
    path = "/health/metrics",
    operation_id = "healthMetrics",
    tag = "health",
    security(()),
    responses((status = 200, description = "The figures", body = [Figure]), Limited)
)]
async fn metrics(State(state): State<ApiState>) -> Json<Vec<Figure>> {
    let condition = state.health.condition().await;
    Json(figures(&condition, state.health.late_after))
}

fn figures(condition: &Condition, late_after: std::time::Duration) -> Vec<Figure> {
    let updated_at = wall_clock();
    let figure = |name, status, value: u64| Figure {
        name,
        status,
        value: value.to_string(),
        updated_at,
    };
    let unless = |is_bad, then| if is_bad { then } else { FigureStatus::Healthy };
    let latency = condition.latency_ms();
    let database = if condition.database_is_up {
        unless(latency > SLOW_MS, FigureStatus::Degraded)
    } else {
        FigureStatus::Down
    };
    let workers = unless(condition.workers == 0, FigureStatus::Down);
    let late = unless(condition.late > late_after, FigureStatus::Degraded);
    vec![
        figure("database_latency_ms", database, latency),
        figure("workers", workers, condition.workers as u64),
        figure("schedules_late_seconds", late, condition.late.as_secs()),
    ]
}

//! Health, as the platform and its orchestrators ask for it. Needs no key and tells nothing but this.

use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::sync::Mutex;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use windlass::{Client, Timestamp};

use super::ApiState;
use crate::telemetry;

/// For how long an answer is given again: anyone may ask, as often as they like.
const KEEP: Duration = Duration::from_secs(3);
/// How long the database may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(show))
        .routes(routes!(live))
        .routes(routes!(ready))
}

/// Asks the database, at most once at a time and once in a while.
#[derive(Debug)]
pub(super) struct Health {
    client: Client,
    last: Mutex<Option<(Instant, bool)>>,
}

/// How this process and what it needs are.
#[derive(Debug, Serialize, ToSchema)]
struct HealthReport {
    status: HealthStatus,
    services: Services,
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum HealthStatus {
    Healthy,
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
    )
)]
async fn show(State(state): State<ApiState>) -> Response {
    let up = state.health.database_is_up().await;
    let (code, status, database) = if up {
        (StatusCode::OK, HealthStatus::Healthy, ServiceStatus::Up)
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            HealthStatus::Unhealthy,
            ServiceStatus::Down,
        )
    };
    let report = HealthReport {
        status,
        services: Services {
            database,
            redis: ServiceStatus::NotConfigured,
            rabbitmq: ServiceStatus::NotConfigured,
        },
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
    let (code, readiness) = if state.health.database_is_up().await {
        let ready = Readiness {
            status: "ready",
            error: None,
        };
        (StatusCode::OK, ready)
    } else {
        let not_ready = Readiness {
            status: "not ready",
            error: Some("the database does not answer"),
        };
        (StatusCode::SERVICE_UNAVAILABLE, not_ready)
    };
    (code, Json(readiness)).into_response()
}

impl Health {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            last: Mutex::new(None),
        }
    }

    async fn database_is_up(&self) -> bool {
        // Held while asking, so that everyone who comes meanwhile gets the same answer.
        let mut last = self.last.lock().await;
        if let Some((at, up)) = *last
            && at.elapsed() < KEEP
        {
            return up;
        }
        let up = match tokio::time::timeout(PATIENCE, self.client.now()).await {
            Ok(Ok(_)) => true,
            Ok(Err(error)) => {
                telemetry::http::store_failed(&error);
                false
            }
            Err(_) => {
                telemetry::http::store_failed(&windlass::store::Error::timeout(PATIENCE));
                false
            }
        };
        *last = Some((Instant::now(), up));
        up
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "health must tell the time when the database, whose clock counts, does not answer"
)]
fn wall_clock() -> Timestamp {
    Timestamp::from_datetime(chrono::Utc::now())
}

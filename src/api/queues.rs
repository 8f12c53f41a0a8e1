//! `GET /v1/queues`: how each queue stands.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use windlass::Timestamp;
use windlass::model::QueueStats;

use super::schema::Guarded;
use super::{ApiState, Problem};

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list))
}

/// How one queue stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Queue)]
struct QueueView {
    queue: String,
    /// Due and unclaimed.
    available: u64,
    /// Waiting for a time.
    scheduled: u64,
    /// Waiting for a time after a failure.
    retryable: u64,
    /// Waiting for its turn or its parents.
    waiting: u64,
    /// Leased.
    running: u64,
    /// Whether counting stopped at a bound: the numbers are then "at least".
    capped: bool,
    /// When the oldest available job became due.
    #[schema(value_type = Option<String>, format = DateTime)]
    oldest_available_at: Option<Timestamp>,
}

/// Every queue with unfinished jobs.
#[derive(Debug, Serialize, ToSchema)]
struct QueueList {
    queues: Vec<QueueView>,
}

/// Every queue with unfinished jobs, and how it stands.
#[utoipa::path(
    get,
    path = "/v1/queues",
    operation_id = "listQueues",
    tag = "operations",
    responses((status = 200, description = "The queues", body = QueueList), Guarded)
)]
async fn list(State(state): State<ApiState>) -> Result<Json<QueueList>, Problem> {
    let queues = state.client.queues().await?;
    Ok(Json(QueueList {
        queues: queues.into_iter().map(QueueView::from).collect(),
    }))
}

impl From<QueueStats> for QueueView {
    fn from(stats: QueueStats) -> Self {
        Self {
            queue: stats.queue,
            available: stats.available,
            scheduled: stats.scheduled,
            retryable: stats.retryable,
            waiting: stats.waiting,
            running: stats.running,
            capped: stats.capped,
            oldest_available_at: stats.oldest_available_at,
        }
    }
}

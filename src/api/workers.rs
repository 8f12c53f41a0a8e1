//! `GET /v1/workers`: the processes that run jobs.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use windlass::Timestamp;
use windlass::model::WorkerRecord;

use super::schema::Guarded;
use super::{ApiState, Problem};

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list))
}

/// A process that runs jobs, as it last reported.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Worker)]
struct WorkerView {
    /// Unique for each start of a process.
    id: String,
    host: String,
    pid: u32,
    version: String,
    /// The queues it serves.
    queues: Vec<String>,
    /// Jobs it may run at once.
    slots: u32,
    /// Jobs it runs now.
    running: u32,
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    /// When it last reported.
    #[schema(value_type = String, format = DateTime)]
    beat_at: Timestamp,
    /// Whether it has stopped claiming.
    draining: bool,
}

/// Processes that reported within the last day.
#[derive(Debug, Serialize, ToSchema)]
struct WorkerList {
    workers: Vec<WorkerView>,
}

/// Processes that reported within the last day.
#[utoipa::path(
    get,
    path = "/v1/workers",
    operation_id = "listWorkers",
    tag = "operations",
    responses((status = 200, description = "The workers", body = WorkerList), Guarded)
)]
async fn list(State(state): State<ApiState>) -> Result<Json<WorkerList>, Problem> {
    let workers = state.client.workers().await?;
    Ok(Json(WorkerList {
        workers: workers.into_iter().map(WorkerView::from).collect(),
    }))
}

impl From<WorkerRecord> for WorkerView {
    fn from(worker: WorkerRecord) -> Self {
        Self {
            id: worker.id,
            host: worker.host,
            pid: worker.pid,
            version: worker.version,
            queues: worker.queues,
            slots: worker.slots,
            running: worker.running,
            started_at: worker.started_at,
            beat_at: worker.beat_at,
            draining: worker.draining,
        }
    }
}

//! `GET /v1/workers`: the processes that run jobs; and draining one.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use windlass::Timestamp;
use windlass::model::WorkerRecord;

use super::actor::Actor;
use super::query::{Named, Params};
use super::schema::Guarded;
use super::{ApiState, Problem};

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(drain))
        .routes(routes!(undrain))
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

/// Why, for the audit log.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Why {
    /// In the operator's words.
    reason: Option<String>,
}

/// Lets a worker start nothing more: it finishes what runs and hands back the rest.
#[utoipa::path(
    post,
    path = "/v1/workers/{id}/drain",
    operation_id = "drainWorker",
    tag = "operations",
    params(("id" = String, Path), Why),
    responses(
        (status = 204, description = "It drains within a second"),
        (status = 404, description = "There is no such worker", body = Problem, content_type = "application/problem+json"),
        Guarded
    )
)]
async fn drain(
    State(state): State<ApiState>,
    Named(id): Named<String>,
    Params(why): Params<Why>,
    actor: Actor,
) -> Result<StatusCode, Problem> {
    let operator = actor.operator(&state, why.reason.as_deref());
    operator.drain(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lets a drained worker work again.
#[utoipa::path(
    post,
    path = "/v1/workers/{id}/undrain",
    operation_id = "undrainWorker",
    tag = "operations",
    params(("id" = String, Path), Why),
    responses(
        (status = 204, description = "It works again within a second"),
        (status = 404, description = "It is not drained", body = Problem, content_type = "application/problem+json"),
        Guarded
    )
)]
async fn undrain(
    State(state): State<ApiState>,
    Named(id): Named<String>,
    Params(why): Params<Why>,
    actor: Actor,
) -> Result<StatusCode, Problem> {
    let operator = actor.operator(&state, why.reason.as_deref());
    if operator.undrain(&id).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        let detail = "no worker of this id is drained; GET /v1/workers tells which are";
        Err(Problem::not_found("id", detail))
    }
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

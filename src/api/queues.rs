//! `GET /v1/queues`: how each queue stands; and its slots.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use windlass::Timestamp;
use windlass::model::QueueStats;

use super::actor::Actor;
use super::body::Body;
use super::policies::PolicyView;
use super::query::Named;
use super::schema::{Guarded, WithBody};
use super::{ApiState, Problem};

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(set_slots, reset_slots))
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
    /// What limits it, if anything does.
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<PolicyView>,
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
    let mut views: Vec<QueueView> = queues.into_iter().map(QueueView::from).collect();
    for stored in state.client.policies().await? {
        if let Some(view) = views.iter_mut().find(|view| view.queue == stored.queue) {
            view.policy = Some(stored.into());
        }
    }
    Ok(Json(QueueList { queues: views }))
}

/// How many jobs of a queue each process runs at once.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct QueueSlots {
    /// 1 to 100000. To stop, pause the queue.
    slots: u32,
    /// Why.
    #[serde(default, skip_serializing)]
    reason: Option<String>,
}

/// Lets each process run so many jobs of the queue at once, whatever it was started with.
#[utoipa::path(
    put,
    path = "/v1/queues/{queue}/slots",
    operation_id = "setSlots",
    tag = "operations",
    params(("queue" = String, Path)),
    request_body = QueueSlots,
    responses(
        (status = 200, description = "It is so within a second", body = QueueSlots),
        WithBody,
        Guarded
    )
)]
async fn set_slots(
    State(state): State<ApiState>,
    Named(queue): Named<String>,
    actor: Actor,
    Body(slots): Body<QueueSlots>,
) -> Result<Json<QueueSlots>, Problem> {
    let operator = actor.operator(&state, slots.reason.as_deref());
    operator.set_slots(&queue, slots.slots).await?;
    Ok(Json(slots))
}

/// Gives the queue the slots back that each process was started with.
#[utoipa::path(
    delete,
    path = "/v1/queues/{queue}/slots",
    operation_id = "resetSlots",
    tag = "operations",
    params(("queue" = String, Path)),
    responses((status = 204, description = "It has them"), Guarded)
)]
async fn reset_slots(
    State(state): State<ApiState>,
    Named(queue): Named<String>,
    actor: Actor,
) -> Result<StatusCode, Problem> {
    actor.operator(&state, None).reset_slots(&queue).await?;
    Ok(StatusCode::NO_CONTENT)
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
            policy: None,
        }
    }
}

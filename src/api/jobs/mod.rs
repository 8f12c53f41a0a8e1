//! Jobs: enqueue them, look at them, look after them.

mod bulk;
mod enqueue;
mod operate;
mod read;
mod rerun;
mod signal;

use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use windlass::JobId;
use windlass::model::Enqueued;

use super::ApiState;

pub(super) use enqueue::{NewJobRequest, answered, prepare};
pub(super) use read::states;

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(read::list, enqueue::create))
        .routes(routes!(enqueue::create_batch))
        .routes(routes!(read::show))
        .routes(routes!(operate::requeue))
        .routes(routes!(operate::snooze))
        .routes(routes!(operate::cancel))
        .routes(routes!(operate::discard))
        .routes(routes!(rerun::rerun))
        .routes(routes!(signal::signal))
        .routes(routes!(bulk::preview))
        .routes(routes!(bulk::start))
}

/// What became of a job that was to be enqueued.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EnqueuedJob {
    /// The job that stands for the request.
    #[schema(value_type = String, format = Uuid)]
    pub(super) id: JobId,
    pub(super) status: EnqueueStatus,
}

/// What an enqueue did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum EnqueueStatus {
    /// The job is a row now.
    Enqueued,
    /// Another job stands for it: the same request, or the same unique key.
    Duplicate,
    /// Another job of the same unique key took over its args, priority and time.
    Replaced,
    /// Only within a batch: refused, because this job holds the unique key.
    Rejected,
}

impl EnqueuedJob {
    /// `None` for a job that another request has made under the same idempotency key.
    pub(super) fn from_answer(answer: Enqueued) -> Option<Self> {
        let status = match answer {
            Enqueued::Inserted(_) => EnqueueStatus::Enqueued,
            Enqueued::Duplicate(_) => EnqueueStatus::Duplicate,
            Enqueued::Replaced(_) => EnqueueStatus::Replaced,
            Enqueued::Rejected(_) => EnqueueStatus::Rejected,
            Enqueued::IdempotencyMismatch(_) => return None,
        };
        Some(Self {
            id: answer.id(),
            status,
        })
    }

    pub(super) fn is_new(&self) -> bool {
        self.status == EnqueueStatus::Enqueued
    }
}

//! `POST /v1/jobs/bulk` and its preview: one operation over many jobs, in the background.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use windlass::JobId;
use windlass::model::Filter;
use windlass::store::Operation;

use crate::api::actor::Actor;
use crate::api::auth::Caller;
use crate::api::body::Body;
use crate::api::schema::{Guarded, WithBody};
use crate::api::{ApiState, Problem};

/// Which jobs. Every field that is given must match.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct JobFilter {
    /// In one of these states.
    #[schema(value_type = Vec<String>)]
    states: Vec<windlass::State>,
    kind: Option<String>,
    queue: Option<String>,
    /// Only this tenant's.
    tenant_id: Option<String>,
    correlation_id: Option<String>,
    tag: Option<String>,
}

/// Which jobs would be changed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BulkPreview {
    filter: JobFilter,
}

/// How many jobs match now.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BulkCount {
    jobs: usize,
    /// Counting stopped there: there may be more.
    at_least: bool,
}

/// What to do to which jobs.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BulkRequest {
    /// requeue, cancel or discard.
    #[schema(value_type = String)]
    operation: Operation,
    filter: JobFilter,
    /// Must be true if the filter is empty, which means every job.
    #[serde(default)]
    all: bool,
    /// Why.
    reason: Option<String>,
}

/// The job that does it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BulkStarted {
    /// `GET /v1/jobs/{id}` shows its progress, `POST /v1/jobs/{id}/cancel` stops it.
    #[schema(value_type = String, format = Uuid)]
    id: JobId,
}

/// How many jobs a filter matches, counted up to 10,000.
#[utoipa::path(
    post,
    path = "/v1/jobs/bulk/preview",
    operation_id = "previewBulk",
    tag = "jobs",
    request_body = BulkPreview,
    responses((status = 200, description = "The count", body = BulkCount), WithBody, Guarded)
)]
pub(super) async fn preview(
    State(state): State<ApiState>,
    caller: Caller,
    Body(mut preview): Body<BulkPreview>,
) -> Result<Json<BulkCount>, Problem> {
    preview.filter.keep_to(&caller)?;
    let count = state.client.preview(&preview.filter.into()).await?;
    Ok(Json(BulkCount {
        jobs: count.jobs,
        at_least: count.at_least,
    }))
}

/// Requeues, cancels or discards all jobs that match, in the background.
#[utoipa::path(
    post,
    path = "/v1/jobs/bulk",
    operation_id = "startBulk",
    tag = "jobs",
    request_body = BulkRequest,
    responses((status = 202, description = "It has begun", body = BulkStarted), WithBody, Guarded)
)]
pub(super) async fn start(
    State(state): State<ApiState>,
    caller: Caller,
    actor: Actor,
    Body(mut bulk): Body<BulkRequest>,
) -> Result<(StatusCode, Json<BulkStarted>), Problem> {
    bulk.filter.keep_to(&caller)?;
    let operator = actor.operator(&state, bulk.reason.as_deref());
    let id = operator
        .bulk(bulk.operation, bulk.filter.into(), bulk.all)
        .await?;
    Ok((StatusCode::ACCEPTED, Json(BulkStarted { id })))
}

impl JobFilter {
    fn keep_to(&mut self, caller: &Caller) -> Result<(), Problem> {
        self.tenant_id = caller.within(self.tenant_id.take())?;
        Ok(())
    }
}

impl From<JobFilter> for Filter {
    fn from(filter: JobFilter) -> Self {
        Self {
            states: filter.states,
            kind: filter.kind,
            queue: filter.queue,
            tenant_id: filter.tenant_id,
            correlation_id: filter.correlation_id,
            tag: filter.tag,
        }
    }
}

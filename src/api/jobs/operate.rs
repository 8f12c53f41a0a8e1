//! `POST /v1/jobs/{id}/requeue`, `/snooze`, `/cancel` and `/discard`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use windlass::store::Changed;
use windlass::{JobId, Timestamp};

use crate::api::actor::Actor;
use crate::api::query::{Id, Own, Scope, of_tenant};
use crate::api::schema::Guarded;
use crate::api::{ApiState, Problem};

/// What became of the operator's wish.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ChangedJob {
    #[schema(value_type = String, format = Uuid)]
    id: JobId,
    status: ChangeStatus,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ChangeStatus {
    /// It is done.
    Done,
    /// The job runs; it was asked to stop and is recorded as cancelled when it does.
    Asked,
}

/// When, and on whose behalf.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RequeueAt {
    /// When it is due, instead of now; it must lie ahead.
    #[param(value_type = Option<String>, format = DateTime)]
    run_at: Option<Timestamp>,
    /// Only if the job is this tenant's; another one's is answered as if it were not there.
    tenant: Option<String>,
    /// Why, for the audit log.
    reason: Option<String>,
}

/// Until when, and on whose behalf.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SnoozeUntil {
    /// When it is due instead; it must lie ahead.
    #[param(value_type = String, format = DateTime)]
    run_at: Timestamp,
    /// Only if the job is this tenant's; another one's is answered as if it were not there.
    tenant: Option<String>,
    /// Why, for the audit log.
    reason: Option<String>,
}

of_tenant!(RequeueAt, SnoozeUntil);

/// Makes a job available now, or at `run_at`: revives a finished one with all its attempts, runs a waiting one at once.
#[utoipa::path(
    post,
    path = "/v1/jobs/{id}/requeue",
    operation_id = "requeueJob",
    tag = "jobs",
    params(("id" = String, Path, format = Uuid), RequeueAt),
    responses(
        (status = 200, description = "It is available, or will be at `run_at`", body = ChangedJob),
        (status = 404, description = "There is no such job", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Its state does not allow it, or another job holds its unique key", body = Problem, content_type = "application/problem+json"),
        Guarded
    )
)]
pub(super) async fn requeue(
    State(state): State<ApiState>,
    Id(id): Id,
    Own(scope): Own<RequeueAt>,
    actor: Actor,
) -> Result<Response, Problem> {
    let operator = actor.operator(&state, scope.reason.as_deref());
    let tenant = scope.tenant.as_deref();
    let changed = match scope.run_at {
        Some(at) => operator
            .requeue_at(id, tenant, at)
            .await
            .map_err(|error| Problem::of_operator(error, id))?,
        None => operator.requeue(id, tenant).await?,
    };
    answer("requeue", id, changed)
}

/// Lets a job that waits for its time, or for a worker, wait until another time; it keeps its attempts.
#[utoipa::path(
    post,
    path = "/v1/jobs/{id}/snooze",
    operation_id = "snoozeJob",
    tag = "jobs",
    params(("id" = String, Path, format = Uuid), SnoozeUntil),
    responses(
        (status = 200, description = "It waits until then", body = ChangedJob),
        (status = 404, description = "There is no such job", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Its state does not allow it", body = Problem, content_type = "application/problem+json"),
        Guarded
    )
)]
pub(super) async fn snooze(
    State(state): State<ApiState>,
    Id(id): Id,
    Own(until): Own<SnoozeUntil>,
    actor: Actor,
) -> Result<Response, Problem> {
    let operator = actor.operator(&state, until.reason.as_deref());
    let changed = operator
        .snooze(id, until.tenant.as_deref(), until.run_at)
        .await
        .map_err(|error| Problem::of_operator(error, id))?;
    answer("snooze", id, changed)
}

/// Stops a job for good, or asks it to stop if it runs.
#[utoipa::path(
    post,
    path = "/v1/jobs/{id}/cancel",
    operation_id = "cancelJob",
    tag = "jobs",
    params(("id" = String, Path, format = Uuid), Scope),
    responses(
        (status = 200, description = "It is cancelled", body = ChangedJob),
        (status = 202, description = "It runs and was asked to stop", body = ChangedJob),
        (status = 404, description = "There is no such job", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Its state does not allow it", body = Problem, content_type = "application/problem+json"),
        Guarded
    )
)]
pub(super) async fn cancel(
    State(state): State<ApiState>,
    Id(id): Id,
    Own(scope): Own<Scope>,
    actor: Actor,
) -> Result<Response, Problem> {
    let operator = actor.operator(&state, scope.reason.as_deref());
    let changed = operator.cancel(id, scope.tenant.as_deref()).await?;
    answer("cancel", id, changed)
}

/// Sets an unfinished job aside as a dead letter.
#[utoipa::path(
    post,
    path = "/v1/jobs/{id}/discard",
    operation_id = "discardJob",
    tag = "jobs",
    params(("id" = String, Path, format = Uuid), Scope),
    responses(
        (status = 200, description = "It is dead", body = ChangedJob),
        (status = 404, description = "There is no such job", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Its state does not allow it", body = Problem, content_type = "application/problem+json"),
        Guarded
    )
)]
pub(super) async fn discard(
    State(state): State<ApiState>,
    Id(id): Id,
    Own(scope): Own<Scope>,
    actor: Actor,
) -> Result<Response, Problem> {
    let operator = actor.operator(&state, scope.reason.as_deref());
    let changed = operator.discard(id, scope.tenant.as_deref()).await?;
    answer("discard", id, changed)
}

pub(super) fn answer(verb: &str, id: JobId, changed: Changed) -> Result<Response, Problem> {
    let (code, status) = match changed {
        Changed::Done => (StatusCode::OK, ChangeStatus::Done),
        Changed::Asked => (StatusCode::ACCEPTED, ChangeStatus::Asked),
        Changed::Refused(state) => return Err(Problem::wrong_state(verb, id, state)),
        Changed::Held(by) => return Err(Problem::unique_key_held(by)),
        Changed::NotFound => return Err(Problem::job_not_found(id)),
    };
    Ok((code, Json(ChangedJob { id, status })).into_response())
}

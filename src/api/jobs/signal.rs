//! `POST /v1/jobs/{id}/signals/{name}`: a message for a job that waits for one.

use axum::extract::State;
use axum::response::Response;
use windlass::JobId;
use windlass::model::InvalidId;

use super::operate::{self, ChangedJob};
use crate::api::actor::Actor;
use crate::api::body::Anything;
use crate::api::query::{Named, Own, Scope};
use crate::api::schema::{Guarded, WithBody};
use crate::api::{ApiState, Problem};

/// Leaves a message for an unfinished job, and wakes it if it waits for one of this name.
///
/// The body, any JSON, is the message. One that comes before the job waits is kept for it; a later one
/// of the same name takes the place of an earlier one.
#[utoipa::path(
    post,
    path = "/v1/jobs/{id}/signals/{name}",
    operation_id = "signalJob",
    tag = "jobs",
    params(("id" = String, Path, format = Uuid), ("name" = String, Path), Scope),
    request_body(content = serde_json::Value, description = "The message"),
    responses(
        (status = 200, description = "It is left", body = ChangedJob),
        (status = 404, description = "There is no such job", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The job has finished", body = Problem, content_type = "application/problem+json"),
        WithBody,
        Guarded
    )
)]
pub(super) async fn signal(
    State(state): State<ApiState>,
    Named((id, name)): Named<(String, String)>,
    Own(scope): Own<Scope>,
    actor: Actor,
    Anything(payload): Anything,
) -> Result<Response, Problem> {
    let id: JobId = id
        .parse()
        .map_err(|error: InvalidId| Problem::invalid_parameter("id", error.to_string()))?;
    let (size, limit) = (payload.as_str().len(), state.client.limits().max_args_bytes);
    if size > limit {
        return Err(Problem::args_too_large("body", size, limit));
    }
    let operator = actor.operator(&state, scope.reason.as_deref());
    let changed = operator
        .signal(id, scope.tenant.as_deref(), &name, &payload)
        .await?;
    operate::answer("signal", id, changed)
}

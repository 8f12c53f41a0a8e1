//! `POST /v1/jobs/{id}/rerun`: a finished job again, as it was or with other args.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use windlass::JobId;

use super::operate::{self, ChangedJob};
use crate::api::actor::Actor;
use crate::api::auth::Caller;
use crate::api::body::Body;
use crate::api::query::{Id, Own, Scope};
use crate::api::schema::{Guarded, WithBody};
use crate::api::{ApiState, Problem};

/// With which args.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Rerun {
    /// Those of the old job if left out.
    #[schema(schema_with = crate::api::schema::any)]
    args: Option<windlass::Json>,
    /// Makes the same job available again instead of a new one, whatever its state allows.
    #[serde(default)]
    in_place: bool,
    /// Why.
    reason: Option<String>,
}

/// The job that runs it again.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RerunStarted {
    #[schema(value_type = String, format = Uuid)]
    id: JobId,
}

/// Runs a finished job again as a new one, which belongs to what the old one belonged to.
#[utoipa::path(
    post,
    path = "/v1/jobs/{id}/rerun",
    operation_id = "rerunJob",
    tag = "jobs",
    params(("id" = String, Path, format = Uuid), Scope),
    request_body = Rerun,
    responses(
        (status = 200, description = "The same job is available again", body = ChangedJob),
        (status = 201, description = "It is enqueued", body = RerunStarted),
        (status = 404, description = "There is no such job", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It has not finished", body = Problem, content_type = "application/problem+json"),
        WithBody,
        Guarded
    )
)]
pub(super) async fn rerun(
    State(state): State<ApiState>,
    Id(id): Id,
    Own(scope): Own<Scope>,
    caller: Caller,
    actor: Actor,
    Body(rerun): Body<Rerun>,
) -> Result<Response, Problem> {
    let reason = scope.reason.or(rerun.reason);
    let operator = actor.operator(&state, reason.as_deref());
    if let (Some(tenant), Some(args)) = (caller.tenant(), &rerun.args) {
        names_its_tenant(&state, id, tenant, args).await?;
    }
    if rerun.in_place {
        let changed = match rerun.args {
            Some(args) => operator
                .requeue_with(id, scope.tenant.as_deref(), args)
                .await
                .map_err(|error| Problem::of_operator(error, id))?,
            None => operator.requeue(id, scope.tenant.as_deref()).await?,
        };
        return operate::answer("requeue", id, changed);
    }
    let id = operator
        .rerun(id, scope.tenant.as_deref(), rerun.args)
        .await
        .map_err(|error| Problem::of_operator(error, id))?;
    Ok((StatusCode::CREATED, Json(RerunStarted { id })).into_response())
}

/// Of a kind whose args name no tenant, nothing says that other args keep to one.
async fn names_its_tenant(
    state: &ApiState,
    id: JobId,
    tenant: &str,
    args: &windlass::Json,
) -> Result<(), Problem> {
    let job = state.client.get(id, Some(tenant)).await?;
    let job = job.ok_or_else(|| Problem::job_not_found(id))?;
    let again = state.client.prepare_raw(&job.kind, args.clone())?;
    match again.tenant_id {
        Some(_) => Ok(()), // another one's is refused as for everyone
        None => Err(Problem::kind_not_for_tenants()),
    }
}

//! `GET`, `PUT` and `DELETE /v1/pauses`: what is kept from being started.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use windlass::Timestamp;
use windlass::engine::PauseOf;
use windlass::model::Pause;

use super::actor::Actor;
use super::body::Body;
use super::query::Params;
use super::schema::{Guarded, WithBody};
use super::{ApiState, Problem};

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list, put, resume))
}

/// Jobs that match all that is named are not started.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Pause)]
struct PauseView {
    queue: Option<String>,
    kind: Option<String>,
    tenant_id: Option<String>,
    reason: Option<String>,
    /// Who paused it.
    by: String,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// When it ends by itself.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
}

/// All pauses.
#[derive(Debug, Serialize, ToSchema)]
struct PauseList {
    pauses: Vec<PauseView>,
}

/// What to pause, and for how long.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPause {
    /// Jobs of this queue. At least one of queue, kind and tenant is needed.
    queue: Option<String>,
    /// Jobs of this kind.
    kind: Option<String>,
    /// Jobs of this tenant.
    tenant_id: Option<String>,
    /// Why.
    reason: Option<String>,
    /// When it ends by itself; without, when someone resumes it.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
}

/// Which pause to end: exactly what was paused.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Which {
    queue: Option<String>,
    kind: Option<String>,
    tenant_id: Option<String>,
    /// Why.
    reason: Option<String>,
}

/// What is paused.
#[utoipa::path(
    get,
    path = "/v1/pauses",
    operation_id = "listPauses",
    tag = "operations",
    responses((status = 200, description = "The pauses", body = PauseList), Guarded)
)]
async fn list(State(state): State<ApiState>) -> Result<Json<PauseList>, Problem> {
    let pauses = state.client.pauses().await?;
    Ok(Json(PauseList {
        pauses: pauses.into_iter().map(PauseView::from).collect(),
    }))
}

/// Keeps jobs from being started, in every process, within a second. What runs is left to finish.
#[utoipa::path(
    put,
    path = "/v1/pauses",
    operation_id = "pause",
    tag = "operations",
    request_body = NewPause,
    responses((status = 200, description = "It is paused", body = PauseView), WithBody, Guarded)
)]
async fn put(
    State(state): State<ApiState>,
    actor: Actor,
    Body(new): Body<NewPause>,
) -> Result<Json<PauseView>, Problem> {
    let what = PauseOf {
        queue: new.queue,
        kind: new.kind,
        tenant_id: new.tenant_id,
    };
    let operator = actor.operator(&state, new.reason.as_deref());
    Ok(Json(operator.pause(what, new.until).await?.into()))
}

/// Lets jobs be started again.
#[utoipa::path(
    delete,
    path = "/v1/pauses",
    operation_id = "resume",
    tag = "operations",
    params(Which),
    responses(
        (status = 204, description = "It is resumed"),
        (status = 404, description = "Exactly this is not paused", body = Problem, content_type = "application/problem+json"),
        Guarded
    )
)]
async fn resume(
    State(state): State<ApiState>,
    actor: Actor,
    Params(which): Params<Which>,
) -> Result<StatusCode, Problem> {
    let what = PauseOf {
        queue: which.queue,
        kind: which.kind,
        tenant_id: which.tenant_id,
    };
    let operator = actor.operator(&state, which.reason.as_deref());
    if operator.resume(what).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found(
            "queue",
            "exactly this is not paused; GET /v1/pauses tells what is",
        ))
    }
}

impl From<Pause> for PauseView {
    fn from(pause: Pause) -> Self {
        Self {
            queue: pause.queue,
            kind: pause.kind,
            tenant_id: pause.tenant_id,
            reason: pause.reason,
            by: pause.by,
            at: pause.at,
            until: pause.until,
        }
    }
}

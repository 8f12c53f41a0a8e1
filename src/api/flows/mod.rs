//! `/v1/flows`: jobs that wait for other jobs, and what operators do with them.

mod start;
mod view;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use windlass::model::{FlowFilter, FlowId, InvalidFlowId};
use windlass::store::FlowChanged;

use super::actor::Actor;
use super::query::{Named, Own, Scope, of_tenant};
use super::schema::Guarded;
use super::{ApiState, Problem};
use view::{FlowDetail, FlowPage, FlowView, StepView};

const LARGEST_PAGE: u32 = 500;
const DEFAULT_PAGE: u32 = 50;

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list, start::create))
        .routes(routes!(show))
        .routes(routes!(cancel))
        .routes(routes!(retry))
}

/// The flow that the path names.
#[derive(Debug)]
struct Id(FlowId);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Named(text) = Named::<String>::from_request_parts(parts, state).await?;
        parsed("id", &text).map(Self)
    }
}

/// Which flows. Every parameter that is given must match.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListParams {
    tenant: Option<String>,
    name: Option<String>,
    /// Only those whose last step has ended, or has not.
    finished: Option<bool>,
    /// At most so many; 50 if left out.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// `next` of the page before.
    after: Option<String>,
}

/// Which steps of a flow.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ShowParams {
    /// Only if the flow is this tenant's; another one's is answered as if it were not there.
    tenant: Option<String>,
    /// At most so many steps; 50 if left out.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// `next` of the page before.
    after: Option<u32>,
}

/// On whose behalf, and from where.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct RetryParams {
    /// Only if the flow is this tenant's; another one's is answered as if it were not there.
    tenant: Option<String>,
    /// Why, for the audit log.
    reason: Option<String>,
    /// The step to run again, with everything after it. Without it, all that failed, and what was
    /// skipped because of that.
    from: Option<String>,
}

/// What became of the operator's wish.
#[derive(Debug, Serialize, ToSchema)]
struct ChangedFlow {
    #[schema(value_type = String, format = Uuid)]
    id: FlowId,
    /// So many steps were cancelled, asked to stop, or will run again.
    steps: u64,
}

of_tenant!(ListParams, ShowParams, RetryParams);

/// Lists flows, newest first.
#[utoipa::path(
    get,
    path = "/v1/flows",
    operation_id = "listFlows",
    tag = "flows",
    params(ListParams),
    responses((status = 200, description = "One page", body = FlowPage), Guarded)
)]
async fn list(
    State(state): State<ApiState>,
    Own(params): Own<ListParams>,
) -> Result<Json<FlowPage>, Problem> {
    let limit = limit(params.limit)?;
    let after = params
        .after
        .map(|text| parsed("after", &text))
        .transpose()?;
    let filter = FlowFilter {
        tenant_id: params.tenant,
        name: params.name,
        finished: params.finished,
    };
    // One more than asked for tells whether there is a next page.
    let mut flows = state.client.flows(&filter, after, limit + 1).await?;
    let more = flows.len() > limit as usize;
    flows.truncate(limit as usize);
    Ok(Json(FlowPage {
        next: flows.last().filter(|_| more).map(|flow| flow.id),
        flows: flows.into_iter().map(FlowView::from).collect(),
    }))
}

/// One flow: how far it is, and its steps in order, a page at a time.
#[utoipa::path(
    get,
    path = "/v1/flows/{id}",
    operation_id = "showFlow",
    tag = "flows",
    params(("id" = String, Path, format = Uuid), ShowParams),
    responses(
        (status = 200, description = "The flow", body = FlowDetail),
        (status = 404, description = "There is no such flow", body = Problem, content_type = "application/problem+json"),
        Guarded
    )
)]
async fn show(
    State(state): State<ApiState>,
    Id(id): Id,
    Own(params): Own<ShowParams>,
) -> Result<Json<FlowDetail>, Problem> {
    let limit = limit(params.limit)?;
    let tenant = params.tenant.as_deref();
    let flow = state.client.flow(id, tenant).await?;
    let flow = flow.ok_or_else(Problem::flow_not_found)?;
    let first = match params.after {
        None => 0,
        // Behind the last place there is nothing.
        Some(place) => place.saturating_add(1).min(flow.steps),
    };
    let mut steps = state.client.steps(id, tenant, first, limit + 1).await?;
    let more = steps.len() > limit as usize;
    steps.truncate(limit as usize);
    Ok(Json(FlowDetail {
        flow: flow.into(),
        next: steps.last().filter(|_| more).map(|step| step.position),
        steps: steps.into_iter().map(StepView::from).collect(),
    }))
}

/// Cancels every step that has not ended, or asks it to stop if it runs.
#[utoipa::path(
    post,
    path = "/v1/flows/{id}/cancel",
    operation_id = "cancelFlow",
    tag = "flows",
    params(("id" = String, Path, format = Uuid), Scope),
    responses(
        (status = 200, description = "It is cancelled, or what runs was asked to stop", body = ChangedFlow),
        (status = 404, description = "There is no such flow", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It has finished", body = Problem, content_type = "application/problem+json"),
        Guarded
    )
)]
async fn cancel(
    State(state): State<ApiState>,
    Id(id): Id,
    Own(scope): Own<Scope>,
    actor: Actor,
) -> Result<Json<ChangedFlow>, Problem> {
    let operator = actor.operator(&state, scope.reason.as_deref());
    answer(id, operator.cancel_flow(id, scope.tenant.as_deref()).await?)
}

/// Runs steps again, with all their attempts.
#[utoipa::path(
    post,
    path = "/v1/flows/{id}/retry",
    operation_id = "retryFlow",
    tag = "flows",
    params(("id" = String, Path, format = Uuid), RetryParams),
    responses(
        (status = 200, description = "They will run again", body = ChangedFlow),
        (status = 404, description = "There is no such flow", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Nothing has failed, a step has not ended, or a job is no longer kept", body = Problem, content_type = "application/problem+json"),
        Guarded
    )
)]
async fn retry(
    State(state): State<ApiState>,
    Id(id): Id,
    Own(params): Own<RetryParams>,
    actor: Actor,
) -> Result<Json<ChangedFlow>, Problem> {
    let operator = actor.operator(&state, params.reason.as_deref());
    let (tenant, from) = (params.tenant.as_deref(), params.from.as_deref());
    answer(id, operator.retry_flow(id, tenant, from).await?)
}

fn answer(id: FlowId, changed: FlowChanged) -> Result<Json<ChangedFlow>, Problem> {
    match changed {
        FlowChanged::Done(steps) => Ok(Json(ChangedFlow { id, steps })),
        FlowChanged::Finished => Err(Problem::flow_finished()),
        FlowChanged::Refused(refused) => Err(Problem::of_retry(&refused)),
        FlowChanged::NotFound => Err(Problem::flow_not_found()),
    }
}

fn parsed(field: &str, text: &str) -> Result<FlowId, Problem> {
    text.parse()
        .map_err(|error: InvalidFlowId| Problem::invalid_parameter(field, error.to_string()))
}

fn limit(asked: Option<u32>) -> Result<u32, Problem> {
    let limit = asked.unwrap_or(DEFAULT_PAGE);
    if (1..=LARGEST_PAGE).contains(&limit) {
        return Ok(limit);
    }
    let detail = format!("is out of range; use 1 to {LARGEST_PAGE}");
    Err(Problem::invalid_parameter("limit", detail))
}

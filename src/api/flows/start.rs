//! `POST /v1/flows`.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use windlass::engine::StartError;
use windlass::model::{After, FlowId, InvalidFlow, InvalidJob, NewFlow};
use windlass::store::Started;
use windlass::{NewJob, Timestamp};

use crate::api::auth::Caller;
use crate::api::body::Body;
use crate::api::idempotency::{IdempotencyKey, REPLAYED};
use crate::api::jobs::{NewJobRequest, prepare};
use crate::api::observe::RequestContext;
use crate::api::schema::{Guarded, WithBody};
use crate::api::{ApiState, Problem};

/// A flow to be started.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewFlowRequest {
    /// What it is.
    #[schema(example = "month")]
    name: String,
    /// Whose it is, with all its steps; the tenant that a step's args name if left out.
    tenant_id: Option<String>,
    /// What it belongs to; the request's `x-correlation-id` if left out.
    correlation_id: Option<String>,
    /// Its jobs, at most 100,000.
    #[schema(min_items = 1)]
    steps: Vec<StepRequest>,
}

/// A job of a flow. It waits for the parents that one of `after`, `after_failure` and `after_finished`
/// names; without any it runs at once. What is left out is as its kind has it.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct StepRequest {
    /// Its name within the flow.
    #[schema(example = "report")]
    name: String,
    /// What is to be done.
    #[schema(example = "ingest_document")]
    kind: String,
    /// With what, at most 1 MiB.
    #[serde(default = "windlass::Json::empty_object")]
    #[schema(value_type = Object)]
    args: windlass::Json,
    /// It runs once all of these have completed, and is cancelled as soon as one has not.
    after: Option<Vec<String>>,
    /// It runs as soon as one of these has failed, and is skipped when none has.
    after_failure: Option<Vec<String>>,
    /// It runs once all of these have ended, in whatever way.
    after_finished: Option<Vec<String>>,
    /// Where it waits.
    queue: Option<String>,
    /// 0 first .. 9 last.
    #[schema(minimum = 0, maximum = 9)]
    priority: Option<i64>,
    /// When it is due, once its parents let it go; not together with `delay_ms`.
    #[schema(value_type = Option<String>, format = DateTime)]
    run_at: Option<Timestamp>,
    /// How long from now it is due, once its parents let it go.
    #[schema(minimum = 0)]
    delay_ms: Option<i64>,
    /// How many attempts it may have.
    #[schema(minimum = 1, maximum = 1000)]
    max_attempts: Option<i64>,
    /// Words to find it by, at most 32.
    tags: Option<Vec<String>>,
    /// Jobs with one key (per tenant) run strictly in order, one at a time.
    ordering_key: Option<String>,
    /// What its queue's limits per key count it by; its tenant if its kind chooses nothing else.
    limit_key: Option<String>,
}

/// The flow that stands for the request.
#[derive(Debug, Serialize, ToSchema)]
struct StartedFlow {
    #[schema(value_type = String, format = Uuid)]
    id: FlowId,
    status: StartStatus,
}

/// What a start did.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum StartStatus {
    /// The flow and all its jobs are rows now.
    Started,
    /// The same request has started it before.
    Duplicate,
}

/// Starts a flow: all of it, or nothing.
///
/// When this answers, the flow and all its jobs are durable. An `idempotency-key`, a UUID of version 7,
/// becomes the flow's id: repeating the request is answered by the same flow for as long as that is kept.
#[utoipa::path(
    post,
    path = "/v1/flows",
    operation_id = "startFlow",
    tag = "flows",
    params(("idempotency-key" = Option<String>, Header, format = Uuid, description = "Makes repeating the request harmless")),
    request_body = NewFlowRequest,
    responses(
        (status = 201, description = "It is started", body = StartedFlow),
        (status = 200, description = "The same request has started it before", body = StartedFlow),
        Guarded, WithBody
    )
)]
pub(super) async fn create(
    State(state): State<ApiState>,
    Extension(context): Extension<RequestContext>,
    caller: Caller,
    key: IdempotencyKey,
    Body(request): Body<NewFlowRequest>,
) -> Result<Response, Problem> {
    let once = key.of("/v1/flows", &request)?;
    let mut flow = NewFlow::new(request.name);
    flow.tenant_id = caller.within(request.tenant_id)?;
    let correlation = request.correlation_id;
    flow.correlation_id = Some(correlation.unwrap_or_else(|| context.correlation_id.clone()));
    for (index, step) in request.steps.into_iter().enumerate() {
        let item = format!("steps[{index}]");
        let (name, parents) = (step.name.clone(), step.parents());
        let (after, parents) = parents.map_err(|problem| problem.within(&item))?;
        let job = NewJobRequest {
            correlation_id: flow.correlation_id.clone(),
            ..step.into()
        };
        let job = prepare(&state.client, &caller, job, &context)
            .map_err(|problem| problem.within(&item))?;
        flow = add(flow, name, job, after, parents);
    }
    if let Some(once) = &once {
        flow.id = once.flow(caller.tenant())?;
        if let Some(first) = flow.steps.first_mut() {
            first.job.id = once.marked(first.job.id);
        }
    }
    let started = state.client.start(&flow).await;
    let started = started.map_err(|error| refused(error, &flow))?;
    let id = flow.id;
    let location = [(header::LOCATION, format!("/v1/flows/{id}"))];
    if started == Started::Started {
        let status = StartStatus::Started;
        let answer = Json(StartedFlow { id, status });
        return Ok((StatusCode::CREATED, location, answer).into_response());
    }
    // Only a key names a flow that is there already.
    let there = state.client.steps(id, caller.tenant(), 0, 1).await?;
    let same = there
        .first()
        .zip(once)
        .is_some_and(|(first, once)| once.marked(first.job) == first.job);
    if !same {
        return Err(Problem::flow_mismatch());
    }
    let status = StartStatus::Duplicate;
    let answer = Json(StartedFlow { id, status });
    let mut response = (StatusCode::OK, location, answer).into_response();
    response.headers_mut().extend([REPLAYED]);
    Ok(response)
}

fn add(flow: NewFlow, name: String, job: NewJob, after: After, parents: Vec<String>) -> NewFlow {
    let flow = flow.step(name, job);
    match after {
        After::Success => flow.after(parents),
        After::Failure => flow.after_failure(parents),
        After::Finished => flow.after_finished(parents),
    }
}

impl StepRequest {
    /// What it waits for, and when it runs then.
    fn parents(&self) -> Result<(After, Vec<String>), Problem> {
        let all = [
            (After::Success, &self.after),
            (After::Failure, &self.after_failure),
            (After::Finished, &self.after_finished),
        ];
        let mut given = all
            .into_iter()
            .filter_map(|(after, parents)| Some((after, parents.clone()?)));
        let first = given.next().unwrap_or_default();
        match given.next() {
            None => Ok(first),
            Some((second, _)) => Err(Problem::invalid_field(
                field(second),
                format!(
                    "cannot stand beside {}; send one of the two",
                    field(first.0)
                ),
            )),
        }
    }
}

impl From<StepRequest> for NewJobRequest {
    fn from(step: StepRequest) -> Self {
        Self {
            kind: step.kind,
            args: step.args,
            queue: step.queue,
            priority: step.priority,
            run_at: step.run_at,
            delay_ms: step.delay_ms,
            max_attempts: step.max_attempts,
            tags: step.tags,
            tenant_id: None,
            correlation_id: None,
            ordering_key: step.ordering_key,
            limit_key: step.limit_key,
            unique: None,
        }
    }
}

const fn field(after: After) -> &'static str {
    match after {
        After::Success => "after",
        After::Failure => "after_failure",
        After::Finished => "after_finished",
    }
}

fn refused(error: StartError, flow: &NewFlow) -> Problem {
    match error {
        StartError::Invalid(fault) => invalid(fault, flow),
        StartError::Args(error) => Problem::from(error).within("steps"),
        StartError::Store(error) => error.into(),
        other => {
            tracing::error!(error = %other, "a start failed in a way this API does not know");
            Problem::internal()
        }
    }
}

/// Names steps by their places: what they are called is the request's own.
fn invalid(fault: InvalidFlow, flow: &NewFlow) -> Problem {
    let place = |name: &str| flow.steps.iter().position(|step| step.name == name);
    let place = |name: &str| place(name).unwrap_or_default();
    let at = |step: &str, parent: &str, last: bool, detail: &str| {
        let (index, step) = (place(step), &flow.steps[place(step)]);
        let mut parents = step.parents.iter();
        let parent = if last {
            parents.rposition(|name| name == parent)
        } else {
            parents.position(|name| name == parent)
        };
        let parent = parent.unwrap_or_default();
        Problem::invalid_field(
            format!("steps[{index}].{}[{parent}]", field(step.after)),
            detail,
        )
    };
    match fault {
        InvalidFlow::Field(fault) if fault.field == "step" => {
            let invalid = |name: &str| name.is_empty() || name.len() > 128 || has_control(name);
            let index = flow.steps.iter().position(|step| invalid(&step.name));
            let index = index.unwrap_or_default();
            Problem::invalid_field(format!("steps[{index}].name"), fault.problem)
        }
        InvalidFlow::Field(fault) => fault.into(),
        InvalidFlow::DuplicateStep(name) => {
            let second = flow.steps.iter().rposition(|step| step.name == name);
            Problem::invalid_field(
                format!("steps[{}].name", second.unwrap_or_default()),
                format!(
                    "is that of steps[{}]; names are unique within a flow",
                    place(&name)
                ),
            )
        }
        InvalidFlow::UnknownParent { step, parent } => {
            at(&step, &parent, false, "names no step of this flow")
        }
        InvalidFlow::DuplicateParent { step, parent } => {
            at(&step, &parent, true, "is named twice; keep one")
        }
        InvalidFlow::Cycle(names) => {
            let way = names.iter().map(|name| format!("steps[{}]", place(name)));
            let way = way.collect::<Vec<_>>().join(" -> ");
            let detail = format!("wait for each other, so none could ever run: {way}");
            Problem::invalid_field("steps", detail)
        }
        InvalidFlow::Step { step, fault } => {
            let InvalidJob { field, problem } = fault;
            let field = if field == "tenant_id" { "args" } else { field };
            Problem::invalid_field(format!("steps[{}].{field}", place(&step)), problem)
        }
        // The others speak of the steps as a whole, and repeat nothing.
        other => {
            let told = other.to_string();
            Problem::invalid_field("steps", told.trim_start_matches("steps: "))
        }
    }
}

fn has_control(name: &str) -> bool {
    name.chars().any(char::is_control)
}

//! `POST /v1/jobs` and `POST /v1/jobs/batch`.

use std::ops::RangeInclusive;
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use windlass::model::{Conflict, Enqueued, RunAt, Unique};
use windlass::{Client, NewJob, Timestamp};

use super::EnqueuedJob;
use crate::api::auth::Caller;
use crate::api::body::Body;
use crate::api::idempotency::{IdempotencyKey, Once, REPLAYED};
use crate::api::observe::RequestContext;
use crate::api::schema::{Guarded, WithBody};
use crate::api::{ApiState, Problem};

/// The longest time that a job may be put off by, or a key held: a hundred years.
const LONGEST_MS: i64 = 100 * 365 * 24 * 3600 * 1000;

/// A job to be enqueued. What is left out is as its kind has it.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct NewJobRequest {
    /// What is to be done.
    #[schema(example = "ingest_document")]
    pub(in crate::api) kind: String,
    /// With what, at most 1 MiB.
    #[serde(default = "windlass::Json::empty_object")]
    #[schema(value_type = Object)]
    pub(in crate::api) args: windlass::Json,
    /// Where it waits.
    pub(in crate::api) queue: Option<String>,
    /// 0 first .. 9 last.
    #[schema(minimum = 0, maximum = 9)]
    pub(in crate::api) priority: Option<i64>,
    /// When it is due; not together with `delay_ms`.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(in crate::api) run_at: Option<Timestamp>,
    /// How long from now it is due.
    #[schema(minimum = 0)]
    pub(in crate::api) delay_ms: Option<i64>,
    /// How many attempts it may have.
    #[schema(minimum = 1, maximum = 1000)]
    pub(in crate::api) max_attempts: Option<i64>,
    /// Words to find it by, at most 32.
    pub(in crate::api) tags: Option<Vec<String>>,
    /// Whose it is.
    pub(in crate::api) tenant_id: Option<String>,
    /// What it belongs to; the request's `x-correlation-id` if left out.
    pub(in crate::api) correlation_id: Option<String>,
    /// Jobs with one key (per tenant) run strictly in order, one at a time.
    pub(in crate::api) ordering_key: Option<String>,
    /// What its queue's limits per key count it by; its tenant if its kind chooses nothing else.
    pub(in crate::api) limit_key: Option<String>,
    pub(in crate::api) unique: Option<UniqueRequest>,
}

/// At most one job per key, kind and tenant.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct UniqueRequest {
    /// The key.
    key: String,
    /// For how long after the enqueue, besides while the job is unfinished.
    #[schema(minimum = 1)]
    window_ms: Option<i64>,
    /// What a second one gets.
    #[serde(default)]
    #[schema(schema_with = crate::api::schema::conflict)]
    conflict: Conflict,
}

/// Jobs to be enqueued, all or none.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BatchRequest {
    #[schema(min_items = 1)]
    jobs: Vec<NewJobRequest>,
}

/// What became of each, in order.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BatchAnswer {
    jobs: Vec<EnqueuedJob>,
}

/// Enqueues a job.
///
/// When this answers, the job is durable. With an `idempotency-key`, repeating the request within 24
/// hours is answered by the same job.
#[utoipa::path(
    post,
    path = "/v1/jobs",
    operation_id = "enqueueJob",
    tag = "jobs",
    params(("idempotency-key" = Option<String>, Header, description = "Makes repeating the request harmless")),
    request_body = NewJobRequest,
    responses(
        (status = 201, description = "It is a row now", body = EnqueuedJob),
        (status = 200, description = "Another job stands for it", body = EnqueuedJob),
        (status = 409, description = "Another job holds the unique key", body = Problem, content_type = "application/problem+json"),
        Guarded, WithBody
    )
)]
pub(super) async fn create(
    State(state): State<ApiState>,
    Extension(context): Extension<RequestContext>,
    caller: Caller,
    key: IdempotencyKey,
    Body(request): Body<NewJobRequest>,
) -> Result<Response, Problem> {
    let once = key.of("/v1/jobs", &request)?;
    let mut job = prepare(&state.client, &caller, request, &context)?;
    let keyed = once.is_some();
    job.idempotency = once.map(Once::whole);
    let answer = state.client.insert(job).await?;
    Ok(answered(answer, StatusCode::CREATED, keyed))
}

/// Enqueues many jobs, all or none.
///
/// Nothing is written if any job is not valid. With an `idempotency-key`, a repeated batch is answered
/// by the same jobs; if it broke off, repeating it makes it whole.
#[utoipa::path(
    post,
    path = "/v1/jobs/batch",
    operation_id = "enqueueJobs",
    tag = "jobs",
    params(("idempotency-key" = Option<String>, Header, description = "Makes repeating the request harmless")),
    request_body = BatchRequest,
    responses(
        (status = 201, description = "At least one is a new row", body = BatchAnswer),
        (status = 200, description = "Other jobs stand for them all", body = BatchAnswer),
        Guarded, WithBody
    )
)]
pub(super) async fn create_batch(
    State(state): State<ApiState>,
    Extension(context): Extension<RequestContext>,
    caller: Caller,
    key: IdempotencyKey,
    Body(request): Body<BatchRequest>,
) -> Result<Response, Problem> {
    if request.jobs.is_empty() {
        return Err(Problem::invalid_field(
            "jobs",
            "is empty; send at least one job",
        ));
    }
    let once = key.of("/v1/jobs/batch", &request)?;
    let mut jobs = Vec::with_capacity(request.jobs.len());
    for (index, request) in request.jobs.into_iter().enumerate() {
        let mut job = prepare(&state.client, &caller, request, &context)
            .map_err(|problem| problem.within(format_args!("jobs[{index}]")))?;
        job.idempotency = once.as_ref().map(|once| once.item(index));
        jobs.push(job);
    }
    let answers = match &once {
        Some(_) => insert_guarded(&state.client, jobs).await?,
        None => state.client.insert_many(&jobs).await?,
    };
    let replayed = once.is_some() && !answers.iter().any(|answer| answer.is_inserted());
    let jobs = answers
        .into_iter()
        .map(|answer| {
            EnqueuedJob::from_answer(answer).ok_or(Problem::idempotency_mismatch(answer.id()))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let status = if jobs.iter().any(EnqueuedJob::is_new) {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let mut response = (status, Json(BatchAnswer { jobs })).into_response();
    if replayed {
        response.headers_mut().extend([REPLAYED]);
    }
    Ok(response)
}

/// The first job goes ahead and claims the key. Another batch under the same key is refused there,
/// before any of it is written, however many jobs either has.
async fn insert_guarded(client: &Client, mut jobs: Vec<NewJob>) -> Result<Vec<Enqueued>, Problem> {
    let rest = jobs.split_off(1);
    let mut answers = client.insert_many(&jobs).await?;
    if let Some(Enqueued::IdempotencyMismatch(made)) = answers.first() {
        return Err(Problem::idempotency_mismatch(*made));
    }
    if !rest.is_empty() {
        answers.extend(client.insert_many(&rest).await?);
    }
    Ok(answers)
}

/// The answer to a request for one job.
pub(in crate::api) fn answered(answer: Enqueued, made: StatusCode, keyed: bool) -> Response {
    let Some(job) = EnqueuedJob::from_answer(answer) else {
        return Problem::idempotency_mismatch(answer.id()).into_response();
    };
    let status = if job.is_new() { made } else { StatusCode::OK };
    let location = format!("/v1/jobs/{}", job.id);
    let replayed = keyed && matches!(answer, Enqueued::Duplicate(_));
    let mut response = (status, [(header::LOCATION, location)], Json(job)).into_response();
    if replayed {
        response.headers_mut().extend([REPLAYED]);
    }
    response
}

/// The job as its kind wants it, with what the request says otherwise, checked.
pub(in crate::api) fn prepare(
    client: &Client,
    caller: &Caller,
    request: NewJobRequest,
    context: &RequestContext,
) -> Result<NewJob, Problem> {
    let asked = caller.within(request.tenant_id)?;
    let (size, limit) = (request.args.as_str().len(), client.limits().max_args_bytes);
    if size > limit {
        return Err(Problem::args_too_large("args", size, limit));
    }
    let mut job = client.prepare_raw(&request.kind, request.args)?;
    if caller.tenant().is_some() {
        // Of a job whose args name no tenant, nothing says that it keeps to one.
        if job.tenant_id.is_none() {
            return Err(Problem::kind_not_for_tenants());
        }
        for (field, given) in [("queue", &request.queue), ("limit_key", &request.limit_key)] {
            if given.is_some() {
                return Err(Problem::field_not_for_tenants(field));
            }
        }
    }
    job.tenant_id = tenant(job.tenant_id, asked)?;
    job.run_at = due(request.run_at, request.delay_ms)?;
    job.correlation_id = Some(
        request
            .correlation_id
            .unwrap_or_else(|| context.correlation_id.clone()),
    );
    job.trace_parent.clone_from(&context.trace_parent);
    if let Some(queue) = request.queue {
        job.queue = queue;
    }
    if let Some(priority) = request.priority {
        job.priority = within("priority", priority, 0..=9)?;
    }
    if let Some(most) = request.max_attempts {
        job.max_attempts = within("max_attempts", most, 1..=1000)?;
    }
    if let Some(tags) = request.tags {
        job.tags = tags;
    }
    if request.ordering_key.is_some() {
        job.ordering_key = request.ordering_key;
    }
    if request.limit_key.is_some() {
        job.limit_key = request.limit_key;
    }
    if let Some(asked) = request.unique {
        job.unique = Some(unique(asked)?);
    }
    job.validate(&client.limits())?;
    Ok(job)
}

/// A kind whose args name a tenant belongs to that tenant, whatever the request says.
fn tenant(of_args: Option<String>, asked: Option<String>) -> Result<Option<String>, Problem> {
    match (of_args, asked) {
        (Some(of_args), Some(asked)) if of_args != asked => Err(Problem::invalid_field(
            "tenant_id",
            "the args name another tenant; leave tenant_id out, or let the two agree",
        )),
        (of_args, asked) => Ok(of_args.or(asked)),
    }
}

fn due(run_at: Option<Timestamp>, delay_ms: Option<i64>) -> Result<RunAt, Problem> {
    match (run_at, delay_ms) {
        (Some(_), Some(_)) => Err(Problem::invalid_field(
            "delay_ms",
            "cannot stand beside run_at; send one of the two",
        )),
        (Some(at), None) => Ok(RunAt::At(at)),
        (None, Some(delay)) => Ok(RunAt::In(millis("delay_ms", delay, 0)?)),
        (None, None) => Ok(RunAt::Now),
    }
}

fn unique(asked: UniqueRequest) -> Result<Unique, Problem> {
    let window = asked
        .window_ms
        .map(|window| millis("unique.window_ms", window, 1))
        .transpose()?;
    Ok(Unique {
        key: asked.key,
        window,
        conflict: asked.conflict,
    })
}

fn millis(field: &str, number: i64, least: i64) -> Result<Duration, Problem> {
    within(field, number, least..=LONGEST_MS).map(Duration::from_millis)
}

fn within<T: TryFrom<i64>>(
    field: &str,
    number: i64,
    range: RangeInclusive<i64>,
) -> Result<T, Problem> {
    let fits = range.contains(&number).then(|| T::try_from(number).ok());
    fits.flatten().ok_or_else(|| {
        let detail = format!(
            "{number} is out of range; use {} to {}",
            range.start(),
            range.end()
        );
        Problem::invalid_field(field, detail)
    })
}

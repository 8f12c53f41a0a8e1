//! `GET /v1/jobs` and `GET /v1/jobs/{id}`.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use windlass::engine::Shown;
use windlass::model::{AttemptOutcome, AttemptRecord, Cursor, Filter, Found, Page};
use windlass::{JobId, JobRecord, Timestamp};

use crate::api::actor::Actor;
use crate::api::auth::{Caller, Role};
use crate::api::query::{Id, Own, of_tenant};
use crate::api::schema::Guarded;
use crate::api::{ApiState, Problem};

const LARGEST_PAGE: u32 = 500;
const DEFAULT_PAGE: u32 = 50;

/// A job as it stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Job)]
pub(super) struct JobView {
    #[schema(value_type = String, format = Uuid)]
    id: JobId,
    kind: String,
    queue: String,
    /// 0 first .. 9.
    priority: u8,
    #[schema(schema_with = crate::api::schema::state)]
    state: windlass::State,
    /// When it is, or was last, due.
    #[schema(value_type = String, format = DateTime)]
    run_at: Timestamp,
    /// Attempts used.
    attempt: u16,
    max_attempts: u16,
    /// How often its worker vanished.
    crashes: u16,
    tags: Vec<String>,
    tenant_id: Option<String>,
    correlation_id: Option<String>,
    unique_key: Option<String>,
    ordering_key: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    enqueued_at: Timestamp,
    /// When it was last claimed.
    #[schema(value_type = Option<String>, format = DateTime)]
    claimed_at: Option<Timestamp>,
    /// Who claimed it last.
    worker: Option<String>,
    /// Until when it is leased, while it runs.
    #[schema(value_type = Option<String>, format = DateTime)]
    lease_expires_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    cancel_requested_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Timestamp>,
}

/// A job with all that happened to it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct JobDetail {
    #[serde(flatten)]
    job: JobView,
    /// The last progress it reported. Of this, `result` and `args`, what the kind redacts stands as
    /// `[redacted]` and what is sealed as its size.
    #[schema(schema_with = crate::api::schema::any)]
    progress: Option<windlass::Json>,
    /// What it recorded.
    #[schema(schema_with = crate::api::schema::any)]
    result: Option<windlass::Json>,
    /// Ended attempts that are kept, oldest first.
    attempts: Vec<AttemptView>,
    /// Only if asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = crate::api::schema::any)]
    args: Option<windlass::Json>,
}

/// One attempt of a job.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Attempt)]
struct AttemptView {
    /// Counted from 1; snoozed, released and crashed attempts are not counted.
    attempt: u16,
    /// The fence of its lease.
    claim_no: i64,
    worker: String,
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    ended_at: Timestamp,
    /// completed, failed, panicked, timed_out, snoozed, cancelled, discarded, released or crashed.
    #[schema(value_type = String)]
    outcome: AttemptOutcome,
    error: Option<AttemptErrorView>,
}

/// What went wrong.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AttemptError)]
struct AttemptErrorView {
    message: String,
    /// Its causes, outermost first.
    chain: Vec<String>,
    /// Where it panicked.
    backtrace: Option<String>,
}

/// One page of jobs.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct JobPage {
    /// Newest first.
    jobs: Vec<JobView>,
    /// Pass as `after` for the next page; none on the last. What is rare among very many jobs is not sought
    /// for long: a page may hold less than `limit`, or nothing, and still have a next one.
    #[schema(value_type = Option<String>)]
    next: Option<Cursor>,
}

/// Which jobs. Every parameter that is given must match.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListParams {
    /// One or more states, separated by commas.
    #[param(example = "retryable,dead")]
    state: Option<String>,
    kind: Option<String>,
    queue: Option<String>,
    tenant: Option<String>,
    correlation: Option<String>,
    tag: Option<String>,
    /// At most so many; 50 if left out.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<i64>,
    /// `next` of the page before.
    after: Option<String>,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ShowParams {
    /// Only if the job is this tenant's; another one's is answered as if it were not there.
    tenant: Option<String>,
    /// Whether to show the args too.
    #[serde(default)]
    args: bool,
    /// Whether to show args and results in full, opened if they are sealed: they may hold messages of
    /// people. The audit log says who asked.
    #[serde(default)]
    reveal: bool,
}

of_tenant!(ListParams, ShowParams);

/// For how long a page goes on looking for what fills it.
const SEARCHING: Duration = Duration::from_millis(40);
/// The same if it is for everything of one correlation id.
const FOLLOWING: Duration = Duration::from_millis(500);

/// Lists jobs, newest first.
#[utoipa::path(
    get,
    path = "/v1/jobs",
    operation_id = "listJobs",
    tag = "jobs",
    params(ListParams),
    responses((status = 200, description = "One page", body = JobPage), Guarded)
)]
pub(super) async fn list(
    State(state): State<ApiState>,
    Own(params): Own<ListParams>,
) -> Result<Json<JobPage>, Problem> {
    let limit = limit(params.limit)?;
    let after = cursor(params.after.as_deref())?;
    let filter = Filter {
        states: states(params.state.as_deref())?,
        kind: params.kind,
        queue: params.queue,
        tenant_id: params.tenant,
        correlation_id: params.correlation,
        tag: params.tag,
    };
    // One more than asked for tells whether there is a next page.
    let page = Page {
        after,
        limit: limit + 1,
    };
    let within = match filter.correlation_id {
        None => SEARCHING,
        Some(_) => FOLLOWING,
    };
    let Found { mut jobs, mut next } = state.client.search(&filter, page, within).await?;
    if jobs.len() > limit as usize {
        jobs.truncate(limit as usize);
        next = jobs.last().map(|job| Cursor(job.id));
    }
    Ok(Json(JobPage {
        jobs: jobs.into_iter().map(JobView::from).collect(),
        next,
    }))
}

/// One job, with its attempts.
#[utoipa::path(
    get,
    path = "/v1/jobs/{id}",
    operation_id = "showJob",
    tag = "jobs",
    params(("id" = String, Path, format = Uuid), ShowParams),
    responses(
        (status = 200, description = "The job", body = JobDetail),
        (status = 404, description = "There is no such job", body = Problem, content_type = "application/problem+json"),
        Guarded
    )
)]
pub(super) async fn show(
    State(state): State<ApiState>,
    Id(id): Id,
    caller: Caller,
    actor: Actor,
    Own(params): Own<ShowParams>,
) -> Result<Json<JobDetail>, Problem> {
    if params.reveal {
        caller.must_be(Role::Operator)?;
    }
    let job = state.client.get(id, params.tenant.as_deref()).await?;
    let job = job.ok_or_else(|| Problem::job_not_found(id))?;
    let shown = if params.reveal {
        state.client.reveal(&job, actor.as_str()).await?
    } else {
        state.client.shown(&job)
    };
    Ok(Json(JobDetail::new(job, shown, params.args)))
}

pub(in crate::api) fn states(text: Option<&str>) -> Result<Vec<windlass::State>, Problem> {
    let words = text.into_iter().flat_map(|text| text.split(','));
    words
        .map(|word| {
            word.trim()
                .parse()
                .map_err(|error: windlass::model::UnknownState| {
                    Problem::invalid_parameter("state", error.to_string())
                })
        })
        .collect()
}

fn limit(asked: Option<i64>) -> Result<u32, Problem> {
    let asked = asked.map_or(Ok(DEFAULT_PAGE), u32::try_from);
    match asked {
        Ok(limit) if (1..=LARGEST_PAGE).contains(&limit) => Ok(limit),
        _ => Err(Problem::invalid_parameter(
            "limit",
            format!("is out of range; use 1 to {LARGEST_PAGE}"),
        )),
    }
}

fn cursor(text: Option<&str>) -> Result<Option<Cursor>, Problem> {
    text.map(str::parse)
        .transpose()
        .map_err(|error: windlass::model::InvalidCursor| {
            Problem::invalid_parameter("after", error.to_string())
        })
}

impl JobDetail {
    fn new(job: JobRecord, shown: Shown, with_args: bool) -> Self {
        Self {
            progress: shown.progress,
            result: shown.result,
            attempts: job
                .all_attempts()
                .into_iter()
                .map(AttemptView::from)
                .collect(),
            args: with_args.then_some(shown.args),
            job: job.into(),
        }
    }
}

impl From<JobRecord> for JobView {
    fn from(job: JobRecord) -> Self {
        Self {
            id: job.id,
            kind: job.kind,
            queue: job.queue,
            priority: job.priority,
            state: job.state,
            run_at: job.run_at,
            attempt: job.attempt,
            max_attempts: job.max_attempts,
            crashes: job.crashes,
            tags: job.tags,
            tenant_id: job.tenant_id,
            correlation_id: job.correlation_id,
            unique_key: job.unique_key,
            ordering_key: job.ordering_key,
            enqueued_at: job.enqueued_at,
            claimed_at: job.claimed_at,
            worker: job.worker,
            lease_expires_at: job.lease_expires_at,
            cancel_requested_at: job.cancel_requested_at,
            finished_at: job.finished_at,
        }
    }
}

impl From<AttemptRecord> for AttemptView {
    fn from(attempt: AttemptRecord) -> Self {
        Self {
            attempt: attempt.attempt,
            claim_no: attempt.claim_no,
            worker: attempt.worker,
            started_at: attempt.started_at,
            ended_at: attempt.ended_at,
            outcome: attempt.outcome,
            error: attempt.error.map(|error| AttemptErrorView {
                message: error.message,
                chain: error.chain,
                backtrace: error.backtrace,
            }),
        }
    }
}

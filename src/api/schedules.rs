//! `/v1/schedules`: what is done by the clock, and what operators do with it.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use windlass::engine::{Backfill, By, Range};
use windlass::model::{CatchUp, Cron, Overlap, ScheduleRecord, Skip, TickOutcome, TickRecord};
use windlass::store::Fired;
use windlass::{JobId, Timestamp};

use super::actor::Actor;
use super::body::Body;
use super::query::{Named, Params, TickPage};
use super::schema::Guarded;
use super::{ApiState, Problem};

/// Fire times that are told ahead.
const NEXT: usize = 5;
/// Ticks that are told of each schedule.
const LAST: u32 = 60;

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(preview))
        .routes(routes!(show))
        .routes(routes!(ticks))
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(run))
        .routes(routes!(backfill))
}

/// Every schedule.
#[derive(Debug, Serialize, ToSchema)]
struct ScheduleList {
    schedules: Vec<ScheduleView>,
}

/// A schedule and how it stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Schedule)]
struct ScheduleView {
    name: String,
    status: Status,
    #[schema(example = "30 2 * * *")]
    cron: String,
    #[schema(example = "Europe/Berlin")]
    zone: String,
    /// The expression in words.
    description: Option<String>,
    kind: String,
    queue: Option<String>,
    priority: Option<u8>,
    tenant_id: Option<String>,
    /// What becomes of ticks that were missed.
    catch_up: &'static str,
    /// How old a missed tick may be that is made up for.
    catch_up_within_ms: Option<u64>,
    /// What becomes of a tick while an earlier one's job is unfinished.
    #[schema(value_type = String)]
    overlap: Overlap,
    jitter_ms: u64,
    #[schema(value_type = Option<String>, format = DateTime)]
    paused_at: Option<Timestamp>,
    paused_note: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    retired_at: Option<Timestamp>,
    /// Every tick up to here has been fired or left out.
    #[schema(value_type = String, format = DateTime)]
    decided_until: Timestamp,
    /// How long its next tick has been due, in milliseconds; 0 if it is yet to come.
    late_ms: u64,
    /// The next fire times, with the zone's offset; none unless it is active.
    next: Vec<String>,
    /// Its latest ticks, newest first.
    last: Vec<TickView>,
}

/// Whether a schedule fires.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Status {
    Active,
    /// An operator stopped it.
    Paused,
    /// The settings say so.
    Disabled,
    /// No running program has it any more.
    Retired,
}

/// A time at which a schedule fired, or was left out.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tick)]
struct TickView {
    /// With the zone's offset.
    fire_at: String,
    /// `scheduled`, `catch_up`, `run_now` or `backfill`.
    origin: &'static str,
    /// `fired`, `skipped_missed`, `skipped_overlap` or `skipped_duplicate`.
    outcome: &'static str,
    #[schema(value_type = String, format = DateTime)]
    fired_at: Timestamp,
    #[schema(value_type = Option<String>, format = Uuid)]
    job_id: Option<JobId>,
    /// Where its job stands, or how it ended.
    state: Option<&'static str>,
}

/// Ticks of a schedule.
#[derive(Debug, Serialize, ToSchema)]
struct TickList {
    ticks: Vec<TickView>,
}

/// An expression to look at.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PreviewRequest {
    /// Five fields, six with seconds first, or a nickname such as `@daily`.
    #[schema(example = "30 2 * * MON-FRI")]
    cron: String,
    /// An IANA time zone; UTC if it is left out.
    #[serde(default = "utc")]
    #[schema(example = "Europe/Berlin")]
    zone: String,
}

/// What an expression means.
#[derive(Debug, Serialize, ToSchema)]
struct Preview {
    cron: String,
    zone: String,
    /// In words.
    description: String,
    /// The next fire times, with the zone's offset.
    next: Vec<String>,
}

/// Why a schedule is stopped.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PauseRequest {
    /// For whoever finds it stopped.
    note: String,
}

/// Why something is done, for the audit log.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Reason {
    reason: Option<String>,
}

/// A time gone by whose ticks are wanted after all.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct BackfillRequest {
    /// The first fire time.
    #[schema(value_type = String, format = DateTime)]
    from: Timestamp,
    /// The last one.
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
    /// Only say what would be fired.
    #[serde(default)]
    preview: bool,
    reason: Option<String>,
}

/// What a backfill did, or would do.
#[derive(Debug, Serialize, ToSchema)]
struct BackfillReport {
    preview: bool,
    /// Ticks that are fired now, or would be.
    count: usize,
    ticks: Vec<BackfillTick>,
}

#[derive(Debug, Serialize, ToSchema)]
struct BackfillTick {
    /// With the zone's offset.
    fire_at: String,
    /// What became of it in its time, if anything did. One that was fired is not fired again.
    before: Option<&'static str>,
    #[schema(value_type = Option<String>, format = Uuid)]
    job_id: Option<JobId>,
}

/// The job that was made.
#[derive(Debug, Serialize, ToSchema)]
struct RunReport {
    #[schema(value_type = String, format = Uuid)]
    job_id: JobId,
}

fn utc() -> String {
    "UTC".to_owned()
}

/// Every schedule: how it stands, when it fires next, what its latest ticks came to.
#[utoipa::path(
    get,
    path = "/v1/schedules",
    operation_id = "listSchedules",
    tag = "schedules",
    responses((status = 200, description = "The schedules", body = ScheduleList), Guarded)
)]
async fn list(State(state): State<ApiState>) -> Result<Json<ScheduleList>, Problem> {
    let (records, now) = (state.client.schedules().await?, state.client.now().await?);
    let mut schedules = Vec::with_capacity(records.len());
    for record in records {
        let ticks = state
            .client
            .ticks(&record.schedule.name, None, LAST)
            .await?;
        schedules.push(view(record, &ticks, now));
    }
    Ok(Json(ScheduleList { schedules }))
}

/// One schedule.
#[utoipa::path(
    get,
    path = "/v1/schedules/{name}",
    operation_id = "showSchedule",
    tag = "schedules",
    params(("name" = String, Path)),
    responses(
        (status = 200, description = "The schedule", body = ScheduleView),
        (status = 404, description = "There is no such schedule", body = Problem, content_type = "application/problem+json"),
        Guarded
    )
)]
async fn show(
    State(state): State<ApiState>,
    Named(name): Named<String>,
) -> Result<Json<ScheduleView>, Problem> {
    Ok(Json(standing(&state, &name).await?))
}

/// The ticks of a schedule, newest first.
#[utoipa::path(
    get,
    path = "/v1/schedules/{name}/ticks",
    operation_id = "listTicks",
    tag = "schedules",
    params(("name" = String, Path), TickPage),
    responses(
        (status = 200, description = "The ticks", body = TickList),
        (status = 404, description = "There is no such schedule", body = Problem, content_type = "application/problem+json"),
        Guarded
    )
)]
async fn ticks(
    State(state): State<ApiState>,
    Named(name): Named<String>,
    Params(page): Params<TickPage>,
) -> Result<Json<TickList>, Problem> {
    let limit = page.limit.unwrap_or(LAST);
    if !(1..=1000).contains(&limit) {
        return Err(Problem::invalid_parameter("limit", "must be 1 to 1000"));
    }
    let record = state.client.schedule(&name).await?;
    let ticks = state.client.ticks(&name, page.before, limit).await?;
    let cron = record.schedule.cron().ok();
    Ok(Json(TickList {
        ticks: ticks
            .iter()
            .map(|tick| tick_view(tick, cron.as_ref()))
            .collect(),
    }))
}

/// What an expression means: in words, and when it fires next. Nothing is stored.
#[utoipa::path(
    post,
    path = "/v1/schedules/preview",
    operation_id = "previewSchedule",
    tag = "schedules",
    request_body = PreviewRequest,
    responses(
        (status = 200, description = "What it means", body = Preview),
        (status = 422, description = "It means nothing, or never fires", body = Problem, content_type = "application/problem+json"),
        Guarded
    )
)]
async fn preview(
    State(state): State<ApiState>,
    Body(request): Body<PreviewRequest>,
) -> Result<Json<Preview>, Problem> {
    let cron = Cron::new(&request.cron, &request.zone)?;
    let now = state.client.now().await?;
    Ok(Json(Preview {
        description: cron.describe(),
        next: next(&cron, now),
        cron: request.cron,
        zone: request.zone,
    }))
}

/// Stops a schedule. Jobs that it made go on.
#[utoipa::path(
    post,
    path = "/v1/schedules/{name}/pause",
    operation_id = "pauseSchedule",
    tag = "schedules",
    params(("name" = String, Path)),
    request_body = PauseRequest,
    responses(
        (status = 200, description = "It is paused", body = ScheduleView),
        (status = 404, description = "There is no such schedule", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The note says nothing", body = Problem, content_type = "application/problem+json"),
        Guarded
    )
)]
async fn pause(
    State(state): State<ApiState>,
    Named(name): Named<String>,
    actor: Actor,
    Body(request): Body<PauseRequest>,
) -> Result<Json<ScheduleView>, Problem> {
    state
        .client
        .pause_schedule(&name, by(&actor, Some(&request.note)))
        .await?;
    Ok(Json(standing(&state, &name).await?))
}

/// Lets a paused schedule go on from now. What it would have fired meanwhile is not made up for; see backfill.
#[utoipa::path(
    post,
    path = "/v1/schedules/{name}/resume",
    operation_id = "resumeSchedule",
    tag = "schedules",
    params(("name" = String, Path)),
    request_body = Reason,
    responses(
        (status = 200, description = "It goes on", body = ScheduleView),
        (status = 404, description = "There is no such schedule", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is not paused", body = Problem, content_type = "application/problem+json"),
        Guarded
    )
)]
async fn resume(
    State(state): State<ApiState>,
    Named(name): Named<String>,
    actor: Actor,
    Body(request): Body<Reason>,
) -> Result<Json<ScheduleView>, Problem> {
    state
        .client
        .resume_schedule(&name, by(&actor, request.reason.as_deref()))
        .await?;
    Ok(Json(standing(&state, &name).await?))
}

/// Runs a schedule's job now, besides its timetable. Its overlap policy holds.
#[utoipa::path(
    post,
    path = "/v1/schedules/{name}/run",
    operation_id = "runSchedule",
    tag = "schedules",
    params(("name" = String, Path)),
    request_body = Reason,
    responses(
        (status = 202, description = "The job is enqueued", body = RunReport),
        (status = 404, description = "There is no such schedule", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "An earlier job is unfinished, and the schedule does not overlap", body = Problem, content_type = "application/problem+json"),
        Guarded
    )
)]
async fn run(
    State(state): State<ApiState>,
    Named(name): Named<String>,
    actor: Actor,
    Body(request): Body<Reason>,
) -> Result<Response, Problem> {
    let fired = state
        .client
        .run_schedule(&name, by(&actor, request.reason.as_deref()))
        .await?;
    match fired {
        Fired::Fired(job_id) => {
            Ok((StatusCode::ACCEPTED, Json(RunReport { job_id })).into_response())
        }
        Fired::Skipped(Skip::Duplicate) => Err(Problem::schedule_busy(
            "another job holds the unique key of its job; wait until that has finished",
        )),
        Fired::Skipped(_) | Fired::Already => Err(Problem::schedule_busy(
            "the job of an earlier tick is unfinished; wait for it, cancel it, or set overlap to `queue`",
        )),
        Fired::Off => Err(Problem::schedule_not_found()),
    }
}

/// Fires the ticks of a time gone by that were not fired then, oldest first; or says which those are.
#[utoipa::path(
    post,
    path = "/v1/schedules/{name}/backfill",
    operation_id = "backfillSchedule",
    tag = "schedules",
    params(("name" = String, Path)),
    request_body = BackfillRequest,
    responses(
        (status = 200, description = "What was fired, or would be", body = BackfillReport),
        (status = 404, description = "There is no such schedule", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The range is not one, lies ahead or has too many ticks", body = Problem, content_type = "application/problem+json"),
        Guarded
    )
)]
async fn backfill(
    State(state): State<ApiState>,
    Named(name): Named<String>,
    actor: Actor,
    Body(request): Body<BackfillRequest>,
) -> Result<Json<BackfillReport>, Problem> {
    let record = state.client.schedule(&name).await?;
    let cron = record.schedule.cron()?;
    let range = Range {
        from: request.from,
        until: request.until,
    };
    let plan = if request.preview {
        state.client.preview_backfill(&name, range).await?
    } else {
        let by = by(&actor, request.reason.as_deref());
        state.client.backfill(&name, range, by).await?
    };
    Ok(Json(BackfillReport {
        preview: request.preview,
        count: plan.iter().filter(|tick| tick.is_wanted()).count(),
        ticks: plan.iter().map(|tick| backfill_tick(tick, &cron)).collect(),
    }))
}

fn by<'a>(actor: &'a Actor, reason: Option<&'a str>) -> By<'a> {
    By {
        actor: actor.as_str(),
        reason,
    }
}

async fn standing(state: &ApiState, name: &str) -> Result<ScheduleView, Problem> {
    let record = state.client.schedule(name).await?;
    let ticks = state.client.ticks(name, None, LAST).await?;
    Ok(view(record, &ticks, state.client.now().await?))
}

fn next(cron: &Cron, now: Timestamp) -> Vec<String> {
    let next = cron.after(now).take(NEXT);
    next.map(|at| cron.zoned(at).to_rfc3339()).collect()
}

fn view(record: ScheduleRecord, ticks: &[TickRecord], now: Timestamp) -> ScheduleView {
    let cron = record.schedule.cron().ok();
    let millis =
        |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let (catch_up, within) = match record.schedule.catch_up {
        CatchUp::None => ("none", None),
        CatchUp::Latest => ("latest", None),
        CatchUp::All { within } => ("all", Some(millis(within))),
    };
    ScheduleView {
        status: match &record {
            _ if record.retired_at.is_some() => Status::Retired,
            _ if record.paused_at.is_some() => Status::Paused,
            _ if !record.schedule.enabled => Status::Disabled,
            _ => Status::Active,
        },
        description: cron.as_ref().map(Cron::describe),
        late_ms: millis(record.late(now)),
        next: cron
            .as_ref()
            .filter(|_| record.is_active())
            .map(|cron| next(cron, now))
            .unwrap_or_default(),
        last: ticks
            .iter()
            .map(|tick| tick_view(tick, cron.as_ref()))
            .collect(),
        catch_up,
        catch_up_within_ms: within,
        jitter_ms: millis(record.schedule.jitter),
        overlap: record.schedule.overlap,
        name: record.schedule.name,
        cron: record.schedule.cron,
        zone: record.schedule.zone,
        kind: record.schedule.kind,
        queue: record.schedule.queue,
        priority: record.schedule.priority,
        tenant_id: record.schedule.tenant_id,
        paused_at: record.paused_at,
        paused_note: record.paused_note,
        retired_at: record.retired_at,
        decided_until: record.decided_until,
    }
}

fn told(at: Timestamp, cron: Option<&Cron>) -> String {
    cron.map_or_else(|| at.to_string(), |cron| cron.zoned(at).to_rfc3339())
}

fn tick_view(tick: &TickRecord, cron: Option<&Cron>) -> TickView {
    TickView {
        fire_at: told(tick.fire_at, cron),
        origin: tick.origin.as_str(),
        outcome: tick.outcome.as_str(),
        fired_at: tick.fired_at,
        job_id: tick.job_id,
        state: tick.state.map(windlass::State::as_str),
    }
}

fn backfill_tick(tick: &Backfill, cron: &Cron) -> BackfillTick {
    BackfillTick {
        fire_at: told(tick.fire_at, Some(cron)),
        before: tick.before.map(TickOutcome::as_str),
        job_id: match tick.fired {
            Some(Fired::Fired(id)) => Some(id),
            _ => None,
        },
    }
}

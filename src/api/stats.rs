//! `GET /v1/stats`: what came in, was done and failed, as workers counted it. Nothing is counted to answer.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use windlass::Timestamp;
use windlass::model::{CountedAt, Measure, WAIT_BOUNDS_MS};

use super::query::Params;
use super::schema::Guarded;
use super::{ApiState, Problem};

const MINUTE: u64 = 60;
const DAY: u64 = 24 * 60 * MINUTE;
const LONGEST: u64 = 31 * DAY;
const MOST_STEPS: u64 = 1500;
/// How long the database may take: a page that waits longer had better show the last numbers.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(show))
}

/// How far back, in steps how long.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Query {
    /// How far back, in seconds, 60 to 2678400 (31 days); 3600 if left out.
    range: Option<u64>,
    /// How long a step is, in seconds, up to 2678400: whole minutes, and whole hours if the range is beyond
    /// two days; 60 if left out.
    step: Option<u64>,
}

/// What happened.
#[derive(Debug, Serialize, ToSchema)]
struct Stats {
    /// The database's time when it was asked. What happened in the last seconds before may be missing.
    #[schema(value_type = String, format = DateTime)]
    as_of: Timestamp,
    /// The bounds that `waits` are counted by, in milliseconds.
    wait_bounds_ms: Vec<u32>,
    /// Oldest first. Where nothing happened there is none.
    points: Vec<Point>,
}

/// What happened in one queue within one step.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StatsPoint)]
struct Point {
    /// When the step began.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    queue: String,
    /// Jobs that came in.
    enqueued: u64,
    /// Attempts that completed their job.
    completed: u64,
    /// Attempts that failed, panicked, took too long, or went with their process.
    failed: u64,
    /// Attempts that were their job's last.
    dead: u64,
    /// Attempts that were cancelled.
    cancelled: u64,
    /// How long attempts had waited: how many at most as long as each of the bounds, and how many longer.
    waits: Vec<u64>,
}

/// What came in, was done and failed.
#[utoipa::path(
    get,
    path = "/v1/stats",
    operation_id = "showStats",
    tag = "operations",
    params(Query),
    responses((status = 200, description = "What happened", body = Stats), Guarded)
)]
async fn show(
    State(state): State<ApiState>,
    Params(query): Params<Query>,
) -> Result<Json<Stats>, Problem> {
    let (range, step) = checked(&query)?;
    let asked = async {
        let told = state.client.stats(range, step).await?;
        Ok::<_, windlass::store::Error>((told, state.client.now().await?))
    };
    let (told, as_of) = tokio::time::timeout(PATIENCE, asked)
        .await
        .map_err(|_| Problem::timed_out())??;
    Ok(Json(Stats {
        as_of,
        wait_bounds_ms: WAIT_BOUNDS_MS.to_vec(),
        points: points(told),
    }))
}

fn checked(query: &Query) -> Result<(Duration, Duration), Problem> {
    let range = query.range.unwrap_or(60 * MINUTE);
    let step = query.step.unwrap_or(MINUTE);
    for (field, asked) in [("range", range), ("step", step)] {
        if !(MINUTE..=LONGEST).contains(&asked) {
            let detail = format!("is out of range; use {MINUTE} to {LONGEST}");
            return Err(Problem::invalid_parameter(field, detail));
        }
    }
    if !step.is_multiple_of(MINUTE) {
        let detail = format!("is not whole minutes; use a multiple of {MINUTE}");
        return Err(Problem::invalid_parameter("step", detail));
    }
    let whole = if range > 2 * DAY { 60 * MINUTE } else { MINUTE };
    if !step.is_multiple_of(whole) || range / step > MOST_STEPS {
        let detail = format!(
            "for this range, use a multiple of {whole} that makes at most {MOST_STEPS} steps"
        );
        return Err(Problem::impossible_parameter("step", detail));
    }
    Ok((Duration::from_secs(range), Duration::from_secs(step)))
}

fn points(told: Vec<CountedAt>) -> Vec<Point> {
    let mut points: BTreeMap<(Timestamp, String), Point> = BTreeMap::new();
    for CountedAt { at, counted } in told {
        points
            .entry((at, counted.queue))
            .or_insert_with_key(|(at, queue)| Point::new(*at, queue))
            .add(counted.measure, counted.n);
    }
    points.into_values().collect()
}

impl Point {
    fn new(at: Timestamp, queue: &str) -> Self {
        Self {
            at,
            queue: queue.to_owned(),
            enqueued: 0,
            completed: 0,
            failed: 0,
            dead: 0,
            cancelled: 0,
            waits: vec![0; WAIT_BOUNDS_MS.len() + 1],
        }
    }

    fn add(&mut self, measure: Measure, n: u64) {
        match measure {
            Measure::Enqueued => self.enqueued += n,
            Measure::Completed => self.completed += n,
            Measure::Failed => self.failed += n,
            Measure::Dead => self.dead += n,
            Measure::Cancelled => self.cancelled += n,
            Measure::Waited(place) => {
                if let Some(waits) = self.waits.get_mut(usize::from(place)) {
                    *waits += n;
                }
            }
        }
    }
}

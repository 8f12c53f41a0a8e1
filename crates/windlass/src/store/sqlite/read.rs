//! What anyone may look at. Readers see one moment and hold nobody up.

use futures_util::TryStreamExt;
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{Row, Sqlite};

use uuid::Uuid;

use super::super::control::MAX_MATCHED;
use super::super::{Error, Matched};
use super::at;
use super::rows::{self, encode, micros};
use crate::db;
use crate::model::{Filter, Found, JobId, JobRecord, Page, QueueStats, State, Timestamp};

const GET: &str = include_str!("sql/get.sql");
const LIST: &str = include_str!("sql/list.sql");
const REACH: &str = include_str!("sql/reach.sql");
const QUEUES: &str = include_str!("sql/queues.sql");
const QUEUE_STATS: &str = include_str!("sql/queue_stats.sql");

/// The largest page of a list.
const MAX_PAGE: u32 = 1000;
/// A search looks at so many jobs at once, however rare what it looks for.
const MOST_LOOKED_AT: u32 = 100_000;
/// How many jobs of one sort are counted in one queue.
const MAX_COUNT: u64 = 100_000;

pub(super) async fn get(
    db: &db::Sqlite,
    id: JobId,
    tenant: Option<&str>,
    now: Option<Timestamp>,
) -> Result<Option<JobRecord>, Error> {
    let row = sqlx::query(GET)
        .bind(id.as_uuid())
        .bind(tenant)
        .fetch_optional(db.readers())
        .await?;
    row.map(|row| rows::record(&row, at(now))).transpose()
}

pub(super) async fn list(
    db: &db::Sqlite,
    filter: &Filter,
    page: Page,
    now: Option<Timestamp>,
) -> Result<Found<JobRecord>, Error> {
    let (now, limit) = (at(now), page.limit.clamp(1, MAX_PAGE));
    let (states, reached) = (states(filter)?, reach(db, filter, page, limit).await?);
    let rows = find(states.as_deref(), filter, page, limit, now, reached)
        .fetch_all(db.readers())
        .await?;
    let jobs = rows.iter().map(|row| rows::record(row, now));
    let jobs = jobs.collect::<Result<_, _>>()?;
    Ok(Found::new(jobs, limit, reached, |job| job.id))
}

/// Row by row, so that only one job's args are in memory at a time.
pub(super) async fn matching(
    db: &db::Sqlite,
    filter: &Filter,
    page: Page,
    now: Option<Timestamp>,
) -> Result<Found<Matched>, Error> {
    let limit = page.limit.clamp(1, MAX_MATCHED);
    let (states, reached) = (states(filter)?, reach(db, filter, page, limit).await?);
    let rows = find(states.as_deref(), filter, page, limit, at(now), reached).fetch(db.readers());
    let matched = |row: SqliteRow| async move {
        Ok(Matched {
            id: rows::id(&row, "id")?,
            kind: row.try_get("kind")?,
        })
    };
    let jobs = rows.map_err(Error::from).and_then(matched);
    let jobs = jobs.try_collect().await?;
    Ok(Found::new(jobs, limit, reached, |job| job.id))
}

/// How far back a search comes that looks at [`MOST_LOOKED_AT`] jobs; none: to the end. Where an index leads
/// to few, there is no bound.
async fn reach(
    db: &db::Sqlite,
    filter: &Filter,
    page: Page,
    limit: u32,
) -> Result<Option<JobId>, Error> {
    let is_far = way(filter) == Some("newest") || filter.tenant_id.is_some();
    let all_match = Filter {
        tenant_id: filter.tenant_id.clone(),
        ..Filter::default()
    };
    if *filter == all_match || filter.correlation_id.is_some() || !is_far {
        return Ok(None);
    }
    let row = sqlx::query(REACH)
        .bind(limit.max(MOST_LOOKED_AT))
        .bind(before(page))
        .bind(filter.tenant_id.as_deref())
        .fetch_optional(db.readers())
        .await?;
    row.map(|row| rows::id(&row, "id")).transpose()
}

fn before(page: Page) -> Uuid {
    page.after.map_or(Uuid::max(), |cursor| cursor.0.as_uuid())
}

fn states(filter: &Filter) -> Result<Option<String>, Error> {
    match filter.states.as_slice() {
        [] => Ok(None),
        states => encode(states).map(Some),
    }
}

fn find<'q>(
    states: Option<&'q str>,
    filter: &'q Filter,
    page: Page,
    limit: u32,
    now: Timestamp,
    reached: Option<JobId>,
) -> Query<'q, Sqlite, SqliteArguments> {
    sqlx::query(LIST)
        .bind(micros(now))
        .bind(states)
        .bind(filter.kind.as_deref())
        .bind(filter.queue.as_deref())
        .bind(filter.tenant_id.as_deref())
        .bind(filter.correlation_id.as_deref())
        .bind(filter.tag.as_deref())
        .bind(before(page))
        .bind(limit)
        .bind(way(filter))
        .bind(reached.map_or(Uuid::nil(), JobId::as_uuid))
}

/// Which index carries a search that names neither tenant nor correlation id.
fn way(filter: &Filter) -> Option<&'static str> {
    let only =
        |some: fn(&State) -> bool| !filter.states.is_empty() && filter.states.iter().all(some);
    if filter.tenant_id.is_some() || filter.correlation_id.is_some() {
        None
    } else if only(|state| matches!(state, State::Cancelled | State::Dead)) {
        Some("set aside")
    } else if only(|state| !state.is_finished()) {
        Some("unfinished")
    } else {
        Some("newest")
    }
}

pub(super) async fn queues(
    db: &db::Sqlite,
    now: Option<Timestamp>,
) -> Result<Vec<QueueStats>, Error> {
    // One transaction, so that all figures are of one moment.
    let mut tx = db.readers().begin().await?;
    let now = at(now);
    let queues: Vec<String> = sqlx::query_scalar(QUEUES).fetch_all(&mut *tx).await?;
    let mut all = Vec::with_capacity(queues.len());
    for queue in queues {
        all.push(stats(&mut tx, queue, now).await?);
    }
    Ok(all)
}

async fn stats(
    connection: &mut SqliteConnection,
    queue: String,
    now: Timestamp,
) -> Result<QueueStats, Error> {
    let row = sqlx::query(QUEUE_STATS)
        .bind(queue.as_str())
        .bind(micros(now))
        .bind(i64::try_from(MAX_COUNT).unwrap_or(i64::MAX))
        .fetch_one(connection)
        .await?;
    let count = |column| rows::number::<u64>(&row, column);
    let oldest = |column| row.try_get::<Option<i64>, _>(column);
    let (due, later) = (count("due")?, count("later")?);
    let capped = |column| Ok::<bool, Error>(count(column)? >= MAX_COUNT);
    Ok(QueueStats {
        queue,
        available: due + count("governed_due")?,
        scheduled: count("scheduled")? + count("governed_scheduled")?,
        retryable: count("retryable")? + count("governed_retryable")?,
        waiting: count("waiting")?,
        running: count("running")?,
        capped: due >= MAX_COUNT
            || later >= MAX_COUNT
            || capped("governed")?
            || capped("waiting")?
            || capped("running")?,
        oldest_available_at: oldest("oldest_available_at")?
            .into_iter()
            .chain(oldest("governed_oldest")?)
            .min()
            .map(Timestamp::from_micros),
    })
}

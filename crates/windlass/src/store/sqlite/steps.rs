//! What the end of a step does to those that wait for it. [`settle`] decides, in the model; nobody
//! else writes between what is read here and what is written.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use uuid::Uuid;

use super::super::Error;
use super::keys;
use super::rows::{self, Woken, encode, micros, portions};
use crate::model::{After, Cause, End, JobId, Link, Settled, State, Timestamp, settle};

const END_STEPS: &str = include_str!("sql/end_steps.sql");
const STEP_CHILDREN: &str = include_str!("sql/step_children.sql");
const BLOCKED_STEPS: &str = include_str!("sql/blocked_steps.sql");
const STEP_NAMES: &str = include_str!("sql/step_names.sql");
const ADVANCE_STEPS: &str = include_str!("sql/advance_steps.sql");
const RELEASE_STEPS: &str = include_str!("sql/release_steps.sql");
const COUNT_STEPS: &str = include_str!("sql/count_steps.sql");
const RESCHEDULE: &str = include_str!("sql/reschedule.sql");

/// A step that has ended, for `end_steps.sql`: its job, how, its result and the reason.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Ended<'a>(
    pub(super) JobId,
    pub(super) End,
    pub(super) Option<&'a str>,
    pub(super) Option<String>,
);

/// Writes down that steps have ended, and what comes of it for those that waited for them.
pub(super) async fn ended(
    connection: &mut SqliteConnection,
    steps: &[Ended<'_>],
    now: Timestamp,
    woken: &mut Woken,
) -> Result<(), Error> {
    let mut tally = Tally::default();
    let flows = write_ends(connection, steps, &mut tally).await?;
    if flows.is_empty() {
        return Ok(());
    }
    let ends = || steps.iter().map(|step| (step.0, step.1));
    let jobs: Vec<JobId> = steps.iter().map(|step| step.0).collect();
    let links = links(connection, STEP_CHILDREN, &jobs).await?;
    let mut settled = settle(&links, ends());
    if !settled.ended.is_empty() {
        // It goes on after those: now it takes the whole of what is left.
        let links = self::links(connection, BLOCKED_STEPS, &flows).await?;
        settled = settle(&links, ends());
    }
    apply(connection, settled, &mut tally, now, woken).await?;
    tally.write(connection, now).await
}

/// Writes down what becomes of steps that waited.
pub(super) async fn apply(
    connection: &mut SqliteConnection,
    settled: Settled,
    tally: &mut Tally,
    now: Timestamp,
    woken: &mut Woken,
) -> Result<(), Error> {
    let waiting = settled.waiting.iter().map(|(job, n)| (*job, *n, true));
    let released = settled.released.iter().map(|job| (*job, 0, false));
    let moved: Vec<(JobId, u32, bool)> = waiting.chain(released).collect();
    if !moved.is_empty() {
        sqlx::query(ADVANCE_STEPS)
            .bind(encode(&moved)?)
            .execute(&mut *connection)
            .await?;
    }
    end_waiting(connection, &settled.ended, tally, now).await?;
    release(connection, &settled.released, now, woken).await
}

async fn links<T: Serialize>(
    connection: &mut SqliteConnection,
    statement: &'static str,
    of: &[T],
) -> Result<Vec<Link>, Error> {
    sqlx::query(statement)
        .bind(encode(of)?)
        .fetch_all(connection)
        .await?
        .iter()
        .map(|row| {
            Ok(Link {
                parent: rows::id(row, "parent_id")?,
                child: rows::id(row, "job_id")?,
                after: after(row)?,
                pending: rows::number(row, "pending")?,
            })
        })
        .collect()
}

/// Gives back the flows of those that are steps.
async fn write_ends(
    connection: &mut SqliteConnection,
    steps: &[Ended<'_>],
    tally: &mut Tally,
) -> Result<Vec<Uuid>, Error> {
    let mut flows = Vec::new();
    for portion in portions(steps, |step| step.2.map_or(0, str::len)) {
        let rows = sqlx::query(END_STEPS)
            .bind(encode(portion)?)
            .fetch_all(&mut *connection)
            .await?;
        for row in &rows {
            let flow: Uuid = row.try_get("flow_id")?;
            if let Some(end) = end(row)? {
                tally.add(flow, end, 1);
            }
            if !flows.contains(&flow) {
                flows.push(flow);
            }
        }
    }
    Ok(flows)
}

/// Ends steps that do not run, for their reasons.
async fn end_waiting(
    connection: &mut SqliteConnection,
    ended: &[(JobId, End, Cause)],
    tally: &mut Tally,
    now: Timestamp,
) -> Result<(), Error> {
    if ended.is_empty() {
        return Ok(());
    }
    let causes = ended.iter().filter_map(|(.., cause)| match cause {
        Cause::Parent(parent, _) => Some(*parent),
        Cause::NothingFailed => None,
    });
    let names = names(connection, causes.collect()).await?;
    let name_of = |job| names.get(&job).cloned().unwrap_or_default();
    let steps: Vec<Ended<'_>> = ended
        .iter()
        .map(|(job, end, cause)| Ended(*job, *end, None, Some(cause.describe(name_of))))
        .collect();
    write_ends(connection, &steps, tally).await?;
    let jobs: Vec<JobId> = ended.iter().map(|(job, ..)| *job).collect();
    end_jobs(connection, &jobs, now).await
}

/// Ends jobs that do not run as cancelled.
pub(super) async fn end_jobs(
    connection: &mut SqliteConnection,
    jobs: &[JobId],
    now: Timestamp,
) -> Result<(), Error> {
    #[derive(Serialize)]
    struct Cancelled {
        id: JobId,
        state: State,
    }
    let state = State::Cancelled;
    let jobs: Vec<Cancelled> = jobs.iter().map(|id| Cancelled { id: *id, state }).collect();
    sqlx::query(RESCHEDULE)
        .bind(encode(&jobs)?)
        .bind(micros(now))
        .execute(connection)
        .await?;
    Ok(())
}

async fn names(
    connection: &mut SqliteConnection,
    mut jobs: Vec<JobId>,
) -> Result<HashMap<JobId, String>, Error> {
    jobs.sort_unstable();
    jobs.dedup();
    sqlx::query(STEP_NAMES)
        .bind(encode(&jobs)?)
        .fetch_all(connection)
        .await?
        .iter()
        .map(|row| Ok((rows::id(row, "job_id")?, row.try_get("name")?)))
        .collect()
}

/// Lets jobs go whose parents have ended; ordered ones when it is their turn.
async fn release(
    connection: &mut SqliteConnection,
    released: &[JobId],
    now: Timestamp,
    woken: &mut Woken,
) -> Result<(), Error> {
    if released.is_empty() {
        return Ok(());
    }
    let released = encode(released)?;
    let rows = sqlx::query(RELEASE_STEPS)
        .bind(&released)
        .bind(micros(now))
        .fetch_all(&mut *connection)
        .await?;
    let mut in_line = false;
    for row in &rows {
        let state: &str = row.try_get("state")?;
        in_line |= state == State::Waiting.as_str();
        if state == State::Available.as_str() {
            let queue: &str = row.try_get("queue")?;
            if !woken.contains(queue) {
                woken.insert(queue.to_owned());
            }
        }
    }
    if in_line {
        keys::unblock(connection, &released, now, woken).await?;
    }
    Ok(())
}

/// How many steps of each flow have ended, in which way: completed, failed, skipped.
#[derive(Debug, Default)]
pub(super) struct Tally(BTreeMap<Uuid, (i64, i64, i64)>);

impl Tally {
    pub(super) fn add(&mut self, flow: Uuid, end: End, by: i64) {
        let counts = self.0.entry(flow).or_default();
        match end {
            End::Completed => counts.0 += by,
            End::Cancelled | End::Dead => counts.1 += by,
            End::Skipped => counts.2 += by,
        }
    }

    pub(super) async fn write(
        &self,
        connection: &mut SqliteConnection,
        now: Timestamp,
    ) -> Result<(), Error> {
        let counts: Vec<(Uuid, i64, i64, i64)> = self
            .0
            .iter()
            .map(|(flow, (completed, failed, skipped))| (*flow, *completed, *failed, *skipped))
            .collect();
        sqlx::query(COUNT_STEPS)
            .bind(encode(&counts)?)
            .bind(micros(now))
            .execute(connection)
            .await?;
        Ok(())
    }
}

pub(super) fn after(row: &SqliteRow) -> Result<After, Error> {
    let word: &str = row.try_get("runs_after")?;
    After::parse(word).ok_or_else(|| Error::Corrupt(format!("a step runs after {word:?}")))
}

pub(super) fn end(row: &SqliteRow) -> Result<Option<End>, Error> {
    let word: Option<&str> = row.try_get("ended_as")?;
    word.map(|word| {
        End::parse(word).ok_or_else(|| Error::Corrupt(format!("a step ended as {word:?}")))
    })
    .transpose()
}

//! What the end of a step does to those that wait for it.
//!
//! Whoever ends jobs locks their flows first (after lines, before jobs), so each flow has one such
//! writer at a time and what he reads stays true. [`settle`] decides, in the model.

use std::collections::{BTreeMap, HashMap};

use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::lines::{self, Freed, Line};
use super::rows::{self, Time};
use super::{Error, Session, sql};
use crate::model::{After, Cause, End, JobId, Link, Settled, settle};

/// Which of the jobs that are about to end are steps, of which flows. Their flows are locked.
pub(super) type Steps = HashMap<JobId, Uuid>;

/// A step that has ended.
#[derive(Debug, Clone)]
pub(super) struct Ended {
    pub(super) job: JobId,
    pub(super) end: End,
    pub(super) result: Option<String>,
    pub(super) reason: Option<String>,
}

impl Ended {
    pub(super) const fn new(job: JobId, end: End) -> Self {
        Self {
            job,
            end,
            result: None,
            reason: None,
        }
    }
}

/// Locks the lines of the jobs that are about to end and those that the transaction has added jobs to,
/// then the flows of those that are steps.
pub(super) async fn lock(
    connection: &mut Session<'_>,
    jobs: &[Uuid],
    joined: &[Line],
) -> Result<Steps, Error> {
    if !lines::lock(connection, jobs, joined).await? {
        return Ok(Steps::new());
    }
    sqlx::query(sql::LOCK_FLOWS)
        .bind(jobs)
        .fetch_all(connection)
        .await?
        .iter()
        .map(|row| Ok((rows::id(row, 0)?, row.try_get(1)?)))
        .collect()
}

/// Writes down that steps have ended, and what comes of it for those that waited for them; says which
/// jobs may be claimed now.
pub(super) async fn ended(
    connection: &mut Session<'_>,
    steps: &[Ended],
    now: Option<Time>,
) -> Result<Vec<Freed>, Error> {
    if steps.is_empty() {
        return Ok(Vec::new());
    }
    let mut tally = Tally::default();
    let flows = write_ends(connection, steps, &mut tally).await?;
    let ends = || steps.iter().map(|step| (step.job, step.end));
    let jobs: Vec<Uuid> = steps.iter().map(|step| step.job.as_uuid()).collect();
    let links = links(connection, sql::STEP_CHILDREN, &jobs).await?;
    let mut settled = settle(&links, ends());
    if !settled.ended.is_empty() {
        // It goes on after those: now it takes the whole of what is left.
        let links = self::links(connection, sql::BLOCKED_STEPS, &flows).await?;
        settled = settle(&links, ends());
    }
    let freed = apply(connection, settled, &mut tally, now).await?;
    tally.write(connection, now).await?;
    Ok(freed)
}

/// Writes down what becomes of steps that waited.
pub(super) async fn apply(
    connection: &mut Session<'_>,
    settled: Settled,
    tally: &mut Tally,
    now: Option<Time>,
) -> Result<Vec<Freed>, Error> {
    advance(connection, &settled).await?;
    end_waiting(connection, &settled.ended, tally, now).await?;
    release(connection, &settled.released, now).await
}

async fn links(
    connection: &mut Session<'_>,
    statement: &'static str,
    of: &[Uuid],
) -> Result<Vec<Link>, Error> {
    sqlx::query(statement)
        .bind(of)
        .fetch_all(connection)
        .await?
        .iter()
        .map(|row| {
            Ok(Link {
                parent: rows::id(row, 0)?,
                child: rows::id(row, 1)?,
                after: after(row, 2)?,
                pending: count(row, 3)?,
            })
        })
        .collect()
}

/// Gives back the flows.
async fn write_ends(
    connection: &mut Session<'_>,
    steps: &[Ended],
    tally: &mut Tally,
) -> Result<Vec<Uuid>, Error> {
    let jobs: Vec<Uuid> = steps.iter().map(|step| step.job.as_uuid()).collect();
    let ends: Vec<&str> = steps.iter().map(|step| step.end.as_str()).collect();
    let results: Vec<Option<&str>> = steps.iter().map(|step| step.result.as_deref()).collect();
    let reasons: Vec<Option<&str>> = steps.iter().map(|step| step.reason.as_deref()).collect();
    let rows = sqlx::query(sql::END_STEPS)
        .bind(jobs)
        .bind(ends)
        .bind(results)
        .bind(reasons)
        .fetch_all(connection)
        .await?;
    let mut flows = Vec::new();
    for row in &rows {
        let flow: Uuid = row.try_get(1)?;
        if let Some(end) = end(row, 2)? {
            tally.add(flow, end, 1);
        }
        if !flows.contains(&flow) {
            flows.push(flow);
        }
    }
    Ok(flows)
}

async fn advance(connection: &mut Session<'_>, settled: &Settled) -> Result<(), Error> {
    let waiting = settled
        .waiting
        .iter()
        .map(|(job, pending)| (*job, *pending, true));
    let released = settled.released.iter().map(|job| (*job, 0, false));
    let (mut jobs, mut pending, mut blocked) = (Vec::new(), Vec::new(), Vec::new());
    for (job, parents, waits) in waiting.chain(released) {
        jobs.push(job.as_uuid());
        pending.push(i32::try_from(parents).unwrap_or(i32::MAX));
        blocked.push(waits);
    }
    if !jobs.is_empty() {
        sqlx::query(sql::ADVANCE_STEPS)
            .bind(jobs)
            .bind(pending)
            .bind(blocked)
            .execute(connection)
            .await?;
    }
    Ok(())
}

/// Ends steps that do not run, for their reasons.
async fn end_waiting(
    connection: &mut Session<'_>,
    ended: &[(JobId, End, Cause)],
    tally: &mut Tally,
    now: Option<Time>,
) -> Result<(), Error> {
    if ended.is_empty() {
        return Ok(());
    }
    let causes = ended.iter().filter_map(|(.., cause)| match cause {
        Cause::Parent(parent, _) => Some(parent.as_uuid()),
        Cause::NothingFailed => None,
    });
    let names = names(connection, causes.collect()).await?;
    let name_of = |job| names.get(&job).cloned().unwrap_or_default();
    let steps: Vec<Ended> = ended
        .iter()
        .map(|(job, end, cause)| Ended {
            reason: Some(cause.describe(name_of)),
            ..Ended::new(*job, *end)
        })
        .collect();
    write_ends(connection, &steps, tally).await?;
    let jobs: Vec<Uuid> = ended.iter().map(|(job, ..)| job.as_uuid()).collect();
    sqlx::query(sql::END_WAITING)
        .bind(jobs)
        .bind(now)
        .execute(connection)
        .await?;
    Ok(())
}

async fn names(
    connection: &mut Session<'_>,
    mut jobs: Vec<Uuid>,
) -> Result<HashMap<JobId, String>, Error> {
    jobs.sort_unstable();
    jobs.dedup();
    sqlx::query(sql::STEP_NAMES)
        .bind(jobs)
        .fetch_all(connection)
        .await?
        .iter()
        .map(|row| Ok((rows::id(row, 0)?, row.try_get(1)?)))
        .collect()
}

/// Lets jobs go whose parents have ended; ordered ones when it is their turn. Their lines are locked.
async fn release(
    connection: &mut Session<'_>,
    released: &[JobId],
    now: Option<Time>,
) -> Result<Vec<Freed>, Error> {
    if released.is_empty() {
        return Ok(Vec::new());
    }
    let jobs: Vec<Uuid> = released.iter().map(|job| job.as_uuid()).collect();
    let rows = sqlx::query(sql::RELEASE_STEPS)
        .bind(jobs)
        .bind(now)
        .fetch_all(&mut *connection)
        .await?;
    let (mut freed, mut in_line) = (Vec::new(), Vec::<Line>::new());
    for row in &rows {
        match row.try_get::<Option<String>, _>(4)? {
            Some(key) => in_line.push((row.try_get(3)?, key)),
            None => freed.push(Freed {
                queue: row.try_get(0)?,
                priority: rows::short(row, 1)?,
                run_at: rows::timestamp(row, 2)?,
            }),
        }
    }
    freed.extend(lines::hand_on(connection, &in_line, now).await?);
    Ok(freed)
}

/// How many steps of each flow have ended, in which way: completed, failed, skipped.
#[derive(Debug, Default)]
pub(super) struct Tally(BTreeMap<Uuid, [i32; 3]>);

impl Tally {
    pub(super) fn add(&mut self, flow: Uuid, end: End, by: i32) {
        let counts = self.0.entry(flow).or_default();
        let place = match end {
            End::Completed => 0,
            End::Cancelled | End::Dead => 1,
            End::Skipped => 2,
        };
        counts[place] += by;
    }

    pub(super) async fn write(
        &self,
        connection: &mut Session<'_>,
        now: Option<Time>,
    ) -> Result<(), Error> {
        let flows: Vec<Uuid> = self.0.keys().copied().collect();
        let column = |place: usize| self.0.values().map(move |counts| counts[place]);
        sqlx::query(sql::COUNT_STEPS)
            .bind(flows)
            .bind(column(0).collect::<Vec<i32>>())
            .bind(column(1).collect::<Vec<i32>>())
            .bind(column(2).collect::<Vec<i32>>())
            .bind(now)
            .execute(connection)
            .await?;
        Ok(())
    }
}

pub(super) fn after(row: &PgRow, column: usize) -> Result<After, Error> {
    let word: &str = row.try_get(column)?;
    After::parse(word).ok_or_else(|| Error::Corrupt(format!("a step runs after {word:?}")))
}

pub(super) fn end(row: &PgRow, column: usize) -> Result<Option<End>, Error> {
    let word: Option<&str> = row.try_get(column)?;
    word.map(|word| {
        End::parse(word).ok_or_else(|| Error::Corrupt(format!("a step ended as {word:?}")))
    })
    .transpose()
}

pub(super) fn count(row: &PgRow, column: usize) -> Result<u32, Error> {
    rows::number(row, column, row.try_get::<i32, _>(column)?.into())
}

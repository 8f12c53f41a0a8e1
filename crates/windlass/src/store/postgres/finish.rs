//! How attempts end.
//!
//! A batch of successes is one statement that commits by itself. Ordered jobs need their line's lock
//! first, and steps that of their flow: they, and batches with other verdicts, take a transaction.

use std::collections::HashSet;

use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::lane::{run, transaction};
use super::lines::{self, Freed, Line};
use super::rows::{self, Time};
use super::steps::{self, Ended, Steps};
use super::{Error, Session, Shared, keys, planner, signals, sql};
use crate::db;
use crate::model::{End, Finish, Json, Lease, MAX_ATTEMPT_RECORDS, Recorded, Timestamp, Verdict};

/// A batch, split by what becomes of the jobs.
#[derive(Debug, Default)]
struct Batch<'a> {
    completed: Vec<&'a Finish>,
    put_back: Vec<&'a Finish>,
    set_aside: Vec<&'a Finish>,
}

/// What was written down.
#[derive(Debug, Default)]
struct Written {
    leases: HashSet<Lease>,
    lines: Vec<Line>,
    /// Unique keys and the jobs that held them.
    keys: Vec<(String, Uuid)>,
    freed: Vec<Freed>,
}

impl Shared {
    pub(super) async fn finish(
        &self,
        finishes: &[Finish],
        now: Option<Timestamp>,
    ) -> Result<Vec<Recorded>, Error> {
        let now = now.map(rows::time);
        let mut batch = Batch::new(finishes);
        let mut written = Written::default();
        if batch.is_plain() {
            let done = &batch.completed;
            written = run!(self.finishes, |connection| {
                let mut written = Written::default();
                complete(connection, done, false, now, &mut written).await?;
                release(connection, &written).await?;
                Ok(written)
            })?;
            // What is left is lost, or ordered.
            batch
                .completed
                .retain(|finish| !written.leases.contains(&finish.lease));
        }
        if !batch.is_empty() {
            written.add(transaction!(self.finishes, |connection| write(
                connection,
                &batch,
                &[],
                now
            )
            .await)?);
            batch.keep_wished(&written);
            if !batch.is_empty() {
                // A transaction of its own: their lines must be locked before any row is.
                written.add(transaction!(self.finishes, |connection| grant(
                    connection, &batch, now
                )
                .await)?);
            }
        }
        self.freed(&written.freed);
        Ok(answers(finishes, written.leases))
    }

    /// The same in a transaction of the caller's: its last act, so the planner keeps our settings. What
    /// a handler does, completing its job, is one call.
    pub(super) async fn finish_in(
        self: &std::sync::Arc<Self>,
        tx: &mut db::Tx,
        finish: &Finish,
        now: Option<Timestamp>,
    ) -> Result<Recorded, Error> {
        let joined = tx.joined_lines().to_vec();
        let connection = &mut self.session(tx, "finish in another store's transaction")?;
        if let (Verdict::Complete { result }, None) = (&finish.verdict, now)
            && let Some(completed) =
                complete_in(connection, finish.lease, result.as_ref(), &joined).await?
        {
            let shared = self.clone();
            tx.after_commit(move || shared.freed(&completed.freed));
            return Ok(completed.recorded);
        }
        planner::ours(connection).await?;
        let now = now.map(rows::time);
        let mut batch = Batch::new(std::slice::from_ref(finish));
        let mut written = write(connection, &batch, &joined, now).await?;
        batch.keep_wished(&written);
        if !batch.is_empty() {
            written.add(grant(connection, &batch, now).await?);
        }
        let shared = self.clone();
        tx.after_commit(move || shared.freed(&written.freed));
        Ok(if written.leases.contains(&finish.lease) {
            Recorded::Yes
        } else {
            Recorded::LeaseLost
        })
    }
}

/// What became of a job that completed in its caller's transaction.
struct Completed {
    recorded: Recorded,
    freed: Vec<Freed>,
}

/// Nothing is done if the job is a step of a flow, which takes more.
async fn complete_in(
    connection: &mut Session<'_>,
    lease: Lease,
    result: Option<&Json>,
    joined: &[Line],
) -> Result<Option<Completed>, Error> {
    let (tenants, keys) = lines::columns(joined);
    let row = sqlx::query(sql::COMPLETE_IN)
        .bind(lease.job.as_uuid())
        .bind(lease.claim_no)
        .bind(result.map(Json::as_str))
        .bind(tenants)
        .bind(keys)
        .fetch_one(connection)
        .await?;
    let recorded = match row.try_get(0)? {
        "completed" => Recorded::Yes,
        "lost" => Recorded::LeaseLost,
        _ => return Ok(None),
    };
    let mut freed = Vec::new();
    if let Some(queue) = row.try_get(1)? {
        freed.push(Freed {
            queue,
            priority: rows::short(&row, 2)?,
            run_at: rows::timestamp(&row, 3)?,
        });
    }
    Ok(Some(Completed { recorded, freed }))
}

impl<'a> Batch<'a> {
    /// Splits a batch, in the order of ids, which is the order that rows are locked in. Of two ends
    /// of one attempt the first counts.
    fn new(finishes: &'a [Finish]) -> Self {
        let mut seen = HashSet::with_capacity(finishes.len());
        let mut batch = Self::default();
        for finish in finishes.iter().filter(|finish| seen.insert(finish.lease)) {
            match finish.verdict {
                Verdict::Complete { .. } => batch.completed.push(finish),
                Verdict::Retry { .. }
                | Verdict::Snooze { .. }
                | Verdict::Await { .. }
                | Verdict::Release => {
                    batch.put_back.push(finish);
                }
                Verdict::Cancel | Verdict::Dead => batch.set_aside.push(finish),
            }
        }
        for part in [
            &mut batch.completed,
            &mut batch.put_back,
            &mut batch.set_aside,
        ] {
            part.sort_unstable_by_key(|finish| finish.lease.job);
        }
        batch
    }

    /// Leaves only what should be put back and was not: its lease is lost, or it was asked to stop.
    fn keep_wished(&mut self, written: &Written) {
        self.completed.clear();
        self.set_aside.clear();
        self.put_back
            .retain(|finish| !written.leases.contains(&finish.lease));
    }

    /// The steps of flows that have ended by it.
    fn ended(&self, steps: &Steps, written: &HashSet<Lease>) -> Vec<Ended> {
        self.completed
            .iter()
            .chain(&self.set_aside)
            .filter(|finish| steps.contains_key(&finish.lease.job))
            .filter(|finish| written.contains(&finish.lease))
            .map(|finish| {
                let (end, result) = match &finish.verdict {
                    Verdict::Complete { result } => (End::Completed, result.as_ref()),
                    Verdict::Cancel => (End::Cancelled, None),
                    _ => (End::Dead, None),
                };
                Ended {
                    result: result.map(|result| result.as_str().to_owned()),
                    ..Ended::new(finish.lease.job, end)
                }
            })
            .collect()
    }

    fn is_plain(&self) -> bool {
        self.put_back.is_empty() && self.set_aside.is_empty()
    }

    fn is_empty(&self) -> bool {
        self.is_plain() && self.completed.is_empty()
    }
}

fn answers(finishes: &[Finish], mut written: HashSet<Lease>) -> Vec<Recorded> {
    finishes
        .iter()
        .map(|finish| {
            if written.remove(&finish.lease) {
                Recorded::Yes
            } else {
                Recorded::LeaseLost
            }
        })
        .collect()
}

/// Everything, in the transaction that the connection is in.
async fn write(
    connection: &mut Session<'_>,
    batch: &Batch<'_>,
    joined: &[Line],
    now: Option<Time>,
) -> Result<Written, Error> {
    let mut written = Written::default();
    let ending: Vec<Uuid> = batch
        .completed
        .iter()
        .chain(&batch.set_aside)
        .map(|finish| finish.lease.job.as_uuid())
        .collect();
    let steps = if ending.is_empty() {
        Steps::new()
    } else {
        steps::lock(connection, &ending, joined).await?
    };
    complete(connection, &batch.completed, true, now, &mut written).await?;
    put_back(connection, &batch.put_back, now, &mut written).await?;
    let come = signals::wait(connection, &batch.put_back, &written.leases, now).await?;
    written.freed.extend(come);
    set_aside(connection, &batch.set_aside, false, now, &mut written).await?;
    let next = lines::hand_on(connection, &written.lines, now).await?;
    written.freed.extend(next);
    let ended = batch.ended(&steps, &written.leases);
    let released = steps::ended(connection, &ended, now).await?;
    written.freed.extend(released);
    release(connection, &written).await?;
    Ok(written)
}

/// Cancels those that should be put back but were asked to stop.
async fn grant(
    connection: &mut Session<'_>,
    batch: &Batch<'_>,
    now: Option<Time>,
) -> Result<Written, Error> {
    let mut written = Written::default();
    let (ids, _) = leases(&batch.put_back);
    let steps = steps::lock(connection, &ids, &[]).await?;
    set_aside(connection, &batch.put_back, true, now, &mut written).await?;
    written.freed = lines::hand_on(connection, &written.lines, now).await?;
    let ended: Vec<Ended> = batch
        .put_back
        .iter()
        .filter(|finish| steps.contains_key(&finish.lease.job))
        .filter(|finish| written.leases.contains(&finish.lease))
        .map(|finish| Ended::new(finish.lease.job, End::Cancelled))
        .collect();
    let released = steps::ended(connection, &ended, now).await?;
    written.freed.extend(released);
    release(connection, &written).await?;
    Ok(written)
}

async fn complete(
    connection: &mut Session<'_>,
    finishes: &[&Finish],
    ordered: bool,
    now: Option<Time>,
    written: &mut Written,
) -> Result<(), Error> {
    if finishes.is_empty() {
        return Ok(());
    }
    let (ids, claims) = leases(finishes);
    let results: Vec<Option<&str>> = finishes
        .iter()
        .map(|finish| match &finish.verdict {
            Verdict::Complete { result } => result.as_ref().map(Json::as_str),
            _ => None,
        })
        .collect();
    let ended = sqlx::query(sql::COMPLETE)
        .bind(ids)
        .bind(claims)
        .bind(results)
        .bind(now)
        .bind(ordered)
        .fetch_all(connection)
        .await?;
    written.ended(&ended)
}

async fn set_aside(
    connection: &mut Session<'_>,
    finishes: &[&Finish],
    only_wished: bool,
    now: Option<Time>,
    written: &mut Written,
) -> Result<(), Error> {
    if finishes.is_empty() {
        return Ok(());
    }
    let (ids, claims) = leases(finishes);
    let states: Vec<&str> = finishes
        .iter()
        .map(|finish| match finish.verdict {
            Verdict::Dead => "dead",
            _ => "cancelled",
        })
        .collect();
    let given_back: Vec<i16> = finishes.iter().map(|finish| given_back(finish)).collect();
    let (outcomes, errors) = ends(finishes)?;
    let ended = sqlx::query(sql::SET_ASIDE)
        .bind(ids)
        .bind(claims)
        .bind(states)
        .bind(given_back)
        .bind(outcomes)
        .bind(errors)
        .bind(MOST_RECORDS)
        .bind(now)
        .bind(only_wished)
        .fetch_all(connection)
        .await?;
    written.ended(&ended)
}

/// How many attempts such an end gives back.
const fn given_back(finish: &Finish) -> i16 {
    match finish.verdict {
        Verdict::Snooze { .. } | Verdict::Await { .. } | Verdict::Release => 1,
        _ => 0,
    }
}

async fn put_back(
    connection: &mut Session<'_>,
    finishes: &[&Finish],
    now: Option<Time>,
    written: &mut Written,
) -> Result<(), Error> {
    if finishes.is_empty() {
        return Ok(());
    }
    let (ids, claims) = leases(finishes);
    let (mut states, mut times, mut attempts) = (Vec::new(), Vec::new(), Vec::new());
    for finish in finishes {
        let (state, time) = match finish.verdict {
            Verdict::Retry { at } => ("retryable", Some(at)),
            Verdict::Snooze { until } | Verdict::Await { until, .. } => ("scheduled", Some(until)),
            _ => ("available", None),
        };
        states.push(state);
        times.push(time.map(rows::time));
        attempts.push(given_back(finish));
    }
    let (outcomes, errors) = ends(finishes)?;
    let rows = sqlx::query(sql::RESCHEDULE)
        .bind(ids)
        .bind(claims)
        .bind(states)
        .bind(times)
        .bind(attempts)
        .bind(outcomes)
        .bind(errors)
        .bind(MOST_RECORDS)
        .bind(now)
        .fetch_all(connection)
        .await?;
    for row in &rows {
        written.leases.insert(lease(row)?);
        written.freed.push(Freed {
            queue: row.try_get(2)?,
            priority: rows::short(row, 3)?,
            run_at: rows::timestamp(row, 4)?,
        });
    }
    Ok(())
}

/// Tidies away unique keys that nothing holds any more. A key without a window is free once its job
/// is finished, tidied or not.
async fn release(connection: &mut Session<'_>, written: &Written) -> Result<(), Error> {
    if written.keys.is_empty() {
        return Ok(());
    }
    let (keys, jobs): (Vec<&str>, Vec<Uuid>) = written
        .keys
        .iter()
        .map(|(key, job)| (key.as_str(), *job))
        .unzip();
    sqlx::query(sql::UNIQUE_RELEASE)
        .bind(keys)
        .bind(jobs)
        .execute(connection)
        .await?;
    Ok(())
}

impl Written {
    fn add(&mut self, other: Self) {
        self.leases.extend(other.leases);
        self.freed.extend(other.freed);
    }

    fn ended(&mut self, rows: &[PgRow]) -> Result<(), Error> {
        for row in rows {
            let lease = lease(row)?;
            self.leases.insert(lease);
            if let Some(key) = row.try_get::<Option<&str>, _>(4)? {
                let scope = keys::scope(row.try_get(2)?, row.try_get(3)?, key);
                self.keys.push((scope, lease.job.as_uuid()));
            }
            if let Some(key) = row.try_get(5)? {
                self.lines.push((row.try_get(3)?, key));
            }
        }
        Ok(())
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "it is 25"
)]
const MOST_RECORDS: i32 = MAX_ATTEMPT_RECORDS as i32;

fn lease(row: &PgRow) -> Result<Lease, Error> {
    Ok(Lease {
        job: rows::id(row, 0)?,
        claim_no: row.try_get(1)?,
    })
}

fn leases(finishes: &[&Finish]) -> (Vec<Uuid>, Vec<i64>) {
    finishes
        .iter()
        .map(|finish| (finish.lease.job.as_uuid(), finish.lease.claim_no))
        .unzip()
}

/// Outcomes, and errors as JSON.
fn ends<'a>(finishes: &[&'a Finish]) -> Result<(Vec<&'a str>, Vec<Option<String>>), Error> {
    let errors = finishes
        .iter()
        .map(|finish| finish.error.as_ref().map(serde_json::to_string).transpose())
        .collect::<Result<_, _>>()
        .map_err(|error| Error::Corrupt(format!("an attempt's error: {error}")))?;
    let outcomes = finishes
        .iter()
        .map(|finish| finish.outcome.as_str())
        .collect();
    Ok((outcomes, errors))
}

//! How attempts end.
//!
//! A batch of successes without keys, which is most of them, is one statement that checks the fence by
//! itself. For any other the fence is checked once, in the transaction that then writes: nobody else
//! can write between.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Connection, Row};

use super::super::Error;
use super::at;
use super::outcomes::{Attempt, Outcome, Outcomes};
use super::rows::{self, Woken, encode, micros};
use crate::db;
use crate::model::{Finish, JobId, Json, Recorded, State, Timestamp, Verdict};

const BEGIN: &str = "begin immediate";
const FENCE: &str = include_str!("sql/fence.sql");
const COMPLETE_PLAIN: &str = include_str!("sql/complete_plain.sql");

/// Whether the next batch of successes is worth a try as a plain one: the last batch would have been.
#[derive(Debug)]
pub(super) struct PlainExpected(AtomicBool);

impl Default for PlainExpected {
    fn default() -> Self {
        Self(AtomicBool::new(true))
    }
}

pub(super) async fn finish(
    db: &db::Sqlite,
    expected: &PlainExpected,
    finishes: &[Finish],
    now: Option<Timestamp>,
) -> Result<(Vec<Recorded>, Woken), Error> {
    let now = at(now);
    let mut tx = db.writer().begin_with(BEGIN).await?;
    if expected.0.load(Ordering::Relaxed) {
        if complete_plain(&mut tx, finishes, now).await? {
            tx.commit().await?;
            return Ok((vec![Recorded::Yes; finishes.len()], Woken::new()));
        }
        // Not to a savepoint: it would have every page copied for the few batches that are not plain.
        tx.rollback().await?;
        tx = db.writer().begin_with(BEGIN).await?;
    }
    let (recorded, woken, plain) = record(&mut tx, finishes, now).await?;
    tx.commit().await?;
    expected.0.store(plain, Ordering::Relaxed);
    Ok((recorded, woken))
}

/// Completes a batch; says whether all of it was held and without keys. If not, what was done is to be
/// rolled back.
async fn complete_plain(
    connection: &mut SqliteConnection,
    finishes: &[Finish],
    now: Timestamp,
) -> Result<bool, Error> {
    let Some(done) = finishes.iter().map(success).collect::<Option<Vec<_>>>() else {
        return Ok(false);
    };
    let mut completed = 0;
    for done in rows::portions(&done, |(_, result, _)| result.map_or(0, str::len)) {
        let written = sqlx::query(COMPLETE_PLAIN)
            .bind(encode(done)?)
            .bind(micros(now))
            .execute(&mut *connection)
            .await?;
        completed += written.rows_affected();
    }
    Ok(completed == finishes.len() as u64)
}

fn success(finish: &Finish) -> Option<(JobId, Option<&str>, i64)> {
    let Verdict::Complete { result } = &finish.verdict else {
        return None;
    };
    let result = result.as_ref().map(Json::as_str);
    Some((finish.lease.job, result, finish.lease.claim_no))
}

pub(super) async fn finish_in(
    connection: &mut SqliteConnection,
    finish: &Finish,
    now: Option<Timestamp>,
) -> Result<(Recorded, Woken), Error> {
    let mut savepoint = connection.begin().await?;
    let (recorded, woken, _) =
        record(&mut savepoint, std::slice::from_ref(finish), at(now)).await?;
    savepoint.commit().await?;
    Ok((recorded[0], woken))
}

/// Also says whether it was all successes, held and without keys.
async fn record(
    connection: &mut SqliteConnection,
    finishes: &[Finish],
    now: Timestamp,
) -> Result<(Vec<Recorded>, Woken, bool), Error> {
    let mut fence = Fence::check(connection, finishes).await?;
    let plain = fence.running.is_empty() && fence.lost.is_empty();
    let mut outcomes = Outcomes {
        keyed: fence.keyed,
        steps: std::mem::take(&mut fence.steps),
        ..Outcomes::default()
    };
    let mut seen = HashSet::with_capacity(finishes.len());
    let mut recorded = Vec::with_capacity(finishes.len());
    for (place, finish) in finishes.iter().enumerate() {
        let again = !seen.insert(finish.lease);
        recorded.push(match (&finish.verdict, fence.running.remove(&place)) {
            _ if again || fence.lost.contains(&place) => Recorded::LeaseLost,
            (Verdict::Complete { result }, _) => {
                let result = result.as_ref().map(Json::as_str);
                outcomes.done.push((finish.lease.job, result));
                Recorded::Yes
            }
            (_, Some(running)) => {
                outcomes.add(finish, running, now)?;
                Recorded::Yes
            }
            (_, None) => Recorded::LeaseLost,
        });
    }
    Ok((recorded, outcomes.write(connection, now).await?, plain))
}

/// What the database says about a batch of leases, by their place in it.
#[derive(Debug, Default)]
struct Fence {
    lost: HashSet<usize>,
    /// Held ones whose attempt goes into their job's history.
    running: HashMap<usize, Running>,
    /// Whether any held job is in a line or has a unique key.
    keyed: bool,
    /// Held jobs that are steps of flows.
    steps: HashSet<JobId>,
}

#[derive(Debug)]
struct Running {
    attempt: Attempt,
    queue: String,
    asked_to_stop: bool,
}

impl Fence {
    async fn check(connection: &mut SqliteConnection, finishes: &[Finish]) -> Result<Self, Error> {
        let is_complete = |finish: &Finish| matches!(finish.verdict, Verdict::Complete { .. });
        let leases: Vec<_> = finishes
            .iter()
            .map(|f| (f.lease.job, f.lease.claim_no, !is_complete(f)))
            .collect();
        let rows = sqlx::query(FENCE)
            .bind(encode(&leases)?)
            .fetch_all(connection)
            .await?;
        let mut fence = Self::default();
        for row in &rows {
            let place: usize = rows::number(row, "place")?;
            if row.try_get("held")? {
                fence.keyed |= row.try_get::<bool, _>("keyed")?;
                if row.try_get("step")? {
                    fence.steps.insert(finishes[place].lease.job);
                }
                fence.running.insert(place, running(row)?);
            } else {
                fence.lost.insert(place);
            }
        }
        Ok(fence)
    }
}

fn running(row: &SqliteRow) -> Result<Running, Error> {
    Ok(Running {
        attempt: rows::attempt(row)?,
        queue: row.try_get("queue")?,
        asked_to_stop: row.try_get("cancel_requested")?,
    })
}

impl Outcomes<'_> {
    /// Everything but a completion.
    fn add(&mut self, finish: &Finish, running: Running, now: Timestamp) -> Result<(), Error> {
        let number = running.attempt.number;
        let (state, run_at, attempt) = match &finish.verdict {
            Verdict::Complete { .. } => (State::Completed, None, None),
            Verdict::Retry { at } => (State::Retryable, Some(*at), None),
            Verdict::Snooze { until } => (State::Scheduled, Some(*until), Some(number - 1)),
            Verdict::Await { signal, until } => {
                let awaited = (finish.lease.job, signal.clone(), micros(*until));
                self.awaited.push(awaited);
                (State::Scheduled, Some(*until), Some(number - 1))
            }
            Verdict::Release => (State::Available, None, Some(number - 1)),
            Verdict::Cancel => (State::Cancelled, None, None),
            Verdict::Dead => (State::Dead, None, None),
        };
        // A job that was asked to stop does not come back: it is cancelled instead.
        let (state, run_at) = if running.asked_to_stop && !state.is_finished() {
            (State::Cancelled, None)
        } else {
            (state, run_at)
        };
        let history = running
            .attempt
            .end(finish.outcome, finish.error.clone(), now)?;
        self.others.push(Outcome {
            run_at: run_at.map(micros),
            attempt,
            attempts: Some(history),
            ..Outcome::new(finish.lease.job, state)
        });
        if state == State::Available {
            self.woken.insert(running.queue);
        }
        Ok(())
    }
}

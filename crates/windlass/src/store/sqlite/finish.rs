//! How attempts end.
//!
//! The fence is checked once, in the transaction that then writes: nobody else can write between.

use std::collections::HashSet;

use serde::Deserialize;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Row};

use super::super::Error;
use super::rows::{Woken, decode, encode, micros};
use super::{at, keys};
use crate::db;
use crate::model::{
    AttemptError, AttemptOutcome, AttemptRecord, Finish, JobId, Json, MAX_ATTEMPT_RECORDS,
    Recorded, State, Timestamp, Verdict,
};

const FENCE: &str = include_str!("sql/fence.sql");
const FINISH_INSERT: &str = include_str!("sql/finish_insert.sql");
const FINISH_DELETE: &str = include_str!("sql/finish_delete.sql");
const RESCHEDULE: &str = include_str!("sql/reschedule.sql");

/// A job for `finish_insert`: job, state, result, attempt, crashes, attempts.
pub(super) type EndRow<'a> = (
    JobId,
    &'static str,
    Option<&'a str>,
    Option<u16>,
    Option<u16>,
    Option<String>,
);

/// A job for `reschedule`: job, state, run at, attempt, crashes, attempts.
pub(super) type AgainRow = (
    JobId,
    &'static str,
    Option<i64>,
    u16,
    Option<u16>,
    Option<String>,
);

/// What is known of a running attempt.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) number: u16,
    pub(super) claim_no: i64,
    pub(super) worker: String,
    pub(super) claimed_at: Timestamp,
    /// Earlier ones, as stored.
    pub(super) earlier: Option<String>,
}

/// What the fence says about a batch of leases.
#[derive(Debug)]
struct Fence {
    /// Places in the batch whose lease is lost.
    lost: HashSet<usize>,
    /// What must be known of the others: place, attempt, worker, claimed at, earlier attempts, queue.
    known: Vec<Known>,
    /// Whether any is ordered, or unique.
    ordered: bool,
    unique: bool,
}

#[derive(Debug, Deserialize)]
struct Known(usize, u16, String, i64, Option<String>, String);

/// What a batch comes to.
#[derive(Debug, Default)]
struct Outcomes<'a> {
    ended: Vec<EndRow<'a>>,
    again: Vec<AgainRow>,
    woken: Woken,
}

pub(super) async fn finish(
    db: &db::Sqlite,
    finishes: &[Finish],
    now: Option<Timestamp>,
) -> Result<(Vec<Recorded>, Woken), Error> {
    let mut tx = db.writer().begin_with("begin immediate").await?;
    let answer = record(&mut tx, finishes, at(now)).await?;
    tx.commit().await?;
    Ok(answer)
}

pub(super) async fn finish_in(
    connection: &mut SqliteConnection,
    finish: &Finish,
    now: Option<Timestamp>,
) -> Result<(Recorded, Woken), Error> {
    let mut savepoint = connection.begin().await?;
    let (recorded, woken) = record(&mut savepoint, std::slice::from_ref(finish), at(now)).await?;
    savepoint.commit().await?;
    Ok((recorded[0], woken))
}

async fn record(
    connection: &mut SqliteConnection,
    finishes: &[Finish],
    now: Timestamp,
) -> Result<(Vec<Recorded>, Woken), Error> {
    let fence = fence(connection, finishes).await?;
    let mut outcomes = Outcomes::default();
    for (index, finish) in finishes.iter().enumerate() {
        if let (Verdict::Complete { result }, false) =
            (&finish.verdict, fence.lost.contains(&index))
        {
            let result = result.as_ref().map(Json::as_str);
            let completed = State::Completed.as_str();
            outcomes
                .ended
                .push((finish.lease.job, completed, result, None, None, None));
        }
    }
    for known in fence.known {
        outcomes.add(&finishes[known.0], known, now)?;
    }
    reschedule(connection, &outcomes.again).await?;
    if !outcomes.ended.is_empty() {
        let moved = move_finished(connection, &outcomes.ended, now).await?;
        if fence.unique {
            keys::release(connection, &moved, now).await?;
        }
        if fence.ordered {
            keys::unblock(connection, &moved, now, &mut outcomes.woken).await?;
        }
    }
    let recorded = (0..finishes.len())
        .map(|index| {
            if fence.lost.contains(&index) {
                Recorded::LeaseLost
            } else {
                Recorded::Yes
            }
        })
        .collect();
    Ok((recorded, outcomes.woken))
}

/// Checks every lease. Of the same lease twice in one batch, only the first can hold it.
async fn fence(connection: &mut SqliteConnection, finishes: &[Finish]) -> Result<Fence, Error> {
    let is_complete = |finish: &Finish| matches!(finish.verdict, Verdict::Complete { .. });
    let leases: Vec<_> = finishes
        .iter()
        .map(|finish| {
            (
                finish.lease.job,
                finish.lease.claim_no,
                !is_complete(finish),
            )
        })
        .collect();
    let row = sqlx::query(FENCE)
        .bind(encode(&leases)?)
        .fetch_one(connection)
        .await?;
    let mut lost: HashSet<usize> = decode(row.try_get(0)?)?;
    let mut known: Vec<Known> = decode(row.try_get(1)?)?;
    let mut seen = HashSet::with_capacity(finishes.len());
    lost.extend(
        finishes
            .iter()
            .enumerate()
            .filter_map(|(index, finish)| (!seen.insert(finish.lease)).then_some(index)),
    );
    known.retain(|known| !lost.contains(&known.0));
    Ok(Fence {
        lost,
        known,
        ordered: row.try_get::<i64, _>(2)? > 0,
        unique: row.try_get::<i64, _>(3)? > 0,
    })
}

impl Outcomes<'_> {
    /// Everything but a completion.
    fn add(&mut self, finish: &Finish, known: Known, now: Timestamp) -> Result<(), Error> {
        let Known(_, number, worker, claimed_at, earlier, queue) = known;
        let attempt = Attempt {
            number,
            claim_no: finish.lease.claim_no,
            worker,
            claimed_at: Timestamp::from_micros(claimed_at),
            earlier,
        };
        let attempts = Some(attempt.end(finish.outcome, finish.error.clone(), now)?);
        let job = finish.lease.job;
        let mut again = |state: State, run_at: Option<Timestamp>, attempt| {
            self.again.push((
                job,
                state.as_str(),
                run_at.map(micros),
                attempt,
                None,
                attempts.clone(),
            ));
        };
        match finish.verdict {
            Verdict::Complete { .. } => {}
            Verdict::Retry { at } => again(State::Retryable, Some(at), number),
            Verdict::Snooze { until } => again(State::Scheduled, Some(until), number - 1),
            Verdict::Release => {
                again(State::Available, None, number - 1);
                self.woken.insert(queue);
            }
            Verdict::Cancel => self.end(job, State::Cancelled, attempts),
            Verdict::Dead => self.end(job, State::Dead, attempts),
        }
        Ok(())
    }

    fn end(&mut self, job: JobId, state: State, attempts: Option<String>) {
        self.ended
            .push((job, state.as_str(), None, None, None, attempts));
    }
}

impl Attempt {
    /// The job's attempts with this one at the end: the first and the newest are kept.
    pub(super) fn end(
        self,
        outcome: AttemptOutcome,
        error: Option<AttemptError>,
        now: Timestamp,
    ) -> Result<String, Error> {
        let mut attempts: Vec<AttemptRecord> =
            self.earlier.as_deref().map_or(Ok(Vec::new()), decode)?;
        attempts.push(AttemptRecord {
            attempt: self.number,
            claim_no: self.claim_no,
            worker: self.worker,
            started_at: self.claimed_at,
            ended_at: now,
            outcome,
            error,
        });
        if attempts.len() > MAX_ATTEMPT_RECORDS {
            attempts.remove(1);
        }
        encode(&attempts)
    }
}

/// Moves jobs to the finished ones; gives back their ids as a parameter for what follows.
pub(super) async fn move_finished(
    connection: &mut SqliteConnection,
    ended: &[EndRow<'_>],
    now: Timestamp,
) -> Result<String, Error> {
    sqlx::query(FINISH_INSERT)
        .bind(encode(ended)?)
        .bind(micros(now))
        .execute(&mut *connection)
        .await?;
    let ids: Vec<JobId> = ended.iter().map(|row| row.0).collect();
    let ids = encode(&ids)?;
    sqlx::query(FINISH_DELETE)
        .bind(ids.as_str())
        .execute(connection)
        .await?;
    Ok(ids)
}

/// The same for jobs whose keys are not known: they let go of what they hold.
pub(super) async fn end_jobs(
    connection: &mut SqliteConnection,
    ended: &[EndRow<'_>],
    now: Timestamp,
    woken: &mut Woken,
) -> Result<(), Error> {
    if ended.is_empty() {
        return Ok(());
    }
    let finished = move_finished(connection, ended, now).await?;
    keys::release(connection, &finished, now).await?;
    keys::unblock(connection, &finished, now, woken).await
}

pub(super) async fn reschedule(
    connection: &mut SqliteConnection,
    again: &[AgainRow],
) -> Result<(), Error> {
    if !again.is_empty() {
        sqlx::query(RESCHEDULE)
            .bind(encode(again)?)
            .execute(connection)
            .await?;
    }
    Ok(())
}

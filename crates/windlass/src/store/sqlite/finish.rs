//! How attempts end.
//!
//! The fence is checked once, in the transaction that then writes: nobody else can write between.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
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
const COMPLETE: &str = include_str!("sql/complete.sql");
const RESCHEDULE: &str = include_str!("sql/reschedule.sql");

/// A job for `complete.sql`. What is none stays as it was, but for the result.
#[derive(Debug, Serialize)]
pub(super) struct Ended<'a> {
    pub(super) id: JobId,
    pub(super) state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) result: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) attempt: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) crashes: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) attempts: Option<String>,
}

impl Ended<'_> {
    pub(super) const fn new(id: JobId, state: State) -> Self {
        Self {
            id,
            state,
            result: None,
            attempt: None,
            crashes: None,
            attempts: None,
        }
    }
}

/// A job for `reschedule.sql`. What is none stays as it was.
#[derive(Debug, Serialize)]
pub(super) struct Again {
    pub(super) id: JobId,
    pub(super) state: State,
    pub(super) run_at: Option<i64>,
    pub(super) attempt: u16,
    pub(super) crashes: Option<u16>,
    pub(super) attempts: String,
}

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
    /// What must be known of the others.
    known: Vec<Known>,
    /// Whether any is ordered, or unique.
    ordered: bool,
    unique: bool,
}

/// An element of `known` in `fence.sql`, whose order this is.
#[derive(Debug, Deserialize)]
struct Known {
    index: usize,
    attempt: u16,
    worker: String,
    claimed_at: i64,
    attempts: Option<String>,
    queue: String,
}

/// What a batch comes to.
#[derive(Debug, Default)]
struct Outcomes<'a> {
    ended: Vec<Ended<'a>>,
    again: Vec<Again>,
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
        if let Verdict::Complete { result } = &finish.verdict
            && !fence.lost.contains(&index)
        {
            outcomes.ended.push(Ended {
                result: result.as_ref().map(Json::as_str),
                ..Ended::new(finish.lease.job, State::Completed)
            });
        }
    }
    for known in fence.known {
        outcomes.add(&finishes[known.index], known, now)?;
    }
    reschedule(connection, &outcomes.again).await?;
    if !outcomes.ended.is_empty() {
        let ids = complete(connection, &outcomes.ended, now).await?;
        if fence.unique {
            keys::release(connection, &ids, now).await?;
        }
        if fence.ordered {
            keys::unblock(connection, &ids, now, &mut outcomes.woken).await?;
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
    let mut lost: HashSet<usize> = decode(row.try_get("lost")?)?;
    let mut known: Vec<Known> = decode(row.try_get("known")?)?;
    let mut seen = HashSet::with_capacity(finishes.len());
    lost.extend(
        finishes
            .iter()
            .enumerate()
            .filter_map(|(index, finish)| (!seen.insert(finish.lease)).then_some(index)),
    );
    known.retain(|known| !lost.contains(&known.index));
    Ok(Fence {
        lost,
        known,
        ordered: row.try_get::<i64, _>("ordered")? > 0,
        unique: row.try_get::<i64, _>("uniques")? > 0,
    })
}

impl Outcomes<'_> {
    /// Everything but a completion.
    fn add(&mut self, finish: &Finish, known: Known, now: Timestamp) -> Result<(), Error> {
        let number = known.attempt;
        let attempt = Attempt {
            number,
            claim_no: finish.lease.claim_no,
            worker: known.worker,
            claimed_at: Timestamp::from_micros(known.claimed_at),
            earlier: known.attempts,
        };
        let attempts = attempt.end(finish.outcome, finish.error.clone(), now)?;
        let id = finish.lease.job;
        match finish.verdict {
            Verdict::Retry { at } => self.again(id, State::Retryable, Some(at), number, attempts),
            Verdict::Snooze { until } => {
                self.again(id, State::Scheduled, Some(until), number - 1, attempts);
            }
            Verdict::Release => {
                self.again(id, State::Available, None, number - 1, attempts);
                self.woken.insert(known.queue);
            }
            Verdict::Cancel => self.end(id, State::Cancelled, attempts),
            Verdict::Dead => self.end(id, State::Dead, attempts),
            Verdict::Complete { .. } => {}
        }
        Ok(())
    }

    fn again(
        &mut self,
        id: JobId,
        state: State,
        run_at: Option<Timestamp>,
        attempt: u16,
        attempts: String,
    ) {
        self.again.push(Again {
            id,
            state,
            run_at: run_at.map(micros),
            attempt,
            crashes: None,
            attempts,
        });
    }

    fn end(&mut self, id: JobId, state: State, attempts: String) {
        self.ended.push(Ended {
            attempts: Some(attempts),
            ..Ended::new(id, state)
        });
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

/// Ends jobs; gives back their ids as a parameter for what follows.
async fn complete(
    connection: &mut SqliteConnection,
    ended: &[Ended<'_>],
    now: Timestamp,
) -> Result<String, Error> {
    sqlx::query(COMPLETE)
        .bind(encode(ended)?)
        .bind(micros(now))
        .execute(connection)
        .await?;
    let ids: Vec<JobId> = ended.iter().map(|job| job.id).collect();
    encode(&ids)
}

/// The same for jobs whose keys are not known: they let go of what they hold.
pub(super) async fn end_jobs(
    connection: &mut SqliteConnection,
    ended: &[Ended<'_>],
    now: Timestamp,
    woken: &mut Woken,
) -> Result<(), Error> {
    if ended.is_empty() {
        return Ok(());
    }
    let ids = complete(connection, ended, now).await?;
    keys::release(connection, &ids, now).await?;
    keys::unblock(connection, &ids, now, woken).await
}

pub(super) async fn reschedule(
    connection: &mut SqliteConnection,
    again: &[Again],
) -> Result<(), Error> {
    if !again.is_empty() {
        sqlx::query(RESCHEDULE)
            .bind(encode(again)?)
            .execute(connection)
            .await?;
    }
    Ok(())
}

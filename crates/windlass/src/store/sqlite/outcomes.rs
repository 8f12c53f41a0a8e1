//! What becomes of jobs, gathered first and written down in a few statements.

use std::collections::HashSet;

use serde::Serialize;
use sqlx::sqlite::SqliteConnection;

use super::super::Error;
use super::rows::{Woken, decode, encode, micros, portions};
use super::steps::{self, Ended};
use super::{keys, signals};
use crate::model::{
    AttemptError, AttemptOutcome, AttemptRecord, End, JobId, MAX_ATTEMPT_RECORDS, State, Timestamp,
};

const COMPLETE: &str = include_str!("sql/complete.sql");
const RESCHEDULE: &str = include_str!("sql/reschedule.sql");

/// What a batch of jobs comes to.
#[derive(Debug, Default)]
pub(super) struct Outcomes<'a> {
    /// For `complete.sql`: jobs that are done, and their results.
    pub(super) done: Vec<(JobId, Option<&'a str>)>,
    /// Every other outcome.
    pub(super) others: Vec<Outcome>,
    pub(super) woken: Woken,
    /// Whether any that finished may be in a line or have a unique key.
    pub(super) keyed: bool,
    /// Those that may be steps of flows.
    pub(super) steps: HashSet<JobId>,
    /// Jobs that wait for signals, and until when.
    pub(super) awaited: Vec<(JobId, String, i64)>,
}

/// A job for `reschedule.sql`. What is none stays as it was.
#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    pub(super) id: JobId,
    pub(super) state: State,
    pub(super) run_at: Option<i64>,
    pub(super) attempt: Option<u16>,
    pub(super) crashes: Option<u16>,
    pub(super) attempts: Option<String>,
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

impl Outcome {
    pub(super) const fn new(id: JobId, state: State) -> Self {
        Self {
            id,
            state,
            run_at: None,
            attempt: None,
            crashes: None,
            attempts: None,
        }
    }
}

impl Outcomes<'_> {
    /// Writes it all down; jobs that finished let go of what they held. Gives back which queues may
    /// have work because of it.
    pub(super) async fn write(
        mut self,
        connection: &mut SqliteConnection,
        now: Timestamp,
    ) -> Result<Woken, Error> {
        for done in portions(&self.done, |(_, result)| result.map_or(0, str::len)) {
            write(connection, COMPLETE, done, now).await?;
        }
        let bytes = |outcome: &Outcome| outcome.attempts.as_ref().map_or(0, String::len);
        for others in portions(&self.others, bytes) {
            write(connection, RESCHEDULE, others, now).await?;
        }
        let finished = self.finished();
        if self.keyed && !finished.is_empty() {
            let finished = encode(&finished)?;
            keys::release(connection, &finished, now).await?;
            keys::unblock(connection, &finished, now, &mut self.woken).await?;
        }
        signals::wait(connection, &self.awaited, now, &mut self.woken).await?;
        if !self.steps.is_empty() {
            let mut woken = std::mem::take(&mut self.woken);
            steps::ended(connection, &self.ended(), now, &mut woken).await?;
            self.woken = woken;
        }
        Ok(self.woken)
    }

    /// The steps that have ended by it.
    fn ended(&self) -> Vec<Ended<'_>> {
        let done = self
            .done
            .iter()
            .map(|(id, result)| Ended(*id, End::Completed, *result, None));
        let others = self.others.iter().filter_map(|job| {
            let end = End::of(job.state)?;
            Some(Ended(job.id, end, None, None))
        });
        done.chain(others)
            .filter(|step| self.steps.contains(&step.0))
            .collect()
    }

    fn finished(&self) -> Vec<JobId> {
        let done = self.done.iter().map(|(id, _)| *id);
        let others = self.others.iter().filter(|job| job.state.is_finished());
        done.chain(others.map(|job| job.id)).collect()
    }
}

async fn write<T: Serialize>(
    connection: &mut SqliteConnection,
    statement: &'static str,
    jobs: &[T],
    now: Timestamp,
) -> Result<(), Error> {
    sqlx::query(statement)
        .bind(encode(jobs)?)
        .bind(micros(now))
        .execute(connection)
        .await?;
    Ok(())
}

//! What becomes of jobs, gathered first and written down in a few statements.

use serde::Serialize;
use sqlx::sqlite::SqliteConnection;

use super::super::Error;
use super::keys;
use super::rows::{Woken, decode, encode, micros, portions};
use crate::model::{
    AttemptError, AttemptOutcome, AttemptRecord, JobId, MAX_ATTEMPT_RECORDS, State, Timestamp,
};

const COMPLETE: &str = include_str!("sql/complete.sql");
const RESCHEDULE: &str = include_str!("sql/reschedule.sql");

/// What a batch of jobs comes to.
#[derive(Debug, Default)]
pub(super) struct Outcomes<'a> {
    pub(super) ended: Vec<Ended<'a>>,
    pub(super) again: Vec<Again>,
    pub(super) woken: Woken,
    /// Whether any that ended may be in a line or have a unique key.
    pub(super) keyed: bool,
}

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

    fn bytes(&self) -> usize {
        self.result.map_or(0, str::len) + self.attempts.as_ref().map_or(0, String::len)
    }
}

impl Outcomes<'_> {
    /// Writes it all down; jobs that ended let go of what they held. Gives back which queues may
    /// have work because of it.
    pub(super) async fn write(
        mut self,
        connection: &mut SqliteConnection,
        now: Timestamp,
    ) -> Result<Woken, Error> {
        for again in portions(&self.again, |job| job.attempts.len()) {
            sqlx::query(RESCHEDULE)
                .bind(encode(again)?)
                .execute(&mut *connection)
                .await?;
        }
        for ended in portions(&self.ended, Ended::bytes) {
            sqlx::query(COMPLETE)
                .bind(encode(ended)?)
                .bind(micros(now))
                .execute(&mut *connection)
                .await?;
        }
        if !self.ended.is_empty() && self.keyed {
            let ids: Vec<JobId> = self.ended.iter().map(|job| job.id).collect();
            let ids = encode(&ids)?;
            keys::release(connection, &ids, now).await?;
            keys::unblock(connection, &ids, now, &mut self.woken).await?;
        }
        Ok(self.woken)
    }
}

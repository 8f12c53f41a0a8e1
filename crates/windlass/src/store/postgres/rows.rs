//! Between rows and the model.

use chrono::{DateTime, Utc};
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::Error;
use crate::model::{
    AttemptRecord, ClaimedJob, JobId, JobRecord, Json, QueueStats, State, Timestamp, WorkerRecord,
};
use std::time::Duration;

pub(super) type Time = DateTime<Utc>;

/// An instant as a parameter.
pub(super) fn time(at: Timestamp) -> Time {
    at.to_datetime()
}

/// A duration as a parameter, in microseconds; longer than all of time is all of time.
pub(super) fn micros(duration: Duration) -> i64 {
    let longest = Timestamp::MAX.as_micros();
    i64::try_from(duration.as_micros()).map_or(longest, |micros| micros.min(longest))
}

pub(super) fn small(number: u16) -> i16 {
    i16::try_from(number).unwrap_or(i16::MAX)
}

pub(super) fn id(row: &PgRow, column: usize) -> Result<JobId, Error> {
    Ok(JobId::from_uuid(row.try_get::<Uuid, _>(column)?))
}

pub(super) fn timestamp(row: &PgRow, column: usize) -> Result<Timestamp, Error> {
    Ok(Timestamp::from_datetime(row.try_get::<Time, _>(column)?))
}

pub(super) fn timestamp_or_none(row: &PgRow, column: usize) -> Result<Option<Timestamp>, Error> {
    Ok(row
        .try_get::<Option<Time>, _>(column)?
        .map(Timestamp::from_datetime))
}

/// A number that is never negative.
pub(super) fn number<T: TryFrom<i64>>(row: &PgRow, column: usize, stored: i64) -> Result<T, Error> {
    T::try_from(stored).map_err(|_| {
        let name = row.columns().get(column).map_or("?", sqlx::Column::name);
        Error::Corrupt(format!("{name} is {stored}"))
    })
}

pub(super) fn short<T: TryFrom<i64>>(row: &PgRow, column: usize) -> Result<T, Error> {
    number(row, column, row.try_get::<i16, _>(column)?.into())
}

pub(super) fn long<T: TryFrom<i64>>(row: &PgRow, column: usize) -> Result<T, Error> {
    number(row, column, row.try_get::<i64, _>(column)?)
}

pub(super) fn state(row: &PgRow, column: usize) -> Result<State, Error> {
    let word: &str = row.try_get(column)?;
    word.parse()
        .map_err(|_| Error::Corrupt(format!("state is {word:?}")))
}

pub(super) fn json(row: &PgRow, column: usize) -> Result<Option<Json>, Error> {
    Ok(row.try_get::<Option<String>, _>(column)?.map(Json::trusted))
}

/// The columns of `claim.sql`.
pub(super) fn claimed(row: &PgRow) -> Result<ClaimedJob, Error> {
    Ok(ClaimedJob {
        id: id(row, 0)?,
        kind: row.try_get(1)?,
        args: Json::trusted(row.try_get::<String, _>(2)?),
        queue: row.try_get(3)?,
        priority: short(row, 4)?,
        run_at: timestamp(row, 5)?,
        attempt: short(row, 6)?,
        max_attempts: short(row, 7)?,
        crashes: short(row, 8)?,
        claim_no: row.try_get(9)?,
        tenant_id: row.try_get(10)?,
        correlation_id: row.try_get(11)?,
        trace_parent: row.try_get(12)?,
        ordering_key: row.try_get(13)?,
        enqueued_at: timestamp(row, 14)?,
        claimed_at: timestamp(row, 15)?,
        checkpoint: json(row, 16)?,
    })
}

/// The columns of `get.sql` and `list.sql`, as seen at `now`, or at the time in the row.
pub(super) fn record(row: &PgRow, now: Option<Timestamp>) -> Result<JobRecord, Error> {
    let now = match now {
        Some(now) => now,
        None => timestamp(row, 26)?,
    };
    let run_at = timestamp(row, 6)?;
    Ok(JobRecord {
        id: id(row, 0)?,
        kind: row.try_get(1)?,
        args: Json::trusted(row.try_get::<String, _>(2)?),
        queue: row.try_get(3)?,
        priority: short(row, 4)?,
        state: state(row, 5)?.at(run_at, now),
        run_at,
        attempt: short(row, 7)?,
        max_attempts: short(row, 8)?,
        crashes: short(row, 9)?,
        claim_no: row.try_get(10)?,
        tags: row
            .try_get::<Option<Vec<String>>, _>(11)?
            .unwrap_or_default(),
        tenant_id: row.try_get(12)?,
        correlation_id: row.try_get(13)?,
        trace_parent: row.try_get(14)?,
        unique_key: row.try_get(15)?,
        ordering_key: row.try_get(16)?,
        enqueued_at: timestamp(row, 17)?,
        claimed_at: timestamp_or_none(row, 18)?,
        worker: row.try_get(19)?,
        lease_expires_at: timestamp_or_none(row, 20)?,
        cancel_requested_at: timestamp_or_none(row, 21)?,
        progress: json(row, 22)?,
        result: json(row, 23)?,
        finished_at: timestamp_or_none(row, 24)?,
        attempts: attempts(row, 25)?,
    })
}

fn attempts(row: &PgRow, column: usize) -> Result<Vec<AttemptRecord>, Error> {
    let Some(text) = row.try_get::<Option<&str>, _>(column)? else {
        return Ok(Vec::new());
    };
    serde_json::from_str(text).map_err(|error| Error::Corrupt(format!("attempts: {error}")))
}

/// The columns of `queues.sql`.
pub(super) fn queue_stats(row: &PgRow) -> Result<QueueStats, Error> {
    Ok(QueueStats {
        queue: row.try_get(0)?,
        available: long(row, 1)?,
        scheduled: long(row, 2)?,
        retryable: long(row, 3)?,
        waiting: long(row, 4)?,
        running: long(row, 5)?,
        capped: row.try_get(6)?,
        oldest_available_at: timestamp_or_none(row, 7)?,
    })
}

/// The columns of `workers.sql`.
pub(super) fn worker(row: &PgRow) -> Result<WorkerRecord, Error> {
    Ok(WorkerRecord {
        id: row.try_get(0)?,
        host: row.try_get(1)?,
        pid: long(row, 2)?,
        version: row.try_get(3)?,
        queues: row.try_get(4)?,
        slots: long(row, 5)?,
        running: long(row, 6)?,
        started_at: timestamp(row, 7)?,
        beat_at: timestamp(row, 8)?,
        draining: row.try_get(9)?,
    })
}

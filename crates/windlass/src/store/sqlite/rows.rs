//! From rows to jobs, and from jobs to parameters.
//!
//! A batch of rows is one parameter: a JSON array of arrays, whose places the statement's first
//! lines name.

use std::collections::BTreeSet;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::super::Error;
use crate::model::{ClaimedJob, JobId, JobRecord, Json, Timestamp};

/// Queues that may have work now.
pub(super) type Woken = BTreeSet<String>;

pub(super) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::Corrupt(error.to_string()))
}

/// A list of words, of which an empty one is stored as null.
pub(super) fn encode_list(words: &[String]) -> Option<String> {
    (!words.is_empty()).then(|| serde_json::Value::from(words.to_vec()).to_string())
}

/// Reads JSON that this program wrote.
pub(super) fn decode<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|error| Error::Corrupt(error.to_string()))
}

/// Reads a JSON array, of which an empty one is stored as null.
pub(super) fn decode_list<T: DeserializeOwned>(text: Option<&str>) -> Result<Vec<T>, Error> {
    text.map_or_else(|| Ok(Vec::new()), decode)
}

/// A parameter for an instant.
pub(super) const fn micros(at: Timestamp) -> i64 {
    at.as_micros()
}

pub(super) fn id(row: &SqliteRow, column: usize) -> Result<JobId, Error> {
    Ok(JobId::from_uuid(row.try_get::<Uuid, _>(column)?))
}

pub(super) fn timestamp(row: &SqliteRow, column: usize) -> Result<Timestamp, Error> {
    Ok(Timestamp::from_micros(row.try_get(column)?))
}

/// A number that the tables keep in the width of an integer.
pub(super) fn number<T: TryFrom<i64>>(row: &SqliteRow, column: usize) -> Result<T, Error> {
    let number: i64 = row.try_get(column)?;
    T::try_from(number).map_err(|_| Error::Corrupt(format!("{number} is out of range")))
}

/// A row of `claim.sql`.
pub(super) fn claimed(
    row: &SqliteRow,
    queue: &str,
    claimed_at: Timestamp,
) -> Result<ClaimedJob, Error> {
    Ok(ClaimedJob {
        id: id(row, 0)?,
        kind: row.try_get(1)?,
        args: Json::trusted(row.try_get::<String, _>(2)?),
        queue: queue.to_owned(),
        priority: number(row, 3)?,
        run_at: timestamp(row, 4)?,
        attempt: number(row, 5)?,
        max_attempts: number(row, 6)?,
        crashes: number(row, 7)?,
        claim_no: row.try_get(8)?,
        tenant_id: row.try_get(9)?,
        correlation_id: row.try_get(10)?,
        trace_parent: row.try_get(11)?,
        ordering_key: row.try_get(12)?,
        enqueued_at: timestamp(row, 13)?,
        claimed_at,
    })
}

/// A unique scope ends in its key, which holds no control characters.
fn key_of_scope(scope: &str) -> String {
    scope
        .rsplit_once('\u{1f}')
        .map_or(scope, |(_, key)| key)
        .to_owned()
}

/// A row of `all_jobs`, seen at a time.
pub(super) fn record(row: &SqliteRow, now: Timestamp) -> Result<JobRecord, Error> {
    let stored = stored(row)?;
    Ok(JobRecord {
        state: stored.state.at(stored.run_at, now),
        ..stored
    })
}

/// A row of `all_jobs`, in the state that is stored.
pub(super) fn stored(row: &SqliteRow) -> Result<JobRecord, Error> {
    let at = |micros: Option<i64>| micros.map(Timestamp::from_micros);
    let json = |text: Option<String>| text.map(Json::trusted);
    let state: &str = row.try_get(5)?;
    Ok(JobRecord {
        id: id(row, 0)?,
        kind: row.try_get(1)?,
        args: Json::trusted(row.try_get::<String, _>(2)?),
        queue: row.try_get(3)?,
        priority: number(row, 4)?,
        state: state
            .parse()
            .map_err(|_| Error::Corrupt(format!("the state {state} is unknown")))?,
        run_at: timestamp(row, 6)?,
        attempt: number(row, 7)?,
        max_attempts: number(row, 8)?,
        crashes: number(row, 9)?,
        claim_no: row.try_get(10)?,
        tags: decode_list(row.try_get(11)?)?,
        tenant_id: row.try_get(12)?,
        correlation_id: row.try_get(13)?,
        trace_parent: row.try_get(14)?,
        unique_key: row.try_get::<Option<&str>, _>(15)?.map(key_of_scope),
        ordering_key: row.try_get(16)?,
        enqueued_at: timestamp(row, 17)?,
        claimed_at: at(row.try_get(18)?),
        worker: row.try_get(19)?,
        lease_expires_at: at(row.try_get(20)?),
        cancel_requested_at: at(row.try_get(21)?),
        progress: json(row.try_get(22)?),
        attempts: decode_list(row.try_get(23)?)?,
        result: json(row.try_get(24)?),
        finished_at: at(row.try_get(25)?),
    })
}

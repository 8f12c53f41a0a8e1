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
use super::outcomes::Attempt;
use crate::model::{JobId, JobRecord, Json, Timestamp};

/// How many rows, and about how many bytes of them, go into one parameter.
const ROWS_AT_ONCE: usize = 1_000;
const BYTES_AT_ONCE: usize = 4 * 1024 * 1024;

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

pub(super) fn id(row: &SqliteRow, column: &str) -> Result<JobId, Error> {
    Ok(JobId::from_uuid(row.try_get::<Uuid, _>(column)?))
}

pub(super) fn timestamp(row: &SqliteRow, column: &str) -> Result<Timestamp, Error> {
    Ok(Timestamp::from_micros(row.try_get(column)?))
}

/// A number that the tables keep in the width of an integer.
pub(super) fn number<T: TryFrom<i64>>(row: &SqliteRow, column: &str) -> Result<T, Error> {
    let number: i64 = row.try_get(column)?;
    T::try_from(number).map_err(|_| Error::Corrupt(format!("{number} is out of range")))
}

/// Cuts a batch so that no parameter grows without bound, whatever the size of its rows.
pub(super) fn portions<T>(
    mut rest: &[T],
    bytes: impl Fn(&T) -> usize,
) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let mut filled = 0;
        let fitting = rest.iter().take(ROWS_AT_ONCE).take_while(|row| {
            let fits = filled < BYTES_AT_ONCE;
            filled += bytes(row);
            fits
        });
        let (portion, left) = rest.split_at(fitting.count());
        rest = left;
        (!portion.is_empty()).then_some(portion)
    })
}

/// The attempt that runs, or ran when its lease ended.
pub(super) fn attempt(row: &SqliteRow) -> Result<Attempt, Error> {
    Ok(Attempt {
        number: number(row, "attempt")?,
        claim_no: row.try_get("claim_no")?,
        worker: row.try_get("worker")?,
        claimed_at: timestamp(row, "claimed_at")?,
        earlier: row.try_get("attempts")?,
    })
}

/// A unique scope ends in its key, which holds no control characters.
fn key_of_scope(scope: &str) -> String {
    scope
        .rsplit_once('\u{1f}')
        .map_or(scope, |(_, key)| key)
        .to_owned()
}

/// A row of `jobs`, seen at a time.
pub(super) fn record(row: &SqliteRow, now: Timestamp) -> Result<JobRecord, Error> {
    let stored = stored(row)?;
    Ok(JobRecord {
        state: stored.state.at(stored.run_at, now),
        ..stored
    })
}

/// A row of `jobs`, in the state that is stored.
pub(super) fn stored(row: &SqliteRow) -> Result<JobRecord, Error> {
    let instant = |column: &str| -> Result<Option<Timestamp>, Error> {
        let micros: Option<i64> = row.try_get(column)?;
        Ok(micros.map(Timestamp::from_micros))
    };
    let json = |column: &str| -> Result<Option<Json>, Error> {
        let text: Option<String> = row.try_get(column)?;
        Ok(text.map(Json::trusted))
    };
    let state: &str = row.try_get("state")?;
    let unique_scope: Option<&str> = row.try_get("unique_scope")?;
    Ok(JobRecord {
        id: id(row, "id")?,
        kind: row.try_get("kind")?,
        args: Json::trusted(row.try_get::<String, _>("args")?),
        queue: row.try_get("queue")?,
        priority: number(row, "priority")?,
        state: state
            .parse()
            .map_err(|_| Error::Corrupt(format!("the state {state} is unknown")))?,
        run_at: timestamp(row, "run_at")?,
        attempt: number(row, "attempt")?,
        max_attempts: number(row, "max_attempts")?,
        crashes: number(row, "crashes")?,
        claim_no: row.try_get("claim_no")?,
        tags: decode_list(row.try_get("tags")?)?,
        tenant_id: row.try_get("tenant_id")?,
        correlation_id: row.try_get("correlation_id")?,
        trace_parent: row.try_get("trace_parent")?,
        unique_key: unique_scope.map(key_of_scope),
        ordering_key: row.try_get("ordering_key")?,
        enqueued_at: timestamp(row, "enqueued_at")?,
        claimed_at: instant("claimed_at")?,
        worker: row.try_get("worker")?,
        lease_expires_at: instant("lease_expires_at")?,
        cancel_requested_at: instant("cancel_requested_at")?,
        progress: json("progress")?,
        result: json("result")?,
        finished_at: instant("finished_at")?,
        attempts: decode_list(row.try_get("attempts")?)?,
    })
}

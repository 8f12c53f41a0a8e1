//! Unique, idempotency and ordering keys: who holds them, and who comes next.

use std::collections::{HashMap, HashSet};

use serde::Serialize;
use sqlx::Row;
use sqlx::sqlite::SqliteConnection;

use super::super::Error;
use super::rows::{self, Woken, encode, micros};
use crate::model::{JobId, State, Timestamp};

const UNIQUE_HOLDER: &str = include_str!("sql/unique_holder.sql");
const UNIQUE_TAKE: &str = include_str!("sql/unique_take.sql");
const UNIQUE_RETAKE: &str = include_str!("sql/unique_retake.sql");
const UNIQUE_KEPT_BY: &str = include_str!("sql/unique_kept_by.sql");
const UNIQUE_RELEASE: &str = include_str!("sql/unique_release.sql");
const ENQUEUE_LINES: &str = include_str!("sql/enqueue_lines.sql");
const UNBLOCK: &str = include_str!("sql/unblock.sql");

/// The jobs of one tenant with one ordering key: the key, then the tenant or nothing.
pub(super) type Line = (String, String);

/// Who holds a key.
#[derive(Debug, Clone)]
pub(super) struct Holder {
    pub(super) job: JobId,
    /// Of the request, for an idempotency key.
    pub(super) digest: Option<String>,
    /// Unfinished and not running.
    pub(super) replaceable: bool,
}

/// A row of `job_unique_keys`, for `unique_take.sql`.
#[derive(Debug, Serialize)]
pub(super) struct KeyRow {
    pub(super) key: String,
    pub(super) job_id: JobId,
    pub(super) held_until: Option<i64>,
    pub(super) digest: Option<String>,
}

/// The line of a job, if it is in one.
pub(super) fn line(ordering_key: Option<&str>, tenant_id: Option<&str>) -> Option<Line> {
    Some((
        ordering_key?.to_owned(),
        tenant_id.unwrap_or_default().to_owned(),
    ))
}

/// Who holds which of these keys.
pub(super) async fn holders(
    connection: &mut SqliteConnection,
    keys: &[String],
    now: Timestamp,
) -> Result<HashMap<String, Holder>, Error> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query(UNIQUE_HOLDER)
        .bind(encode(keys)?)
        .bind(micros(now))
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| {
            let holder = Holder {
                job: rows::id(row, "job_id")?,
                digest: row.try_get("digest")?,
                replaceable: row.try_get("replaceable")?,
            };
            Ok((row.try_get("key")?, holder))
        })
        .collect()
}

/// Takes keys that are free.
pub(super) async fn take(connection: &mut SqliteConnection, keys: &[KeyRow]) -> Result<(), Error> {
    if !keys.is_empty() {
        sqlx::query(UNIQUE_TAKE)
            .bind(encode(keys)?)
            .execute(connection)
            .await?;
    }
    Ok(())
}

/// A finished job that is revived takes its unique key back, or learns who holds it now.
pub(super) async fn retake(
    connection: &mut SqliteConnection,
    finished: JobId,
    now: Timestamp,
) -> Result<Option<JobId>, Error> {
    sqlx::query(UNIQUE_RETAKE)
        .bind(finished.as_uuid())
        .bind(micros(now))
        .execute(&mut *connection)
        .await?;
    let row = sqlx::query(UNIQUE_KEPT_BY)
        .bind(finished.as_uuid())
        .fetch_optional(connection)
        .await?;
    row.map(|row| rows::id(&row, "job_id")).transpose()
}

/// Which of these lines have an unfinished job.
pub(super) async fn occupied(
    connection: &mut SqliteConnection,
    lines: &[Line],
) -> Result<HashSet<Line>, Error> {
    if lines.is_empty() {
        return Ok(HashSet::new());
    }
    let rows = sqlx::query(ENQUEUE_LINES)
        .bind(encode(lines)?)
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| Ok((row.try_get("ordering_key")?, row.try_get("tenant_id")?)))
        .collect()
}

/// Jobs that have just finished let go of their unique keys. `finished` is an encoded array of ids.
pub(super) async fn release(
    connection: &mut SqliteConnection,
    finished: &str,
    now: Timestamp,
) -> Result<(), Error> {
    sqlx::query(UNIQUE_RELEASE)
        .bind(finished)
        .bind(micros(now))
        .execute(connection)
        .await?;
    Ok(())
}

/// The lines of jobs that have just finished move on.
pub(super) async fn unblock(
    connection: &mut SqliteConnection,
    finished: &str,
    now: Timestamp,
    woken: &mut Woken,
) -> Result<(), Error> {
    let rows = sqlx::query(UNBLOCK)
        .bind(finished)
        .bind(micros(now))
        .fetch_all(connection)
        .await?;
    for row in &rows {
        if row.try_get::<&str, _>("state")? == State::Available.as_str() {
            woken.insert(row.try_get("queue")?);
        }
    }
    Ok(())
}

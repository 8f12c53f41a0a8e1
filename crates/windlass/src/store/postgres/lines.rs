//! Ordering keys: each is a line of jobs of which at most one, the head, is not `waiting`.
//!
//! The rules that make this hold under concurrency:
//!
//! 1. Whoever may change which job is the head holds the line's advisory lock until its transaction
//!    ends, and takes it before it touches any of the line's rows.
//! 2. Several locks are taken in one order. Whoever adds jobs to lines and ends a job in the same
//!    transaction takes them all when it ends the job. (Adding to several lines in several calls and
//!    ending none may deadlock with the like: one is rolled back and tried again.)
//! 3. A new job is inserted as `waiting`; a deferred trigger, at commit and under the lock, lets the
//!    head go if nobody is out (`let_head_go` in the migration).
//! 4. Whoever ends a job lets the next one go in the same transaction.
//!
//! A unique index makes two heads impossible, whatever else goes wrong; `maintain` repairs a line
//! that was left without one, which a REPEATABLE READ transaction of a caller can do.

use sqlx::Row;
use uuid::Uuid;

use super::rows::Time;
use super::{Error, Session, rows, sql};
use crate::model::Timestamp;

/// A job that may be claimed at an old time now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Freed {
    pub(super) queue: String,
    pub(super) priority: u8,
    pub(super) run_at: Timestamp,
}

/// Tenant and ordering key.
pub(super) type Line = (Option<String>, String);

/// Locks the lines of those of the jobs that are ordered, those that their flows may let others join,
/// and those that the transaction has added jobs to; says whether any of the jobs is a step of a flow.
pub(super) async fn lock(
    connection: &mut Session<'_>,
    jobs: &[Uuid],
    joined: &[Line],
) -> Result<bool, Error> {
    let (tenants, keys) = columns(joined);
    let row = sqlx::query(sql::LOCK_LINES)
        .bind(jobs)
        .bind(tenants)
        .bind(keys)
        .fetch_one(connection)
        .await?;
    Ok(row.try_get(0)?)
}

/// Locks lines by name.
pub(super) async fn lock_all(connection: &mut Session<'_>, lines: &[Line]) -> Result<(), Error> {
    let (tenants, keys) = columns(lines);
    sqlx::query(sql::LOCK_STUCK_LINES)
        .bind(tenants)
        .bind(keys)
        .execute(connection)
        .await?;
    Ok(())
}

/// Lets the next job of each line go. The lines are locked.
pub(super) async fn hand_on(
    connection: &mut Session<'_>,
    lines: &[Line],
    now: Option<Time>,
) -> Result<Vec<Freed>, Error> {
    if lines.is_empty() {
        return Ok(Vec::new());
    }
    let (tenants, keys) = columns(lines);
    sqlx::query(sql::HAND_ON)
        .bind(tenants)
        .bind(keys)
        .bind(now)
        .fetch_all(connection)
        .await?
        .iter()
        .map(|row| {
            Ok(Freed {
                queue: row.try_get(0)?,
                priority: rows::short(row, 1)?,
                run_at: rows::timestamp(row, 2)?,
            })
        })
        .collect()
}

pub(super) fn columns(lines: &[Line]) -> (Vec<Option<&str>>, Vec<&str>) {
    lines
        .iter()
        .map(|(tenant, key)| (tenant.as_deref(), key.as_str()))
        .unzip()
}

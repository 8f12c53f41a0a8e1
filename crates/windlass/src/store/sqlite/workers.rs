//! Who works, and who leads.

use std::time::Duration;

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::super::{Elect, Error};
use super::at;
use super::rows::{self, decode, encode, micros};
use crate::db;
use crate::model::{Timestamp, WorkerRecord};

const BEAT_WORKER: &str = include_str!("sql/beat_worker.sql");
const REMOVE_WORKER: &str = include_str!("sql/remove_worker.sql");
const WORKERS: &str = include_str!("sql/workers.sql");
const ELECT: &str = include_str!("sql/elect.sql");
const RESIGN: &str = include_str!("sql/resign.sql");

/// A worker that was silent for longer is forgotten.
const SILENCE: Duration = Duration::from_hours(24);

pub(super) async fn beat_worker(
    db: &db::Sqlite,
    worker: &WorkerRecord,
    now: Option<Timestamp>,
) -> Result<(), Error> {
    sqlx::query(BEAT_WORKER)
        .bind(worker.id.as_str())
        .bind(worker.host.as_str())
        .bind(worker.pid)
        .bind(worker.version.as_str())
        .bind(encode(&worker.queues)?)
        .bind(worker.slots)
        .bind(worker.running)
        .bind(micros(at(now)))
        .bind(worker.draining)
        .execute(db.writer())
        .await?;
    Ok(())
}

pub(super) async fn remove_worker(
    db: &db::Sqlite,
    id: &str,
    now: Option<Timestamp>,
) -> Result<(), Error> {
    sqlx::query(REMOVE_WORKER)
        .bind(id)
        .bind(micros(at(now).minus(SILENCE)))
        .execute(db.writer())
        .await?;
    Ok(())
}

pub(super) async fn workers(
    db: &db::Sqlite,
    now: Option<Timestamp>,
) -> Result<Vec<WorkerRecord>, Error> {
    let rows = sqlx::query(WORKERS)
        .bind(micros(at(now).minus(SILENCE)))
        .fetch_all(db.readers())
        .await?;
    rows.iter().map(worker).collect()
}

fn worker(row: &SqliteRow) -> Result<WorkerRecord, Error> {
    Ok(WorkerRecord {
        id: row.try_get("id")?,
        host: row.try_get("host")?,
        pid: rows::number(row, "pid")?,
        version: row.try_get("version")?,
        queues: decode(row.try_get("queues")?)?,
        slots: rows::number(row, "slots")?,
        running: rows::number(row, "running")?,
        started_at: rows::timestamp(row, "started_at")?,
        beat_at: rows::timestamp(row, "beat_at")?,
        draining: row.try_get("draining")?,
    })
}

pub(super) async fn elect(db: &db::Sqlite, elect: &Elect<'_>) -> Result<bool, Error> {
    let now = at(elect.now);
    let done = sqlx::query(ELECT)
        .bind(elect.role)
        .bind(elect.holder)
        .bind(micros(now + elect.term))
        .bind(micros(now))
        .execute(db.writer())
        .await?;
    Ok(done.rows_affected() > 0)
}

pub(super) async fn resign(db: &db::Sqlite, role: &str, holder: &str) -> Result<(), Error> {
    sqlx::query(RESIGN)
        .bind(role)
        .bind(holder)
        .execute(db.writer())
        .await?;
    Ok(())
}

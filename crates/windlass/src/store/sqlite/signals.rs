//! Messages that a job may wait for.

use sqlx::Row;
use sqlx::sqlite::SqliteConnection;

use super::super::{Changed, Error};
use super::at;
use super::operate::find;
use super::rows::{self, Woken, encode, micros};
use crate::db;
use crate::model::{JobId, Json, Signal, State, Timestamp};

const PUT_SIGNAL: &str = include_str!("sql/put_signal.sql");
const AWAIT_SIGNAL: &str = include_str!("sql/await_signal.sql");
const SIGNALLED: &str = include_str!("sql/signalled.sql");
const WAKE_WAITING: &str = include_str!("sql/wake_waiting.sql");
const DROP_SIGNALS: &str = include_str!("sql/drop_signals.sql");
const SWEEP_SIGNALS: &str = include_str!("sql/sweep_signals.sql");

/// How many signals of finished jobs go in one transaction.
const AT_ONCE: u32 = 10_000;

pub(super) async fn signal(
    db: &db::Sqlite,
    job: JobId,
    tenant: Option<&str>,
    name: &str,
    payload: &Json,
    now: Option<Timestamp>,
) -> Result<(Changed, Woken), Error> {
    let mut tx = db.writer().begin_with("begin immediate").await?;
    let mut woken = Woken::new();
    let changed = match find(&mut tx, job, tenant).await? {
        None => Changed::NotFound,
        Some(job) if job.state.is_finished() => Changed::Refused(job.state),
        Some(job) => {
            let awaited: Option<i64> = sqlx::query_scalar(PUT_SIGNAL)
                .bind(job.id.as_uuid())
                .bind(name)
                .bind(payload.as_str())
                .fetch_one(&mut *tx)
                .await?;
            if job.state == State::Scheduled && awaited == Some(micros(job.run_at)) {
                wake(&mut tx, &[job.id], at(now), awaited, &mut woken).await?;
            }
            Changed::Done
        }
    };
    tx.commit().await?;
    Ok((changed, woken))
}

pub(super) async fn signalled(db: &db::Sqlite, job: JobId, name: &str) -> Result<Signal, Error> {
    let row = sqlx::query(SIGNALLED)
        .bind(job.as_uuid())
        .bind(name)
        .fetch_optional(db.readers())
        .await?;
    let Some(row) = row else {
        return Ok(Signal::default());
    };
    let payload: Option<String> = row.try_get("payload")?;
    let awaited_until: Option<i64> = row.try_get("awaited_until")?;
    Ok(Signal {
        payload: payload.map(Json::trusted),
        awaited_until: awaited_until.map(Timestamp::from_micros),
    })
}

/// Jobs that have just been put back wait for signals; those whose signal has come do not.
pub(super) async fn wait(
    connection: &mut SqliteConnection,
    awaited: &[(JobId, String, i64)],
    now: Timestamp,
    woken: &mut Woken,
) -> Result<(), Error> {
    if awaited.is_empty() {
        return Ok(());
    }
    let rows = sqlx::query(AWAIT_SIGNAL)
        .bind(encode(awaited)?)
        .fetch_all(&mut *connection)
        .await?;
    let mut come = Vec::new();
    for row in &rows {
        if row.try_get("come")? {
            come.push(rows::id(row, "job_id")?);
        }
    }
    wake(connection, &come, now, None, woken).await
}

async fn wake(
    connection: &mut SqliteConnection,
    jobs: &[JobId],
    now: Timestamp,
    waiting_until: Option<i64>,
    woken: &mut Woken,
) -> Result<(), Error> {
    if jobs.is_empty() {
        return Ok(());
    }
    let rows = sqlx::query(WAKE_WAITING)
        .bind(encode(jobs)?)
        .bind(micros(now))
        .bind(waiting_until)
        .fetch_all(connection)
        .await?;
    for row in &rows {
        woken.insert(row.try_get("queue")?);
    }
    Ok(())
}

/// Deletes what was left for jobs that start from the beginning.
pub(super) async fn drop_of(
    connection: &mut SqliteConnection,
    jobs: &[JobId],
) -> Result<(), Error> {
    sqlx::query(DROP_SIGNALS)
        .bind(encode(jobs)?)
        .execute(connection)
        .await?;
    Ok(())
}

/// Deletes what was left for jobs that have finished.
pub(super) async fn sweep(db: &db::Sqlite) -> Result<(), Error> {
    sqlx::query(SWEEP_SIGNALS)
        .bind(AT_ONCE)
        .execute(db.writer())
        .await?;
    Ok(())
}

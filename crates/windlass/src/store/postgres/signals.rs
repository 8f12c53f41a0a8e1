//! Messages that a job may wait for.
//!
//! Whoever leaves a message and whoever makes a job wait for one both lock the job's row first, and
//! look for the other's doing in a statement after that: neither can miss the other.

use std::collections::HashSet;

use sqlx::Row;
use uuid::Uuid;

use super::lane::{run, transaction};
use super::lines::Freed;
use super::operate::{finished, unfinished};
use super::rows::{self, Time};
use super::{Error, Session, Shared, sql};
use crate::model::{Finish, JobId, Json, Lease, Signal, State, Timestamp, Verdict};
use crate::store::Changed;

impl Shared {
    pub(super) async fn signal(
        &self,
        job: JobId,
        tenant: Option<&str>,
        name: &str,
        payload: &Json,
        now: Option<Timestamp>,
    ) -> Result<Changed, Error> {
        let (changed, freed) = transaction!(self.leases, |connection| {
            let Some((state, _)) = unfinished(connection, job, tenant).await? else {
                let finished = finished(connection, job, tenant).await?;
                let refused = finished.map(|(state, _)| Changed::Refused(state));
                return Ok((refused.unwrap_or(Changed::NotFound), Vec::new()));
            };
            let awaited = put(connection, job, name, payload).await?;
            let freed = match awaited {
                Some(until) if state == State::Scheduled => {
                    wake(
                        connection,
                        vec![job.as_uuid()],
                        now.map(rows::time),
                        Some(until),
                    )
                    .await?
                }
                _ => Vec::new(),
            };
            Ok((Changed::Done, freed))
        })?;
        self.freed(&freed);
        Ok(changed)
    }

    pub(super) async fn signalled(&self, job: JobId, name: &str) -> Result<Signal, Error> {
        run!(self.reads, |connection| {
            let row = sqlx::query(sql::SIGNALLED)
                .bind(job.as_uuid())
                .bind(name)
                .fetch_optional(connection)
                .await?;
            let Some(row) = row else {
                return Ok(Signal::default());
            };
            let payload: Option<String> = row.try_get(0)?;
            Ok(Signal {
                payload: payload.map(Json::trusted),
                awaited_until: rows::timestamp_or_none(&row, 1)?,
            })
        })
    }
}

async fn put(
    connection: &mut Session<'_>,
    job: JobId,
    name: &str,
    payload: &Json,
) -> Result<Option<Time>, Error> {
    let awaited = sqlx::query_scalar(sql::PUT_SIGNAL)
        .bind(job.as_uuid())
        .bind(name)
        .bind(payload.as_str())
        .fetch_one(connection)
        .await?;
    Ok(awaited)
}

/// Jobs that have just been put back wait for signals; those whose signal has come do not.
pub(super) async fn wait(
    connection: &mut Session<'_>,
    finishes: &[&Finish],
    written: &HashSet<Lease>,
    now: Option<Time>,
) -> Result<Vec<Freed>, Error> {
    let (mut jobs, mut names, mut untils) = (Vec::new(), Vec::new(), Vec::new());
    for finish in finishes
        .iter()
        .filter(|finish| written.contains(&finish.lease))
    {
        if let Verdict::Await { signal, until } = &finish.verdict {
            jobs.push(finish.lease.job.as_uuid());
            names.push(signal.as_str());
            untils.push(rows::time(*until));
        }
    }
    if jobs.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(sql::AWAIT_SIGNAL)
        .bind(jobs)
        .bind(names)
        .bind(untils)
        .fetch_all(&mut *connection)
        .await?;
    let mut come: Vec<Uuid> = Vec::new();
    for row in &rows {
        if row.try_get(1)? {
            come.push(row.try_get(0)?);
        }
    }
    wake(connection, come, now, None).await
}

async fn wake(
    connection: &mut Session<'_>,
    jobs: Vec<Uuid>,
    now: Option<Time>,
    waiting_until: Option<Time>,
) -> Result<Vec<Freed>, Error> {
    if jobs.is_empty() {
        return Ok(Vec::new());
    }
    sqlx::query(sql::WAKE_WAITING)
        .bind(jobs)
        .bind(now)
        .bind(waiting_until)
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

/// Deletes what was left for jobs that start from the beginning.
pub(super) async fn drop_of(connection: &mut Session<'_>, jobs: &[Uuid]) -> Result<(), Error> {
    sqlx::query(sql::DROP_SIGNALS)
        .bind(jobs)
        .execute(connection)
        .await?;
    Ok(())
}

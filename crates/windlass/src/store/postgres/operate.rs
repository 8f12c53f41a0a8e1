//! What operators do to single jobs: lock it, let the model decide, write it down.

use sqlx::{PgConnection, Row};

use super::lane::transaction;
use super::lines::{self, Freed, Line};
use super::rows::{self, Time};
use super::{Error, Shared, keys, sql};
use crate::model::{Event, JobId, State, Timestamp, Transition};
use crate::store::Changed;

impl Shared {
    /// Cancels or discards.
    pub(super) async fn end(
        &self,
        event: Event,
        id: JobId,
        tenant: Option<&str>,
        now: Option<Timestamp>,
    ) -> Result<Changed, Error> {
        let now = now.map(rows::time);
        let (changed, freed) = transaction!(self.leases, |connection| {
            end_in(connection, event, id, tenant, now).await
        })?;
        self.freed(&freed);
        Ok(changed)
    }

    pub(super) async fn requeue(
        &self,
        id: JobId,
        tenant: Option<&str>,
        now: Option<Timestamp>,
    ) -> Result<Changed, Error> {
        let (changed, freed) = transaction!(self.leases, |connection| {
            match unfinished(connection, id, tenant).await? {
                Some(state) if state.on(Event::Requeue) == Transition::Refused => {
                    Ok((Changed::Refused(state), None))
                }
                Some(_) => {
                    let freed = requeue(connection, sql::REQUEUE, id, now).await?;
                    Ok((Changed::Done, freed))
                }
                None => revive(connection, id, tenant, now).await,
            }
        })?;
        self.freed(freed.as_slice());
        Ok(changed)
    }
}

/// Cancels or discards, in the transaction that the connection is in.
pub(super) async fn end_in(
    connection: &mut PgConnection,
    event: Event,
    id: JobId,
    tenant: Option<&str>,
    now: Option<Time>,
) -> Result<(Changed, Vec<Freed>), Error> {
    lines::lock(connection, &[id.as_uuid()]).await?;
    let Some(state) = unfinished(connection, id, tenant).await? else {
        return Ok((refused(connection, id, tenant).await?, Vec::new()));
    };
    match state.on(event) {
        Transition::Ask => {
            request_cancel(connection, id, now).await?;
            Ok((Changed::Asked, Vec::new()))
        }
        // Only a running job itself may ask to be set aside.
        Transition::To(end) if state != State::Running => {
            let line = end_unstarted(connection, id, end, now).await?;
            let freed = lines::hand_on(connection, &line, now).await?;
            Ok((Changed::Done, freed))
        }
        _ => Ok((Changed::Refused(state), Vec::new())),
    }
}

/// Its state, locked.
async fn unfinished(
    connection: &mut PgConnection,
    id: JobId,
    tenant: Option<&str>,
) -> Result<Option<State>, Error> {
    sqlx::query(sql::LOCK_JOB)
        .bind(id.as_uuid())
        .bind(tenant)
        .fetch_optional(connection)
        .await?
        .map(|row| rows::state(&row, 0))
        .transpose()
}

/// Why a job that is not unfinished cannot be ended.
async fn refused(
    connection: &mut PgConnection,
    id: JobId,
    tenant: Option<&str>,
) -> Result<Changed, Error> {
    let finished = sqlx::query(sql::LOCK_FINISHED)
        .bind(id.as_uuid())
        .bind(tenant)
        .fetch_optional(connection)
        .await?;
    Ok(match finished {
        Some(row) => Changed::Refused(rows::state(&row, 0)?),
        None => Changed::NotFound,
    })
}

async fn request_cancel(
    connection: &mut PgConnection,
    id: JobId,
    now: Option<Time>,
) -> Result<(), Error> {
    sqlx::query(sql::REQUEST_CANCEL)
        .bind(id.as_uuid())
        .bind(now)
        .execute(connection)
        .await?;
    Ok(())
}

/// Ends it; says the line that it leaves.
async fn end_unstarted(
    connection: &mut PgConnection,
    id: JobId,
    state: State,
    now: Option<Time>,
) -> Result<Vec<Line>, Error> {
    let row = sqlx::query(sql::END_UNSTARTED)
        .bind(id.as_uuid())
        .bind(state.as_str())
        .bind(now)
        .fetch_one(connection)
        .await?;
    let key: Option<String> = row.try_get(1)?;
    let tenant: Option<String> = row.try_get(0)?;
    Ok(key.map(|key| (tenant, key)).into_iter().collect())
}

/// Gives a finished job its attempts again, and its unique key if that is free.
async fn revive(
    connection: &mut PgConnection,
    id: JobId,
    tenant: Option<&str>,
    now: Option<Timestamp>,
) -> Result<(Changed, Option<Freed>), Error> {
    let finished = sqlx::query(sql::LOCK_FINISHED)
        .bind(id.as_uuid())
        .bind(tenant)
        .fetch_optional(&mut *connection)
        .await?;
    let Some(row) = finished else {
        return Ok((Changed::NotFound, None));
    };
    if let Some(key) = row.try_get(3)? {
        let scope = keys::scope(row.try_get(1)?, row.try_get(2)?, key);
        if let Some(holder) = keys::retake(connection, scope, id, now).await? {
            return Ok((Changed::Held(holder), None));
        }
    }
    let freed = requeue(connection, sql::REVIVE, id, now).await?;
    Ok((Changed::Done, freed))
}

async fn requeue(
    connection: &mut PgConnection,
    statement: &'static str,
    id: JobId,
    now: Option<Timestamp>,
) -> Result<Option<Freed>, Error> {
    let row = sqlx::query(statement)
        .bind(id.as_uuid())
        .bind(now.map(rows::time))
        .fetch_optional(connection)
        .await?;
    row.map(|row| {
        Ok(Freed {
            queue: row.try_get(0)?,
            priority: rows::short(&row, 1)?,
            run_at: rows::timestamp(&row, 2)?,
        })
    })
    .transpose()
}

//! What operators do to jobs, one after another: lock it, let the model decide, write it down.

use std::collections::HashMap;

use sqlx::Row;
use uuid::Uuid;

use super::lane::transaction;
use super::lines::{self, Freed, Line};
use super::rows::{self, Time};
use super::steps::{self, Ended, Steps};
use super::{Error, Session, Shared, control, flows, keys, signals, sql};
use crate::model::{End, Event, JobId, Recorded, State, Timestamp, Transition};
use crate::store::control::Operated;
use crate::store::{Changed, Operate, Operation};

impl Shared {
    /// The plain verbs: one job, nothing recorded.
    pub(super) async fn operate_one(
        &self,
        operation: Operation,
        id: JobId,
        tenant: Option<&str>,
        now: Option<Timestamp>,
    ) -> Result<Changed, Error> {
        let operate = Operate {
            operation,
            ids: &[id],
            tenant,
            args: None,
            run_at: None,
            audit: None,
            checkpoint: None,
            now,
        };
        Ok(self.operate(&operate).await?[0])
    }

    pub(super) async fn operate(&self, operate: &Operate<'_>) -> Result<Vec<Changed>, Error> {
        // Rows are locked in the order of ids everywhere.
        let mut ids = operate.ids.to_vec();
        ids.sort_unstable();
        ids.dedup();
        let (operated, freed) = transaction!(self.leases, |connection| {
            operate_in(connection, operate, &ids).await
        })?;
        self.freed(&freed);
        let changed: HashMap<JobId, Changed> = ids
            .into_iter()
            .zip(operated.into_iter().map(|one| one.changed))
            .collect();
        let answers = operate.ids.iter();
        Ok(answers.filter_map(|id| changed.get(id).copied()).collect())
    }
}

async fn operate_in(
    connection: &mut Session<'_>,
    operate: &Operate<'_>,
    ids: &[JobId],
) -> Result<(Vec<Operated>, Vec<Freed>), Error> {
    let now = operate.now.map(rows::time);
    let steps = if matches!(operate.operation, Operation::Requeue | Operation::Snooze) {
        Steps::new()
    } else {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.as_uuid()).collect();
        steps::lock(connection, &ids, &[]).await?
    };
    let (mut operated, mut freed) = (Vec::with_capacity(ids.len()), Vec::new());
    for id in ids {
        operated.push(change(connection, operate, *id, &steps, &mut freed).await?);
    }
    if let Some((lease, note)) = operate.checkpoint
        && flows::checkpoint(connection, lease, note).await? == Recorded::LeaseLost
    {
        return Err(Error::LeaseLost);
    }
    if let Some(audit) = operate.audited(&operated) {
        control::record(connection, &audit, now).await?;
    }
    Ok((operated, freed))
}

async fn change(
    connection: &mut Session<'_>,
    operate: &Operate<'_>,
    id: JobId,
    steps: &Steps,
    freed: &mut Vec<Freed>,
) -> Result<Operated, Error> {
    let (tenant, now) = (operate.tenant, operate.now);
    let (unfinished, finished) = look(connection, id, tenant).await?;
    let was = unfinished.clone().or(finished);
    let changed = match (operate.operation, unfinished) {
        (Operation::Requeue, Some((state, _))) => {
            if state.on(Event::Requeue) == Transition::Refused {
                Changed::Refused(state)
            } else {
                freed.extend(requeue(connection, sql::REQUEUE, id, now).await?);
                Changed::Done
            }
        }
        (Operation::Requeue, None) => {
            let (changed, revived) = revive(connection, id, tenant, now).await?;
            freed.extend(revived);
            changed
        }
        (Operation::Cancel, Some((state, _))) => {
            end(
                connection,
                (Event::Cancel, state),
                id,
                steps,
                now.map(rows::time),
                freed,
            )
            .await?
        }
        (Operation::Discard, Some((state, _))) => {
            end(
                connection,
                (Event::Discard, state),
                id,
                steps,
                now.map(rows::time),
                freed,
            )
            .await?
        }
        (Operation::Snooze, Some((state, _))) if state.is_claimable() => Changed::Done,
        (Operation::Snooze, Some((state, _))) => Changed::Refused(state),
        (_, None) => was
            .as_ref()
            .map_or(Changed::NotFound, |(state, _)| Changed::Refused(*state)),
    };
    if let Some(at) = operate.time(changed) {
        freed.extend(requeue(connection, sql::SET_TIME, id, Some(at)).await?);
    }
    if let (Changed::Done, Some(args)) = (changed, operate.args) {
        sqlx::query(sql::SET_ARGS)
            .bind(id.as_uuid())
            .bind(args.as_str())
            .execute(connection)
            .await?;
    }
    Ok(Operated { changed, was })
}

/// Cancels or discards one job, in the transaction that the connection is in.
pub(super) async fn end_in(
    connection: &mut Session<'_>,
    event: Event,
    id: JobId,
    tenant: Option<&str>,
    now: Option<Time>,
) -> Result<(Changed, Vec<Freed>), Error> {
    let steps = steps::lock(connection, &[id.as_uuid()], &[]).await?;
    let mut freed = Vec::new();
    let changed = match look(connection, id, tenant).await? {
        (Some((state, _)), _) => {
            end(connection, (event, state), id, &steps, now, &mut freed).await?
        }
        (None, Some((state, _))) => Changed::Refused(state),
        (None, None) => Changed::NotFound,
    };
    Ok((changed, freed))
}

/// Cancels or discards an unfinished job, whose line is locked.
async fn end(
    connection: &mut Session<'_>,
    (event, state): (Event, State),
    id: JobId,
    steps: &Steps,
    now: Option<Time>,
    freed: &mut Vec<Freed>,
) -> Result<Changed, Error> {
    match state.on(event) {
        Transition::Ask => {
            request_cancel(connection, id, now).await?;
            Ok(Changed::Asked)
        }
        // Only a running job itself may ask to be set aside.
        Transition::To(end) if state != State::Running => {
            let line = end_unstarted(connection, id, end, now).await?;
            freed.extend(lines::hand_on(connection, &line, now).await?);
            let step = End::of(end).filter(|_| steps.contains_key(&id));
            let step = step.map(|end| Ended::new(id, end));
            freed.extend(steps::ended(connection, step.as_slice(), now).await?);
            Ok(Changed::Done)
        }
        _ => Ok(Changed::Refused(state)),
    }
}

/// How a job is: its state and its tenant.
pub(super) type Was = (State, Option<String>);

/// A job, locked, where it is: among the unfinished or the finished.
async fn look(
    connection: &mut Session<'_>,
    id: JobId,
    tenant: Option<&str>,
) -> Result<(Option<Was>, Option<Was>), Error> {
    let unfinished_at_first = unfinished(connection, id, tenant).await?;
    if unfinished_at_first.is_some() {
        return Ok((unfinished_at_first, None));
    }
    let finished = finished(connection, id, tenant).await?;
    if finished.is_some() {
        return Ok((None, finished));
    }
    // Somebody may have revived it between the two looks, or while the second one waited for them.
    Ok((unfinished(connection, id, tenant).await?, None))
}

/// An unfinished job, locked.
pub(super) async fn unfinished(
    connection: &mut Session<'_>,
    id: JobId,
    tenant: Option<&str>,
) -> Result<Option<Was>, Error> {
    sqlx::query(sql::LOCK_JOB)
        .bind(id.as_uuid())
        .bind(tenant)
        .fetch_optional(connection)
        .await?
        .map(|row| Ok((rows::state(&row, 0)?, row.try_get(1)?)))
        .transpose()
}

/// A finished job, locked.
pub(super) async fn finished(
    connection: &mut Session<'_>,
    id: JobId,
    tenant: Option<&str>,
) -> Result<Option<Was>, Error> {
    sqlx::query(sql::LOCK_FINISHED)
        .bind(id.as_uuid())
        .bind(tenant)
        .fetch_optional(connection)
        .await?
        .map(|row| Ok((rows::state(&row, 0)?, row.try_get(2)?)))
        .transpose()
}

async fn request_cancel(
    connection: &mut Session<'_>,
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
    connection: &mut Session<'_>,
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
    connection: &mut Session<'_>,
    id: JobId,
    tenant: Option<&str>,
    now: Option<Timestamp>,
) -> Result<(Changed, Vec<Freed>), Error> {
    let finished = sqlx::query(sql::LOCK_FINISHED)
        .bind(id.as_uuid())
        .bind(tenant)
        .fetch_optional(&mut *connection)
        .await?;
    let Some(row) = finished else {
        return Ok((Changed::NotFound, Vec::new()));
    };
    let state = rows::state(&row, 0)?;
    if let Some(revived) = flows::revive_step(connection, id, state, now).await? {
        return Ok(revived);
    }
    signals::drop_of(connection, &[id.as_uuid()]).await?;
    if let Some(key) = row.try_get(3)? {
        let scope = keys::scope(row.try_get(1)?, row.try_get(2)?, key);
        if let Some(holder) = keys::retake(connection, scope, id, now).await? {
            return Ok((Changed::Held(holder), Vec::new()));
        }
    }
    let freed = requeue(connection, sql::REVIVE, id, now).await?;
    Ok((Changed::Done, freed.into_iter().collect()))
}

async fn requeue(
    connection: &mut Session<'_>,
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

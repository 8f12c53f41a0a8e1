//! What operators do to a job. What may happen to it is for [`State::on`] to say.

use sqlx::sqlite::SqliteConnection;

use super::super::control::Operated;
use super::super::{Changed, Error, Operate, Operation};
use super::outcomes::{Outcome, Outcomes};
use super::rows::{self, Woken, micros};
use super::{at, control, flows, keys, signals};
use crate::db;
use crate::model::{Event, JobId, JobRecord, Recorded, State, Timestamp, Transition};

const GET: &str = include_str!("sql/get.sql");
const CANCEL: &str = include_str!("sql/cancel.sql");
const SET_ARGS: &str = include_str!("sql/set_args.sql");
const SET_TIME: &str = include_str!("sql/set_time.sql");
const REQUEUE: &str = include_str!("sql/requeue.sql");

/// What was done, and which queues may have work because of it.
type Done = (Vec<Changed>, Woken);

/// The plain verbs: one job, nothing recorded.
pub(super) async fn one(
    db: &db::Sqlite,
    operation: Operation,
    id: JobId,
    tenant: Option<&str>,
    now: Option<Timestamp>,
) -> Result<(Changed, Woken), Error> {
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
    let (changed, woken) = operate_on(db, &operate).await?;
    Ok((changed[0], woken))
}

pub(super) async fn operate_on(db: &db::Sqlite, operate: &Operate<'_>) -> Result<Done, Error> {
    let mut tx = db.writer().begin_with("begin immediate").await?;
    let now = at(operate.now);
    if let Some((lease, note)) = operate.checkpoint
        && flows::checkpoint(&mut tx, lease, note).await? == Recorded::LeaseLost
    {
        return Err(Error::LeaseLost);
    }
    let mut woken = Woken::new();
    let mut operated = Vec::with_capacity(operate.ids.len());
    for id in operate.ids {
        operated.push(change(&mut tx, operate, *id, now, &mut woken).await?);
    }
    if let Some(audit) = operate.audited(&operated) {
        control::record(&mut tx, &audit, now).await?;
    }
    tx.commit().await?;
    let changed = operated.into_iter().map(|one| one.changed).collect();
    Ok((changed, woken))
}

/// Cancels one job, in the transaction that the connection is in.
pub(super) async fn cancel_in(
    connection: &mut SqliteConnection,
    id: JobId,
    tenant: Option<&str>,
    now: Timestamp,
) -> Result<(Changed, Woken), Error> {
    let mut woken = Woken::new();
    let changed = match find(connection, id, tenant).await? {
        Some(job) => cancel(connection, &job, now, &mut woken).await?,
        None => Changed::NotFound,
    };
    Ok((changed, woken))
}

async fn change(
    connection: &mut SqliteConnection,
    operate: &Operate<'_>,
    id: JobId,
    now: Timestamp,
    woken: &mut Woken,
) -> Result<Operated, Error> {
    let Some(job) = find(connection, id, operate.tenant).await? else {
        let changed = Changed::NotFound;
        return Ok(Operated { changed, was: None });
    };
    let queue = job.queue.clone();
    let was = Some((job.state.at(job.run_at, now), job.tenant_id.clone()));
    let changed = match operate.operation {
        Operation::Cancel => cancel(connection, &job, now, woken).await?,
        Operation::Discard => discard(connection, &job, now, woken).await?,
        Operation::Requeue => requeue(connection, job, now, woken).await?,
        Operation::Snooze if job.state.is_claimable() => Changed::Done,
        Operation::Snooze => Changed::Refused(job.state),
    };
    if let Some(at) = operate.time(changed) {
        sqlx::query(SET_TIME)
            .bind(id.as_uuid())
            .bind(micros(at))
            .execute(&mut *connection)
            .await?;
        // Whoever sleeps until the next time may have to wake earlier now.
        woken.insert(queue);
    }
    if let (Changed::Done, Some(args)) = (changed, operate.args) {
        sqlx::query(SET_ARGS)
            .bind(id.as_uuid())
            .bind(args.as_str())
            .execute(connection)
            .await?;
    }
    Ok(Operated { changed, was })
}

async fn cancel(
    connection: &mut SqliteConnection,
    job: &JobRecord,
    now: Timestamp,
    woken: &mut Woken,
) -> Result<Changed, Error> {
    Ok(match job.state.on(Event::Cancel) {
        Transition::To(state) => {
            woken.extend(end(connection, job.id, state, now).await?);
            Changed::Done
        }
        Transition::Ask => {
            sqlx::query(CANCEL)
                .bind(job.id.as_uuid())
                .bind(micros(now))
                .execute(connection)
                .await?;
            Changed::Asked
        }
        Transition::Refused => Changed::Refused(job.state),
    })
}

async fn discard(
    connection: &mut SqliteConnection,
    job: &JobRecord,
    now: Timestamp,
    woken: &mut Woken,
) -> Result<Changed, Error> {
    Ok(match job.state.on(Event::Discard) {
        // Only a running job itself may ask to be set aside.
        Transition::To(state) if job.state != State::Running => {
            woken.extend(end(connection, job.id, state, now).await?);
            Changed::Done
        }
        _ => Changed::Refused(job.state),
    })
}

async fn requeue(
    connection: &mut SqliteConnection,
    job: JobRecord,
    now: Timestamp,
    woken: &mut Woken,
) -> Result<Changed, Error> {
    if job.state.on(Event::Requeue) == Transition::Refused {
        return Ok(Changed::Refused(job.state));
    }
    make_due(connection, job, now, woken).await
}

/// A finished job first needs its unique key back, and may have to wait for its turn.
async fn make_due(
    connection: &mut SqliteConnection,
    job: JobRecord,
    now: Timestamp,
    woken: &mut Woken,
) -> Result<Changed, Error> {
    let mut state = State::Available;
    if job.state.is_finished() {
        let revived = flows::revive_step(connection, job.id, job.state, now, woken).await?;
        if let Some(changed) = revived {
            return Ok(changed);
        }
        signals::drop_of(connection, &[job.id]).await?;
        if let Some(holder) = keys::retake(connection, job.id, now).await? {
            return Ok(Changed::Held(holder));
        }
        let line = keys::line(job.ordering_key.as_deref(), job.tenant_id.as_deref());
        if !keys::occupied(connection, line.as_slice())
            .await?
            .is_empty()
        {
            state = State::Waiting;
        }
    }
    sqlx::query(REQUEUE)
        .bind(job.id.as_uuid())
        .bind(state.as_str())
        .bind(micros(now))
        .execute(connection)
        .await?;
    if state == State::Available {
        woken.insert(job.queue);
    }
    Ok(Changed::Done)
}

/// The job in the state that is stored, unless it is another tenant's.
pub(super) async fn find(
    connection: &mut SqliteConnection,
    id: JobId,
    tenant: Option<&str>,
) -> Result<Option<JobRecord>, Error> {
    let row = sqlx::query(GET)
        .bind(id.as_uuid())
        .bind(tenant)
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(rows::stored).transpose()
}

/// Ends a job that does not run.
async fn end(
    connection: &mut SqliteConnection,
    id: JobId,
    state: State,
    now: Timestamp,
) -> Result<Woken, Error> {
    let outcomes = Outcomes {
        others: vec![Outcome::new(id, state)],
        keyed: true,
        steps: [id].into(),
        ..Outcomes::default()
    };
    outcomes.write(connection, now).await
}

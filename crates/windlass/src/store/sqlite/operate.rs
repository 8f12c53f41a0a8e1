//! What operators do to a job. What may happen to it is for [`State::on`] to say.

use sqlx::sqlite::SqliteConnection;

use super::super::{Changed, Error};
use super::outcomes::{Outcome, Outcomes};
use super::rows::{self, Woken, micros};
use super::{at, keys};
use crate::db;
use crate::model::{Event, JobId, JobRecord, State, Timestamp, Transition};

const GET: &str = include_str!("sql/get.sql");
const CANCEL: &str = include_str!("sql/cancel.sql");
const REQUEUE: &str = include_str!("sql/requeue.sql");

/// What was done, and which queues may have work because of it.
type Done = (Changed, Woken);

pub(super) async fn cancel(
    db: &db::Sqlite,
    id: JobId,
    tenant: Option<&str>,
    now: Option<Timestamp>,
) -> Result<Done, Error> {
    let mut tx = db.writer().begin_with("begin immediate").await?;
    let done = cancel_in(&mut tx, id, tenant, at(now)).await?;
    tx.commit().await?;
    Ok(done)
}

/// The same in the transaction that the connection is in.
pub(super) async fn cancel_in(
    connection: &mut SqliteConnection,
    id: JobId,
    tenant: Option<&str>,
    now: Timestamp,
) -> Result<Done, Error> {
    let mut woken = Woken::new();
    let changed = match find(connection, id, tenant).await? {
        None => Changed::NotFound,
        Some(job) => match job.state.on(Event::Cancel) {
            Transition::To(state) => {
                woken = end(connection, id, state, now).await?;
                Changed::Done
            }
            Transition::Ask => {
                sqlx::query(CANCEL)
                    .bind(id.as_uuid())
                    .bind(micros(now))
                    .execute(connection)
                    .await?;
                Changed::Asked
            }
            Transition::Refused => Changed::Refused(job.state),
        },
    };
    Ok((changed, woken))
}

pub(super) async fn discard(
    db: &db::Sqlite,
    id: JobId,
    tenant: Option<&str>,
    now: Option<Timestamp>,
) -> Result<Done, Error> {
    let mut tx = db.writer().begin_with("begin immediate").await?;
    let mut woken = Woken::new();
    let changed = match find(&mut tx, id, tenant).await? {
        None => Changed::NotFound,
        Some(job) => match job.state.on(Event::Discard) {
            // Only a running job itself may ask to be set aside.
            Transition::To(state) if job.state != State::Running => {
                woken = end(&mut tx, id, state, at(now)).await?;
                Changed::Done
            }
            _ => Changed::Refused(job.state),
        },
    };
    tx.commit().await?;
    Ok((changed, woken))
}

pub(super) async fn requeue(
    db: &db::Sqlite,
    id: JobId,
    tenant: Option<&str>,
    now: Option<Timestamp>,
) -> Result<Done, Error> {
    let mut tx = db.writer().begin_with("begin immediate").await?;
    let now = at(now);
    let mut woken = Woken::new();
    let changed = match find(&mut tx, id, tenant).await? {
        None => Changed::NotFound,
        Some(job) if job.state.on(Event::Requeue) == Transition::Refused => {
            Changed::Refused(job.state)
        }
        Some(job) => make_due(&mut tx, job, now, &mut woken).await?,
    };
    tx.commit().await?;
    Ok((changed, woken))
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
async fn find(
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
        ..Outcomes::default()
    };
    outcomes.write(connection, now).await
}

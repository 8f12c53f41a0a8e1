use uuid::Uuid;
use windlass::db::{Sqlite, Tx};
use windlass::{JobId, Timestamp};

use super::super::Error;
use super::super::outbox::{NewOutgoing, OutboxFilter, Outgoing, Row, SendState, Sent};
use super::{of, sql};

pub(in crate::records) async fn open(
    tx: &mut Tx,
    new: &NewOutgoing<'_>,
    part: i32,
) -> Result<(), Error> {
    sqlx::query(sql::OPEN_OUTBOX)
        .bind(Uuid::now_v7())
        .bind(new.job.as_uuid())
        .bind(new.tenant)
        .bind(new.conversation)
        .bind(new.message)
        .bind(new.channel)
        .bind(part)
        .bind(new.parts)
        .execute(of(tx)?)
        .await?;
    Ok(())
}

pub(in crate::records) async fn of_message(
    db: &Sqlite,
    tenant: &str,
    message: &str,
) -> Result<Vec<Row>, Error> {
    Ok(sqlx::query_as(sql::OUTBOX_OF_MESSAGE)
        .bind(tenant)
        .bind(message)
        .fetch_all(db.readers())
        .await?)
}

pub(in crate::records) async fn of_job(db: &Sqlite, job: JobId) -> Result<Vec<Row>, Error> {
    Ok(sqlx::query_as(sql::OUTBOX_OF_JOB)
        .bind(job.as_uuid())
        .fetch_all(db.readers())
        .await?)
}

pub(in crate::records) async fn begin(
    db: &Sqlite,
    part: &Outgoing,
    sender: Uuid,
    job: JobId,
) -> Result<bool, Error> {
    let done = sqlx::query(sql::BEGIN_SEND)
        .bind(&part.tenant)
        .bind(part.id)
        .bind(sender)
        .bind(job.as_uuid())
        .execute(db.writer())
        .await?;
    Ok(done.rows_affected() > 0)
}

pub(in crate::records) async fn end(
    db: &Sqlite,
    part: &Outgoing,
    sender: Uuid,
    sent: &Sent<'_>,
) -> Result<bool, Error> {
    let done = sqlx::query(sql::END_SEND)
        .bind(&part.tenant)
        .bind(part.id)
        .bind(sender)
        .bind(sent.state.as_str())
        .bind(sent.provider_id)
        .bind(sent.error)
        .execute(db.writer())
        .await?;
    Ok(done.rows_affected() > 0)
}

pub(in crate::records) async fn lose(
    db: &Sqlite,
    part: &Outgoing,
    error: &str,
) -> Result<bool, Error> {
    let done = sqlx::query(sql::LOSE_SEND)
        .bind(&part.tenant)
        .bind(part.id)
        .bind(part.sender)
        .bind(error)
        .execute(db.writer())
        .await?;
    Ok(done.rows_affected() > 0)
}

pub(in crate::records) async fn list(
    db: &Sqlite,
    filter: &OutboxFilter,
    before: Option<Uuid>,
    limit: u32,
) -> Result<Vec<Row>, Error> {
    Ok(sqlx::query_as(sql::LIST_OUTBOX)
        .bind(filter.state.map(SendState::as_str))
        .bind(&filter.tenant)
        .bind(before)
        .bind(i64::from(limit))
        .fetch_all(db.readers())
        .await?)
}

pub(in crate::records) async fn row(
    db: &Sqlite,
    id: Uuid,
    tenant: Option<&str>,
) -> Result<Option<Row>, Error> {
    Ok(sqlx::query_as(sql::OUTBOX_ROW)
        .bind(id)
        .bind(tenant)
        .fetch_optional(db.readers())
        .await?)
}

pub(in crate::records) async fn settle(
    db: &Sqlite,
    seen: &Outgoing,
    state: SendState,
    provider_id: Option<&str>,
) -> Result<bool, Error> {
    let done = sqlx::query(sql::SETTLE_SEND)
        .bind(&seen.tenant)
        .bind(seen.id)
        .bind(seen.state.as_str())
        .bind(state.as_str())
        .bind(provider_id)
        .execute(db.writer())
        .await?;
    Ok(done.rows_affected() > 0)
}

pub(in crate::records) async fn prune(
    db: &Sqlite,
    before: Timestamp,
    limit: u32,
) -> Result<u64, Error> {
    let done = sqlx::query(sql::PRUNE_OUTBOX)
        .bind(before.as_micros() / 1000)
        .bind(i64::from(limit))
        .execute(db.writer())
        .await?;
    Ok(done.rows_affected())
}

pub(in crate::records) async fn count_unknown(db: &Sqlite) -> Result<i64, Error> {
    Ok(sqlx::query_scalar(sql::COUNT_UNKNOWN)
        .fetch_one(db.readers())
        .await?)
}

use uuid::Uuid;
use windlass::db::{Postgres, Tx};
use windlass::{JobId, Timestamp};

use super::super::Error;
use super::super::deliveries::{NewDelivery, Row};
use super::{of, sql};

pub(in crate::records) async fn record(tx: &mut Tx, new: &NewDelivery<'_>) -> Result<(), Error> {
    sqlx::query(sql::RECORD_DELIVERY)
        .bind(Uuid::now_v7())
        .bind(new.job.as_uuid())
        .bind(new.tenant)
        .bind(new.webhook)
        .bind(new.event)
        .bind(new.event_type)
        .bind(i32::from(new.attempt))
        .bind(new.status.map(i32::from))
        .bind(new.error)
        .bind(i32::try_from(new.took.as_millis()).unwrap_or(i32::MAX))
        .execute(of(tx)?)
        .await?;
    Ok(())
}

pub(in crate::records) async fn list(
    db: &Postgres,
    webhook: &str,
    tenant: Option<&str>,
    before: Option<Uuid>,
    limit: u32,
) -> Result<Vec<Row>, Error> {
    Ok(sqlx::query_as(sql::DELIVERIES)
        .bind(webhook)
        .bind(tenant)
        .bind(before)
        .bind(i64::from(limit))
        .fetch_all(db.pool())
        .await?)
}

pub(in crate::records) async fn of_job(db: &Postgres, job: JobId) -> Result<Vec<Row>, Error> {
    Ok(sqlx::query_as(sql::DELIVERIES_OF_JOB)
        .bind(job.as_uuid())
        .fetch_all(db.pool())
        .await?)
}

pub(in crate::records) async fn row(
    db: &Postgres,
    id: Uuid,
    tenant: Option<&str>,
) -> Result<Option<Row>, Error> {
    Ok(sqlx::query_as(sql::DELIVERY)
        .bind(id)
        .bind(tenant)
        .fetch_optional(db.pool())
        .await?)
}

pub(in crate::records) async fn prune(
    db: &Postgres,
    before: Timestamp,
    limit: u32,
) -> Result<u64, Error> {
    let done = sqlx::query(sql::PRUNE_DELIVERIES)
        .bind(before.as_micros() / 1000)
        .bind(i64::from(limit))
        .execute(db.pool())
        .await?;
    Ok(done.rows_affected())
}

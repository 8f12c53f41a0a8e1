use serde_json::Value;
use sqlx::types::Json;
use uuid::Uuid;
use windlass::Timestamp;
use windlass::db::{Sqlite, Tx};

use super::{of, sql};
use crate::records::{Error, NewQuarantined, QuarantineFilter, Quarantined};

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    tenant: Option<String>,
    source: String,
    reason: String,
    headers: Json<Value>,
    body: Vec<u8>,
    body_bytes: i64,
    taken_at: i64,
}

pub(in crate::records) async fn insert(
    db: &Sqlite,
    id: Uuid,
    new: &NewQuarantined,
    headers: &Value,
) -> Result<(), Error> {
    sqlx::query(sql::INSERT_QUARANTINED)
        .bind(id)
        .bind(&new.tenant)
        .bind(&new.source)
        .bind(&new.reason)
        .bind(Json(headers))
        .bind(&new.body)
        .bind(i64::try_from(new.body_bytes).unwrap_or(i64::MAX))
        .execute(db.writer())
        .await?;
    Ok(())
}

pub(in crate::records) async fn get(db: &Sqlite, id: Uuid) -> Result<Option<Quarantined>, Error> {
    let row: Option<Row> = sqlx::query_as(sql::QUARANTINED)
        .bind(id)
        .fetch_optional(db.readers())
        .await?;
    Ok(row.map(Quarantined::from))
}

pub(in crate::records) async fn of_correlation(
    db: &Sqlite,
    correlation_id: &str,
    tenant: Option<&str>,
) -> Result<Vec<Quarantined>, Error> {
    let rows: Vec<Row> = sqlx::query_as(sql::QUARANTINED_OF)
        .bind(correlation_id)
        .bind(tenant)
        .fetch_all(db.readers())
        .await?;
    Ok(rows.into_iter().map(Quarantined::from).collect())
}

pub(in crate::records) async fn list(
    db: &Sqlite,
    filter: &QuarantineFilter,
) -> Result<Vec<Quarantined>, Error> {
    let rows: Vec<Row> = sqlx::query_as(sql::LIST_QUARANTINED)
        .bind(&filter.tenant)
        .bind(filter.before.map(|place| place.taken_at.as_micros() / 1000))
        .bind(filter.before.map(|place| place.id))
        .bind(i64::from(filter.limit))
        .fetch_all(db.readers())
        .await?;
    Ok(rows.into_iter().map(Quarantined::from).collect())
}

pub(in crate::records) async fn delete(tx: &mut Tx, id: Uuid) -> Result<bool, Error> {
    let done = sqlx::query(sql::DELETE_QUARANTINED)
        .bind(id)
        .execute(of(tx)?)
        .await?;
    Ok(done.rows_affected() > 0)
}

pub(in crate::records) async fn prune(
    db: &Sqlite,
    before: Timestamp,
    limit: u32,
) -> Result<u64, Error> {
    let done = sqlx::query(sql::PRUNE_QUARANTINE)
        .bind(before.as_micros() / 1000)
        .bind(i64::from(limit))
        .execute(db.writer())
        .await?;
    Ok(done.rows_affected())
}

impl From<Row> for Quarantined {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            tenant: row.tenant,
            source: row.source,
            reason: row.reason,
            headers: row.headers.0,
            body: row.body,
            body_bytes: row.body_bytes.unsigned_abs(),
            taken_at: Timestamp::from_micros(row.taken_at.saturating_mul(1000)),
        }
    }
}

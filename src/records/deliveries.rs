//! The log of what tenants' endpoints were told, attempt by attempt.

use std::time::Duration;

use uuid::Uuid;
use windlass::db::{Db, Tx};
use windlass::{JobId, Timestamp};

use super::{Error, Records, postgres, sqlite};

/// One attempt to tell an endpoint of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDelivery<'a> {
    /// The job.
    pub job: JobId,
    /// Whose endpoint.
    pub tenant: &'a str,
    /// Which.
    pub webhook: &'a str,
    /// Which event.
    pub event: &'a str,
    /// What kind of event.
    pub event_type: &'a str,
    /// Which attempt of the job, counted from 1.
    pub attempt: u16,
    /// What the endpoint answered, if it did.
    pub status: Option<u16>,
    /// The class of what went wrong; `None` if it was delivered.
    pub error: Option<&'a str>,
    /// How long it took.
    pub took: Duration,
}

/// The same as it is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its name here.
    pub id: Uuid,
    /// The job.
    pub job: JobId,
    /// Whose endpoint.
    pub tenant: String,
    /// Which.
    pub webhook: String,
    /// Which event.
    pub event: String,
    /// What kind of event.
    pub event_type: String,
    /// Which attempt of the job, counted from 1.
    pub attempt: i32,
    /// What the endpoint answered, if it did.
    pub status: Option<i32>,
    /// The class of what went wrong; `None` if it was delivered.
    pub error: Option<String>,
    /// How long it took, in milliseconds.
    pub duration_ms: i32,
    /// When.
    pub at: Timestamp,
}

/// As both dialects return it.
#[derive(sqlx::FromRow)]
pub(super) struct Row {
    id: Uuid,
    job_id: Uuid,
    tenant: String,
    webhook: String,
    event: String,
    event_type: String,
    attempt: i32,
    status: Option<i32>,
    error: Option<String>,
    duration_ms: i32,
    at: i64,
}

impl From<Row> for Delivery {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            job: JobId::from_uuid(row.job_id),
            tenant: row.tenant,
            webhook: row.webhook,
            event: row.event,
            event_type: row.event_type,
            attempt: row.attempt,
            status: row.status,
            error: row.error,
            duration_ms: row.duration_ms,
            at: super::instant(row.at),
        }
    }
}

impl Records {
    /// Begins a transaction.
    pub async fn begin(&self) -> Result<Tx, Error> {
        Ok(self.db.begin().await?)
    }

    /// Notes an attempt.
    pub async fn record_delivery(&self, tx: &mut Tx, new: &NewDelivery<'_>) -> Result<(), Error> {
        match &self.db {
            Db::Postgres(_) => postgres::deliveries::record(tx, new).await,
            Db::Sqlite(_) => sqlite::deliveries::record(tx, new).await,
            _ => Err(Error::UnknownDialect),
        }
    }

    /// Attempts to tell an endpoint, newest first; at most `limit`, older than `before`.
    pub async fn deliveries(
        &self,
        webhook: &str,
        tenant: Option<&str>,
        before: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<Delivery>, Error> {
        let rows = match &self.db {
            Db::Postgres(db) => {
                postgres::deliveries::list(db, webhook, tenant, before, limit).await?
            }
            Db::Sqlite(db) => sqlite::deliveries::list(db, webhook, tenant, before, limit).await?,
            _ => return Err(Error::UnknownDialect),
        };
        Ok(rows.into_iter().map(Delivery::from).collect())
    }

    /// One attempt, if it is this tenant's.
    pub async fn delivery(
        &self,
        id: Uuid,
        tenant: Option<&str>,
    ) -> Result<Option<Delivery>, Error> {
        let row = match &self.db {
            Db::Postgres(db) => postgres::deliveries::row(db, id, tenant).await?,
            Db::Sqlite(db) => sqlite::deliveries::row(db, id, tenant).await?,
            _ => return Err(Error::UnknownDialect),
        };
        Ok(row.map(Delivery::from))
    }

    /// Deletes up to `limit` of what was noted before a time; how many.
    pub async fn prune_deliveries(&self, before: Timestamp, limit: u32) -> Result<u64, Error> {
        match &self.db {
            Db::Postgres(db) => postgres::deliveries::prune(db, before, limit).await,
            Db::Sqlite(db) => sqlite::deliveries::prune(db, before, limit).await,
            _ => Err(Error::UnknownDialect),
        }
    }
}

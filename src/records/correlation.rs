//! What is remembered of one correlation id.

use windlass::JobId;
use windlass::db::Db;

use super::{Delivery, Error, Outgoing, Quarantined, Records, postgres, sqlite};

impl Records {
    /// The parts of messages that a job sends.
    pub async fn outbox_of_job(&self, job: JobId) -> Result<Vec<Outgoing>, Error> {
        let rows = match &self.db {
            Db::Postgres(db) => postgres::outbox::of_job(db, job).await?,
            Db::Sqlite(db) => sqlite::outbox::of_job(db, job).await?,
            _ => return Err(Error::UnknownDialect),
        };
        rows.into_iter().map(Outgoing::try_from).collect()
    }

    /// A job's attempts to tell an endpoint.
    pub async fn deliveries_of_job(&self, job: JobId) -> Result<Vec<Delivery>, Error> {
        let rows = match &self.db {
            Db::Postgres(db) => postgres::deliveries::of_job(db, job).await?,
            Db::Sqlite(db) => sqlite::deliveries::of_job(db, job).await?,
            _ => return Err(Error::UnknownDialect),
        };
        Ok(rows.into_iter().map(Delivery::from).collect())
    }

    /// Messages in quarantine that came with a correlation id, without their bodies; at most 100.
    pub async fn quarantined_of(
        &self,
        correlation_id: &str,
        tenant: Option<&str>,
    ) -> Result<Vec<Quarantined>, Error> {
        match &self.db {
            Db::Postgres(db) => {
                postgres::quarantine::of_correlation(db, correlation_id, tenant).await
            }
            Db::Sqlite(db) => sqlite::quarantine::of_correlation(db, correlation_id, tenant).await,
            _ => Err(Error::UnknownDialect),
        }
    }
}

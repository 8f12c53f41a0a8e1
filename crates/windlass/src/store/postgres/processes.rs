//! Who works, and who leads.

use super::lane::run;
use super::{Error, Shared, rows, sql};
use crate::model::{Timestamp, WorkerRecord};
use crate::store::Elect;

impl Shared {
    pub(super) async fn beat_worker(
        &self,
        worker: &WorkerRecord,
        now: Option<Timestamp>,
    ) -> Result<(), Error> {
        run!(self.leases, |connection| {
            sqlx::query(sql::BEAT_WORKER)
                .bind(&worker.id)
                .bind(&worker.host)
                .bind(i64::from(worker.pid))
                .bind(&worker.version)
                .bind(&worker.queues)
                .bind(i64::from(worker.slots))
                .bind(i64::from(worker.running))
                .bind(worker.draining)
                .bind(now.map(rows::time))
                .execute(connection)
                .await?;
            Ok(())
        })
    }

    pub(super) async fn remove_worker(
        &self,
        id: &str,
        now: Option<Timestamp>,
    ) -> Result<(), Error> {
        run!(self.leases, |connection| {
            sqlx::query(sql::REMOVE_WORKER)
                .bind(id)
                .bind(now.map(rows::time))
                .execute(connection)
                .await?;
            Ok(())
        })
    }

    pub(super) async fn workers(&self, now: Option<Timestamp>) -> Result<Vec<WorkerRecord>, Error> {
        run!(self.reads, |connection| {
            sqlx::query(sql::WORKERS)
                .bind(now.map(rows::time))
                .fetch_all(connection)
                .await?
                .iter()
                .map(rows::worker)
                .collect()
        })
    }

    pub(super) async fn elect(&self, elect: &Elect<'_>) -> Result<bool, Error> {
        run!(self.leases, |connection| {
            let elected = sqlx::query(sql::ELECT)
                .bind(elect.role)
                .bind(elect.holder)
                .bind(rows::micros(elect.term))
                .bind(elect.now.map(rows::time))
                .execute(connection)
                .await?;
            Ok(elected.rows_affected() == 1)
        })
    }

    pub(super) async fn resign(&self, role: &str, holder: &str) -> Result<(), Error> {
        run!(self.leases, |connection| {
            sqlx::query(sql::RESIGN)
                .bind(role)
                .bind(holder)
                .execute(connection)
                .await?;
            Ok(())
        })
    }
}

//! SQLite: jobs in one file, beside the application's own tables if it likes.
//!
//! One connection writes, so what a verb reads within its transaction cannot change before it
//! writes: decisions are made in Rust and written down in batches, each batch one JSON parameter.
//! Readers never wait for the writer.
//!
//! - `enqueue`: duplicates, keys and lines, then one insert
//! - `claim`, `leases`, `finish`, `outcomes`: the life of an attempt
//! - `flows`, `start`, `steps`, `signals`: what outlives an attempt, and what ties jobs together
//! - `operate`, `prune`: what operators and retention do
//! - `keys`: what happens to unique and ordering keys when a job has finished
//! - `read`, `workers`: what anyone may look at; who works and who leads
//! - `control`: settings and the audit log
//! - `rows`: from rows to jobs and from jobs to parameters

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::sqlite::SqliteConnection;

use super::{
    Beat, Capabilities, Changed, Claim, Elect, Error, Heartbeat, Migrated, Operation, Prune,
    Rescue, Rescued, Schema, Store, Wake, WakeReceiver, Waker,
};
use crate::db;
use crate::model::{
    ClaimedJob, Enqueued, Filter, Finish, Found, JobId, JobRecord, Json, Lease, NewJob, Page,
    QueueStats, Recorded, Timestamp, WorkerRecord,
};

mod at_rest;
mod claim;
mod control;
mod enqueue;
mod finish;
mod flows;
mod governed;
mod keys;
mod leases;
mod migrate;
mod news;
mod operate;
mod outcomes;
#[cfg(test)]
mod plans;
mod prune;
mod read;
mod rows;
mod schedules;
mod signals;
mod start;
mod steps;
mod tallies;
mod workers;

use rows::Woken;

/// How long a verb may take, waiting for its connection and for other processes included.
const TIMEOUT: Duration = Duration::from_secs(30);
const NOW: &str = include_str!("sql/now.sql");

/// Jobs in one SQLite file. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    db: db::Sqlite,
    waker: Waker,
    plain_expected: Arc<finish::PlainExpected>,
}

impl SqliteStore {
    /// Keeps jobs in this file. Nothing is opened before the first verb; [`Store::migrate`] makes
    /// the tables.
    pub fn new(db: db::Sqlite) -> Self {
        Self {
            db,
            waker: Waker::default(),
            plain_expected: Arc::default(),
        }
    }

    /// Begins a transaction for `enqueue_in` and `finish_in`. Nothing else can write until it ends.
    pub async fn begin(&self) -> Result<db::Tx, Error> {
        timed(async { Ok(self.db.begin().await?) }).await
    }

    /// Sends the hints of a verb whose changes are durable.
    fn wake(&self, woken: Woken) {
        wake(&self.waker, woken);
    }
}

fn wake(waker: &Waker, woken: Woken) {
    for queue in woken {
        waker.send(Wake::Queue(queue.into()));
    }
}

async fn timed<T>(verb: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::time::timeout(TIMEOUT, verb)
        .await
        .unwrap_or_else(|_| Err(Error::timeout(TIMEOUT)))
}

/// The given time, or the machine's.
fn at(now: Option<Timestamp>) -> Timestamp {
    now.unwrap_or_else(machine_clock)
}

#[expect(
    clippy::disallowed_methods,
    reason = "SQLite runs in this process: the machine's clock is the database's"
)]
fn machine_clock() -> Timestamp {
    Timestamp::from_datetime(chrono::Utc::now())
}

/// The connection of a transaction that must be SQLite's.
fn connection<'tx>(
    tx: &'tx mut db::Tx,
    verb: &'static str,
) -> Result<&'tx mut SqliteConnection, Error> {
    tx.sqlite().ok_or(Error::Unsupported {
        store: "sqlite",
        verb,
    })
}

#[async_trait]
impl Store for SqliteStore {
    fn name(&self) -> &'static str {
        "sqlite"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            durable: true,
            transactions: true,
            shared: true,
            remote_wakes: false,
        }
    }

    fn wakes(&self) -> WakeReceiver {
        self.waker.subscribe()
    }

    async fn migrate(&self) -> Result<Migrated, Error> {
        timed(migrate::migrate(&self.db)).await
    }

    async fn schema_version(&self) -> Result<i64, Error> {
        timed(migrate::schema_version(&self.db)).await
    }

    async fn schema(&self) -> Result<Schema, Error> {
        timed(migrate::schema(&self.db)).await
    }

    async fn now(&self) -> Result<Timestamp, Error> {
        timed(async {
            sqlx::query(NOW).execute(self.db.readers()).await?;
            Ok(machine_clock())
        })
        .await
    }

    async fn enqueue(
        &self,
        jobs: &[NewJob],
        now: Option<Timestamp>,
    ) -> Result<Vec<Enqueued>, Error> {
        let (answers, woken) = timed(enqueue::enqueue(&self.db, jobs, now)).await?;
        self.wake(woken);
        Ok(answers)
    }

    async fn enqueue_in(
        &self,
        tx: &mut db::Tx,
        jobs: &[NewJob],
        now: Option<Timestamp>,
    ) -> Result<Vec<Enqueued>, Error> {
        let connection = connection(tx, "enqueue in a transaction of another database")?;
        let (answers, woken) = timed(enqueue::enqueue_in(connection, jobs, now)).await?;
        let waker = self.waker.clone();
        tx.after_commit(move || wake(&waker, woken));
        Ok(answers)
    }

    async fn claim(&self, claim: Claim<'_>) -> Result<Vec<ClaimedJob>, Error> {
        timed(claim::claim(&self.db, &claim)).await
    }

    async fn next_due(
        &self,
        queue: &str,
        now: Option<Timestamp>,
    ) -> Result<Option<Duration>, Error> {
        timed(claim::next_due(&self.db, queue, now)).await
    }

    async fn finish(
        &self,
        finishes: &[Finish],
        now: Option<Timestamp>,
    ) -> Result<Vec<Recorded>, Error> {
        let (recorded, woken) = timed(finish::finish(
            &self.db,
            &self.plain_expected,
            finishes,
            now,
        ))
        .await?;
        self.wake(woken);
        Ok(recorded)
    }

    async fn finish_in(
        &self,
        tx: &mut db::Tx,
        finish: &Finish,
        now: Option<Timestamp>,
    ) -> Result<Recorded, Error> {
        let connection = connection(tx, "finish in a transaction of another database")?;
        let (recorded, woken) = timed(finish::finish_in(connection, finish, now)).await?;
        let waker = self.waker.clone();
        tx.after_commit(move || wake(&waker, woken));
        Ok(recorded)
    }

    async fn heartbeat(&self, heartbeat: Heartbeat<'_>) -> Result<Vec<Beat>, Error> {
        timed(leases::heartbeat(&self.db, &heartbeat)).await
    }

    async fn progress(&self, lease: Lease, progress: &Json) -> Result<Recorded, Error> {
        timed(leases::progress(&self.db, lease, progress)).await
    }

    async fn rescue(&self, rescue: Rescue) -> Result<Vec<Rescued>, Error> {
        let (rescued, woken) = timed(leases::rescue(&self.db, rescue)).await?;
        self.wake(woken);
        Ok(rescued)
    }

    async fn cancel(
        &self,
        id: JobId,
        tenant: Option<&str>,
        now: Option<Timestamp>,
    ) -> Result<Changed, Error> {
        let (changed, woken) =
            timed(operate::one(&self.db, Operation::Cancel, id, tenant, now)).await?;
        self.wake(woken);
        Ok(changed)
    }

    async fn discard(
        &self,
        id: JobId,
        tenant: Option<&str>,
        now: Option<Timestamp>,
    ) -> Result<Changed, Error> {
        let (changed, woken) =
            timed(operate::one(&self.db, Operation::Discard, id, tenant, now)).await?;
        self.wake(woken);
        Ok(changed)
    }

    async fn requeue(
        &self,
        id: JobId,
        tenant: Option<&str>,
        now: Option<Timestamp>,
    ) -> Result<Changed, Error> {
        let (changed, woken) =
            timed(operate::one(&self.db, Operation::Requeue, id, tenant, now)).await?;
        self.wake(woken);
        Ok(changed)
    }

    async fn prune(&self, prune: Prune) -> Result<u64, Error> {
        timed(prune::prune(&self.db, prune)).await
    }

    async fn maintain(&self, now: Option<Timestamp>) -> Result<(), Error> {
        timed(prune::maintain(&self.db, now)).await
    }

    async fn get(
        &self,
        id: JobId,
        tenant: Option<&str>,
        now: Option<Timestamp>,
    ) -> Result<Option<JobRecord>, Error> {
        timed(read::get(&self.db, id, tenant, now)).await
    }

    async fn list(
        &self,
        filter: &Filter,
        page: Page,
        now: Option<Timestamp>,
    ) -> Result<Found<JobRecord>, Error> {
        timed(read::list(&self.db, filter, page, now)).await
    }

    async fn queues(&self, now: Option<Timestamp>) -> Result<Vec<QueueStats>, Error> {
        timed(read::queues(&self.db, now)).await
    }

    async fn beat_worker(
        &self,
        worker: &WorkerRecord,
        now: Option<Timestamp>,
    ) -> Result<(), Error> {
        timed(workers::beat_worker(&self.db, worker, now)).await
    }

    async fn remove_worker(&self, id: &str, now: Option<Timestamp>) -> Result<(), Error> {
        timed(workers::remove_worker(&self.db, id, now)).await
    }

    async fn workers(&self, now: Option<Timestamp>) -> Result<Vec<WorkerRecord>, Error> {
        timed(workers::workers(&self.db, now)).await
    }

    async fn elect(&self, elect: Elect<'_>) -> Result<bool, Error> {
        timed(workers::elect(&self.db, &elect)).await
    }

    async fn resign(&self, role: &str, holder: &str) -> Result<(), Error> {
        timed(workers::resign(&self.db, role, holder)).await
    }
}

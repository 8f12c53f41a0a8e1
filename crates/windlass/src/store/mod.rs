//! Where jobs are kept: one contract, several stores.
//!
//! [`Store`] is a list of verbs. It holds no policy: what becomes of a job has been decided (by
//! [`crate::model`] and the engine) before a store writes it down. [`memory`] is the contract's
//! executable definition; `sqlite` and `postgres` are real. One conformance suite runs against all
//! of them, and a property test compares each with the memory store, operation by operation.
//!
//! Every verb takes an optional `now`. `None` means the store's own clock, which is the only clock
//! that counts in production; tests pass their own.

use std::time::Duration;

use async_trait::async_trait;

use crate::db;
use crate::model::{
    ClaimedJob, Enqueued, Filter, Finish, Found, JobId, JobRecord, Json, Lease, NewJob, Page,
    QueueStats, Recorded, Timestamp, WorkerRecord,
};

mod at_rest;
mod control;
mod error;
mod flows;
mod governed;
pub mod memory;
mod news;
#[cfg(feature = "postgres")]
pub mod postgres;
mod schedules;
mod schema;
mod search;
#[cfg(feature = "sqlite")]
pub mod sqlite;
mod tallies;
mod wake;

pub use at_rest::{AtRest, Rewrite, Values, Walk};
pub use control::{
    ChangeSetting, Control, MAX_CANCEL_REQUESTS, MAX_MATCHED, Matched, Operate, Operation,
    SettingChanged,
};
pub use error::Error;
pub use flows::{FlowChanged, Flows, Started};
pub use governed::{Governed, Granted};
pub use news::{Finished, News, Since};
pub use schedules::{Fire, Fired, Schedules};
pub use schema::Schema;
pub(crate) use search::search;
pub use tallies::{Grain, Tallied, Tallies};
pub use wake::{Wake, WakeReceiver, Waker};

/// What a store can do beyond the verbs, declared so that nothing is skipped quietly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Survives the end of the process.
    pub durable: bool,
    /// `enqueue_in`, `finish_in` and `checkpoint_in` work: jobs can join the caller's transaction.
    pub transactions: bool,
    /// Several processes may use it at once.
    pub shared: bool,
    /// Wake-ups reach other processes.
    pub remote_wakes: bool,
}

/// What to claim.
#[derive(Debug, Clone)]
pub struct Claim<'a> {
    /// From this queue.
    pub queue: &'a str,
    /// For this worker.
    pub worker: &'a str,
    /// At most so many.
    pub limit: u32,
    /// For how long.
    pub lease: Duration,
    /// The time to take it for.
    pub now: Option<Timestamp>,
}

/// Leases to extend.
#[derive(Debug, Clone)]
pub struct Heartbeat<'a> {
    /// Which.
    pub leases: &'a [Lease],
    /// For how long from now.
    pub lease: Duration,
    /// The time to take it for.
    pub now: Option<Timestamp>,
}

/// What a heartbeat found out about one lease. Leases that are simply kept are not reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Beat {
    /// No longer held: stop working on it, nothing you say will be recorded.
    Lost(Lease),
    /// Someone asked the job to stop.
    CancelRequested(Lease),
}

/// Takes back jobs whose lease ran out.
#[derive(Debug, Clone, Copy)]
pub struct Rescue {
    /// At most so many in one call.
    pub limit: u32,
    /// A job that took its process down so many times is set aside as dead.
    pub max_crashes: u16,
    /// The time to take it for.
    pub now: Option<Timestamp>,
}

/// A job that was taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rescued {
    /// Which.
    pub id: JobId,
    /// What it is.
    pub kind: String,
    /// Where it waits.
    pub queue: String,
    /// Who lost it.
    pub worker: String,
    /// How often this has happened to it, this time included.
    pub crashes: u16,
    /// Whether it was set aside rather than made available.
    pub dead: bool,
}

/// Deletes what has been finished for long enough. Never touches what is unfinished.
#[derive(Debug, Clone, Copy)]
pub struct Prune {
    /// How long completed jobs are kept.
    pub completed: Duration,
    /// How long cancelled jobs are kept.
    pub cancelled: Duration,
    /// How long dead jobs are kept.
    pub dead: Duration,
    /// At most so many rows in one call; whole partitions may go besides.
    pub limit: u32,
    /// The time to take it for.
    pub now: Option<Timestamp>,
}

/// Asks to lead, or to go on leading.
#[derive(Debug, Clone)]
pub struct Elect<'a> {
    /// What to lead, such as `maintenance`.
    pub role: &'a str,
    /// Who asks.
    pub holder: &'a str,
    /// For how long.
    pub term: Duration,
    /// The time to take it for.
    pub now: Option<Timestamp>,
}

/// What an operator's wish did to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Changed {
    /// It is done.
    Done,
    /// The job runs; it has been asked to stop and will be recorded as cancelled when it does.
    Asked,
    /// The job's state does not allow it.
    Refused(crate::model::State),
    /// Another job holds its unique key: it is unfinished, or its window still runs.
    Held(JobId),
    /// There is no such job (for this tenant).
    NotFound,
}

/// What a migration did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrated {
    /// The schema's version before.
    pub from: i64,
    /// And now.
    pub to: i64,
}

/// The contract. See the [module documentation](self).
#[async_trait]
pub trait Store: Control + Flows + Governed + News + Schedules + Tallies + Values {
    /// `memory`, `sqlite` or `postgres`.
    fn name(&self) -> &'static str;

    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// Wake-ups: hints that a queue may have work. Missing one costs a poll interval, never a job.
    fn wakes(&self) -> WakeReceiver;

    /// Brings the schema to this program's version. Harmless when it is there already.
    async fn migrate(&self) -> Result<Migrated, Error>;

    /// The schema's version, or why it cannot be told.
    async fn schema_version(&self) -> Result<i64, Error>;

    /// How the schema stands to this program: what is missing, or whether it is too new.
    async fn schema(&self) -> Result<Schema, Error>;

    /// The store's clock; also the cheapest proof that it answers.
    async fn now(&self) -> Result<Timestamp, Error>;

    /// The time, if it moves only when a test tells it to.
    fn manual_clock(&self) -> Option<Timestamp> {
        None
    }

    /// Makes jobs durable, in order, all or none; answers in the same order. Up to
    /// [`crate::model::MAX_ENQUEUE`] in a call. Jobs have been validated.
    ///
    /// Whether another job stands for a new one is decided by its id (a repeated call is harmless),
    /// then its idempotency key, then its unique key. A key is held until, and not at, the end of
    /// its window.
    ///
    /// An id is known while its job is unfinished and, once finished, to the process that enqueued
    /// it; PostgreSQL does not look for the finished jobs of other processes. Whoever may repeat a
    /// request elsewhere gives it an idempotency key.
    ///
    /// The line of an ordering key goes by time of enqueue, then by id: jobs of one call that share a
    /// key need ids that ascend, as [`JobId::new`] makes them.
    async fn enqueue(
        &self,
        jobs: &[NewJob],
        now: Option<Timestamp>,
    ) -> Result<Vec<Enqueued>, Error>;

    /// The same within the caller's transaction.
    async fn enqueue_in(
        &self,
        tx: &mut db::Tx,
        jobs: &[NewJob],
        now: Option<Timestamp>,
    ) -> Result<Vec<Enqueued>, Error>;

    /// Leases due jobs, in order of priority, then time, then id. At most one live lease per job.
    async fn claim(&self, claim: Claim<'_>) -> Result<Vec<ClaimedJob>, Error>;

    /// How long until the next job of the queue falls due; `None` if none waits for a time. Zero if
    /// one is due now.
    async fn next_due(
        &self,
        queue: &str,
        now: Option<Timestamp>,
    ) -> Result<Option<Duration>, Error>;

    /// Records how attempts ended, each under its lease; answers in the same order.
    async fn finish(
        &self,
        finishes: &[Finish],
        now: Option<Timestamp>,
    ) -> Result<Vec<Recorded>, Error>;

    /// Records the end of one attempt within the job's own transaction.
    async fn finish_in(
        &self,
        tx: &mut db::Tx,
        finish: &Finish,
        now: Option<Timestamp>,
    ) -> Result<Recorded, Error>;

    /// Extends leases, and says which are lost or asked to stop.
    async fn heartbeat(&self, heartbeat: Heartbeat<'_>) -> Result<Vec<Beat>, Error>;

    /// Records a running job's progress, under its lease.
    async fn progress(&self, lease: Lease, progress: &Json) -> Result<Recorded, Error>;

    /// Takes back jobs whose lease ran out.
    async fn rescue(&self, rescue: Rescue) -> Result<Vec<Rescued>, Error>;

    /// Stops a job, or asks it to stop if it runs.
    async fn cancel(
        &self,
        id: JobId,
        tenant: Option<&str>,
        now: Option<Timestamp>,
    ) -> Result<Changed, Error>;

    /// Sets an unfinished job aside as dead. A running one is refused: cancel it instead.
    async fn discard(
        &self,
        id: JobId,
        tenant: Option<&str>,
        now: Option<Timestamp>,
    ) -> Result<Changed, Error>;

    /// Makes a job available now: revives a finished one with all its attempts, and its history
    /// kept; runs a waiting one at once.
    async fn requeue(
        &self,
        id: JobId,
        tenant: Option<&str>,
        now: Option<Timestamp>,
    ) -> Result<Changed, Error>;

    /// Deletes what has been finished for long enough; says how many jobs went.
    async fn prune(&self, prune: Prune) -> Result<u64, Error>;

    /// Keeps the store in shape: partitions ahead of time, expired keys, ordering keys whose
    /// hand-off was missed. Harmless at any time.
    async fn maintain(&self, now: Option<Timestamp>) -> Result<(), Error>;

    /// One job.
    async fn get(
        &self,
        id: JobId,
        tenant: Option<&str>,
        now: Option<Timestamp>,
    ) -> Result<Option<JobRecord>, Error>;

    /// Jobs that match, newest first. It may stop before the page is full, and says where it goes on.
    async fn list(
        &self,
        filter: &Filter,
        page: Page,
        now: Option<Timestamp>,
    ) -> Result<Found<JobRecord>, Error>;

    /// How each queue with unfinished jobs stands.
    async fn queues(&self, now: Option<Timestamp>) -> Result<Vec<QueueStats>, Error>;

    /// Records that a worker lives. `started_at` and `beat_at` are set by the store.
    async fn beat_worker(&self, worker: &WorkerRecord, now: Option<Timestamp>)
    -> Result<(), Error>;

    /// Forgets a worker that has stopped, and those silent for longer than a day.
    async fn remove_worker(&self, id: &str, now: Option<Timestamp>) -> Result<(), Error>;

    /// Workers that reported within the last day.
    async fn workers(&self, now: Option<Timestamp>) -> Result<Vec<WorkerRecord>, Error>;

    /// Takes or keeps a role; `false` while another holder's term runs.
    async fn elect(&self, elect: Elect<'_>) -> Result<bool, Error>;

    /// Gives a role up, so that the next one need not wait.
    async fn resign(&self, role: &str, holder: &str) -> Result<(), Error>;
}

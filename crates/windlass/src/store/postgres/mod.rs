//! PostgreSQL.
//!
//! Everything lives in the schema `jobs` (`migrations/postgres`): unfinished jobs in one table,
//! finished ones in another that is partitioned. The statements are in `sql/`, one file each.
//!
//! - `lane`, `session`, `pooled`: connections, a few for each kind of work, each call bounded in time; poolers
//! - `enqueue`, `gather`, `copy`, `keys`, `sent`: making jobs durable, once
//! - `claim`, `positions`: who gets what, without ever walking dead rows
//! - `finish`, `leases`: how attempts end, or go on
//! - `governed`: claims that go by limits and turns
//! - `flows`, `start`, `steps`, `signals`: what outlives an attempt, and what ties jobs together
//! - `lines`: ordering keys
//! - `operate`, `read`, `processes`: operators, readers, workers and leaders
//! - `control`: settings and the audit log
//! - `schema`, `maintain`: migrations, retention, repairs
//! - `notify`, `listen`: wake-ups
//!
//! Locks are taken in one order everywhere, so that no two of our own transactions wait for each
//! other: unique keys (by key), lines (by number), flows (by id), jobs (by id). Where a row may be locked by someone
//! who holds nothing else, `skip locked` leaves it alone.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    Beat, Capabilities, Changed, Claim, Elect, Error, Heartbeat, Migrated, Operation, Prune,
    Rescue, Rescued, Schema, Store, Wake, WakeReceiver, Waker,
};
use crate::db::{self, PgConnector, Postgres, PostgresOptions, SettingsDelivery};
use crate::model::{
    ClaimedJob, Enqueued, Filter, Finish, Found, JobId, JobRecord, Json, Lease, NewJob, Page,
    QueueStats, Recorded, Timestamp, WorkerRecord,
};

mod at_rest;
mod cells;
mod claim;
mod control;
mod copy;
mod enqueue;
mod finish;
mod flows;
mod gather;
mod governed;
mod keys;
mod lane;
mod leases;
mod lines;
mod listen;
mod looking;
mod looks;
mod maintain;
mod news;
mod notify;
mod operate;
mod planner;
mod pooled;
mod positions;
mod processes;
mod read;
mod rows;
mod schedules;
mod schema;
mod search;
mod sent;
mod session;
mod signals;
mod sql;
mod start;
mod steps;
mod tallies;

use gather::Gathering;
use governed::GovernedQueues;
use lane::Lane;
use lines::Freed;
use notify::Notifier;
use positions::Positions;
use sent::Sent;
use session::Session;

/// How the store uses its database.
#[derive(Debug, Clone)]
pub struct PgStoreOptions {
    /// `application_name` of the connections.
    pub application_name: String,
    /// How long one call may take, connecting included. Then it fails with a time-out, and its
    /// connection is closed. Maintenance gets ten times as long.
    pub call_timeout: Duration,
    /// Connections for claims, and as many for finishes; leases, reads and maintenance have one or two
    /// besides. All are made when they are needed.
    pub connections: usize,
    /// Connections for enqueues. More than for the rest: single enqueues wait for the disk, and those
    /// that wait at the same time share one write. Two more are for those that go together.
    pub enqueue_connections: usize,
    /// How session settings reach the server; see there for poolers.
    pub settings: SettingsDelivery,
    /// Past a pooler: where to listen for wake-ups, to migrate, and to [begin](PgStore::begin) callers'
    /// transactions. Without one, a store behind a pooler of transactions hears of nothing and polls.
    pub direct_url: Option<String>,
    /// Days for which partitions are made in advance.
    pub partitions_ahead: u16,
}

impl Default for PgStoreOptions {
    fn default() -> Self {
        Self {
            application_name: "windlass".to_owned(),
            call_timeout: Duration::from_secs(15),
            connections: 2,
            enqueue_connections: 8,
            settings: SettingsDelivery::default(),
            direct_url: None,
            partitions_ahead: 14,
        }
    }
}

/// The settings of the store's sessions. With [`SettingsDelivery::Role`] it is up to the role to have
/// them: `alter role .. set ..`.
///
/// Plans made while a table is empty, or was never analysed, choose sequential scans and hash joins
/// and are then kept: finishing a batch took seconds. Every statement here finds its rows by an
/// index, so on these connections nothing else is allowed, and one plan serves for all parameters.
pub const SESSION_SETTINGS: [(&str, &str); 6] = [
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("jit", "off"),
    ("plan_cache_mode", "force_generic_plan"),
    // Locks are taken first and read under afterwards; a snapshot from before would see nothing.
    ("default_transaction_isolation", "read committed"),
];

/// Jobs in PostgreSQL. Made with [`PgStore::connect`].
#[derive(Debug)]
pub struct PgStore {
    shared: Arc<Shared>,
    db: Postgres,
}

#[derive(Debug)]
struct Shared {
    /// For connections with time enough to migrate.
    migrations: PgConnector,
    /// For connections such as the lanes have.
    usual: PgConnector,
    claims: Lane,
    finishes: Lane,
    enqueues: Lane,
    /// None if sessions cannot be told to give up on locks.
    gathering: Option<Gathering>,
    leases: Lane,
    reads: Lane,
    upkeep: Lane,
    positions: Positions,
    governed: GovernedQueues,
    sent: Sent,
    waker: Waker,
    notifier: Arc<Notifier>,
    hears: Arc<AtomicBool>,
    delivery: SettingsDelivery,
    partitions_ahead: i32,
    /// The unique key up to which leftovers have been swept.
    swept: Mutex<String>,
    /// The job up to which signals have been swept.
    swept_signals: Mutex<uuid::Uuid>,
    /// Ends the tasks when the store is dropped.
    _running: DropGuard,
}

impl PgStore {
    /// Makes a store without connecting: a database that is down now may be up when it is needed.
    /// Must be called within a tokio runtime, which carries the store's own tasks.
    ///
    /// # Errors
    ///
    /// The URL cannot be used.
    pub fn connect(url: &str, options: &PgStoreOptions) -> Result<Self, Error> {
        let postgres_options = |timeout: Duration, more: &[(&str, &str)]| {
            let settings = SESSION_SETTINGS.iter().chain(more);
            PostgresOptions {
                application_name: options.application_name.clone(),
                // The server gives up first: what a caller is told has failed does not happen.
                statement_timeout: timeout.mul_f64(0.9),
                settings: settings
                    .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                    .collect(),
                delivery: options.settings,
                ..PostgresOptions::default()
            }
        };
        let connector_with = |timeout: Duration, more: &[(&str, &str)]| {
            PgConnector::new(url, &postgres_options(timeout, more))
        };
        let connector = |timeout| connector_with(timeout, &[]);
        let timeout = options.call_timeout;
        let usual = connector(timeout)?;
        let gathering = match options.settings {
            SettingsDelivery::Role => None,
            _ => {
                let connector = connector_with(timeout, &[gather::LONGEST_LOCK])?;
                Some(Gathering::new(Lane::new(
                    connector,
                    gather::GROUPS,
                    timeout,
                )))
            }
        };
        let lane = |connections| Lane::new(usual.clone(), connections, timeout);
        let stop = CancellationToken::new();
        let (waker, hears) = (Waker::default(), Arc::<AtomicBool>::default());
        let notifier = Arc::<Notifier>::default();

        if options.settings.names_statements() || options.direct_url.is_some() {
            let listener = PostgresOptions {
                application_name: format!("{} listener", options.application_name),
                ..PostgresOptions::default()
            };
            let ears = listen::Ears {
                connector: pooled::past_poolers(url, options, listener)?,
                waker: waker.clone(),
                hears: hears.clone(),
            };
            tokio::spawn(ears.run(stop.clone()));
        } else {
            // To listen there would have a session of the pool listen for whoever comes next.
            tracing::warn!(
                "behind a pooler of transactions and without a direct URL: wake-ups do not arrive; polling"
            );
        }
        tokio::spawn(notify::run(notifier.clone(), lane(1), stop.clone()));

        let shared = Shared {
            claims: lane(options.connections),
            finishes: lane(options.connections),
            enqueues: lane(options.enqueue_connections),
            gathering,
            leases: lane(2),
            reads: lane(2),
            usual: usual.clone(),
            upkeep: Lane::new(connector(timeout * 10)?, 1, timeout * 10),
            migrations: pooled::past_poolers(
                url,
                options,
                postgres_options(schema::LONGEST_MIGRATION, &[]),
            )?,
            positions: Positions::default(),
            governed: GovernedQueues::default(),
            sent: Sent::default(),
            waker,
            notifier,
            hears,
            delivery: options.settings,
            partitions_ahead: options.partitions_ahead.into(),
            swept: Mutex::default(),
            swept_signals: Mutex::default(),
            _running: stop.drop_guard(),
        };
        let callers = PostgresOptions {
            application_name: options.application_name.clone(),
            ..PostgresOptions::default()
        };
        let callers_at_most = (callers.max_connections, callers.acquire_timeout);
        let db =
            pooled::past_poolers(url, options, callers)?.pool(callers_at_most.0, callers_at_most.1);
        Ok(Self {
            shared: Arc::new(shared),
            db,
        })
    }

    /// Begins a transaction for [`Store::enqueue_in`] and [`Store::finish_in`]. A transaction of any
    /// other pool on the same database does as well.
    ///
    /// # Errors
    ///
    /// The database cannot be reached.
    pub async fn begin(&self) -> Result<db::Tx, Error> {
        Ok(self.db.begin().await?)
    }
}

impl Shared {
    /// The session of a caller's transaction, if it is one of PostgreSQL.
    fn session<'t>(&self, tx: &'t mut db::Tx, verb: &'static str) -> Result<Session<'t>, Error> {
        let connection = tx.postgres().ok_or(Error::Unsupported {
            store: "postgres",
            verb,
        })?;
        Ok(Session::new(connection, self.delivery.names_statements()))
    }

    /// Wakes whoever waits in this process.
    fn wake(&self, queues: &BTreeSet<&str>, now: Option<Timestamp>) {
        for queue in queues {
            if now.is_some() {
                self.positions.forget(queue);
                self.governed.forget_cells(queue);
            }
            self.waker.send(Wake::Queue((*queue).into()));
        }
    }

    /// Makes jobs known that may be claimed at an old time now.
    fn freed(&self, freed: &[Freed]) {
        if freed.is_empty() {
            return;
        }
        for job in freed {
            let Freed {
                queue,
                priority,
                run_at,
            } = job;
            self.positions.fall_back(queue, *priority, *run_at);
            self.governed.fall_back(queue, *priority, *run_at);
        }
        let queues = freed.iter().map(|job| job.queue.as_str()).collect();
        self.wake(&queues, None);
        self.notifier.tell(&queues);
    }
}

#[async_trait]
impl Store for PgStore {
    fn name(&self) -> &'static str {
        "postgres"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            durable: true,
            transactions: true,
            shared: true,
            remote_wakes: self.shared.hears.load(Ordering::Relaxed),
        }
    }

    fn wakes(&self) -> WakeReceiver {
        self.shared.waker.subscribe()
    }

    async fn migrate(&self) -> Result<Migrated, Error> {
        let check = pooled::check(&self.shared.usual, self.shared.delivery);
        self.shared.reads.bounded(check).await?;
        self.shared.migrate().await
    }

    async fn schema_version(&self) -> Result<i64, Error> {
        self.shared.schema_version().await
    }

    async fn schema(&self) -> Result<Schema, Error> {
        let check = pooled::check(&self.shared.usual, self.shared.delivery);
        self.shared.reads.bounded(check).await?;
        self.shared.schema().await
    }

    async fn now(&self) -> Result<Timestamp, Error> {
        self.shared.now().await
    }

    async fn enqueue(
        &self,
        jobs: &[NewJob],
        now: Option<Timestamp>,
    ) -> Result<Vec<Enqueued>, Error> {
        self.shared.enqueue(jobs, now).await
    }

    async fn enqueue_in(
        &self,
        tx: &mut db::Tx,
        jobs: &[NewJob],
        now: Option<Timestamp>,
    ) -> Result<Vec<Enqueued>, Error> {
        self.shared.enqueue_in(tx, jobs, now).await
    }

    async fn claim(&self, claim: Claim<'_>) -> Result<Vec<ClaimedJob>, Error> {
        self.shared.claim(&claim).await
    }

    async fn next_due(
        &self,
        queue: &str,
        now: Option<Timestamp>,
    ) -> Result<Option<Duration>, Error> {
        self.shared.next_due(queue, now).await
    }

    async fn finish(
        &self,
        finishes: &[Finish],
        now: Option<Timestamp>,
    ) -> Result<Vec<Recorded>, Error> {
        self.shared.finish(finishes, now).await
    }

    async fn finish_in(
        &self,
        tx: &mut db::Tx,
        finish: &Finish,
        now: Option<Timestamp>,
    ) -> Result<Recorded, Error> {
        self.shared.finish_in(tx, finish, now).await
    }

    async fn heartbeat(&self, heartbeat: Heartbeat<'_>) -> Result<Vec<Beat>, Error> {
        self.shared.heartbeat(&heartbeat).await
    }

    async fn progress(&self, lease: Lease, progress: &Json) -> Result<Recorded, Error> {
        self.shared.progress(lease, progress).await
    }

    async fn rescue(&self, rescue: Rescue) -> Result<Vec<Rescued>, Error> {
        self.shared.rescue(rescue).await
    }

    async fn cancel(
        &self,
        id: JobId,
        tenant: Option<&str>,
        now: Option<Timestamp>,
    ) -> Result<Changed, Error> {
        self.shared
            .operate_one(Operation::Cancel, id, tenant, now)
            .await
    }

    async fn discard(
        &self,
        id: JobId,
        tenant: Option<&str>,
        now: Option<Timestamp>,
    ) -> Result<Changed, Error> {
        self.shared
            .operate_one(Operation::Discard, id, tenant, now)
            .await
    }

    async fn requeue(
        &self,
        id: JobId,
        tenant: Option<&str>,
        now: Option<Timestamp>,
    ) -> Result<Changed, Error> {
        self.shared
            .operate_one(Operation::Requeue, id, tenant, now)
            .await
    }

    async fn prune(&self, prune: Prune) -> Result<u64, Error> {
        self.shared.prune(prune).await
    }

    async fn maintain(&self, now: Option<Timestamp>) -> Result<(), Error> {
        self.shared.maintain(now).await
    }

    async fn get(
        &self,
        id: JobId,
        tenant: Option<&str>,
        now: Option<Timestamp>,
    ) -> Result<Option<JobRecord>, Error> {
        self.shared.get(id, tenant, now).await
    }

    async fn list(
        &self,
        filter: &Filter,
        page: Page,
        now: Option<Timestamp>,
    ) -> Result<Found<JobRecord>, Error> {
        self.shared.list(filter, page, now).await
    }

    async fn queues(&self, now: Option<Timestamp>) -> Result<Vec<QueueStats>, Error> {
        self.shared.queues(now).await
    }

    async fn beat_worker(
        &self,
        worker: &WorkerRecord,
        now: Option<Timestamp>,
    ) -> Result<(), Error> {
        self.shared.beat_worker(worker, now).await
    }

    async fn remove_worker(&self, id: &str, now: Option<Timestamp>) -> Result<(), Error> {
        self.shared.remove_worker(id, now).await
    }

    async fn workers(&self, now: Option<Timestamp>) -> Result<Vec<WorkerRecord>, Error> {
        self.shared.workers(now).await
    }

    async fn elect(&self, elect: Elect<'_>) -> Result<bool, Error> {
        self.shared.elect(&elect).await
    }

    async fn resign(&self, role: &str, holder: &str) -> Result<(), Error> {
        self.shared.resign(role, holder).await
    }
}

//! The contract in memory: its executable definition.
//!
//! What the other stores must do is what this one does; the conformance suite says it in cases, the
//! model test in random operations. It is complete and quick enough for tests and for trying
//! things out, but ends with its process. One lock holds everything, so every verb is atomic.
//!
//! - `jobs`: the jobs and their indexes, and the hand-off of ordering keys
//! - `enqueue`: duplicates, unique and idempotency keys
//! - `attempts`: claim, heartbeat, finish, rescue
//! - `governed`: claims that go by limits and turns
//! - `flows`, `signals`: what outlives an attempt, and what ties jobs together
//! - `operate`: what operators and retention do
//! - `read`: what anyone may look at
//! - `processes`: who works, and who leads
//! - `control`: settings and the audit log
//! - `schedules`: the timetable and its ticks
//! - `tallies`: what happened, counted
//! - `models`: tests that try every order of events on all of the above

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::{
    Beat, Capabilities, Changed, Claim, Elect, Error, Heartbeat, Migrated, Prune, Rescue, Rescued,
    Schema, Store, Wake, WakeReceiver, Waker,
};
use crate::db;
use crate::model::{
    Buckets, ClaimedJob, Enqueued, Filter, Finish, Found, JobId, JobRecord, Json, Lease, NewJob,
    Page, QueueStats, Recorded, Signal, Timestamp, WorkerRecord,
};

mod at_rest;
mod attempts;
mod clock;
mod control;
mod enqueue;
mod flows;
mod governed;
mod jobs;
#[cfg(test)]
mod models;
mod news;
mod operate;
mod processes;
mod read;
mod schedules;
mod signals;
mod tallies;

pub use clock::ManualClock;
use control::Controls;
use enqueue::{Held, Remembered, UniqueKey};
use jobs::Jobs;
use processes::Term;
use schedules::Timetable;

/// There is no schema, so there is only one version of it.
const SCHEMA_VERSION: i64 = 1;

/// Jobs that live and end with the process.
#[derive(Debug, Default)]
pub struct MemoryStore {
    data: Mutex<Data>,
    waker: Waker,
    clock: Option<ManualClock>,
}

/// Everything there is. Each verb is a method, in the file of its group.
#[derive(Debug, Default, Clone)]
struct Data {
    jobs: Jobs,
    unique: HashMap<UniqueKey, Held>,
    idempotency: HashMap<String, Remembered>,
    workers: BTreeMap<String, WorkerRecord>,
    roles: HashMap<String, Term>,
    buckets: HashMap<String, Buckets>,
    timetable: Timetable,
    controls: Controls,
    checkpoints: HashMap<JobId, Json>,
    flows: flows::Book,
    signals: HashMap<(JobId, String), Signal>,
    counts: tallies::Counts,
}

impl MemoryStore {
    /// A store that goes by this clock instead of the machine's.
    pub fn with_clock(clock: ManualClock) -> Self {
        Self {
            clock: Some(clock),
            ..Self::default()
        }
    }

    fn clock(&self) -> Timestamp {
        self.clock
            .as_ref()
            .map_or_else(wall_clock, ManualClock::now)
    }

    /// Does something to the data at a time, then sends the hints that came of it.
    fn at<T>(&self, now: Option<Timestamp>, verb: impl FnOnce(&mut Data, Timestamp) -> T) -> T {
        let now = now.unwrap_or_else(|| self.clock());
        let (answer, woken) = {
            // A verb that panicked says so to its own caller; the data outlives it.
            let mut data = self.data.lock().unwrap_or_else(PoisonError::into_inner);
            let answer = verb(&mut data, now);
            (answer, data.jobs.take_woken())
        };
        for queue in woken {
            self.waker.send(Wake::Queue(queue.into()));
        }
        answer
    }

    const fn unsupported(verb: &'static str) -> Error {
        Error::Unsupported {
            store: "memory",
            verb,
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this store has no database whose clock could count; it is the clock"
)]
fn wall_clock() -> Timestamp {
    Timestamp::from_datetime(chrono::Utc::now())
}

#[async_trait]
impl Store for MemoryStore {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            durable: false,
            transactions: false,
            shared: false,
            remote_wakes: false,
        }
    }

    fn wakes(&self) -> WakeReceiver {
        self.waker.subscribe()
    }

    async fn migrate(&self) -> Result<Migrated, Error> {
        Ok(Migrated {
            from: SCHEMA_VERSION,
            to: SCHEMA_VERSION,
        })
    }

    async fn schema_version(&self) -> Result<i64, Error> {
        Ok(SCHEMA_VERSION)
    }

    async fn schema(&self) -> Result<Schema, Error> {
        Ok(Schema {
            found: SCHEMA_VERSION,
            needed: SCHEMA_VERSION,
            missing: Vec::new(),
            contracted: None,
        })
    }

    async fn now(&self) -> Result<Timestamp, Error> {
        Ok(self.clock())
    }

    fn manual_clock(&self) -> Option<Timestamp> {
        self.clock.as_ref().map(ManualClock::now)
    }

    async fn enqueue(
        &self,
        jobs: &[NewJob],
        now: Option<Timestamp>,
    ) -> Result<Vec<Enqueued>, Error> {
        Ok(self.at(now, |data, now| {
            jobs.iter().map(|job| data.enqueue(job, now)).collect()
        }))
    }

    async fn enqueue_in(
        &self,
        _tx: &mut db::Tx,
        _jobs: &[NewJob],
        _now: Option<Timestamp>,
    ) -> Result<Vec<Enqueued>, Error> {
        Err(Self::unsupported("enqueue in a transaction"))
    }

    async fn claim(&self, claim: Claim<'_>) -> Result<Vec<ClaimedJob>, Error> {
        Ok(self.at(claim.now, |data, now| data.claim(&claim, now)))
    }

    async fn next_due(
        &self,
        queue: &str,
        now: Option<Timestamp>,
    ) -> Result<Option<Duration>, Error> {
        Ok(self.at(now, |data, now| {
            let run_at = data.jobs.next_run_at(queue)?;
            Some(run_at.since(now))
        }))
    }

    async fn finish(
        &self,
        finishes: &[Finish],
        now: Option<Timestamp>,
    ) -> Result<Vec<Recorded>, Error> {
        Ok(self.at(now, |data, now| data.finish_all(finishes, now)))
    }

    async fn finish_in(
        &self,
        _tx: &mut db::Tx,
        _finish: &Finish,
        _now: Option<Timestamp>,
    ) -> Result<Recorded, Error> {
        Err(Self::unsupported("finish in a transaction"))
    }

    async fn heartbeat(&self, heartbeat: Heartbeat<'_>) -> Result<Vec<Beat>, Error> {
        Ok(self.at(heartbeat.now, |data, now| {
            data.heartbeat(heartbeat.leases, now + heartbeat.lease, now)
        }))
    }

    async fn progress(&self, lease: Lease, progress: &Json) -> Result<Recorded, Error> {
        Ok(self.at(None, |data, now| data.progress(lease, progress, now)))
    }

    async fn rescue(&self, rescue: Rescue) -> Result<Vec<Rescued>, Error> {
        Ok(self.at(rescue.now, |data, now| data.rescue(rescue, now)))
    }

    async fn cancel(
        &self,
        id: JobId,
        tenant: Option<&str>,
        now: Option<Timestamp>,
    ) -> Result<Changed, Error> {
        Ok(self.at(now, |data, now| data.cancel(id, tenant, now)))
    }

    async fn discard(
        &self,
        id: JobId,
        tenant: Option<&str>,
        now: Option<Timestamp>,
    ) -> Result<Changed, Error> {
        Ok(self.at(now, |data, now| data.discard(id, tenant, now)))
    }

    async fn requeue(
        &self,
        id: JobId,
        tenant: Option<&str>,
        now: Option<Timestamp>,
    ) -> Result<Changed, Error> {
        Ok(self.at(now, |data, now| data.requeue(id, tenant, now)))
    }

    async fn prune(&self, prune: Prune) -> Result<u64, Error> {
        Ok(self.at(prune.now, |data, now| data.prune(prune, now)))
    }

    async fn maintain(&self, now: Option<Timestamp>) -> Result<(), Error> {
        self.at(now, |data, now| {
            data.drop_expired_keys(now);
            data.sweep_signals();
        });
        Ok(())
    }

    async fn get(
        &self,
        id: JobId,
        tenant: Option<&str>,
        now: Option<Timestamp>,
    ) -> Result<Option<JobRecord>, Error> {
        Ok(self.at(now, |data, now| data.get(id, tenant, now)))
    }

    async fn list(
        &self,
        filter: &Filter,
        page: Page,
        now: Option<Timestamp>,
    ) -> Result<Found<JobRecord>, Error> {
        Ok(self.at(now, |data, now| data.list(filter, page, now)))
    }

    async fn queues(&self, now: Option<Timestamp>) -> Result<Vec<QueueStats>, Error> {
        Ok(self.at(now, |data, now| data.queues(now)))
    }

    async fn beat_worker(
        &self,
        worker: &WorkerRecord,
        now: Option<Timestamp>,
    ) -> Result<(), Error> {
        self.at(now, |data, now| data.beat_worker(worker, now));
        Ok(())
    }

    async fn remove_worker(&self, id: &str, now: Option<Timestamp>) -> Result<(), Error> {
        self.at(now, |data, now| data.remove_worker(id, now));
        Ok(())
    }

    async fn workers(&self, now: Option<Timestamp>) -> Result<Vec<WorkerRecord>, Error> {
        Ok(self.at(now, |data, now| data.workers(now)))
    }

    async fn elect(&self, elect: Elect<'_>) -> Result<bool, Error> {
        Ok(self.at(elect.now, |data, now| data.elect(&elect, now)))
    }

    async fn resign(&self, role: &str, holder: &str) -> Result<(), Error> {
        self.at(None, |data, _| data.resign(role, holder));
        Ok(())
    }
}

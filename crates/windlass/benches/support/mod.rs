//! What every queue under measurement shares: one job, one way to count it, one set of roles.
//!
//! Ours and the peers compile this same code, so that a difference in the figures is a difference
//! between the queues. Each role runs in a process of its own: the worker's memory and CPU are its
//! own, and nothing is measured through a scheduler that two parties share.
#![expect(
    clippy::disallowed_methods,
    reason = "stamps are compared across processes of one machine: only the machine's clock will do"
)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

pub(crate) mod roles;

/// Rows per call where a client enqueues many at once.
pub(crate) const BULK: usize = 5_000;

/// The job: nothing to do. Its args say when it was sent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Noop {
    /// Microseconds since 1970.
    pub(crate) sent: i64,
}

impl Noop {
    pub(crate) fn sent_now() -> anyhow::Result<Self> {
        Ok(Self { sent: now()? })
    }
}

/// A queue under measurement, opened on one database.
pub(crate) trait Queue: Clone + Send + Sync + 'static {
    /// Makes its tables.
    fn set_up(&self) -> impl Future<Output = anyhow::Result<()>> + Send;

    /// Enqueues one job, durably.
    fn enqueue(&mut self, job: Noop) -> impl Future<Output = anyhow::Result<()>> + Send;

    /// Enqueues many, durably, with the call the queue has for it.
    fn enqueue_many(&mut self, jobs: Vec<Noop>) -> impl Future<Output = anyhow::Result<()>> + Send;

    /// Works until told to stop, telling the probe of each start.
    async fn work(&self, probe: &'static Probe, stop: CancellationToken) -> anyhow::Result<()>;

    /// How many jobs have no recorded outcome.
    fn unfinished(&self) -> impl Future<Output = anyhow::Result<i64>> + Send;

    /// How many have one.
    fn finished(&self) -> impl Future<Output = anyhow::Result<i64>> + Send;
}

/// Counts and times the starts of jobs.
#[derive(Debug)]
pub(crate) struct Probe {
    expected: u64,
    started: AtomicU64,
    seen: Mutex<Seen>,
    all: Notify,
}

#[derive(Debug, Default)]
struct Seen {
    /// When each twentieth of the jobs had started, beginning with the first job.
    marks: Vec<i64>,
    /// How long each job waited, from before it was sent; only of few jobs.
    waits: Vec<i64>,
}

impl Probe {
    /// Of more jobs than this, single waits are not kept.
    const MOST_WAITS: u64 = 20_000;
    const MARKS: u64 = 20;

    pub(crate) fn new(expected: u64) -> Self {
        Self {
            expected,
            started: AtomicU64::new(0),
            seen: Mutex::default(),
            all: Notify::new(),
        }
    }

    /// To be called first thing by the handler.
    pub(crate) fn started(&self, job: &Noop) {
        let nth = self.started.fetch_add(1, Ordering::Relaxed);
        let marked = nth.is_multiple_of((self.expected / Self::MARKS).max(1));
        if marked || self.expected <= Self::MOST_WAITS {
            // A clock before 1970 was refused when the first job was sent.
            let now = now().unwrap_or_default();
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if marked {
                seen.marks.push(now);
            }
            if self.expected <= Self::MOST_WAITS {
                seen.waits.push(now - job.sent);
            }
        }
        if nth + 1 == self.expected {
            self.all.notify_one();
        }
    }

    fn count(&self) -> u64 {
        self.started.load(Ordering::Relaxed).min(self.expected)
    }

    async fn all_started(&self) {
        self.all.notified().await;
    }

    fn take(&self) -> (Vec<i64>, Vec<i64>) {
        let seen = std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner));
        (seen.marks, seen.waits)
    }
}

/// Microseconds since 1970.
pub(crate) fn now() -> anyhow::Result<i64> {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .context("the machine's clock is before 1970")?;
    Ok(i64::try_from(since.as_micros())?)
}

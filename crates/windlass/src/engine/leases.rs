//! The lease keeper: everything claimed and not yet recorded stays ours, or is stopped.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use rand::Rng;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::client::Client;
use super::context::{Attempt, Stop};
use super::job::JobOptions;
use super::registry::Catalogue;
use crate::model::{ClaimedJob, JobId, Lease};
use crate::store::{Beat, Heartbeat, Store};
use crate::telemetry::{self, Outage};

/// Most leases extended by one statement.
const BATCH: usize = 1000;

/// The longest time between two looks at what was asked to stop, while anything is held.
const HEED: Duration = Duration::from_millis(400);

#[derive(Debug)]
struct Held {
    attempt: Arc<Attempt>,
    lasts: Duration,
    renew_at: Instant,
}

/// Everything this process holds a lease on.
#[derive(Debug)]
pub(super) struct Leases {
    held: Mutex<HashMap<JobId, Held>>,
    lasts: Duration,
    options: HashMap<&'static str, Arc<JobOptions>>,
    fallback: Arc<JobOptions>,
    client: Client,
    /// Outcomes have been recorded: limits may have room again.
    pub(super) freed: Notify,
}

impl Leases {
    pub(super) fn new(lasts: Duration, catalogue: &Catalogue, client: Client) -> Self {
        let options = catalogue
            .kinds()
            .filter_map(|kind| catalogue.get(kind))
            .flat_map(|info| {
                let options = Arc::new(info.options.clone());
                let names = [info.kind].into_iter().chain(info.aliases.iter().copied());
                names.map(move |name| (name, Arc::clone(&options)))
            })
            .collect();
        Self {
            held: Mutex::default(),
            lasts,
            options,
            fallback: Arc::default(),
            client,
            freed: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<JobId, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The options of kinds that the catalogue does not have.
    pub(super) fn with_fallback(mut self, options: JobOptions) -> Self {
        self.fallback = Arc::new(options);
        self
    }

    /// Starts keeping the leases of a claim that was sent at `asked` and has just been answered.
    pub(super) fn hold(&self, jobs: Vec<ClaimedJob>, asked: Instant) -> Vec<Arc<Attempt>> {
        let answered = Instant::now();
        let mut held = self.lock();
        jobs.into_iter()
            .map(|job| {
                let options = Arc::clone(
                    self.options
                        .get(job.kind.as_str())
                        .unwrap_or(&self.fallback),
                );
                let lasts = options.lease.unwrap_or(self.lasts);
                // The claim gave the engine's own lease; a kind with another one gets it at once.
                let renew_at = if lasts == self.lasts {
                    asked + lasts / 3
                } else {
                    asked
                };
                let attempt = Arc::new(Attempt {
                    job,
                    options,
                    client: self.client.clone(),
                    answered,
                    cancelled: CancellationToken::new(),
                    told: OnceLock::new(),
                    committing: AtomicBool::new(false),
                    span: OnceLock::new(),
                });
                let entry = Held {
                    attempt: Arc::clone(&attempt),
                    lasts,
                    renew_at,
                };
                held.insert(attempt.job.id, entry);
                attempt
            })
            .collect()
    }

    /// Stops keeping leases: their outcome is recorded, or they are lost.
    pub(super) fn forget(&self, leases: impl IntoIterator<Item = Lease>) {
        let mut held = self.lock();
        for lease in leases {
            if held
                .get(&lease.job)
                .is_some_and(|h| h.attempt.job.lease() == lease)
            {
                held.remove(&lease.job);
            }
        }
        self.freed.notify_waiters();
    }

    /// Tells every attempt to end because the process does.
    pub(super) fn stop_all(&self) {
        let held = self.lock();
        held.values().for_each(|h| h.attempt.stop(Stop::Stopping));
    }

    /// Extends leases until the end of the process.
    pub(super) async fn keep(&self, store: &dyn Store) {
        let mut outage = Outage::new("lease keeper");
        let shortest = self
            .options
            .values()
            .filter_map(|o| o.lease)
            .min()
            .unwrap_or(self.lasts);
        let tick = shortest.min(self.lasts) / 12;
        loop {
            let pause = tick.mul_f64(rand::rng().random_range(0.8..1.0));
            tokio::time::sleep(pause).await;
            match self.extend_due(store).await {
                Ok(()) => outage.worked(),
                Err(error) => outage.failed(&error),
            }
        }
    }

    /// Tells attempts to end that someone asked to stop, in whatever process, until the end of the
    /// process. Heartbeats tell as well, only later.
    pub(super) async fn heed(&self, store: &dyn Store, worker: &str) {
        let mut outage = Outage::new("cancel requests");
        loop {
            let pause = HEED.mul_f64(rand::rng().random_range(0.8..1.0));
            tokio::time::sleep(pause).await;
            if self.lock().is_empty() {
                continue;
            }
            match store.cancel_requests(worker).await {
                Ok(leases) => {
                    outage.worked();
                    let told: Vec<Beat> = leases.into_iter().map(Beat::CancelRequested).collect();
                    self.tell(&told);
                }
                Err(error) => outage.failed(&error),
            }
        }
    }

    async fn extend_due(&self, store: &dyn Store) -> Result<(), crate::store::Error> {
        for (lasts, leases) in self.due() {
            for batch in leases.chunks(BATCH) {
                let asked = Instant::now();
                let beats = store
                    .heartbeat(Heartbeat {
                        leases: batch,
                        lease: lasts,
                        now: None,
                    })
                    .await?;
                self.extended(batch, asked, &beats);
            }
        }
        Ok(())
    }

    fn due(&self) -> HashMap<Duration, Vec<Lease>> {
        let now = Instant::now();
        let held = self.lock();
        let mut due: HashMap<Duration, Vec<Lease>> = HashMap::new();
        for h in held.values().filter(|h| h.renew_at <= now) {
            due.entry(h.lasts).or_default().push(h.attempt.job.lease());
        }
        due
    }

    fn extended(&self, leases: &[Lease], asked: Instant, beats: &[Beat]) {
        let mut held = self.lock();
        for lease in leases {
            if let Some(h) = held.get_mut(&lease.job) {
                h.renew_at = asked + h.lasts / 3;
            }
        }
        drop(held);
        self.tell(beats);
    }

    /// Passes on what the store says about leases.
    fn tell(&self, beats: &[Beat]) {
        let mut held = self.lock();
        for beat in beats {
            let (lease, why) = match *beat {
                Beat::Lost(lease) => (lease, Stop::LeaseLost),
                Beat::CancelRequested(lease) => (lease, Stop::Cancelled),
            };
            // Its outcome may have been recorded while the heartbeat was under way: not a loss.
            let Some(h) = held.get(&lease.job) else {
                continue;
            };
            if h.attempt.job.lease() != lease {
                continue;
            }
            if h.attempt.committing.load(Ordering::Acquire) {
                continue;
            }
            h.attempt.stop(why);
            if why == Stop::LeaseLost {
                telemetry::lease_lost(lease.job);
                held.remove(&lease.job);
            }
        }
    }
}

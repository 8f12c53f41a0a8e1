//! Counts what happens, and writes it down every few seconds. So much may go with a process that is killed:
//! these numbers are for looking at; what must be right is in the jobs.

use std::collections::BTreeMap;
use std::mem::take;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use crate::model::{AttemptOutcome, ClaimedJob, Counted, Enqueued, Measure, NewJob};
use crate::store::{Error, Rescued, Store};

/// How long what was counted waits to be written.
const PAUSE: Duration = Duration::from_secs(5);

/// How long minutes are kept, and hours.
pub(super) const MINUTES_KEPT: Duration = Duration::from_hours(48);
pub(super) const HOURS_KEPT: Duration = Duration::from_hours(24 * 92);

type Counts = BTreeMap<(String, Measure), u64>;

/// What has been counted and not yet been written. Its first count starts the task that writes.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pending: Mutex<Pending>,
}

#[derive(Debug, Default)]
struct Pending {
    counts: Counts,
    /// Somebody is about to write.
    expected: bool,
}

impl Tally {
    pub(super) fn enqueued(
        self: &Arc<Self>,
        store: &Arc<dyn Store>,
        jobs: &[NewJob],
        answers: &[Enqueued],
    ) {
        let inserted = jobs.iter().zip(answers).filter(|(_, a)| a.is_inserted());
        self.add(
            store,
            inserted.map(|(job, _)| (job.queue.as_str(), Measure::Enqueued)),
        );
    }

    pub(super) fn attempt_ended(
        self: &Arc<Self>,
        store: &Arc<dyn Store>,
        job: &ClaimedJob,
        outcome: AttemptOutcome,
        dead: bool,
    ) {
        let waited = Measure::of_wait(job.claimed_at.since(job.run_at));
        let measures = [
            Some(waited),
            measure(outcome),
            dead.then_some(Measure::Dead),
        ];
        let measures = measures.into_iter().flatten();
        self.add(store, measures.map(|measure| (job.queue.as_str(), measure)));
    }

    fn add<'a>(
        self: &Arc<Self>,
        store: &Arc<dyn Store>,
        counted: impl Iterator<Item = (&'a str, Measure)>,
    ) {
        let mut pending = self.pending();
        let mut any = false;
        for (queue, measure) in counted {
            *pending
                .counts
                .entry((queue.to_owned(), measure))
                .or_default() += 1;
            any = true;
        }
        if !any || pending.expected {
            return;
        }
        // Where there is no runtime there is nobody to write, and no store that could be written to.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        pending.expected = true;
        runtime.spawn(write_soon(Arc::downgrade(self), Arc::downgrade(store)));
    }

    /// Writes what is there, now; what cannot be written is kept for the next time.
    pub(super) async fn write(&self, store: &dyn Store) -> Result<(), Error> {
        let counts = take(&mut self.pending().counts);
        if counts.is_empty() {
            return Ok(());
        }
        let written = store.tally(&told(&counts), None).await;
        if written.is_err() {
            let mut pending = self.pending();
            for (key, n) in counts {
                *pending.counts.entry(key).or_default() += n;
            }
        }
        written
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits a moment for more, then writes, until it is done or nobody is left.
async fn write_soon(tally: Weak<Tally>, store: Weak<dyn Store>) {
    loop {
        tokio::time::sleep(PAUSE).await;
        let (Some(tally), Some(store)) = (tally.upgrade(), store.upgrade()) else {
            return;
        };
        match tally.write(&*store).await {
            Ok(()) => {}
            // Those whose work stands still for it tell of an outage; this is only counted later.
            Err(error) => tracing::debug!(%error, "what was counted is written later"),
        }
        let mut pending = tally.pending();
        if pending.counts.is_empty() {
            pending.expected = false;
            return;
        }
    }
}

/// Counts what was taken back from processes that vanished.
pub(super) async fn rescued(store: &dyn Store, rescued: &[Rescued]) -> Result<(), Error> {
    let mut counts = Counts::new();
    for job in rescued {
        *counts
            .entry((job.queue.clone(), Measure::Failed))
            .or_default() += 1;
        if job.dead {
            *counts
                .entry((job.queue.clone(), Measure::Dead))
                .or_default() += 1;
        }
    }
    if counts.is_empty() {
        return Ok(());
    }
    store.tally(&told(&counts), None).await
}

fn told(counts: &Counts) -> Vec<Counted> {
    let told = counts.iter().map(|((queue, measure), n)| Counted {
        queue: queue.clone(),
        measure: *measure,
        n: *n,
    });
    told.collect()
}

/// What an attempt counts as; nothing if it was put off or handed back.
const fn measure(outcome: AttemptOutcome) -> Option<Measure> {
    match outcome {
        AttemptOutcome::Completed => Some(Measure::Completed),
        AttemptOutcome::Failed
        | AttemptOutcome::Panicked
        | AttemptOutcome::TimedOut
        | AttemptOutcome::Crashed => Some(Measure::Failed),
        AttemptOutcome::Cancelled => Some(Measure::Cancelled),
        AttemptOutcome::Snoozed | AttemptOutcome::Released | AttemptOutcome::Discarded => None,
    }
}

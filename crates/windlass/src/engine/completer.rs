//! The completer: writes outcomes in batches, at once when idle.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::leases::Leases;
use crate::model::{AttemptError, AttemptOutcome, Finish, Lease, Recorded, Verdict};
use crate::store::{Error, Store};
use crate::telemetry::{self, Outage};

/// Most outcomes written by one statement.
const BATCH: usize = 1000;
/// Outcomes that may wait for the store; beyond that, attempts wait for the completer.
pub(super) const BACKLOG: usize = 20_000;

/// Writes outcomes until every sender is gone and all is written. While the store is away it waits,
/// until `give_up` (set when the process stops) has passed: what is left then is rescued later.
pub(super) async fn complete(
    store: Arc<dyn Store>,
    leases: Arc<Leases>,
    mut outcomes: mpsc::Receiver<Finish>,
    mut give_up: tokio::sync::watch::Receiver<Option<Instant>>,
) {
    let mut outage = Outage::new("completer");
    let mut batch = Vec::with_capacity(BATCH);
    while outcomes.recv_many(&mut batch, BATCH).await > 0 {
        while let Err(error) = record(&*store, &leases, &batch).await {
            if error.is_transient() {
                outage.failed(&error);
                if !pause(&mut give_up).await {
                    return;
                }
            } else {
                record_singly(&*store, &leases, &batch).await;
                break;
            }
        }
        outage.worked();
        batch.clear();
    }
}

async fn record(store: &dyn Store, leases: &Leases, batch: &[Finish]) -> Result<(), Error> {
    let started = Instant::now();
    let recorded = store.finish(batch, None).await?;
    for (finish, recorded) in batch.iter().zip(recorded) {
        if recorded == Recorded::LeaseLost {
            telemetry::outcome_refused(finish.lease.job, finish.lease.claim_no);
        }
    }
    leases.forget(batch.iter().map(|finish| finish.lease));
    telemetry::recorded(batch.len(), started.elapsed());
    Ok(())
}

/// One outcome that the store will not take must not hold up the others: each goes by itself, and
/// one that is refused is recorded as a failed attempt instead.
async fn record_singly(store: &dyn Store, leases: &Leases, batch: &[Finish]) {
    for finish in batch {
        let Err(error) = record(store, leases, std::slice::from_ref(finish)).await else {
            continue;
        };
        telemetry::outcome_rejected(finish.lease.job, &error);
        if record(store, leases, &[unrecordable(finish.lease)])
            .await
            .is_err()
        {
            // The lease runs out and the job is rescued: it is run again, not lost.
            leases.forget([finish.lease]);
        }
    }
}

fn unrecordable(lease: Lease) -> Finish {
    Finish {
        lease,
        verdict: Verdict::Dead,
        outcome: AttemptOutcome::Failed,
        error: Some(AttemptError::new(
            "the attempt ended, but the store refused to keep its outcome",
        )),
    }
}

/// Waits a moment; `false` once it is time to give up.
async fn pause(give_up: &mut tokio::sync::watch::Receiver<Option<Instant>>) -> bool {
    let over = |at: Option<Instant>| at.is_some_and(|at| at <= Instant::now());
    tokio::time::sleep(Duration::from_millis(200)).await;
    !over(*give_up.borrow_and_update())
}

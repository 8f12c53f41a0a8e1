use std::sync::Arc;
use std::time::Duration;

use apalis_core::worker::context::WorkerContext;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::engine::backend::Feed;
use crate::engine::completer;
use crate::engine::control::{self, ControlState};
use crate::engine::fetcher::{Fetcher, hand_back};
use crate::engine::governor::Governor;
use crate::engine::leases::Leases;
use crate::engine::maintenance;
use crate::engine::runtime::{EngineOptions, LAST_WORDS, beat, describe};
use crate::model::Finish;
use crate::store::Store;
use crate::telemetry;

/// How often to look whether the worker was paused or stopped: apalis tells nobody.
const LOOK: Duration = Duration::from_millis(50);

/// What goes on beside an apalis worker, in tasks of its own: claiming, lease keeping, recording,
/// maintenance, and telling that the worker lives.
#[derive(Debug)]
pub(super) struct Driver {
    pub(super) store: Arc<dyn Store>,
    pub(super) options: EngineOptions,
    pub(super) queue: String,
    pub(super) worker: WorkerContext,
    pub(super) feed: Arc<Feed>,
    pub(super) leases: Arc<Leases>,
    pub(super) outcomes: mpsc::Sender<Finish>,
    pub(super) backlog: mpsc::Receiver<Finish>,
    pub(super) appetite: watch::Receiver<usize>,
    pub(super) stop: CancellationToken,
}

impl Driver {
    /// Runs until the worker stops or is gone, and then until nothing is left to hand back or to record.
    pub(super) async fn drive(self) {
        let Self {
            store,
            options,
            queue,
            worker,
            feed,
            leases,
            outcomes,
            backlog,
            appetite,
            stop,
        } = self;
        // Unique for each start, and recognised by its name in apalis.
        let unique = uuid::Uuid::new_v4().simple();
        let id = format!("{}@{}-{unique}", worker.name(), std::process::id());
        telemetry::worker_started(&id, std::slice::from_ref(&queue));
        let keeper = {
            let (store, leases) = (Arc::clone(&store), Arc::clone(&leases));
            AbortOnDropHandle::new(tokio::spawn(async move { leases.keep(&*store).await }))
        };
        let heeder = {
            let (store, leases, id) = (Arc::clone(&store), Arc::clone(&leases), id.clone());
            AbortOnDropHandle::new(tokio::spawn(async move { leases.heed(&*store, &id).await }))
        };
        let (give_up, give_up_at) = watch::channel(None);
        let completer = tokio::spawn(completer::complete(
            Arc::clone(&store),
            Arc::clone(&leases),
            backlog,
            give_up_at,
        ));
        let fetcher = Fetcher {
            queue: queue.clone(),
            worker: id.clone(),
            lease: options.lease,
            poll: options.poll,
            store: Arc::clone(&store),
            leases,
            feed: Arc::clone(&feed),
            outcomes: outcomes.clone(),
        };
        let (states, state) = watch::channel(None);
        let governor = Governor::new(queue.clone(), state.clone());
        let fetcher = AbortOnDropHandle::new(tokio::spawn(fetcher.run(governor, stop.clone())));
        let maintenance = options.maintenance.then(|| {
            let (store, stop) = (Arc::clone(&store), stop.clone());
            tokio::spawn(maintenance::maintain(
                store,
                id.clone(),
                options.clone(),
                stop,
            ))
        });
        let follow =
            AbortOnDropHandle::new(tokio::spawn(control::follow(Arc::clone(&store), states)));
        let beats = {
            let (store, record) = (Arc::clone(&store), describe(&id, &options));
            let beat = beat(
                store,
                record,
                vec![Arc::clone(&feed)],
                state.clone(),
                stop.clone(),
            );
            AbortOnDropHandle::new(tokio::spawn(beat))
        };

        obey(&feed, &queue, &id, &worker, state, appetite, &stop).await;
        stop.cancel();
        if let Err(error) = fetcher.await {
            tracing::error!(%error, "the fetcher did not end by itself");
        }
        let handed_back = hand_back(&feed, &outcomes).await;
        // What runs ends by itself, for as long as its worker lets it, under leases that are kept.
        feed.drained_to(0).await;
        drop(outcomes);
        give_up.send_replace(Some(Instant::now() + LAST_WORDS));
        if let Err(error) = completer.await {
            tracing::error!(%error, "the completer did not end by itself");
        }
        drop((keeper, heeder, beats, follow));
        if let Some(maintenance) = maintenance
            && let Err(error) = maintenance.await
        {
            tracing::error!(%error, "maintenance did not end by itself");
        }
        // Best effort: a worker that does not say goodbye is forgotten after a day.
        if let Err(error) = store.remove_worker(&id, None).await {
            tracing::debug!(%error, "could not sign off");
        }
        telemetry::worker_stopped(&id, handed_back);
    }
}

/// Lets as many be claimed as the worker can run and the operators leave it, and none while it is paused;
/// until it stops.
async fn obey(
    feed: &Feed,
    queue: &str,
    id: &str,
    worker: &WorkerContext,
    mut states: watch::Receiver<Option<Arc<ControlState>>>,
    mut appetite: watch::Receiver<usize>,
    stop: &CancellationToken,
) {
    let mut look = tokio::time::interval(LOOK);
    while !worker.is_shutting_down() {
        let slots = {
            let wanted = *appetite.borrow_and_update();
            match &*states.borrow_and_update() {
                Some(state) if !worker.is_paused() => state.slots(queue, id, wanted).min(wanted),
                _ => 0,
            }
        };
        feed.allow(slots);
        tokio::select! {
            () = stop.cancelled() => return,
            Ok(()) = states.changed() => {}
            Ok(()) = appetite.changed() => {}
            _ = look.tick() => {}
        }
    }
}

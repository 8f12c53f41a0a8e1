use std::sync::Arc;
use std::task::{Context, Poll};

use apalis_core::worker::context::WorkerContext;
use futures_util::FutureExt;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::driver::Driver;
use super::options::BackendOptions;
use super::record::{Claimed, RecordLayer};
use crate::engine::backend::Feed;
use crate::engine::client::Client;
use crate::engine::completer::BACKLOG;
use crate::engine::leases::Leases;
use crate::engine::registry::Catalogue;

/// One worker's end of a queue: what it is handed, and the tasks that see to the rest.
#[derive(Debug)]
pub(super) struct Consumer {
    feed: Arc<Feed>,
    options: Arc<BackendOptions>,
    /// How many this worker has shown it can have claimed at once.
    appetite: watch::Sender<usize>,
    stop: CancellationToken,
    layer: RecordLayer,
    driver: Option<Driver>,
    driving: Option<JoinHandle<()>>,
}

impl Consumer {
    pub(super) fn new(
        client: &Client,
        options: &Arc<BackendOptions>,
        worker: &WorkerContext,
    ) -> Self {
        let feed = Arc::<Feed>::default();
        let (appetite, wanted) = watch::channel(0);
        let stop = CancellationToken::new();
        let (outcomes, backlog) = mpsc::channel(BACKLOG);
        let leases = Leases::new(options.lease, &Catalogue::default(), client.clone())
            .with_fallback(options.job());
        let leases = Arc::new(leases);
        let layer = RecordLayer::new(&feed, &outcomes, &leases, options);
        let driver = Driver {
            store: Arc::clone(client.store()),
            options: options.engine(),
            queue: options.queue.clone(),
            worker: worker.clone(),
            feed: Arc::clone(&feed),
            leases,
            outcomes,
            backlog,
            appetite: wanted,
            stop: stop.clone(),
        };
        Self {
            feed,
            options: Arc::clone(options),
            appetite,
            stop,
            layer,
            driver: Some(driver),
            driving: None,
        }
    }

    pub(super) fn record_layer(&self) -> RecordLayer {
        self.layer.clone()
    }

    /// Starts what goes on beside the worker, once. Needs to be within a tokio runtime.
    pub(super) fn start(&mut self) {
        if let Some(driver) = self.driver.take() {
            self.driving = Some(tokio::spawn(driver.drive()));
        }
    }

    /// The next claimed job. A worker that asks could run one more than it does: from then on so many may
    /// be claimed at once, and a few ahead.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Claimed> {
        self.start();
        let wanted = (self.feed.running() + self.options.ahead).min(self.options.most);
        self.appetite.send_if_modified(|appetite| {
            let grows = wanted > *appetite;
            *appetite = wanted.max(*appetite);
            grows
        });
        self.feed
            .poll_next(cx)
            .map(|attempt| self.layer.claimed(attempt))
    }

    /// Waits until everything is handed back or recorded, or it is time to leave the rest to rescue.
    pub(super) fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.stop.cancel();
        let Some(driving) = &mut self.driving else {
            return Poll::Ready(());
        };
        driving.poll_unpin(cx).map(|ended| {
            self.driving = None;
            if let Err(error) = ended {
                tracing::error!(%error, "what runs beside the worker did not end by itself");
            }
        })
    }
}

impl Drop for Consumer {
    /// A worker that is dropped rather than stopped: what it held is handed back all the same, as long as
    /// the runtime goes on.
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

//! What authors of jobs test with: the engine itself on a store in memory.
//!
//! See the [crate's quick start](crate) for an example.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::engine::{Client, Engine, EngineOptions, Registry};
use crate::model::{Filter, JobRecord, Page};
use crate::store::memory::MemoryStore;
use crate::store::{Error, Store};

/// Runs every job that is due, and those they enqueue, with the real engine; returns all jobs,
/// newest first, once nothing is due or running. Jobs that wait for a later time stay as they are.
///
/// Queues are found from the registry's kinds.
pub async fn drain<S: Clone + Send + Sync + 'static>(
    client: &Client,
    registry: Registry<S>,
) -> Result<Vec<JobRecord>, Error> {
    let store = Arc::clone(client.store());
    let mut queues: Vec<(String, usize)> = Vec::new();
    for kind in registry.catalogue().kinds() {
        let queue = registry
            .catalogue()
            .get(kind)
            .map(|info| info.options.queue.to_owned());
        queues.extend(
            queue
                .filter(|q| queues.iter().all(|(known, _)| known != q))
                .map(|q| (q, 8)),
        );
    }
    let options = EngineOptions {
        queues,
        maintenance: false,
        ..EngineOptions::default()
    };
    // The options are made here from what registered: they are valid.
    let engine = Engine::new(Arc::clone(&store), registry, options)
        .map_err(|error| Error::Corrupt(error.to_string()))?;
    let stop = CancellationToken::new();
    let running = tokio::spawn(engine.run(stop.clone()));
    while !is_idle(&*store).await? {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    stop.cancel();
    running
        .await
        .map_err(|error| Error::Corrupt(error.to_string()))?;
    store
        .list(
            &Filter::default(),
            Page {
                after: None,
                limit: 1000,
            },
            None,
        )
        .await
}

async fn is_idle(store: &dyn Store) -> Result<bool, Error> {
    Ok(store
        .queues(None)
        .await?
        .iter()
        .all(|queue| queue.available == 0 && queue.running == 0))
}

/// A client on a fresh store in memory.
pub fn client<S: Clone + Send + Sync + 'static>(registry: &Registry<S>) -> Client {
    Client::new(Arc::new(MemoryStore::default())).with_catalogue(registry.catalogue())
}

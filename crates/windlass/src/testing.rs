//! What authors of jobs test with: the engine itself, on a store in memory or on the real ones.
//!
//! - [`run`] runs one job inline and shows what became of it and what it enqueued;
//! - [`drain`] runs everything that is due with the whole engine;
//! - [`jobs`] looks at what is there, for [`Jobs::assert_enqueued`];
//! - [`ManualClock`] makes what waits for a time due;
//! - [`assert_golden`] keeps args decodable that older programs stored.
//!
//! ```
//! use std::time::Duration;
//! # use serde::{Deserialize, Serialize};
//! use windlass::model::RunAt;
//! use windlass::testing::{self, Expect, ManualClock};
//! use windlass::{Context, Job, Outcome, Registry, State};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Welcome { user: String }
//! #[derive(Serialize, Deserialize)]
//! struct Remind { user: String }
//!
//! impl Job for Welcome {
//!     const KIND: &'static str = "welcome";
//!     type Services = ();
//!     async fn run(self, cx: Context<()>) -> anyhow::Result<Outcome> {
//!         let mut remind = cx.follow_up(&Remind { user: self.user })?;
//!         remind.run_at = RunAt::In(Duration::from_secs(86_400));
//!         cx.client().insert(remind).await?;
//!         Ok(Outcome::complete_with("welcomed")?)
//!     }
//! }
//! impl Job for Remind {
//!     const KIND: &'static str = "remind";
//!     type Services = ();
//!     async fn run(self, _: Context<()>) -> anyhow::Result<Outcome> { Ok(Outcome::complete()) }
//! }
//!
//! # #[tokio::main]
//! # async fn main() -> anyhow::Result<()> {
//! let registry = Registry::new(()).register::<Welcome>().register::<Remind>();
//! let clock = ManualClock::default();
//! let client = testing::client_at(&registry, &clock);
//!
//! let ran = testing::run(&client, &registry, &Welcome { user: "ada".into() }).await?;
//! assert_eq!(ran.job.state, State::Completed);
//! assert_eq!(ran.result::<String>()?.as_deref(), Some("welcomed"));
//! ran.enqueued.assert_enqueued(Expect::of::<Remind>().args(&serde_json::json!({"user": "ada"})));
//!
//! clock.advance(Duration::from_secs(86_400));
//! let jobs = testing::drain(&client, registry).await?;
//! assert!(jobs.iter().all(|job| job.state == State::Completed));
//! # Ok(())
//! # }
//! ```

mod expect;
mod golden;
mod run;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::engine::{Client, Engine, EngineOptions, Registry};
use crate::model::{Filter, JobRecord, Page};
use crate::store::memory::MemoryStore;
use crate::store::{Error, Store};

pub use crate::store::memory::ManualClock;
pub use expect::{Expect, Jobs, jobs};
pub use golden::{add_golden, assert_golden};
pub use run::{Ran, run};

/// Most jobs that a test may look at.
const ALL: u32 = 1000;
/// Jobs of a queue that a drain runs at once, unless a kind's window needs more.
const SLOTS: usize = 8;

/// Runs every job that is due, and those they enqueue, with the real engine; returns all jobs,
/// newest first, once nothing is due or running. Jobs that wait for a later time stay as they are:
/// [`ManualClock::advance`] and drain again.
///
/// Queues are found from the registry's kinds.
pub async fn drain<S: Clone + Send + Sync + 'static>(
    client: &Client,
    registry: Registry<S>,
) -> Result<Vec<JobRecord>, Error> {
    let store = Arc::clone(client.store());
    let catalogue = registry.catalogue();
    let mut queues: BTreeMap<String, usize> = BTreeMap::new();
    for info in catalogue.kinds().filter_map(|kind| catalogue.get(kind)) {
        let slots = queues.entry(info.options.queue.to_owned()).or_default();
        // Jobs that are done together need a slot each.
        let together = info.window.map_or(0, |window| window.max);
        *slots = (*slots).max(SLOTS).max(together);
    }
    let options = EngineOptions {
        queues: queues.into_iter().collect(),
        maintenance: false,
        keys: client.keys().clone(),
        ..EngineOptions::default()
    };
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
    all(&*store).await
}

async fn is_idle(store: &dyn Store) -> Result<bool, Error> {
    Ok(store
        .queues(None)
        .await?
        .iter()
        .all(|queue| queue.available == 0 && queue.running == 0))
}

/// Newest first.
async fn all(store: &dyn Store) -> Result<Vec<JobRecord>, Error> {
    let page = Page {
        after: None,
        limit: ALL,
    };
    Ok(store.list(&Filter::default(), page, None).await?.jobs)
}

/// A client on a fresh store in memory.
pub fn client<S: Clone + Send + Sync + 'static>(registry: &Registry<S>) -> Client {
    Client::new(Arc::new(MemoryStore::default())).with_catalogue(registry.catalogue())
}

/// The same, on a store that goes by a clock of the test's own.
pub fn client_at<S: Clone + Send + Sync + 'static>(
    registry: &Registry<S>,
    clock: &ManualClock,
) -> Client {
    let store = MemoryStore::with_clock(clock.clone());
    Client::new(Arc::new(store)).with_catalogue(registry.catalogue())
}

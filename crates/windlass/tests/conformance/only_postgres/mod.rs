//! What only PostgreSQL has: plans, partitions, roles, a function for other languages, and claims that
//! start from a remembered position.

mod cells;
mod complete_in;
mod enqueue_function;
mod enqueue_in;
mod gather;
mod lines;
mod partitions;
mod plans;
mod pooled;
mod positions;
mod schema;
mod sessions;

use std::time::Duration;

use windlass::NewJob;
use windlass::model::ClaimedJob;
use windlass::store::{Claim, Store};

/// Claims from the default queue by the database's clock.
async fn claim(store: &impl Store, limit: u32) -> Vec<ClaimedJob> {
    let claim = Claim {
        queue: NewJob::DEFAULT_QUEUE,
        worker: "worker",
        limit,
        lease: Duration::from_secs(30),
        now: None,
    };
    store.claim(claim).await.unwrap()
}

//! One attempt, here and now: what tests of single jobs run.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use futures_util::FutureExt as _;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::client::Client;
use super::context::Attempt;
use super::executor::{Ended, install_panic_hook, judge, kept, panicked, perform};
use super::registry::Registry;
use crate::model::ClaimedJob;
use crate::store;

/// Runs a claimed job's attempt in the caller's own task and records how it ended.
pub(crate) async fn attempt<S: Clone + Send + Sync + 'static>(
    client: &Client,
    registry: &Registry<S>,
    job: ClaimedJob,
) -> Result<(), store::Error> {
    install_panic_hook();
    let known = registry.catalogue();
    let options = known.get(&job.kind).map(|info| info.options.clone());
    let options = Arc::new(options.unwrap_or_default());
    let timeout = options.timeout;
    let attempt = Arc::new(Attempt {
        job,
        options,
        client: client.clone(),
        answered: Instant::now(),
        cancelled: CancellationToken::new(),
        told: OnceLock::new(),
        committing: AtomicBool::new(false),
        span: OnceLock::new(),
    });
    let running = perform(Arc::new(registry.clone()), Arc::clone(&attempt));
    let running = AssertUnwindSafe(running).catch_unwind();
    let ended = match tokio::time::timeout(timeout, running).await {
        Ok(Ok(ended)) => ended,
        Ok(Err(panic)) => Err(panicked(&*panic)),
        Err(_) => Err(Ended::TimedOut(timeout)),
    };
    let ended = ended.and_then(|outcome| kept(&attempt, outcome));
    let now = attempt.now();
    let finish = judge(ended, &attempt.job, &attempt.options, now, &mut rand::rng());
    if let Some(finish) = finish {
        client.store().finish(&[finish], None).await?;
    }
    Ok(())
}

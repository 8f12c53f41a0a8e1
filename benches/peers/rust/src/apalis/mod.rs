//! apalis' stock PostgreSQL and SQLite stores. Tuned is the best found: large batches, no statement
//! per start, handlers on the whole runtime, and wake-ups where there are any.

pub(crate) mod postgres;
pub(crate) mod sqlite;

use apalis::prelude::*;
use tokio_util::sync::CancellationToken;

use crate::support::{Noop, Probe};

/// Jobs per fetch of the tuned ones; the default is 10.
const BATCH: usize = 1_000;

async fn handle(job: Noop, probe: Data<&'static Probe>) -> Result<(), BoxDynError> {
    probe.started(&job);
    Ok(())
}

async fn stopped(stop: CancellationToken) -> std::io::Result<()> {
    stop.cancelled().await;
    Ok(())
}

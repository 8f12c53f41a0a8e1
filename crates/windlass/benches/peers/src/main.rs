//! apalis' stock PostgreSQL and SQLite stores under the same measurement as ours.
//!
//! `windlass-peers apalis-stock|apalis-tuned URL ROLE...`; `benches/engine` starts it.

mod postgres;
mod sqlite;

#[path = "../../support/mod.rs"]
mod support;

use anyhow::{Context as _, bail};

use apalis::prelude::*;
use tokio_util::sync::CancellationToken;

use support::roles::{self, Role};
use support::{Noop, Probe};

/// With which settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Settings {
    /// What `new` gives.
    Stock,
    /// The best found: large batches, no statement per start, handlers on the whole runtime, and
    /// wake-ups where there are any.
    Tuned,
}

/// Jobs per fetch of the tuned ones; the default is 10.
const BATCH: usize = 1_000;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [settings, url, role @ ..] = args.as_slice() else {
        bail!("settings, URL and a role are needed");
    };
    let settings = match settings.as_str() {
        "apalis-stock" => Settings::Stock,
        "apalis-tuned" => Settings::Tuned,
        other => bail!("no peer is called {other}"),
    };
    let role = Role::from_args(role)?.context("a role is needed")?;
    match url.strip_prefix("sqlite:") {
        Some(path) => roles::play(sqlite::Peer::open(path, settings)?, role).await,
        None => roles::play(postgres::Peer::open(url, settings)?, role).await,
    }
}

async fn handle(job: Noop, probe: Data<&'static Probe>) -> Result<(), BoxDynError> {
    probe.started(&job);
    Ok(())
}

async fn stopped(stop: CancellationToken) -> std::io::Result<()> {
    stop.cancelled().await;
    Ok(())
}

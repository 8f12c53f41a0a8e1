//! What the engine itself costs per job: the memory store, nothing to do, CPU time of the process.
//! `cargo bench -p windlass --bench overhead`.
#![expect(clippy::print_stdout, reason = "a program whose output is its figures")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use windlass::store::memory::MemoryStore;
use windlass::{Client, Context, Engine, EngineOptions, Job, Outcome, Registry};

const JOBS: usize = 300_000;

#[derive(Debug, Default)]
struct Seen {
    count: AtomicUsize,
    all: Notify,
}

#[derive(Debug, Serialize, Deserialize)]
struct Noop {
    sent: i64,
}

impl Job for Noop {
    const KIND: &'static str = "noop";
    type Services = Arc<Seen>;

    async fn run(self, cx: Context<Arc<Seen>>) -> anyhow::Result<Outcome> {
        if cx.services().count.fetch_add(1, Ordering::Relaxed) + 1 == JOBS {
            cx.services().all.notify_one();
        }
        Ok(Outcome::complete())
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (store, seen) = (Arc::new(MemoryStore::default()), Arc::new(Seen::default()));
    let client = Client::new(store.clone());
    let jobs = (0..JOBS).map(|_| client.prepare(&Noop { sent: 1 }));
    let jobs = jobs.collect::<Result<Vec<_>, _>>()?;
    for portion in jobs.chunks(5_000) {
        client.insert_many(portion).await?;
    }
    let registry = Registry::new(seen.clone()).register::<Noop>();
    let engine = Engine::new(store, registry, EngineOptions::default())?;
    let stop = CancellationToken::new();
    let (cpu, began) = (cpu_seconds()?, Instant::now());
    let running = tokio::spawn(engine.run(stop.clone()));
    seen.all.notified().await;
    stop.cancel();
    running.await?;
    let (cpu, took) = (cpu_seconds()? - cpu, began.elapsed().as_secs_f64());
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let jobs = JOBS as f64;
    println!(
        "{:.0} jobs/s, {:.2} us of CPU per job",
        jobs / took,
        cpu * 1e6 / jobs
    );
    Ok(())
}

fn cpu_seconds() -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat
        .rsplit_once(')')
        .context("no name in /proc/self/stat")?;
    let ticks = fields.split_whitespace().skip(11).take(2);
    let sum: f64 = ticks.map(str::parse::<f64>).sum::<Result<_, _>>()?;
    Ok(sum / 100.0)
}

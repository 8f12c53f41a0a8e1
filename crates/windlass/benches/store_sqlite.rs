//! How fast the SQLite store is by itself: `cargo bench -p windlass --bench store_sqlite`.
//!
//! Prints figures with the settings they were taken with; compare only within one run.
#![expect(clippy::print_stdout, reason = "a program whose output is its figures")]

use std::time::{Duration, Instant};

use anyhow::ensure;
use tokio::sync::mpsc;
use windlass::db::{Sqlite, SqliteOptions, Synchronous};
use windlass::model::{Finish, Recorded};
use windlass::store::Claim;
use windlass::store::sqlite::SqliteStore;
use windlass::{Json, NewJob, Store};

const BULK: usize = 100_000;
const SINGLE: usize = 20_000;
const BATCHES: [u32; 3] = [500, 100, 20];

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    println!("realistic rows: tenant, correlation id, trace, 60 bytes of args; history kept");
    for synchronous in [Synchronous::Full, Synchronous::Normal] {
        for batch in BATCHES {
            drain(synchronous, batch).await?;
        }
        single(synchronous).await?;
    }
    Ok(())
}

async fn open(synchronous: Synchronous) -> anyhow::Result<(tempfile::TempDir, SqliteStore)> {
    let folder = tempfile::tempdir()?;
    let options = SqliteOptions {
        synchronous,
        ..SqliteOptions::default()
    };
    let store = SqliteStore::new(Sqlite::new(folder.path().join("jobs.db"), &options));
    store.migrate().await?;
    Ok((folder, store))
}

fn job(n: usize) -> anyhow::Result<NewJob> {
    let args = format!(r#"{{"conversation":"c-{n}","message":"m-{n}","channel":"web"}}"#);
    let mut job = NewJob::new("answer_message", Json::parse(args)?);
    job.tenant_id = Some(format!("tenant-{}", n % 100));
    job.correlation_id = Some(format!("request-{n}"));
    job.trace_parent = Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned());
    Ok(job)
}

/// Claims and completes all there is, each in its own task, as the engine does.
async fn drain(synchronous: Synchronous, batch: u32) -> anyhow::Result<()> {
    let (_folder, store) = open(synchronous).await?;
    let jobs = (0..BULK).map(job).collect::<anyhow::Result<Vec<_>>>()?;
    let began = Instant::now();
    for portion in jobs.chunks(1_000) {
        store.enqueue(portion, None).await?;
    }
    let enqueued = began.elapsed();
    let began = Instant::now();
    let (to_completer, mut claimed) = mpsc::channel::<Vec<Finish>>(2);
    let completer = tokio::spawn({
        let store = store.clone();
        async move {
            let mut done = 0;
            while let Some(finishes) = claimed.recv().await {
                let recorded = store.finish(&finishes, None).await?;
                done += recorded.iter().filter(|r| **r == Recorded::Yes).count();
            }
            anyhow::Ok(done)
        }
    });
    loop {
        let jobs = store.claim(claim(batch)).await?;
        if jobs.is_empty() {
            break;
        }
        let finishes = jobs.iter().map(|job| Finish::complete(job.lease(), None));
        to_completer.send(finishes.collect()).await?;
    }
    drop(to_completer);
    let done = completer.await??;
    let drained = began.elapsed();
    ensure!(done == BULK, "{done} of {BULK} jobs were done");
    println!(
        "{synchronous:?}: enqueue 1,000 at a time {:.0}/s; drain {batch} at a time {:.0}/s",
        rate(BULK, enqueued),
        rate(BULK, drained),
    );
    Ok(())
}

async fn single(synchronous: Synchronous) -> anyhow::Result<()> {
    let (_folder, store) = open(synchronous).await?;
    let jobs = (0..SINGLE).map(job).collect::<anyhow::Result<Vec<_>>>()?;
    let began = Instant::now();
    for job in &jobs {
        store.enqueue(std::slice::from_ref(job), None).await?;
    }
    println!(
        "{synchronous:?}: enqueue one at a time {:.0}/s",
        rate(SINGLE, began.elapsed())
    );
    Ok(())
}

fn claim(limit: u32) -> Claim<'static> {
    Claim {
        queue: NewJob::DEFAULT_QUEUE,
        worker: "bench",
        limit,
        lease: Duration::from_secs(30),
        now: None,
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "far fewer jobs than a float can count"
)]
fn rate(count: usize, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64()
}

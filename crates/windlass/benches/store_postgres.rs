//! What the PostgreSQL store does by itself, without a worker: single and bulk enqueues, and a drain by
//! one task that claims and one that finishes.
//!
//! `TEST_DATABASE_URL` names a server; a database is made on it and dropped at the end, so that
//! every run starts fresh and never analysed. Jobs are no-ops with a small payload.
//!
//! ```text
//! cargo bench -p windlass --bench store_postgres --features postgres [-- history]
//! ```
//!
//! With `history`, the drain is repeated with five million finished jobs.

#![expect(clippy::print_stdout, reason = "a benchmark prints")]
#![expect(clippy::cast_precision_loss, reason = "rates need no more")]
#![expect(
    clippy::disallowed_methods,
    reason = "no configuration to read the environment for it"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use sqlx::{Connection as _, Executor as _, PgConnection};
use windlass::db::{Postgres, PostgresOptions};
use windlass::model::{Finish, Recorded};
use windlass::store::postgres::{PgStore, PgStoreOptions};
use windlass::store::{Claim, Store as _};
use windlass::{Json, NewJob};

const DATABASE: &str = "windlass_bench";
const BATCH: u32 = 500;
const RUNS: usize = 3;

#[tokio::main]
async fn main() -> Result<()> {
    let url = std::env::var("TEST_DATABASE_URL").context("set TEST_DATABASE_URL")?;
    describe(&url).await?;
    let target = recreate(&url).await?;
    let store = Arc::new(PgStore::connect(&target, &PgStoreOptions::default())?);
    store.migrate().await?;

    single(&store, "one at a time, one client", 1, 20_000).await?;
    single(&store, "one at a time, 64 clients", 64, 40_000).await?;
    drain(&store, None).await?;
    for run in 1..=RUNS {
        let rate = bulk(&store, 100_000).await?;
        println!("bulk, run {run}: {rate:.0}/s");
        let rate = drain(&store, Some(100_000)).await?;
        println!("drain of 100,000, run {run}: {rate:.0}/s");
    }
    if std::env::args().any(|argument| argument == "history") {
        history(&target).await?;
        for run in 1..=RUNS {
            bulk(&store, 100_000).await?;
            let rate = drain(&store, Some(100_000)).await?;
            println!("drain of 100,000 beside 5,000,000 finished, run {run}: {rate:.0}/s");
        }
    }
    drop(store);
    remove(&url).await
}

fn job(n: usize) -> NewJob {
    let args = format!(r#"{{"n":{n},"text":"a small payload"}}"#);
    NewJob::new("noop", Json::trusted(args))
}

async fn single(store: &Arc<PgStore>, what: &str, clients: usize, jobs: usize) -> Result<()> {
    let began = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..clients {
        let store = store.clone();
        tasks.spawn(async move {
            for n in 0..jobs / clients {
                store.enqueue(&[job(n)], None).await?;
            }
            anyhow::Ok(())
        });
    }
    for done in tasks.join_all().await {
        done?;
    }
    let rate = jobs as f64 / began.elapsed().as_secs_f64();
    println!("enqueue, {what}: {rate:.0}/s");
    Ok(())
}

async fn bulk(store: &PgStore, jobs: usize) -> Result<f64> {
    let jobs: Vec<NewJob> = (0..jobs).map(job).collect();
    let began = Instant::now();
    store.enqueue(&jobs, None).await?;
    Ok(jobs.len() as f64 / began.elapsed().as_secs_f64())
}

/// Claims and finishes until nothing is left, at least `expected`.
async fn drain(store: &Arc<PgStore>, expected: Option<u64>) -> Result<f64> {
    let (hand_over, mut to_finish) = tokio::sync::mpsc::channel(4);
    let claimer = store.clone();
    let began = Instant::now();
    let claims = tokio::spawn(async move {
        loop {
            let claim = Claim {
                queue: NewJob::DEFAULT_QUEUE,
                worker: "bench",
                limit: BATCH,
                lease: Duration::from_secs(30),
                now: None,
            };
            let jobs = claimer.claim(claim).await?;
            if jobs.is_empty() {
                return anyhow::Ok(());
            }
            hand_over.send(jobs).await?;
        }
    });
    let mut finished = 0;
    while let Some(jobs) = to_finish.recv().await {
        let ends: Vec<Finish> = jobs
            .iter()
            .map(|job| Finish::complete(job.lease(), None))
            .collect();
        let recorded = store.finish(&ends, None).await?;
        ensure!(recorded.iter().all(|recorded| *recorded == Recorded::Yes));
        finished += ends.len() as u64;
    }
    claims.await??;
    ensure!(
        expected.is_none_or(|expected| expected == finished),
        "{finished} finished"
    );
    Ok(finished as f64 / began.elapsed().as_secs_f64())
}

async fn history(url: &str) -> Result<()> {
    let mut connection = PgConnection::connect(url).await?;
    connection.execute(include_str!("sql/history.sql")).await?;
    Ok(())
}

async fn describe(url: &str) -> Result<()> {
    let mut connection = PgConnection::connect(url).await?;
    let settings: Vec<(String, String)> = sqlx::query_as(include_str!("sql/settings.sql"))
        .fetch_all(&mut connection)
        .await?;
    println!("windlass {}", env!("CARGO_PKG_VERSION"));
    let cores = std::thread::available_parallelism()?;
    println!("cores: {cores}; batch: {BATCH}");
    for (name, value) in settings {
        println!("{name}: {value}");
    }
    Ok(())
}

/// A fresh database; its URL.
async fn recreate(url: &str) -> Result<String> {
    remove(url).await?;
    let mut connection = PgConnection::connect(url).await?;
    connection
        .execute(include_str!("sql/create_database.sql"))
        .await?;
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let (server, _) = base.rsplit_once('/').context("the URL names no database")?;
    let url = format!("{server}/{DATABASE}?{query}");
    Postgres::new(&url, &PostgresOptions::default())?;
    Ok(url)
}

async fn remove(url: &str) -> Result<()> {
    let mut connection = PgConnection::connect(url).await?;
    connection
        .execute(include_str!("sql/drop_database.sql"))
        .await?;
    Ok(())
}

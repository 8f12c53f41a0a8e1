//! One table updated in place, or a live and a finished one: the measurement behind docs/adr/0002.
//!
//! ```sh
//! scripts/services up && eval "$(scripts/services env)"
//! cargo bench -p windlass --all-features --bench table_design
//! ```
//!
//! A claimer and a completer, each on a connection of its own, drain 100,000 due jobs in batches of 500,
//! with and without a million finished jobs in the database; then the old ones are deleted, as retention
//! would. It needs PostgreSQL 18 and makes, and drops, the schema `windlass_bench`.
#![expect(clippy::print_stdout, reason = "a program whose output is its figures")]

use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection};
use tokio::sync::mpsc;
use uuid::Uuid;

const JOBS: i64 = 100_000;
const BATCH: i64 = 500;
const HISTORIES: [i64; 2] = [0, 1_000_000];
const ROUNDS: usize = 3;

const ENQUEUE: &str = include_str!("table_design/enqueue.sql");
const CLAIM: &str = include_str!("table_design/claim.sql");

struct Design {
    name: &'static str,
    tables: &'static str,
    history: &'static str,
    complete: &'static str,
    prune: &'static str,
}

const DESIGNS: [Design; 2] = [
    Design {
        name: "one table",
        tables: include_str!("table_design/one_table/tables.sql"),
        history: include_str!("table_design/one_table/history.sql"),
        complete: include_str!("table_design/one_table/complete.sql"),
        prune: include_str!("table_design/one_table/prune.sql"),
    },
    Design {
        name: "live and finished",
        tables: include_str!("table_design/live_and_finished/tables.sql"),
        history: include_str!("table_design/live_and_finished/history.sql"),
        complete: include_str!("table_design/live_and_finished/complete.sql"),
        prune: include_str!("table_design/live_and_finished/prune.sql"),
    },
];

/// What one round of one design took.
#[derive(Debug, Clone, Copy)]
struct Round {
    drain: Duration,
    prune: Duration,
    /// Of the table that claims look at, after the drain and before any vacuum of ours.
    bytes: i64,
}

/// A claimed job, decoded as a worker would.
type Claimed = (Uuid, i64, String, String, i16, Option<String>);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut db = connect().await?;
    let version: String = sqlx::query_scalar("show server_version")
        .fetch_one(&mut db)
        .await?;
    println!(
        "PostgreSQL {version}; {JOBS} jobs in batches of {BATCH}; median of {ROUNDS} rounds (least to most)\n"
    );
    println!(
        "| design | finished jobs present | drain, jobs/s | table claims look at | deleting the finished |"
    );
    println!("|---|---|---|---|---|");
    for history in HISTORIES {
        let mut rounds: [Vec<Round>; 2] = Default::default();
        for _ in 0..ROUNDS {
            for (design, rounds) in DESIGNS.iter().zip(&mut rounds) {
                rounds.push(round(&mut db, design, history).await?);
            }
        }
        for (design, rounds) in DESIGNS.iter().zip(&rounds) {
            report(design, history, rounds);
        }
    }
    sqlx::raw_sql("drop schema windlass_bench cascade")
        .execute(&mut db)
        .await?;
    Ok(())
}

async fn connect() -> anyhow::Result<PgConnection> {
    #[expect(
        clippy::disallowed_methods,
        reason = "where the test servers are is told this way"
    )]
    let url = std::env::var("TEST_DATABASE_URL")
        .context("TEST_DATABASE_URL is not set: scripts/services env")?;
    // The settings of the engine's own connections: no plan of an empty table survives.
    let settings = [
        ("enable_seqscan", "off"),
        ("enable_hashjoin", "off"),
        ("enable_mergejoin", "off"),
        ("jit", "off"),
    ];
    Ok(PgConnectOptions::from_str(&url)?
        .options(settings)
        .connect()
        .await?)
}

async fn round(
    db: &mut PgConnection,
    design: &'static Design,
    history: i64,
) -> anyhow::Result<Round> {
    sqlx::raw_sql(design.tables).execute(&mut *db).await?;
    sqlx::query(design.history)
        .bind(history)
        .execute(&mut *db)
        .await?;
    sqlx::query(ENQUEUE).bind(JOBS).execute(&mut *db).await?;
    sqlx::raw_sql("vacuum analyze").execute(&mut *db).await?;
    sqlx::raw_sql("checkpoint").execute(&mut *db).await?;

    let drain = drain(design).await?;
    let bytes = sqlx::query_scalar("select pg_total_relation_size('windlass_bench.jobs')")
        .fetch_one(&mut *db)
        .await?;
    let began = Instant::now();
    while sqlx::query(design.prune)
        .execute(&mut *db)
        .await?
        .rows_affected()
        > 0
    {}
    Ok(Round {
        drain,
        prune: began.elapsed(),
        bytes,
    })
}

/// Claims and completes until nothing is left.
async fn drain(design: &'static Design) -> anyhow::Result<Duration> {
    let (mut claimer, mut completer) = (connect().await?, connect().await?);
    let (hand_over, mut batches) = mpsc::channel::<Vec<Claimed>>(4);
    let began = Instant::now();
    let completing = tokio::spawn(async move {
        let mut count = 0;
        while let Some(jobs) = batches.recv().await {
            let (ids, leases): (Vec<Uuid>, Vec<i64>) =
                jobs.iter().map(|job| (job.0, job.1)).unzip();
            let done = sqlx::query(design.complete)
                .bind(ids)
                .bind(leases)
                .execute(&mut completer)
                .await?;
            count += done.rows_affected();
        }
        anyhow::Ok(count)
    });
    loop {
        let jobs: Vec<Claimed> = sqlx::query_as(CLAIM)
            .bind(BATCH)
            .fetch_all(&mut claimer)
            .await?;
        if jobs.is_empty() {
            break;
        }
        hand_over.send(jobs).await.context("the completer failed")?;
    }
    drop(hand_over);
    let done = completing.await??;
    ensure!(
        done == JOBS.unsigned_abs(),
        "{done} of {JOBS} jobs completed"
    );
    let took = began.elapsed();
    claimer.close().await?;
    Ok(took)
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures for people"
)]
fn report(design: &Design, history: i64, rounds: &[Round]) {
    let rate = |round: &Round| (JOBS as f64 / round.drain.as_secs_f64()) as u64;
    let [least, median, most] = spread(rounds.iter().map(rate));
    let [_, bytes, _] = spread(rounds.iter().map(|round| round.bytes.unsigned_abs()));
    let [quick, prune, slow] = spread(rounds.iter().map(|round| round.prune.as_millis() as u64));
    println!(
        "| {} | {history} | {median} ({least} to {most}) | {} MiB | {prune} ms ({quick} to {slow}) |",
        design.name,
        bytes >> 20,
    );
}

/// Least, median and most.
fn spread(values: impl Iterator<Item = u64>) -> [u64; 3] {
    let mut values: Vec<u64> = values.collect();
    values.sort_unstable();
    [
        values[0],
        values[values.len() / 2],
        values[values.len() - 1],
    ]
}

//! Where the figures were taken: they mean nothing without it.

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::ensure;
use sqlx::{Connection, PgConnection, Row};

use crate::databases::{Kind, server};
use crate::plan::Plan;

pub(crate) async fn describe(plan: &Plan) -> anyhow::Result<()> {
    let cores = std::thread::available_parallelism()?;
    println!(
        "machine: {}, {cores} cores",
        first("/proc/cpuinfo", "model name")
    );
    println!("memory: {}", first("/proc/meminfo", "MemTotal"));
    println!("kernel: {}", line("/proc/sys/kernel/osrelease"));
    println!("load before: {}", line("/proc/loadavg"));
    println!(
        "fsync of a written page: {:.0} us",
        sync_time()?.as_secs_f64() * 1e6
    );
    if plan.kinds.contains(&Kind::Postgres) {
        println!("{}", postgres().await?);
    }
    println!(
        "each figure {} times; {} jobs per drain; history kept\n",
        plan.runs, plan.jobs
    );
    Ok(())
}

/// The server's settings; refuses one that would cheat.
async fn postgres() -> anyhow::Result<String> {
    let mut connection = PgConnection::connect(&server()?).await?;
    let row = sqlx::query(include_str!("sql/postgres/settings.sql"))
        .fetch_one(&mut connection)
        .await?;
    connection.close().await?;
    let [version, synchronous, fsync, pages, buffers, wal] =
        [0, 1, 2, 3, 4, 5].map(|at| row.try_get::<String, _>(at));
    let (synchronous, fsync, pages) = (synchronous?, fsync?, pages?);
    ensure!(
        synchronous == "on" && fsync == "on" && pages == "on",
        "the server is not durable: synchronous_commit={synchronous} fsync={fsync} full_page_writes={pages}"
    );
    Ok(format!(
        "PostgreSQL {}: synchronous_commit=on, fsync=on, shared_buffers={}, max_wal_size={}",
        version?, buffers?, wal?
    ))
}

/// The median of some writes of a page to a file, each with its fsync.
fn sync_time() -> anyhow::Result<Duration> {
    let mut file = tempfile::tempfile()?;
    let mut times = Vec::new();
    for _ in 0..201 {
        let began = Instant::now();
        file.write_all(&[1; 8192])?;
        file.sync_data()?;
        times.push(began.elapsed());
    }
    times.sort_unstable();
    Ok(times[times.len() / 2])
}

fn line(path: &str) -> String {
    std::fs::read_to_string(path)
        .map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
}

fn first(path: &str, field: &str) -> String {
    line(path)
        .lines()
        .find_map(|line| line.strip_prefix(field)?.split_once(':'))
        .map_or_else(
            || "unknown".to_owned(),
            |(_, value)| value.trim().to_owned(),
        )
}

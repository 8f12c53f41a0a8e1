//! The limit: the statements themselves, without an engine around them. The tables and statements are
//! those of `table_design`, live and finished: what a job with a history costs on this server at least.
//! A claimer and a completer have a connection each, in batches of 500.

use std::str::FromStr;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{PgPool, Row};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::{Noop, Probe, Queue};

const BATCH: i64 = 500;
/// Batches that wait for their completion.
const AHEAD: usize = 4;

const TABLES: &str =
    include_str!("../../../../crates/windlass/benches/table_design/live_and_finished/tables.sql");
const ENQUEUE: &str = include_str!("../../../../crates/windlass/benches/table_design/enqueue.sql");
const CLAIM: &str = include_str!("../../../../crates/windlass/benches/table_design/claim.sql");
const COMPLETE: &str =
    include_str!("../../../../crates/windlass/benches/table_design/live_and_finished/complete.sql");

/// A claimed job, decoded as a worker would.
type Claimed = (Uuid, i64, String, String, i16, Option<String>);

#[derive(Clone)]
pub(crate) struct Statements {
    pool: PgPool,
}

impl Statements {
    pub(crate) fn open(url: &str) -> anyhow::Result<Self> {
        // The settings of the engine's own connections: no plan of an empty table survives.
        let settings = [
            ("enable_seqscan", "off"),
            ("enable_hashjoin", "off"),
            ("enable_mergejoin", "off"),
            ("jit", "off"),
        ];
        let pool = PgPoolOptions::new()
            .max_connections(3)
            .connect_lazy_with(PgConnectOptions::from_str(url)?.options(settings));
        Ok(Self { pool })
    }

    async fn insert(&self, jobs: i64) -> anyhow::Result<()> {
        sqlx::query(ENQUEUE).bind(jobs).execute(&self.pool).await?;
        Ok(())
    }

    async fn count(&self, statement: &'static str) -> anyhow::Result<i64> {
        let row = sqlx::query(statement).fetch_one(&self.pool).await?;
        Ok(row.try_get(0)?)
    }

    async fn complete(&self, mut batches: mpsc::Receiver<Vec<Claimed>>) -> anyhow::Result<()> {
        let mut connection = self.pool.acquire().await?;
        while let Some(jobs) = batches.recv().await {
            let (ids, leases): (Vec<Uuid>, Vec<i64>) =
                jobs.iter().map(|job| (job.0, job.1)).unzip();
            sqlx::query(COMPLETE)
                .bind(ids)
                .bind(leases)
                .execute(&mut *connection)
                .await?;
        }
        Ok(())
    }
}

impl Queue for Statements {
    async fn set_up(&self) -> anyhow::Result<()> {
        sqlx::raw_sql(TABLES).execute(&self.pool).await?;
        Ok(())
    }

    async fn enqueue(&mut self, _: Noop) -> anyhow::Result<()> {
        self.insert(1).await
    }

    async fn enqueue_many(&mut self, jobs: Vec<Noop>) -> anyhow::Result<()> {
        self.insert(i64::try_from(jobs.len())?).await
    }

    async fn work(&self, probe: &'static Probe, stop: CancellationToken) -> anyhow::Result<()> {
        let (hand_over, batches) = mpsc::channel(AHEAD);
        let completer = self.clone();
        let completing = tokio::spawn(async move { completer.complete(batches).await });
        let mut connection = self.pool.acquire().await?;
        while !stop.is_cancelled() {
            let jobs: Vec<Claimed> = sqlx::query_as(CLAIM)
                .bind(BATCH)
                .fetch_all(&mut *connection)
                .await?;
            if jobs.is_empty() {
                // All are claimed: the rest is the completer's, and the end is for others to see.
                stop.cancelled().await;
            }
            for _ in &jobs {
                probe.started(&Noop { sent: 0 });
            }
            if !jobs.is_empty() && hand_over.send(jobs).await.is_err() {
                break;
            }
        }
        drop(hand_over);
        completing.await?
    }

    async fn unfinished(&self) -> anyhow::Result<i64> {
        self.count(include_str!("sql/raw_unfinished.sql")).await
    }

    async fn finished(&self) -> anyhow::Result<i64> {
        self.count(include_str!("sql/raw_finished.sql")).await
    }
}

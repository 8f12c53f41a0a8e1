//! apalis-sqlite, as durable as ours: WAL, and `synchronous=FULL`, which its own `setup` switches off
//! for the connection it runs on: it gets one of its own.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use apalis::prelude::*;
use apalis_sqlite::callback::HookCallbackListener;
use apalis_sqlite::{Config, SqliteStorage};
use sqlx::{Row, SqlitePool};
use tokio_util::sync::CancellationToken;

use crate::apalis::{BATCH, handle, stopped};
use crate::settings::Settings;
use crate::support::{Noop, Probe, Queue};

#[derive(Clone)]
pub(crate) struct Peer {
    pool: SqlitePool,
    storage: SqliteStorage<Noop>,
    settings: Settings,
    url: String,
    /// Hears of inserts within this process.
    listener: Arc<Mutex<Option<HookCallbackListener>>>,
}

impl Peer {
    pub(crate) fn open(path: &str, settings: Settings) -> anyhow::Result<Self> {
        let url = format!("sqlite:{path}?mode=rwc");
        let (pool, listener) = match settings {
            Settings::Stock => (SqlitePool::connect_lazy(&url)?, None),
            Settings::Tuned => {
                let (pool, listener) = SqliteStorage::connect_with_callback(&url)?;
                (pool, Some(listener))
            }
        };
        let storage = SqliteStorage::new(&pool);
        let storage = match settings {
            Settings::Stock => storage,
            Settings::Tuned => {
                let config = Config::default().queue(std::any::type_name::<Noop>());
                storage.with_config(config.batch_size(BATCH).lock_tasks(false))
            }
        };
        Ok(Self {
            pool,
            storage,
            settings,
            url,
            listener: Arc::new(Mutex::new(listener)),
        })
    }

    async fn count(&self, statement: &'static str) -> anyhow::Result<i64> {
        let row = sqlx::query(statement).fetch_one(&self.pool).await?;
        Ok(row.try_get(0)?)
    }
}

impl Queue for Peer {
    async fn set_up(&self) -> anyhow::Result<()> {
        let pool = SqlitePool::connect(&self.url).await?;
        SqliteStorage::setup(&pool).await?;
        pool.close().await;
        Ok(())
    }

    async fn enqueue(&mut self, job: Noop) -> anyhow::Result<()> {
        Ok(self.storage.push(job).await?)
    }

    async fn enqueue_many(&mut self, jobs: Vec<Noop>) -> anyhow::Result<()> {
        Ok(self.storage.push_bulk(jobs).await?)
    }

    async fn work(&self, probe: &'static Probe, stop: CancellationToken) -> anyhow::Result<()> {
        // As a program does when it starts; it also lets SQLite look at its tables, without which the
        // statement that records outcomes reads all that was ever done.
        self.set_up().await?;
        let (storage, builder) = (self.storage.clone(), WorkerBuilder::new("peer"));
        match self.settings {
            Settings::Stock => {
                let worker = builder.backend(storage).data(probe).build(handle);
                worker.run_until(stopped(stop)).await?;
            }
            Settings::Tuned => {
                let listener = self
                    .listener
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .take();
                let worker = builder
                    .backend(storage.with_callback(listener.context("works already")?))
                    .data(probe)
                    .parallelize(tokio::spawn)
                    .build(handle);
                worker.run_until(stopped(stop)).await?;
            }
        }
        Ok(())
    }

    async fn unfinished(&self) -> anyhow::Result<i64> {
        self.count(include_str!("sql/sqlite/unfinished.sql")).await
    }

    async fn finished(&self) -> anyhow::Result<i64> {
        self.count(include_str!("sql/sqlite/finished.sql")).await
    }
}

//! apalis-postgres.

use apalis::prelude::*;
use apalis_postgres::{Config, PostgresStorage};
use sqlx::{PgPool, Row};
use tokio_util::sync::CancellationToken;

use crate::apalis::{BATCH, handle, stopped};
use crate::settings::Settings;
use crate::support::{Noop, Probe, Queue};

#[derive(Clone)]
pub(crate) struct Peer {
    pool: PgPool,
    storage: PostgresStorage<Noop>,
    settings: Settings,
}

impl Peer {
    pub(crate) fn open(url: &str, settings: Settings) -> anyhow::Result<Self> {
        let pool = PgPool::connect_lazy(url)?;
        let storage = PostgresStorage::new(&pool);
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
        })
    }

    async fn count(&self, statement: &'static str) -> anyhow::Result<i64> {
        let row = sqlx::query(statement).fetch_one(&self.pool).await?;
        Ok(row.try_get(0)?)
    }
}

impl Queue for Peer {
    async fn set_up(&self) -> anyhow::Result<()> {
        Ok(PostgresStorage::setup(&self.pool).await?)
    }

    async fn enqueue(&mut self, job: Noop) -> anyhow::Result<()> {
        Ok(self.storage.push(job).await?)
    }

    async fn enqueue_many(&mut self, jobs: Vec<Noop>) -> anyhow::Result<()> {
        Ok(self.storage.push_bulk(jobs).await?)
    }

    async fn work(&self, probe: &'static Probe, stop: CancellationToken) -> anyhow::Result<()> {
        let (storage, builder) = (self.storage.clone(), WorkerBuilder::new("peer"));
        match self.settings {
            Settings::Stock => {
                let worker = builder.backend(storage).data(probe).build(handle);
                worker.run_until(stopped(stop)).await?;
            }
            Settings::Tuned => {
                let worker = builder
                    .backend(storage.with_pubsub())
                    .data(probe)
                    .parallelize(tokio::spawn)
                    .build(handle);
                worker.run_until(stopped(stop)).await?;
            }
        }
        Ok(())
    }

    async fn unfinished(&self) -> anyhow::Result<i64> {
        self.count(include_str!("sql/postgres/unfinished.sql"))
            .await
    }

    async fn finished(&self) -> anyhow::Result<i64> {
        self.count(include_str!("sql/postgres/finished.sql")).await
    }
}

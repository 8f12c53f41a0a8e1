//! awa, on its queue storage, which is what a new database gets.
//!
//! Tuned: COPY for many at once, which its docs recommend for producers of many; as many slots as give
//! its completions four writers; no deadline per attempt, for which it has a shorter path; the intervals
//! of its authors' own benchmark.

use std::time::Duration;

use awa::{Client, InsertOpts, JobArgs, JobResult, QueueConfig, QueueStorage, QueueStorageConfig};
use sqlx_of_awa::PgPool;
use sqlx_of_awa::postgres::PgPoolOptions;
use tokio_util::sync::CancellationToken;

use crate::settings::Settings;
use crate::support::{Noop, Probe, Queue};

const QUEUE: &str = "default";

#[derive(Clone)]
pub(crate) struct Peer {
    pool: PgPool,
    settings: Settings,
}

impl JobArgs for Noop {
    fn kind() -> &'static str {
        "noop"
    }
}

impl Peer {
    pub(crate) fn open(url: &str, settings: Settings) -> anyhow::Result<Self> {
        let pool = match settings {
            Settings::Stock => PgPool::connect_lazy(url)?,
            Settings::Tuned => PgPoolOptions::new().max_connections(20).connect_lazy(url)?,
        };
        Ok(Self { pool, settings })
    }

    fn storage() -> anyhow::Result<QueueStorage> {
        Ok(QueueStorage::new(QueueStorageConfig::default())?)
    }

    fn worker(&self, probe: &'static Probe) -> anyhow::Result<Client> {
        let client = Client::builder(self.pool.clone()).register::<Noop, _, _>(move |job, _| {
            probe.started(&job);
            std::future::ready(Ok(JobResult::Completed))
        });
        let client = match self.settings {
            Settings::Stock => client.queue(QUEUE, QueueConfig::default()),
            Settings::Tuned => {
                let config = QueueConfig {
                    max_workers: 512,
                    poll_interval: Duration::from_millis(50),
                    deadline_duration: Duration::ZERO,
                    ..QueueConfig::default()
                };
                client.queue(QUEUE, config).queue_storage(
                    QueueStorageConfig::default(),
                    Duration::from_secs(1),
                    Duration::from_millis(50),
                )
            }
        };
        Ok(client.build()?)
    }
}

impl Queue for Peer {
    async fn set_up(&self) -> anyhow::Result<()> {
        // Its futures cannot be shown to move between threads; so they stay on one.
        let (pool, runtime) = (self.pool.clone(), tokio::runtime::Handle::current());
        let migrating = tokio::task::spawn_blocking(move || {
            runtime.block_on(async {
                awa::migrations::run(&pool).await?;
                // As the first worker does on a new database. Jobs that were there before one would lie in
                // the storage of versions before 0.6.
                Self::storage()?.install(&pool).await?;
                anyhow::Ok(())
            })
        });
        migrating.await?
    }

    async fn enqueue(&mut self, job: Noop) -> anyhow::Result<()> {
        awa::insert(&self.pool, &job).await?;
        Ok(())
    }

    async fn enqueue_many(&mut self, jobs: Vec<Noop>) -> anyhow::Result<()> {
        let jobs = jobs
            .iter()
            .map(|job| awa::model::insert::params_with(job, InsertOpts::default()));
        let jobs = jobs.collect::<Result<Vec<_>, _>>()?;
        match self.settings {
            Settings::Stock => {
                // One statement takes no more parameters than 5,000 jobs have.
                for part in jobs.chunks(1_000) {
                    awa::insert_many(&self.pool, part).await?;
                }
            }
            Settings::Tuned => {
                Self::storage()?
                    .enqueue_params_copy(&self.pool, &jobs)
                    .await?;
            }
        }
        Ok(())
    }

    async fn work(&self, probe: &'static Probe, stop: CancellationToken) -> anyhow::Result<()> {
        let worker = self.worker(probe)?;
        worker.start().await?;
        stop.cancelled().await;
        worker.shutdown(Duration::from_secs(5)).await;
        Ok(())
    }

    async fn unfinished(&self) -> anyhow::Result<i64> {
        let counts = Self::storage()?.queue_counts(&self.pool, QUEUE).await?;
        Ok(counts.available + counts.running)
    }

    async fn finished(&self) -> anyhow::Result<i64> {
        let counts = Self::storage()?.queue_counts(&self.pool, QUEUE).await?;
        Ok(counts.terminal)
    }
}

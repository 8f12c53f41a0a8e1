//! graphile_worker, for Rust. It deletes what succeeded.
//!
//! Tuned: the settings of its own benchmark (`perf_test`).

use std::sync::Arc;
use std::time::Duration;

use graphile_worker::{
    IntoTaskHandlerResult, JobSpec, LocalQueueConfig, RawJobSpec, TaskHandler, Worker,
    WorkerContext, WorkerOptions, WorkerUtils,
};
use sqlx::{PgPool, Row};
use tokio_util::sync::CancellationToken;

use crate::settings::Settings;
use crate::support::{Noop, Probe, Queue};

const SCHEMA: &str = "graphile_worker";

#[derive(Clone)]
pub(crate) struct Peer {
    pool: PgPool,
    settings: Settings,
}

impl TaskHandler for Noop {
    const IDENTIFIER: &'static str = "noop";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        let probe = context.get_ext::<&'static Probe>();
        probe.map(|probe| probe.started(&self)).ok_or("no probe")
    }
}

impl Peer {
    pub(crate) fn open(url: &str, settings: Settings) -> anyhow::Result<Self> {
        let pool = PgPool::connect_lazy(url)?;
        Ok(Self { pool, settings })
    }

    fn utils(&self) -> WorkerUtils {
        WorkerUtils::new(self.pool.clone(), SCHEMA)
    }

    async fn worker(&self, probe: &'static Probe) -> anyhow::Result<Worker> {
        let options = WorkerOptions::default()
            .pg_pool(self.pool.clone())
            .schema(SCHEMA)
            .listen_os_shutdown_signals(false)
            .add_extension(probe)
            .define_job::<Noop>();
        let options = match self.settings {
            Settings::Stock => options,
            Settings::Tuned => options
                .concurrency(500)
                .poll_interval(Duration::from_millis(5))
                .complete_job_batch_delay(Duration::from_millis(5))
                .local_queue(LocalQueueConfig::default().with_size(5_000)),
        };
        Ok(options.init().await?)
    }
}

impl Queue for Peer {
    async fn set_up(&self) -> anyhow::Result<()> {
        Ok(self.utils().migrate().await?)
    }

    async fn enqueue(&mut self, job: Noop) -> anyhow::Result<()> {
        self.utils().add_job(job, JobSpec::default()).await?;
        Ok(())
    }

    async fn enqueue_many(&mut self, jobs: Vec<Noop>) -> anyhow::Result<()> {
        let jobs = jobs.iter().map(|job| {
            Ok(RawJobSpec {
                identifier: Noop::IDENTIFIER.to_owned(),
                payload: serde_json::to_value(job)?,
                spec: JobSpec::default(),
            })
        });
        let jobs = jobs.collect::<anyhow::Result<Vec<_>>>()?;
        self.utils().add_raw_jobs(&jobs).await?;
        Ok(())
    }

    async fn work(&self, probe: &'static Probe, stop: CancellationToken) -> anyhow::Result<()> {
        let worker = Arc::new(self.worker(probe).await?);
        let running = Arc::clone(&worker);
        let running = tokio::spawn(async move { running.run().await });
        stop.cancelled().await;
        worker.request_shutdown();
        Ok(running.await??)
    }

    async fn unfinished(&self) -> anyhow::Result<i64> {
        let row = sqlx::query(include_str!("sql/graphile_unfinished.sql"))
            .fetch_one(&self.pool)
            .await?;
        Ok(row.try_get(0)?)
    }

    /// Nothing that it keeps.
    async fn finished(&self) -> anyhow::Result<i64> {
        Ok(0)
    }
}

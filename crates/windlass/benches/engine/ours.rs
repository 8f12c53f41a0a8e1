//! windlass with its default options, and tuned for jobs that take no time.

use std::sync::Arc;
use std::time::Duration;

use sqlx::Row;
use tokio_util::sync::CancellationToken;
use windlass::db::{Db, Postgres, PostgresOptions, Sqlite, SqliteOptions};
use windlass::model::{Allotter, Audit, Fair, QueuePolicy, Rules};
use windlass::store::Claim;
use windlass::store::postgres::{PgStore, PgStoreOptions};
use windlass::store::sqlite::SqliteStore;
use windlass::{Client, Context, Engine, EngineOptions, Job, Outcome, Registry, Store};

use crate::plan::Subject;
use crate::support::{Noop, Probe, Queue};

impl Job for Noop {
    const KIND: &'static str = "noop";
    type Services = &'static Probe;

    async fn run(self, cx: Context<Self::Services>) -> anyhow::Result<Outcome> {
        cx.services().started(&self);
        Ok(Outcome::complete())
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Ours {
    db: Db,
    client: Client,
    /// Its jobs belong to tenants.
    tenants: bool,
    limited: bool,
    tuned: bool,
}

/// More jobs at once: for jobs that take no time, a slot is a place in a batch. `benches/peers` asks for
/// it; each peer has its fast settings there, too.
const TUNED: &str = "windlass-tuned";
const TUNED_SLOTS: usize = 1_000;

/// Who the jobs belong to, if they do.
const TENANTS: [&str; 4] = ["a", "b", "c", "d"];

impl Ours {
    pub(crate) fn open(url: &str, subject: &str) -> anyhow::Result<Self> {
        let (db, store): (Db, Arc<dyn Store>) = match url.strip_prefix("sqlite:") {
            Some(path) => {
                let db = Sqlite::new(path, &SqliteOptions::default());
                (Db::Sqlite(db.clone()), Arc::new(SqliteStore::new(db)))
            }
            None => (
                Db::Postgres(Postgres::new(url, &PostgresOptions::default())?),
                Arc::new(PgStore::connect(url, &PgStoreOptions::default())?),
            ),
        };
        let client = Client::new(store);
        Ok(Self {
            db,
            client,
            tenants: ![Subject::Ours.argument(), TUNED].contains(&subject),
            tuned: subject == TUNED,
            limited: subject == Subject::Limited.argument(),
        })
    }

    async fn count(&self, postgres: &'static str, sqlite: &'static str) -> anyhow::Result<i64> {
        Ok(match &self.db {
            Db::Postgres(db) => sqlx::query(postgres)
                .fetch_one(db.pool())
                .await?
                .try_get(0)?,
            Db::Sqlite(db) => sqlx::query(sqlite)
                .fetch_one(db.readers())
                .await?
                .try_get(0)?,
            other => anyhow::bail!("an unknown database: {other:?}"),
        })
    }
}

impl Queue for Ours {
    async fn set_up(&self) -> anyhow::Result<()> {
        self.client.store().migrate().await?;
        if self.limited {
            // What it costs, not what it holds back: what runs and what has ended without being recorded
            // yet comes to a few thousand.
            let policy = QueuePolicy {
                concurrency: Some(20_000),
                fair: Some(Fair::default()),
                ..QueuePolicy::default()
            };
            let audit = Audit::new("bench", "policy.set", "queue/default");
            let set = self.client.set_policy("default", &policy, None, &audit);
            set.await?;
            // Enqueues know of it, as they do after the first second of any program.
            let mut allotter = Allotter::new(Rules::default());
            let claim = Claim {
                queue: "default",
                worker: "set-up",
                limit: 1,
                lease: Duration::from_secs(1),
                now: None,
            };
            self.client
                .store()
                .claim_governed(claim, &mut allotter)
                .await?;
        }
        Ok(())
    }

    async fn enqueue(&mut self, job: Noop) -> anyhow::Result<()> {
        self.client.enqueue(&job).await?;
        Ok(())
    }

    async fn enqueue_many(&mut self, jobs: Vec<Noop>) -> anyhow::Result<()> {
        let jobs = jobs.iter().map(|job| self.client.prepare(job));
        let mut jobs = jobs.collect::<Result<Vec<_>, _>>()?;
        if self.tenants {
            for (job, tenant) in jobs.iter_mut().zip(TENANTS.iter().cycle()) {
                job.tenant_id = Some((*tenant).to_owned());
            }
        }
        self.client.insert_many(&jobs).await?;
        Ok(())
    }

    async fn work(&self, probe: &'static Probe, stop: CancellationToken) -> anyhow::Result<()> {
        let registry = Registry::new(probe).register::<Noop>();
        let store: Arc<dyn Store> = Arc::clone(self.client.store());
        let mut options = EngineOptions::default();
        if self.tuned {
            options.queues = vec![("default".to_owned(), TUNED_SLOTS)];
        }
        let engine = Engine::new(store, registry, options)?;
        tokio::spawn(engine.run(stop)).await?;
        Ok(())
    }

    async fn unfinished(&self) -> anyhow::Result<i64> {
        self.count(
            include_str!("sql/postgres/unfinished.sql"),
            include_str!("sql/sqlite/unfinished.sql"),
        )
        .await
    }

    async fn finished(&self) -> anyhow::Result<i64> {
        self.count(
            include_str!("sql/postgres/finished.sql"),
            include_str!("sql/sqlite/finished.sql"),
        )
        .await
    }
}

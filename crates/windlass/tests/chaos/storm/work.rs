//! What the processes of a storm do: jobs that write down that they ran.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use windlass::db::{Db, Tx};
use windlass::model::{CatchUp, Conflict, Overlap, Schedule, Unique};
use windlass::{Backoff, Context, Engine, EngineOptions, Job, JobOptions, Json, Outcome, Registry};

use super::ledger::Ledger;
use crate::database::Database;

pub(crate) const WORKER: &str = "storm-worker";
pub(crate) const SCHEDULER: &str = "storm-scheduler";

/// The leases of these workers.
pub(crate) const LEASE: Duration = Duration::from_secs(4);
pub(crate) const MAX_ATTEMPTS: u16 = 5;
pub(crate) const MAX_CRASHES: u16 = 3;
/// The queue of which three jobs may run at once, and the one that is paused now and then.
pub(crate) const LIMITED: &str = "limited";
pub(crate) const LIMIT: usize = 3;
pub(crate) const PAUSED: &str = "paused";
pub(crate) const SCHEDULE: &str = "every_second";
/// How a process ends whose job takes it down.
pub(crate) const POISONED: i32 = 86;

#[derive(Debug, Clone)]
pub(crate) struct Services {
    db: Db,
    ledger: Arc<Ledger>,
}

/// Takes a while; its first attempts fail.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Work {
    pub(crate) number: u64,
    pub(crate) millis: u64,
    pub(crate) fails: u16,
}

/// The `step`-th of a key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct InOrder {
    pub(crate) key: u64,
    pub(crate) step: u64,
    pub(crate) work: Work,
}

/// At most one of a key is unfinished.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Single {
    pub(crate) key: u64,
    pub(crate) work: Work,
}

/// Writes a row in one transaction with its end.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Once {
    pub(crate) work: Work,
}

/// Takes its process down.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Poison {}

/// What the schedule makes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Tick {
    pub(crate) fire_at: String,
}

pub(crate) const EFFECTS: &str = "create table effects (job text not null)";
const EFFECT: &str = "insert into effects (job) values ($1)";

fn options() -> JobOptions {
    JobOptions {
        max_attempts: MAX_ATTEMPTS,
        backoff: Backoff::constant(Duration::from_millis(50)),
        // The one bound on a handler's own statement over a connection of which the other end is gone.
        timeout: Duration::from_secs(12),
        ..JobOptions::default()
    }
}

impl Work {
    /// The work of one attempt, within the ledger's lines.
    async fn attempt(&self, cx: &Context<Services>) -> anyhow::Result<()> {
        let job = cx.job();
        cx.services().ledger.start(job.id, job.claim_no);
        tokio::time::sleep(Duration::from_millis(self.millis)).await;
        cx.services().ledger.end(job.id, job.claim_no);
        anyhow::ensure!(
            job.attempt > self.fails,
            "attempt {} is to fail",
            job.attempt
        );
        Ok(())
    }
}

impl Job for Work {
    const KIND: &'static str = "work";
    type Services = Services;

    fn options() -> JobOptions {
        options()
    }

    async fn run(self, cx: Context<Services>) -> anyhow::Result<Outcome> {
        self.attempt(&cx).await?;
        Ok(Outcome::complete())
    }
}

impl Job for InOrder {
    const KIND: &'static str = "in_order";
    type Services = Services;

    fn options() -> JobOptions {
        options()
    }

    fn ordering_key(&self) -> Option<String> {
        Some(format!("line {}", self.key))
    }

    async fn run(self, cx: Context<Services>) -> anyhow::Result<Outcome> {
        self.work.attempt(&cx).await?;
        Ok(Outcome::complete())
    }
}

impl Job for Single {
    const KIND: &'static str = "single";
    type Services = Services;

    fn options() -> JobOptions {
        options()
    }

    fn unique(&self) -> Option<Unique> {
        Some(Unique {
            key: format!("key {}", self.key),
            window: None,
            conflict: Conflict::ReturnExisting,
        })
    }

    async fn run(self, cx: Context<Services>) -> anyhow::Result<Outcome> {
        self.work.attempt(&cx).await?;
        Ok(Outcome::complete())
    }
}

impl Job for Once {
    const KIND: &'static str = "once";
    type Services = Services;

    fn options() -> JobOptions {
        options()
    }

    async fn run(self, cx: Context<Services>) -> anyhow::Result<Outcome> {
        self.work.attempt(&cx).await?;
        let mut tx: Tx = cx.services().db.begin().await?;
        let job = cx.job().id.to_string();
        if let Some(connection) = tx.postgres() {
            sqlx::query(EFFECT).bind(job).execute(connection).await?;
        } else if let Some(connection) = tx.sqlite() {
            sqlx::query(EFFECT).bind(job).execute(connection).await?;
        }
        Ok(cx.commit(tx, None).await?)
    }
}

impl Job for Poison {
    const KIND: &'static str = "poison";
    type Services = Services;

    fn options() -> JobOptions {
        options()
    }

    async fn run(self, cx: Context<Services>) -> anyhow::Result<Outcome> {
        let job = cx.job();
        cx.services().ledger.start(job.id, job.claim_no);
        std::process::exit(POISONED);
    }
}

impl Job for Tick {
    const KIND: &'static str = "tick";
    type Services = Services;

    fn options() -> JobOptions {
        options()
    }

    async fn run(self, cx: Context<Services>) -> anyhow::Result<Outcome> {
        let work = Work {
            number: 0,
            millis: 5,
            fails: 0,
        };
        work.attempt(&cx).await?;
        Ok(Outcome::complete())
    }
}

/// The schedule's owner fires each second, and makes up for all that nobody fired.
fn every_second() -> Schedule {
    let args = Json::parse(r#"{"fire_at":""}"#).unwrap();
    Schedule {
        fire_at_arg: Some("fire_at".to_owned()),
        catch_up: CatchUp::All {
            within: Duration::from_hours(2),
        },
        overlap: Overlap::Allow,
        ..Schedule::new(SCHEDULE, "* * * * * *", Tick::KIND, args)
    }
}

/// What a process does until it is told to stop, or killed.
pub(crate) async fn run(role: &str, url: &str, folder: &Path) {
    let stop = CancellationToken::new();
    let mut asked = signal(SignalKind::terminate()).unwrap();
    let told = stop.clone();
    tokio::spawn(async move {
        asked.recv().await;
        told.cancel();
    });
    // From here on there is a ledger, which says that it can be told to stop.
    let database = Database::impatient(url);
    let services = Services {
        db: database.db.clone(),
        ledger: Arc::new(Ledger::open(folder)),
    };
    let registry = Registry::new(services)
        .register::<Work>()
        .register::<InOrder>()
        .register::<Single>()
        .register::<Once>()
        .register::<Poison>()
        .register::<Tick>();
    let works = role == WORKER;
    let queues = [("default", 12), (LIMITED, 4), (PAUSED, 4)];
    let queues = queues.map(|(name, slots)| (name.to_owned(), slots));
    let options = EngineOptions {
        queues: if works { queues.to_vec() } else { Vec::new() },
        lease: LEASE,
        grace: Duration::from_secs(2),
        max_crashes: MAX_CRASHES,
        maintenance: works,
        schedules: if works {
            Vec::new()
        } else {
            vec![every_second()]
        },
        ..EngineOptions::default()
    };
    Engine::new(database.store, registry, options)
        .unwrap()
        .run(stop)
        .await;
}

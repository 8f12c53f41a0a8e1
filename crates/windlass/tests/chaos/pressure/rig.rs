//! A server, a worker and a constant stream of jobs, measured phase by phase.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use sqlx::{Connection, Executor, PgConnection};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use windlass::store::postgres::{PgStore, PgStoreOptions};
use windlass::{
    Context, Engine, EngineOptions, Job, JobOptions, Json, NewJob, Outcome, Registry, Store,
};

use super::measure::{Counters, Phase, Sampler};
use crate::server::Server;

/// Jobs come in so often, all that are due by then in one call.
const BEAT: Duration = Duration::from_millis(20);
/// How long whatever was left behind may take once nothing is in the way.
const PATIENCE: Duration = Duration::from_mins(1);
/// What crashes, or what was killed, holds on to its jobs for so long.
const LEASE: Duration = Duration::from_secs(5);

/// What the jobs write down.
#[derive(Debug)]
pub(crate) struct Ledger {
    epoch: Instant,
    runs: Mutex<HashMap<u64, u32>>,
    waits: Mutex<Vec<Duration>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Stamped {
    number: u64,
    /// Before the enqueue was called, in microseconds since the ledger's epoch.
    at: u64,
    takes_ms: u64,
}

impl Job for Stamped {
    const KIND: &'static str = "stamped";
    type Services = Arc<Ledger>;

    fn options() -> JobOptions {
        JobOptions::default()
    }

    async fn run(self, cx: Context<Arc<Ledger>>) -> anyhow::Result<Outcome> {
        let ledger = cx.services();
        let waited = ledger
            .epoch
            .elapsed()
            .saturating_sub(Duration::from_micros(self.at));
        ledger.waits.lock().unwrap().push(waited);
        *ledger.runs.lock().unwrap().entry(self.number).or_default() += 1;
        if self.takes_ms > 0 {
            tokio::time::sleep(Duration::from_millis(self.takes_ms)).await;
        }
        Ok(Outcome::complete())
    }
}

/// How it is all set up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// Jobs a second.
    pub(crate) rate: u32,
    pub(crate) slots: usize,
    pub(crate) takes_ms: u64,
}

pub(crate) struct Rig {
    /// A superuser's connection. The worker is none, so that limits hold for it.
    pub(crate) admin: PgConnection,
    server: Server,
    plan: Plan,
    store: Arc<PgStore>,
    ledger: Arc<Ledger>,
    next: u64,
    /// What could not be enqueued yet.
    pending: Vec<NewJob>,
    stop: CancellationToken,
    engine: JoinHandle<()>,
    phases: Vec<Phase>,
}

/// Whom the worker and the enqueuer connect as.
pub(crate) const ROLE: &str = "app";

impl Rig {
    pub(crate) async fn new(plan: Plan) -> Self {
        let server = Server::start();
        let mut admin = PgConnection::connect(&server.url()).await.unwrap();
        for statement in ["create role app login", "create database app owner app"] {
            admin.execute(statement).await.unwrap();
        }
        let url = server.url().replace("postgres@", "app@");
        let url = url.replace("/postgres?", "/app?");
        let admin_url = server.url().replace("/postgres?", "/app?");
        let admin_here = PgConnection::connect(&admin_url).await.unwrap();
        admin.close().await.unwrap();
        let store = Arc::new(PgStore::connect(&url, &PgStoreOptions::default()).unwrap());
        store.migrate().await.unwrap();
        let ledger = Arc::new(Ledger {
            epoch: Instant::now(),
            runs: Mutex::default(),
            waits: Mutex::default(),
        });
        let options = EngineOptions {
            queues: vec![(NewJob::DEFAULT_QUEUE.to_owned(), plan.slots)],
            lease: LEASE,
            ..EngineOptions::default()
        };
        let registry = Registry::new(ledger.clone()).register::<Stamped>();
        let engine = Engine::new(store.clone(), registry, options).unwrap();
        let stop = CancellationToken::new();
        let engine = tokio::spawn(engine.run(stop.clone()));
        Self {
            admin: admin_here,
            server,
            plan,
            store,
            ledger,
            next: 0,
            pending: Vec::new(),
            stop,
            engine,
            phases: Vec::new(),
        }
    }

    /// One more connection, as a superuser.
    pub(crate) async fn connect(&self) -> PgConnection {
        let url = self.server.url().replace("/postgres?", "/app?");
        PgConnection::connect(&url).await.unwrap()
    }

    /// One more connection of the worker's role.
    pub(crate) async fn connect_as_worker(&self) -> PgConnection {
        let url = self.server.url().replace("/postgres?", "/app?");
        let url = url.replace("postgres@", "app@");
        PgConnection::connect(&url).await.unwrap()
    }

    pub(crate) fn url(&self) -> String {
        self.server.url().replace("/postgres?", "/app?")
    }

    /// Offers jobs at the plan's rate, times `load`, and measures what becomes of them meanwhile. Whatever
    /// cannot be enqueued is offered again, with all that came due since.
    pub(crate) async fn phase(&mut self, name: &'static str, lasts: Duration, load: f64) -> Phase {
        let sampler = Sampler::start(&self.url());
        let before = Counters::take(&mut self.admin).await;
        self.ledger.waits.lock().unwrap().clear();
        let begun = Instant::now();
        let rate = f64::from(self.plan.rate) * load;
        let (mut offered, mut refused) = (0, 0);
        let mut pulse = tokio::time::interval(BEAT);
        while begun.elapsed() < lasts {
            pulse.tick().await;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "small"
            )]
            let due = (rate * begun.elapsed().min(lasts).as_secs_f64()) as u64;
            while offered < due {
                offered += 1;
                let job = self.job();
                self.pending.push(job);
            }
            refused += u32::from(!self.offer().await);
        }
        let seconds = begun.elapsed().as_secs_f64();
        let mut waits = std::mem::take(&mut *self.ledger.waits.lock().unwrap());
        let after = Counters::take(&mut self.admin).await;
        let events = sampler.stop().await;
        waits.sort_unstable();
        let phase = Phase::new(
            name, seconds, offered, refused, &waits, &before, &after, events,
        );
        self.phases.push(phase.clone());
        phase
    }

    /// Enqueues all that is pending, if that can be done.
    async fn offer(&mut self) -> bool {
        match self.store.enqueue(&self.pending, None).await {
            Ok(_) => {
                self.pending.clear();
                true
            }
            Err(error) => {
                assert!(error.is_transient(), "{error:?}");
                false
            }
        }
    }

    fn job(&mut self) -> NewJob {
        let stamped = Stamped {
            number: self.next,
            at: u64::try_from(self.ledger.epoch.elapsed().as_micros()).unwrap(),
            takes_ms: self.plan.takes_ms,
        };
        self.next += 1;
        let mut job = NewJob::new(Stamped::KIND, Json::encode(&stamped).unwrap());
        job.max_attempts = 100;
        job
    }

    /// Waits until no job is unfinished; says how long that took.
    pub(crate) async fn until_done(&mut self) -> Duration {
        let begun = Instant::now();
        let mut pulse = tokio::time::interval(BEAT);
        loop {
            pulse.tick().await;
            assert!(begun.elapsed() < PATIENCE, "jobs are left");
            if !self.offer().await {
                continue;
            }
            let left: i64 = sqlx::query_scalar("select count(*) from jobs.jobs")
                .fetch_one(&mut self.admin)
                .await
                .unwrap();
            if left == 0 {
                return begun.elapsed();
            }
        }
    }

    /// Rows that are dead and that a vacuum could not remove, as it has just found.
    pub(crate) async fn dead_after_vacuum(&mut self) -> i64 {
        self.admin.execute("vacuum jobs.jobs").await.unwrap();
        let counters = Counters::take(&mut self.admin).await;
        counters.dead
    }

    /// Every job has run, has one outcome, and ran again only where a crash is recorded. Prints what was
    /// measured.
    pub(crate) async fn conclude(mut self, name: &str) {
        self.until_done().await;
        self.stop.cancel();
        self.engine.await.unwrap();
        for phase in &self.phases {
            println!("{name:<20} {phase}");
        }
        let done: Vec<(String, i64)> = sqlx::query_as(
            "select args::text, crashes::bigint from jobs.completed_jobs where state = 'completed'",
        )
        .fetch_all(&mut self.admin)
        .await
        .unwrap();
        assert_eq!(done.len() as u64, self.next, "one outcome of each");
        let runs = self.ledger.runs.lock().unwrap();
        assert_eq!(runs.len() as u64, self.next, "each has run");
        for (args, crashes) in done {
            let number = serde_json::from_str::<Stamped>(&args).unwrap().number;
            let runs = i64::from(runs[&number]);
            assert!(
                (1..=1 + crashes).contains(&runs),
                "job {number} ran {runs} times and was taken back {crashes} times"
            );
        }
    }
}

use std::sync::Arc;
use std::time::Duration;

use apalis_core::monitor::Monitor;
use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::backend::{self, Feed, Record};
use super::bulk;
use super::bulk_job;
use super::client::Client;
use super::completer::{self, BACKLOG};
use super::control::{self, ControlState};
use super::executor::{install_panic_hook, judge, kept};
use super::fetcher::{Fetcher, hand_back};
use super::governor::Governor;
use super::leases::Leases;
use super::maintenance::{self, ENGINE, Retention};
use super::registry::Registry;
use super::scheduler::Scheduler;
use super::sealing::KeyRing;
use crate::model::{Audit, Drain, Finish, Schedule, Timestamp, WorkerRecord};
use crate::store::{self, ChangeSetting, Store};
use crate::telemetry::{self, Outage};

/// How long the last outcomes may take to be written once everything has stopped.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(5);
/// How often a worker reports that it lives.
const BEAT: Duration = Duration::from_secs(10);

/// How an engine runs. The defaults are meant for production.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// The queues to serve, and how many jobs of each to run at once. None: only maintenance.
    pub queues: Vec<(String, usize)>,
    /// How long a lease lasts, renewed at a third of it; 30 s. A crashed worker's jobs run again
    /// within one and a half of it.
    pub lease: Duration,
    /// How long running jobs get to finish when the process stops; 25 s.
    pub grace: Duration,
    /// How long a handler that was told to end gets before it is abandoned; 2 s.
    pub cancel_grace: Duration,
    /// The longest time between two looks at an idle queue; 1 s. Wake-ups make it faster.
    pub poll: Duration,
    /// A job that takes its process down so often is set aside as dead; 3.
    pub max_crashes: u16,
    /// How long finished jobs are kept.
    pub retention: Retention,
    /// Whether this process may lead maintenance, and runs what operators start in the background: two
    /// jobs of the queue `windlass` at once; yes.
    pub maintenance: bool,
    /// What seals and opens the args and results of kinds that want it; none.
    pub keys: KeyRing,
    /// What is to be done by the clock; nothing. Any number of processes may have the same schedules:
    /// each tick fires once.
    pub schedules: Vec<Schedule>,
    /// The program's version, shown with the worker.
    pub version: String,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            queues: vec![("default".to_owned(), 50)],
            lease: Duration::from_secs(30),
            grace: Duration::from_secs(25),
            cancel_grace: Duration::from_secs(2),
            poll: Duration::from_secs(1),
            max_crashes: 3,
            retention: Retention::default(),
            maintenance: true,
            keys: KeyRing::default(),
            schedules: Vec::new(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

/// An option that cannot work: which, and what would.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct InvalidOptions {
    /// The option.
    pub field: &'static str,
    /// What is wrong and what would be right.
    pub problem: String,
}

impl EngineOptions {
    pub(super) fn validate(&self) -> Result<(), InvalidOptions> {
        let invalid = |field, problem: &str| {
            Err(InvalidOptions {
                field,
                problem: problem.to_owned(),
            })
        };
        if self.lease < Duration::from_millis(100) {
            return invalid("lease", "shorter than 100 ms; heartbeats could not keep up");
        }
        if self.poll.is_zero() {
            return invalid("poll", "zero; use at least a millisecond");
        }
        if self.max_crashes == 0 {
            return invalid("max_crashes", "zero; use at least 1");
        }
        for (name, slots) in &self.queues {
            if name.is_empty() || *slots == 0 || *slots > 100_000 {
                return invalid("queues", "each needs a name and 1 to 100000 slots");
            }
            if self
                .queues
                .iter()
                .filter(|(other, _)| other == name)
                .count()
                > 1
            {
                return invalid("queues", "a queue is named twice; add its slots up");
            }
        }
        Ok(())
    }
}

/// Runs jobs until it is told to stop.
#[derive(Debug)]
pub struct Engine<S> {
    store: Arc<dyn Store>,
    registry: Arc<Registry<S>>,
    options: EngineOptions,
    client: Client,
    scheduler: Option<Scheduler>,
    id: String,
}

impl<S: Clone + Send + Sync + 'static> Engine<S> {
    /// An engine over a store whose schema is in place (see [`Store::migrate`]).
    pub fn new(
        store: Arc<dyn Store>,
        registry: Registry<S>,
        options: EngineOptions,
    ) -> Result<Self, InvalidOptions> {
        options.validate()?;
        let mut options = options;
        if options.maintenance && options.queues.iter().all(|(name, _)| name != bulk::QUEUE) {
            options.queues.push((bulk::QUEUE.to_owned(), bulk::SLOTS));
        }
        let catalogue = registry.catalogue();
        catalogue
            .check_keys(&options.keys)
            .map_err(|error| InvalidOptions {
                field: "keys",
                problem: error.to_string(),
            })?;
        bulk_job::check(&catalogue, &options.queues)?;
        let client = Client::new(Arc::clone(&store))
            .with_catalogue(catalogue)
            .with_keys(options.keys.clone());
        // Unique for each start: a restarted process is another worker.
        let id = format!("{}-{}", std::process::id(), uuid::Uuid::new_v4().simple());
        let timetable = options.schedules.clone();
        let scheduler = Scheduler::new(client.clone(), timetable, &id, options.lease / 2);
        let scheduler = scheduler.map_err(|invalid| InvalidOptions {
            field: "schedules",
            problem: invalid.to_string(),
        })?;
        Ok(Self {
            store,
            registry: Arc::new(registry.with_internal()),
            client,
            scheduler: (!options.schedules.is_empty()).then_some(scheduler),
            options,
            id,
        })
    }

    /// Enqueues for this engine, knowing its kinds.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Runs until `stop` fires; then stops claiming, lets running jobs finish within the grace time,
    /// tells the rest to end, and hands back what is left without using an attempt.
    pub async fn run(self, stop: CancellationToken) {
        install_panic_hook();
        let Self {
            store,
            registry,
            options,
            client,
            scheduler,
            id,
        } = self;
        let names: Vec<String> = options
            .queues
            .iter()
            .map(|(name, _)| name.clone())
            .collect();
        telemetry::worker_started(&id, &names);

        let catalogue = registry.catalogue();
        let counted = client.clone();
        let leases = Arc::new(Leases::new(options.lease, &catalogue, client));
        let keeper = {
            let (store, leases, id) = (Arc::clone(&store), Arc::clone(&leases), id.clone());
            AbortOnDropHandle::new(tokio::spawn(async move {
                tokio::join!(leases.keep(&*store), leases.heed(&*store, &id))
            }))
        };
        let (outcomes, backlog) = mpsc::channel(BACKLOG);
        let (give_up, give_up_at) = watch::channel(None);
        let completer = tokio::spawn(completer::complete(
            Arc::clone(&store),
            Arc::clone(&leases),
            backlog,
            give_up_at,
        ));

        let feeds: Vec<Arc<Feed>> = options.queues.iter().map(|_| Arc::default()).collect();
        let record = recorder(&outcomes, &leases);
        let mut monitor = Monitor::new();
        for ((queue, _), feed) in options.queues.iter().zip(&feeds) {
            let name = format!("{queue}@{id}");
            monitor = backend::register(
                monitor,
                &name,
                options.cancel_grace,
                feed,
                &registry,
                &record,
            );
        }
        drop(record);
        let (states, state) = watch::channel(None);
        let fetchers = options.queues.iter().zip(&feeds).map(|((queue, _), feed)| {
            let fetcher = Fetcher {
                queue: queue.clone(),
                worker: id.clone(),
                lease: options.lease,
                poll: options.poll,
                store: Arc::clone(&store),
                leases: Arc::clone(&leases),
                feed: Arc::clone(feed),
                outcomes: outcomes.clone(),
            };
            let governor = Governor::new(queue.clone(), state.clone());
            AbortOnDropHandle::new(tokio::spawn(fetcher.run(governor, stop.clone())))
        });
        let fetchers: Vec<_> = fetchers.collect();
        let maintenance = options.maintenance.then(|| {
            let (store, id) = (Arc::clone(&store), id.clone());
            tokio::spawn(maintenance::maintain(
                store,
                id,
                options.clone(),
                stop.clone(),
            ))
        });
        let scheduler = scheduler.map(|scheduler| tokio::spawn(scheduler.run(stop.clone())));
        let control = {
            let queues = options.queues.iter().zip(&feeds);
            let queues =
                queues.map(|((name, slots), feed)| (name.clone(), *slots, Arc::clone(feed)));
            let obey = obey(state.clone(), id.clone(), queues.collect());
            let follow = control::follow(Arc::clone(&store), states);
            [
                AbortOnDropHandle::new(tokio::spawn(obey)),
                AbortOnDropHandle::new(tokio::spawn(follow)),
            ]
        };
        let beats = {
            let record = describe(&id, &options);
            AbortOnDropHandle::new(tokio::spawn(beat(
                Arc::clone(&store),
                record,
                feeds.clone(),
                state,
                stop.clone(),
            )))
        };
        let stopped = CancellationToken::new();
        let workers = {
            let stopped = stopped.clone();
            tokio::spawn(async move {
                let signal = stopped.cancelled_owned().map(Ok);
                monitor.run_with_signal(signal).await
            })
        };

        stop.cancelled().await;
        telemetry::worker_stopping(&id, options.grace);
        join_all(fetchers).await;
        let mut handed_back = 0;
        for feed in &feeds {
            handed_back += hand_back(feed, &outcomes).await;
        }
        let all_ended = || join_all(feeds.iter().map(|feed| feed.drained_to(0)));
        if tokio::time::timeout(options.grace, all_ended())
            .await
            .is_err()
        {
            leases.stop_all();
            // Every attempt ends within its cancel grace, heeding the token or not.
            all_ended().await;
        }
        stopped.cancel();
        if let Ok(Err(error)) = workers.await {
            tracing::error!(%error, "apalis' monitor ended with an error");
        }
        drop(outcomes);
        give_up.send_replace(Some(Instant::now() + LAST_WORDS));
        if let Err(error) = completer.await {
            tracing::error!(%error, "the completer did not end by itself");
        }
        drop((keeper, beats, control));
        if let Some(maintenance) = maintenance
            && let Err(error) = maintenance.await
        {
            tracing::error!(%error, "maintenance did not end by itself");
        }
        if let Some(scheduler) = scheduler
            && let Err(error) = scheduler.await
        {
            tracing::error!(%error, "the scheduler did not end by itself");
        }
        // Best effort: numbers to look at.
        if let Err(error) = counted.write_tally().await {
            tracing::debug!(%error, "what was counted last is lost");
        }
        // Best effort: a worker that does not say goodbye is forgotten after a day.
        if let Err(error) = sign_off(&*store, &id).await {
            tracing::debug!(%error, "could not sign off");
        }
        telemetry::worker_stopped(&id, handed_back);
    }
}

/// Judges each attempt's end, counts it, and passes it to the completer.
fn recorder(outcomes: &mpsc::Sender<Finish>, leases: &Arc<Leases>) -> Record {
    let (outcomes, leases) = (outcomes.clone(), Arc::clone(leases));
    Arc::new(move |attempt, result| {
        let (outcomes, leases) = (outcomes.clone(), Arc::clone(&leases));
        async move {
            let job = &attempt.job;
            let now = attempt.now();
            let result = result.and_then(|outcome| kept(&attempt, outcome));
            let finish = judge(result, job, &attempt.options, now, &mut rand::rng());
            let (waited, ran) = (job.claimed_at.since(job.run_at), now.since(job.claimed_at));
            attempt.span().in_scope(|| {
                telemetry::attempt_ended(job, attempt.is_known(), finish.as_ref(), waited, ran);
            });
            attempt.client.count_attempt(job, finish.as_ref());
            match finish {
                // The completer lives as long as any sender: it cannot be gone.
                Some(finish) => drop(outcomes.send(finish).await),
                None => leases.forget([job.lease()]),
            }
        }
        .boxed()
    })
}

/// Gives each queue the slots that operators leave it, now and whenever that changes. Nothing starts
/// before the first word of the operators.
async fn obey(
    mut states: watch::Receiver<Option<Arc<ControlState>>>,
    id: String,
    queues: Vec<(String, usize, Arc<Feed>)>,
) {
    while states.changed().await.is_ok() {
        let Some(state) = states.borrow_and_update().clone() else {
            continue;
        };
        for (queue, configured, feed) in &queues {
            feed.allow(state.slots(queue, &id, *configured));
        }
    }
}

/// Forgets the worker, and what it was ordered to do.
async fn sign_off(store: &dyn Store, id: &str) -> Result<(), store::Error> {
    store.remove_worker(id, None).await?;
    let audit = Audit::new(ENGINE, "worker.gone", format!("worker/{id}"));
    let change = ChangeSetting {
        space: Drain::SPACE,
        name: id,
        value: None,
        expected: None,
        audit: &audit,
        now: None,
    };
    store.change_setting(change).await.map(drop)
}

/// The engine's own queue is not told of: nobody set it up and nobody has to look after it.
pub(super) fn describe(id: &str, options: &EngineOptions) -> WorkerRecord {
    let queues = options.queues.iter();
    let queues: Vec<_> = queues.filter(|(name, _)| name != bulk::QUEUE).collect();
    let slots = queues.iter().map(|(_, slots)| *slots).sum::<usize>();
    WorkerRecord {
        id: id.to_owned(),
        host: host(),
        pid: std::process::id(),
        version: options.version.clone(),
        queues: queues.iter().map(|(name, _)| name.clone()).collect(),
        slots: u32::try_from(slots).unwrap_or(u32::MAX),
        running: 0,
        started_at: Timestamp::EPOCH,
        beat_at: Timestamp::EPOCH,
        draining: false,
    }
}

fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "unknown".to_owned(), |name| name.trim().to_owned())
}

/// Reports that this worker lives, until it does not.
pub(super) async fn beat(
    store: Arc<dyn Store>,
    mut worker: WorkerRecord,
    feeds: Vec<Arc<Feed>>,
    mut control: watch::Receiver<Option<Arc<ControlState>>>,
    stop: CancellationToken,
) {
    let mut outage = Outage::new("worker beat");
    loop {
        let running: usize = feeds.iter().map(|feed| feed.outstanding()).sum();
        worker.running = u32::try_from(running).unwrap_or(u32::MAX);
        let state = control.borrow_and_update().clone();
        let drained = state.is_some_and(|state| state.drains(&worker.id));
        worker.draining = drained || stop.is_cancelled();
        match store.beat_worker(&worker, None).await {
            Ok(()) => outage.worked(),
            Err(error) => outage.failed(&error),
        }
        // A change of what it is to do is told at once.
        tokio::select! {
            () = tokio::time::sleep(BEAT) => {}
            () = stop.cancelled(), if !stop.is_cancelled() => {}
            Ok(()) = control.changed() => {}
        }
    }
}

//! The engine's promises, on the store in memory: every wait is for an event, none for a clock to
//! pass by chance.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use windlass::model::AttemptOutcome;
use windlass::store::memory::MemoryStore;
use windlass::store::{Changed, Claim};
use windlass::{
    Backoff, Client, Context, Engine, EngineOptions, Job, JobId, JobOptions, JobRecord, Json,
    Outcome, Registry, State, Store, permanent, wait_for,
};

/// Longest wait for an event before a test is wrong.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, Default)]
struct Bench {
    started: Arc<Started>,
    runs: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Started(Semaphore);

impl Default for Started {
    fn default() -> Self {
        Self(Semaphore::new(0))
    }
}

impl Bench {
    async fn wait_started(&self, n: u32) {
        let permits = tokio::time::timeout(PATIENCE, self.started.0.acquire_many(n));
        permits
            .await
            .expect("the handler did not start")
            .unwrap()
            .forget();
    }
}

/// Does as its args say.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Act {
    Succeed,
    Fail,
    FailPermanently,
    HangDeaf,
    HangHeeding,
    BlockThread,
    WaitFor,
    Snooze,
    Discard,
    FailOnce,
}

impl Job for Act {
    const KIND: &'static str = "act";
    type Services = Bench;

    fn options() -> JobOptions {
        JobOptions {
            max_attempts: 3,
            timeout: Duration::from_millis(800),
            backoff: Backoff::constant(Duration::from_millis(1)),
            ..JobOptions::default()
        }
    }

    async fn run(self, cx: Context<Bench>) -> anyhow::Result<Outcome> {
        cx.services().runs.fetch_add(1, Ordering::SeqCst);
        cx.services().started.0.add_permits(1);
        match self {
            Self::Succeed => Ok(Outcome::complete_with("done")?),
            Self::Fail => Err(anyhow::anyhow!("inner").context("outer")),
            Self::FailPermanently => Err(permanent(anyhow::anyhow!("never"))),
            Self::HangDeaf => std::future::pending().await,
            Self::HangHeeding => {
                cx.cancelled().cancelled().await;
                Err(anyhow::anyhow!("told to stop"))
            }
            Self::BlockThread => {
                let (_keep, gate) = std::sync::mpsc::channel::<()>();
                // Deaf and holding its thread, but not for ever, so that the test's runtime can end.
                assert!(gate.recv_timeout(Duration::from_secs(3)).is_err());
                Ok(Outcome::complete())
            }
            Self::WaitFor if cx.services().runs.load(Ordering::SeqCst) < 6 => Err(wait_for(
                Duration::from_millis(1),
                anyhow::anyhow!("model is down"),
            )),
            Self::WaitFor => Ok(Outcome::complete()),
            Self::Snooze if cx.services().runs.load(Ordering::SeqCst) < 6 => {
                Ok(Outcome::snooze(Duration::from_millis(1)))
            }
            Self::Snooze => Ok(Outcome::complete()),
            Self::Discard => Ok(Outcome::discard("pointless")),
            Self::FailOnce if cx.attempt() == 1 => Err(anyhow::anyhow!("first try")),
            Self::FailOnce => Ok(Outcome::complete()),
        }
    }
}

/// Has all the time it wants: taking a backtrace for the first time is slow.
#[derive(Serialize, Deserialize)]
struct Panic {}

impl Job for Panic {
    const KIND: &'static str = "panic";
    type Services = Bench;

    fn options() -> JobOptions {
        JobOptions {
            max_attempts: 3,
            backoff: Backoff::constant(Duration::from_millis(1)),
            ..JobOptions::default()
        }
    }

    async fn run(self, _: Context<Bench>) -> anyhow::Result<Outcome> {
        panic!("it blew up")
    }
}

struct Rig {
    store: Arc<MemoryStore>,
    client: Client,
    bench: Bench,
    stop: CancellationToken,
    engine: JoinHandle<()>,
}

impl Rig {
    fn start(options: EngineOptions) -> Self {
        Self::start_on(Arc::default(), options)
    }

    fn start_on(store: Arc<MemoryStore>, options: EngineOptions) -> Self {
        let bench = Bench::default();
        let registry = Registry::new(bench.clone())
            .register::<Act>()
            .register::<Panic>();
        let engine = Engine::new(store.clone(), registry, options).unwrap();
        let (client, stop) = (engine.client(), CancellationToken::new());
        let engine = tokio::spawn(engine.run(stop.clone()));
        Self {
            store,
            client,
            bench,
            stop,
            engine,
        }
    }

    async fn enqueue(&self, act: Act) -> JobId {
        self.client.enqueue(&act).await.unwrap().id()
    }

    /// Waits until a job is as it should be.
    async fn until(&self, id: JobId, what: impl Fn(&JobRecord) -> bool) -> JobRecord {
        let wait = async {
            loop {
                let job = self.client.get(id, None).await.unwrap().unwrap();
                if what(&job) {
                    return job;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, wait)
            .await
            .expect("the job did not get there")
    }

    async fn until_finished(&self, id: JobId) -> JobRecord {
        self.until(id, |job| job.state.is_finished()).await
    }

    async fn stop(self) -> Arc<MemoryStore> {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.engine)
            .await
            .expect("the engine did not stop")
            .unwrap();
        self.store
    }
}

fn options() -> EngineOptions {
    EngineOptions {
        queues: vec![("default".into(), 4)],
        lease: Duration::from_millis(600),
        grace: Duration::from_secs(10),
        cancel_grace: Duration::from_millis(50),
        poll: Duration::from_millis(20),
        ..EngineOptions::default()
    }
}

fn outcomes(job: &JobRecord) -> Vec<AttemptOutcome> {
    job.all_attempts().iter().map(|a| a.outcome).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_success_keeps_its_result() {
    let rig = Rig::start(options());
    let id = rig.enqueue(Act::Succeed).await;
    let job = rig.until_finished(id).await;
    assert_eq!((job.state, job.attempt), (State::Completed, 1));
    assert_eq!(job.result, Some(Json::encode("done").unwrap()));
    assert_eq!(outcomes(&job), [AttemptOutcome::Completed]);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attempts_never_exceed_the_maximum() {
    let rig = Rig::start(options());
    let id = rig.enqueue(Act::Fail).await;
    let job = rig.until_finished(id).await;
    assert_eq!((job.state, job.attempt), (State::Dead, 3));
    assert_eq!(outcomes(&job), [AttemptOutcome::Failed; 3]);
    let error = job.attempts[0].error.clone().unwrap();
    assert_eq!(
        (error.message.as_str(), &*error.chain),
        ("outer", &["inner".to_owned()][..])
    );
    assert_eq!(rig.bench.runs.load(Ordering::SeqCst), 3);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_is_followed_by_a_success() {
    let rig = Rig::start(options());
    let id = rig.enqueue(Act::FailOnce).await;
    let job = rig.until_finished(id).await;
    assert_eq!(
        outcomes(&job),
        [AttemptOutcome::Failed, AttemptOutcome::Completed]
    );
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_ends_the_attempt_and_not_the_worker() {
    let rig = Rig::start(options());
    let bad = rig.client.enqueue(&Panic {}).await.unwrap().id();
    let good = rig.enqueue(Act::Succeed).await;
    let job = rig.until_finished(bad).await;
    assert_eq!(outcomes(&job), [AttemptOutcome::Panicked; 3]);
    let error = job.attempts[0].error.clone().unwrap();
    assert_eq!(error.message, "it blew up");
    assert!(error.backtrace.unwrap().contains("tests/engine.rs"));
    assert_eq!(rig.until_finished(good).await.state, State::Completed);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_timeout_ends_deaf_and_heeding_handlers() {
    let rig = Rig::start(options());
    for act in [Act::HangDeaf, Act::HangHeeding] {
        let id = rig.enqueue(act).await;
        let job = rig.until_finished(id).await;
        assert_eq!(outcomes(&job), [AttemptOutcome::TimedOut; 3]);
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hung_thread_ends_the_attempt_and_not_the_worker() {
    let rig = Rig::start(options());
    let id = rig.enqueue(Act::BlockThread).await;
    let hung = rig.until(id, |job| !job.attempts.is_empty()).await;
    assert_eq!(hung.attempts[0].outcome, AttemptOutcome::TimedOut);
    let other = rig.enqueue(Act::Succeed).await;
    assert_eq!(rig.until_finished(other).await.state, State::Completed);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_and_snoozing_use_no_attempt() {
    for act in [Act::WaitFor, Act::Snooze] {
        let rig = Rig::start(options());
        let id = rig.enqueue(act).await;
        let job = rig.until_finished(id).await;
        assert_eq!((job.state, job.attempt), (State::Completed, 1));
        assert_eq!(
            rig.bench.runs.load(Ordering::SeqCst),
            6,
            "three attempts are the maximum"
        );
        rig.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn permanent_errors_and_discards_are_dead_at_once() {
    let rig = Rig::start(options());
    for (act, outcome) in [
        (Act::FailPermanently, AttemptOutcome::Failed),
        (Act::Discard, AttemptOutcome::Discarded),
    ] {
        let id = rig.enqueue(act).await;
        let job = rig.until_finished(id).await;
        assert_eq!((job.state, outcomes(&job)), (State::Dead, vec![outcome]));
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn args_that_no_longer_decode_are_set_aside_without_showing_them() {
    let rig = Rig::start(options());
    let args = Json::parse(r#"{"secret_thing": "hunter2"}"#).unwrap();
    let id = rig
        .client
        .insert(windlass::NewJob::new("act", args))
        .await
        .unwrap()
        .id();
    let job = rig.until_finished(id).await;
    assert_eq!((job.state, job.attempt), (State::Dead, 1));
    let message = &job.attempts[0].error.as_ref().unwrap().message;
    assert!(
        message.contains("do not decode") && !message.contains("hunter2"),
        "{message}"
    );
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_job_is_cancelled_by_its_token() {
    let rig = Rig::start(EngineOptions {
        lease: Duration::from_millis(150),
        ..options()
    });
    let id = rig.enqueue(Act::HangHeeding).await;
    rig.bench.wait_started(1).await;
    assert_eq!(rig.client.cancel(id, None).await.unwrap(), Changed::Asked);
    let job = rig.until_finished(id).await;
    assert_eq!(
        (job.state, outcomes(&job)),
        (State::Cancelled, vec![AttemptOutcome::Cancelled])
    );
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_waits_for_running_jobs_then_hands_back_without_using_an_attempt() {
    let rig = Rig::start(EngineOptions {
        queues: vec![("default".into(), 1)],
        grace: Duration::from_millis(50),
        ..options()
    });
    let (running, waiting) = (
        rig.enqueue(Act::HangDeaf).await,
        rig.enqueue(Act::Succeed).await,
    );
    rig.bench.wait_started(1).await;
    let store = rig.stop().await;
    let job = store.get(running, None, None).await.unwrap().unwrap();
    assert_eq!((job.state, job.attempt), (State::Available, 0));
    assert_eq!(outcomes(&job), [AttemptOutcome::Released]);
    let job = store.get(waiting, None, None).await.unwrap().unwrap();
    assert_eq!((job.state, job.attempt), (State::Available, 0));
    assert!(
        store.workers(None).await.unwrap().is_empty(),
        "it signs off"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_lets_a_running_job_finish_within_the_grace() {
    let rig = Rig::start(EngineOptions {
        lease: Duration::from_millis(300),
        ..options()
    });
    let id = rig.enqueue(Act::HangDeaf).await;
    rig.bench.wait_started(1).await;
    let store = rig.stop().await;
    let job = store.get(id, None, None).await.unwrap().unwrap();
    assert_eq!(
        outcomes(&job),
        [AttemptOutcome::TimedOut],
        "its own time-out, not the stop, ended it"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crashed_workers_job_runs_again_and_a_live_one_is_never_taken() {
    let store = Arc::new(MemoryStore::default());
    let crashed = Client::new(store.clone())
        .enqueue(&Act::Succeed)
        .await
        .unwrap()
        .id();
    let lease = Duration::from_millis(300);
    let claim = Claim {
        queue: "default",
        worker: "gone",
        limit: 1,
        lease,
        now: None,
    };
    assert_eq!(store.claim(claim).await.unwrap().len(), 1);

    let rig = Rig::start_on(store, EngineOptions { lease, ..options() });
    let live = rig.enqueue(Act::HangDeaf).await; // Runs for longer than two leases.
    let job = rig.until_finished(crashed).await;
    assert_eq!(
        outcomes(&job),
        [AttemptOutcome::Crashed, AttemptOutcome::Completed]
    );
    assert_eq!((job.crashes, job.attempts[0].worker.as_str()), (1, "gone"));
    let live = rig.until(live, |job| !job.attempts.is_empty()).await;
    assert_eq!(
        (live.crashes, outcomes(&live)[0]),
        (0, AttemptOutcome::TimedOut)
    );
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_kills_its_process_is_set_aside_after_three_crashes() {
    let store = Arc::new(MemoryStore::default());
    let id = Client::new(store.clone())
        .enqueue(&Act::Succeed)
        .await
        .unwrap()
        .id();
    let claim = Claim {
        queue: "default",
        worker: "dying",
        limit: 1,
        lease: Duration::from_micros(1),
        now: None,
    };
    for crash in 1..=3_u16 {
        assert_eq!(store.claim(claim.clone()).await.unwrap().len(), 1);
        let rescue = windlass::store::Rescue {
            limit: 10,
            max_crashes: 3,
            now: Some(store.now().await.unwrap() + Duration::from_secs(1)),
        };
        let rescued = store.rescue(rescue).await.unwrap();
        assert_eq!((rescued[0].crashes, rescued[0].dead), (crash, crash == 3));
        // The rescue above looked from a second ahead: let the job be due for this store's clock.
        if crash < 3 {
            store.requeue(id, None, None).await.unwrap();
        }
    }
    let job = store.get(id, None, None).await.unwrap().unwrap();
    assert_eq!(
        (job.state, outcomes(&job)),
        (State::Dead, vec![AttemptOutcome::Crashed; 3])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_jobs_each_run_once_with_few_slots() {
    let rig = Rig::start(options());
    let jobs: Vec<_> = (0..10_000)
        .map(|_| rig.client.prepare(&Act::Succeed).unwrap())
        .collect();
    rig.client.insert_many(&jobs).await.unwrap();
    for job in &jobs {
        let job = rig.until_finished(job.id).await;
        assert_eq!((job.state, job.claim_no), (State::Completed, 1));
    }
    assert_eq!(rig.bench.runs.load(Ordering::SeqCst), 10_000);
    rig.stop().await;
}

#[test]
fn options_that_cannot_work_are_refused_by_name() {
    let refused = |options: EngineOptions| {
        let registry = Registry::new(Bench::default()).register::<Act>();
        Engine::new(Arc::new(MemoryStore::default()), registry, options)
            .unwrap_err()
            .field
    };
    assert_eq!(
        refused(EngineOptions {
            lease: Duration::ZERO,
            ..options()
        }),
        "lease"
    );
    assert_eq!(
        refused(EngineOptions {
            poll: Duration::ZERO,
            ..options()
        }),
        "poll"
    );
    assert_eq!(
        refused(EngineOptions {
            max_crashes: 0,
            ..options()
        }),
        "max_crashes"
    );
    assert_eq!(
        refused(EngineOptions {
            queues: vec![("a".into(), 0)],
            ..options()
        }),
        "queues"
    );
}

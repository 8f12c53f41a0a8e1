//! Jobs that are done many at once, with the engine running, on the store in memory.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use windlass::engine::{BulkJob, BulkWindow};
use windlass::model::AttemptOutcome;
use windlass::store::Changed;
use windlass::store::memory::MemoryStore;
use windlass::{
    Client, Context, Engine, EngineOptions, Job, JobId, JobOptions, JobRecord, Json, NewJob,
    Outcome, Registry, State, testing,
};

/// Longest wait for an event before a test is wrong.
const PATIENCE: Duration = Duration::from_secs(20);
/// Windows in milliseconds: one that ends, and one that does not within a test.
const SHORT: u64 = 300;
const LONG: u64 = 60_000;
const SLOTS: usize = 6;

/// Batches as the handler got them, and what holds it up.
#[derive(Debug, Clone)]
struct Yard {
    batches: Arc<watch::Sender<Vec<Vec<Act>>>>,
    dropped: Arc<Semaphore>,
    gate: Arc<Semaphore>,
    began: Arc<Mutex<Vec<Instant>>>,
}

impl Default for Yard {
    fn default() -> Self {
        Self {
            batches: Arc::new(watch::Sender::new(Vec::new())),
            dropped: Arc::new(Semaphore::new(0)),
            gate: Arc::new(Semaphore::new(0)),
            began: Arc::default(),
        }
    }
}

impl Yard {
    async fn until_begun(&self, batches: usize) {
        let mut seen = self.batches.subscribe();
        let wait = seen.wait_for(|seen| seen.len() >= batches);
        let wait = tokio::time::timeout(PATIENCE, wait).await;
        wait.expect("the batch did not begin").unwrap();
    }

    fn sizes(&self) -> Vec<usize> {
        self.batches.borrow().iter().map(Vec::len).collect()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Act {
    Succeed,
    Fail,
    Discard,
    /// Panics, and all with it.
    Panic,
    /// Answers for one too few.
    Miscount,
    /// Waits for the gate, whatever it is told.
    Wait,
}

/// One of many to be loaded, with a window of so many milliseconds.
#[derive(Debug, Serialize, Deserialize)]
struct Load<const WINDOW: u64> {
    act: Act,
}

impl<const WINDOW: u64> Job for Load<WINDOW> {
    const KIND: &'static str = "load";
    type Services = Yard;

    fn options() -> JobOptions {
        JobOptions {
            max_attempts: 1,
            timeout: Duration::from_millis(WINDOW * 3),
            ..JobOptions::default()
        }
    }

    async fn run(self, cx: Context<Yard>) -> anyhow::Result<Outcome> {
        self.run_alone(cx).await
    }
}

struct Dropped(Arc<Semaphore>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.add_permits(1);
    }
}

impl<const WINDOW: u64> BulkJob for Load<WINDOW> {
    fn window() -> BulkWindow {
        BulkWindow {
            max: 3,
            wait: Duration::from_millis(WINDOW),
        }
    }

    async fn run_many(jobs: Vec<(Self, Context<Yard>)>) -> Vec<anyhow::Result<Outcome>> {
        let yard = jobs[0].1.services().clone();
        let _dropped = Dropped(Arc::clone(&yard.dropped));
        let acts: Vec<_> = jobs.iter().map(|(job, _)| job.act).collect();
        yard.began.lock().unwrap().push(Instant::now());
        yard.batches.send_modify(|seen| seen.push(acts.clone()));
        assert!(!acts.contains(&Act::Panic), "it blew up");
        if acts.contains(&Act::Wait) {
            yard.gate.acquire().await.unwrap().forget();
        }
        let mut outcomes: Vec<anyhow::Result<Outcome>> = Vec::new();
        for (job, cx) in &jobs {
            outcomes.push(match job.act {
                Act::Fail => Err(anyhow::anyhow!("this one failed")),
                Act::Discard => Ok(Outcome::discard("pointless")),
                _ => Outcome::complete_with(&cx.job().id.to_string()).map_err(Into::into),
            });
        }
        if acts.contains(&Act::Miscount) {
            outcomes.pop();
        }
        outcomes
    }
}

struct Rig {
    store: Arc<MemoryStore>,
    client: Client,
    yard: Yard,
    stop: CancellationToken,
    engine: JoinHandle<()>,
}

fn options() -> EngineOptions {
    EngineOptions {
        queues: vec![("default".into(), SLOTS)],
        cancel_grace: Duration::from_millis(50),
        ..EngineOptions::default()
    }
}

impl Rig {
    /// Runs what is enqueued before it starts together, and later ones as they come.
    async fn start<const WINDOW: u64>(
        store: Arc<MemoryStore>,
        acts: &[Act],
        options: EngineOptions,
    ) -> (Self, Vec<JobId>) {
        let yard = Yard::default();
        let registry = Registry::new(yard.clone()).register_bulk::<Load<WINDOW>>();
        let engine = Engine::new(store.clone(), registry, options).unwrap();
        let (client, stop) = (engine.client(), CancellationToken::new());
        let ids = enqueue(&client, acts).await;
        let engine = tokio::spawn(engine.run(stop.clone()));
        let rig = Self {
            store,
            client,
            yard,
            stop,
            engine,
        };
        (rig, ids)
    }

    async fn until(&self, id: JobId, what: impl Fn(&JobRecord) -> bool) -> JobRecord {
        let wait = async {
            loop {
                let job = self.client.get(id, None).await.unwrap().unwrap();
                if what(&job) {
                    return job;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let met = tokio::time::timeout(PATIENCE, wait).await;
        met.expect("the job did not get there")
    }

    async fn finished(&self, ids: &[JobId]) -> Vec<JobRecord> {
        let mut jobs = Vec::new();
        for id in ids {
            jobs.push(self.until(*id, |job| job.state.is_finished()).await);
        }
        jobs
    }

    async fn stop(self) -> Arc<MemoryStore> {
        self.stop.cancel();
        let ended = tokio::time::timeout(PATIENCE, self.engine).await;
        ended.expect("the engine did not stop").unwrap();
        self.store
    }
}

async fn enqueue(client: &Client, acts: &[Act]) -> Vec<JobId> {
    let jobs: Vec<_> = acts
        .iter()
        .map(|act| client.prepare(&Load::<LONG> { act: *act }).unwrap())
        .collect();
    client.insert_many(&jobs).await.unwrap();
    jobs.iter().map(|job| job.id).collect()
}

fn outcome(job: &JobRecord) -> AttemptOutcome {
    let attempts = job.all_attempts();
    let [attempt] = &attempts[..] else {
        panic!("{attempts:?}")
    };
    attempt.outcome
}

fn error(job: &JobRecord) -> String {
    job.attempts[0].error.as_ref().unwrap().message.clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_never_larger_than_its_maximum_nor_later_than_its_window() {
    let (rig, ids) = Rig::start::<SHORT>(Arc::default(), &[Act::Succeed; 7], options()).await;
    let jobs = rig.finished(&ids).await;
    assert_eq!(rig.yard.sizes(), [3, 3, 1]);
    let at = rig.yard.began.lock().unwrap().clone();
    let (window, waited) = (Duration::from_millis(SHORT), at[2] - at[1]);
    assert!(waited >= window, "it waited {waited:?} for others");
    assert!(waited < window * 10, "it waited {waited:?}");
    for job in jobs {
        assert_eq!((job.state, job.attempt), (State::Completed, 1));
        let own = Json::encode(&job.id.to_string()).unwrap();
        assert_eq!(job.result, Some(own), "each has its own result");
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_has_its_own_outcome_and_args_that_do_not_decode_fail_alone() {
    let (rig, ids) =
        Rig::start::<LONG>(Arc::default(), &[Act::Succeed, Act::Fail], options()).await;
    let odd = NewJob::new("load", Json::parse(r#"{"act":"hunter2"}"#).unwrap());
    let odd = rig.client.insert(odd).await.unwrap().id();
    let odd = rig.until(odd, |job| job.state.is_finished()).await;
    assert!(error(&odd).contains("do not decode"), "{}", error(&odd));
    assert_eq!(
        rig.yard.sizes(),
        [0; 0],
        "it is no member of the batch that waits"
    );
    let last = enqueue(&rig.client, &[Act::Discard]).await;
    let jobs = rig.finished(&[ids, last].concat()).await;
    assert_eq!(rig.yard.sizes(), [3]);
    let ends: Vec<_> = jobs.iter().map(|job| (job.state, outcome(job))).collect();
    assert_eq!(
        ends,
        [
            (State::Completed, AttemptOutcome::Completed),
            (State::Dead, AttemptOutcome::Failed),
            (State::Dead, AttemptOutcome::Discarded)
        ]
    );
    assert_eq!(error(&jobs[1]), "this one failed");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_fails_each_of_its_batch_and_no_other() {
    let (rig, ids) = Rig::start::<LONG>(
        Arc::default(),
        &[Act::Succeed, Act::Panic, Act::Succeed],
        options(),
    )
    .await;
    for job in rig.finished(&ids).await {
        assert_eq!(
            (job.state, outcome(&job)),
            (State::Dead, AttemptOutcome::Panicked)
        );
        assert_eq!(error(&job), "it blew up");
        let trace = job.attempts[0].error.as_ref().unwrap().backtrace.clone();
        assert!(trace.unwrap().contains("tests/bulk_jobs.rs"));
    }
    let next = enqueue(&rig.client, &[Act::Succeed; 3]).await;
    for job in rig.finished(&next).await {
        assert_eq!(job.state, State::Completed);
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_number_of_outcomes_fails_each() {
    let (rig, ids) = Rig::start::<LONG>(
        Arc::default(),
        &[Act::Succeed, Act::Miscount, Act::Succeed],
        options(),
    )
    .await;
    for job in rig.finished(&ids).await {
        assert_eq!(job.state, State::Dead);
        let error = error(&job);
        assert!(
            error.contains("run_many of load answered 2 outcomes for 3 jobs"),
            "{error}"
        );
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_takes_too_long_is_dropped_with_the_last_of_its_jobs() {
    let (rig, ids) =
        Rig::start::<SHORT>(Arc::default(), &[Act::Wait, Act::Succeed], options()).await;
    for job in rig.finished(&ids).await {
        assert_eq!(
            (job.state, outcome(&job)),
            (State::Dead, AttemptOutcome::TimedOut)
        );
    }
    assert_eq!(rig.yard.sizes(), [2], "it began when the window was over");
    let dropped = tokio::time::timeout(PATIENCE, rig.yard.dropped.acquire()).await;
    dropped.expect("the handler still runs").unwrap().forget();
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_is_cancelled_and_the_others_go_on() {
    let (rig, ids) = Rig::start::<LONG>(Arc::default(), &[Act::Wait; 3], options()).await;
    rig.yard.until_begun(1).await;
    let asked = rig.client.cancel(ids[1], None).await.unwrap();
    assert_eq!(asked, Changed::Asked);
    let cancelled = rig.until(ids[1], |job| job.state.is_finished()).await;
    assert_eq!(cancelled.state, State::Cancelled);
    for id in [ids[0], ids[2]] {
        let job = rig.client.get(id, None).await.unwrap().unwrap();
        assert_eq!(job.state, State::Running);
    }
    rig.yard.gate.add_permits(1);
    for job in rig.finished(&[ids[0], ids[2]]).await {
        assert_eq!(job.state, State::Completed);
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_cancelled_before_its_batch_begins_is_never_in_it() {
    let (rig, ids) =
        Rig::start::<LONG>(Arc::default(), &[Act::Discard, Act::Succeed], options()).await;
    for id in &ids {
        rig.until(*id, |job| job.state == State::Running).await;
    }
    rig.client.cancel(ids[0], None).await.unwrap();
    let cancelled = rig.until(ids[0], |job| job.state.is_finished()).await;
    assert_eq!(cancelled.state, State::Cancelled);
    assert_eq!(rig.yard.sizes(), [0; 0]);
    let others = enqueue(&rig.client, &[Act::Succeed; 2]).await;
    rig.finished(&[vec![ids[1]], others].concat()).await;
    assert_eq!(*rig.yard.batches.borrow(), [[Act::Succeed; 3]]);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_hands_back_what_waits_and_what_runs_too_long() {
    let options = EngineOptions {
        grace: Duration::from_millis(50),
        ..options()
    };
    let (rig, ids) = Rig::start::<LONG>(Arc::default(), &[Act::Wait; 3], options).await;
    rig.yard.until_begun(1).await;
    let waiting = enqueue(&rig.client, &[Act::Succeed]).await;
    rig.until(waiting[0], |job| job.state == State::Running)
        .await;
    let yard = rig.yard.clone();
    let store = rig.stop().await;
    let handed_back = Client::new(store);
    for id in [ids, waiting].concat() {
        let job = handed_back.get(id, None).await.unwrap().unwrap();
        assert_eq!((job.state, job.attempt), (State::Available, 0));
        assert_eq!(outcome(&job), AttemptOutcome::Released);
    }
    assert_eq!(yard.sizes(), [3]);
    let dropped = tokio::time::timeout(PATIENCE, yard.dropped.acquire()).await;
    dropped.expect("the handler still runs").unwrap().forget();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_fewer_slots_than_its_maximum_it_goes_on_by_the_window() {
    let store = Arc::new(MemoryStore::default());
    let operator = Client::new(store.clone());
    let operator = operator.operator("ada", None);
    operator.set_slots("default", 2).await.unwrap();
    let (rig, ids) = Rig::start::<SHORT>(store, &[Act::Succeed; 4], options()).await;
    for job in rig.finished(&ids).await {
        assert_eq!(job.state, State::Completed);
    }
    assert_eq!(rig.yard.sizes(), [2, 2]);
    rig.stop().await;
}

#[tokio::test]
async fn windows_that_cannot_be_kept_are_refused_with_the_remedy() {
    let registry = Registry::new(Yard::default()).register_bulk::<Load<LONG>>();
    let options = EngineOptions {
        queues: vec![("default".into(), 2)],
        ..options()
    };
    let error = Engine::new(Arc::new(MemoryStore::default()), registry, options).unwrap_err();
    assert_eq!(error.field, "queues");
    for told in ["load takes up to 3 jobs at once", "default has 2"] {
        assert!(error.problem.contains(told), "{error}");
    }
    // Served by other processes, it is theirs to have the slots.
    let registry = Registry::new(Yard::default()).register_bulk::<Load<LONG>>();
    let options = EngineOptions {
        queues: vec![("other".into(), 1)],
        ..EngineOptions::default()
    };
    assert!(Engine::new(Arc::new(MemoryStore::default()), registry, options).is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_by_one_it_is_a_batch_of_its_own() {
    let yard = Yard::default();
    let registry = Registry::new(yard.clone()).register::<Load<LONG>>();
    let client = testing::client(&registry);
    enqueue(&client, &[Act::Succeed, Act::Fail]).await;
    let jobs = testing::drain(&client, registry).await.unwrap();
    let mut states: Vec<State> = jobs.iter().map(|job| job.state).collect();
    states.reverse();
    assert_eq!(states, [State::Completed, State::Dead]);
    assert_eq!(yard.sizes(), [1, 1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_of_a_test_does_them_together() {
    let yard = Yard::default();
    let registry = Registry::new(yard.clone()).register_bulk::<Load<SHORT>>();
    let client = testing::client(&registry);
    enqueue(&client, &[Act::Succeed; 3]).await;
    let jobs = testing::drain(&client, registry).await.unwrap();
    assert!(jobs.iter().all(|job| job.state == State::Completed));
    assert_eq!(yard.sizes(), [3]);
}

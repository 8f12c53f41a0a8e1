//! What is held stays held, and what is not started goes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use apalis::layers::WorkerBuilderExt;
use apalis_core::backend::TaskSink;
use apalis_core::error::BoxDynError;
use apalis_core::task::data::Data;
use apalis_core::worker::builder::WorkerBuilder;
use apalis_core::worker::context::WorkerContext;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use windlass::apalis::BackendOptions;
use windlass::model::{AttemptOutcome, Filter, Page};
use windlass::{JobId, State};

use crate::stores::{PATIENCE, Place, backend, ended, on_every_store, quick, task, until};

/// A handler that starts, and ends when it is let.
#[derive(Debug, Clone)]
struct Gate {
    started: Arc<Semaphore>,
    open: Arc<Semaphore>,
    runs: Arc<AtomicUsize>,
    worker: Arc<std::sync::Mutex<Option<WorkerContext>>>,
}

impl Gate {
    fn closed() -> Self {
        Self {
            started: Arc::new(Semaphore::new(0)),
            open: Arc::new(Semaphore::new(0)),
            runs: Arc::default(),
            worker: Arc::default(),
        }
    }

    async fn wait_started(&self) {
        let started = tokio::time::timeout(PATIENCE, self.started.acquire()).await;
        started
            .expect("the handler did not start")
            .unwrap()
            .forget();
    }

    fn worker(&self) -> WorkerContext {
        self.worker.lock().unwrap().clone().unwrap()
    }
}

async fn through(number: u32, gate: Data<Gate>, worker: WorkerContext) -> Result<u32, BoxDynError> {
    gate.runs.fetch_add(1, Ordering::SeqCst);
    *gate.worker.lock().unwrap() = Some(worker);
    gate.started.add_permits(1);
    gate.open.acquire().await?.forget();
    Ok(number)
}

fn worker(
    place: &Place,
    options: BackendOptions,
    gate: &Gate,
) -> impl Future<Output = Result<(), apalis_core::error::WorkerError>> + Send + 'static {
    WorkerBuilder::new("gated")
        .backend(backend::<u32>(place, options))
        .data(gate.clone())
        .concurrency(1)
        .build(through)
        .run()
}

/// A slow handler keeps its own lease and those of what waits behind it, for many leases; another worker
/// with an eager rescue gets nothing of it. (apalis' own driver sends no heartbeat while it holds a batch.)
async fn a_batch_stays_its_workers_however_slow_it_is(place: &Place) {
    let mut tasks = backend::<u32>(place, quick("slow"));
    let (first, one) = task(1);
    let (second, two) = task(2);
    tasks.push_task(one).await.unwrap();
    tasks.push_task(two).await.unwrap();
    let (ours, theirs) = (Gate::closed(), Gate::closed());
    let running = tokio::spawn(worker(place, quick("slow"), &ours));
    ours.wait_started().await;
    until(place, State::Running, 2).await;
    let other = tokio::spawn(worker(place, quick("slow"), &theirs));
    // The passing of time is what is tested: four leases.
    tokio::time::sleep(quick("slow").lease * 4).await;
    assert_eq!(theirs.runs.load(Ordering::SeqCst), 0);
    ours.open.add_permits(2);
    for id in [&first, &second] {
        ended::<_, u32>(&tasks, id).await.result.unwrap();
        let id = JobId::from_uuid(id.to_uuid());
        let job = place.open().get(id, None, None).await.unwrap().unwrap();
        assert_eq!((job.attempt, job.crashes, job.claim_no), (1, 0, 1));
    }
    assert_eq!(ours.runs.load(Ordering::SeqCst), 2);
    ours.worker().stop().unwrap();
    running.await.unwrap().unwrap();
    other.abort();
}

/// A worker that stops finishes what runs, under a lease that is kept meanwhile, and hands back at once what
/// it had claimed besides.
async fn a_stopping_worker_hands_back_at_once_and_keeps_what_runs(place: &Place) {
    let mut tasks = backend::<u32>(place, quick("stopping"));
    tasks.push_bulk(vec![1, 2, 3]).await.unwrap();
    let gate = Gate::closed();
    let running = tokio::spawn(worker(place, quick("stopping"), &gate));
    gate.wait_started().await;
    until(place, State::Running, 3).await;
    gate.worker().stop().unwrap();
    until(place, State::Available, 2).await;
    // The passing of time is what is tested: a drain of three leases.
    tokio::time::sleep(quick("stopping").lease * 3).await;
    until(place, State::Running, 1).await;
    gate.open.add_permits(1);
    tokio::time::timeout(PATIENCE, running)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    until(place, State::Completed, 1).await;
    let store = place.open();
    let jobs = store
        .list(&Filter::default(), Page::default(), None)
        .await
        .unwrap()
        .jobs;
    for job in jobs.iter().filter(|job| job.state == State::Available) {
        assert_eq!((job.attempt, job.crashes), (0, 0), "no attempt was used");
    }
    assert!(jobs.iter().all(|job| job.crashes == 0));
    assert_eq!(store.workers(None).await.unwrap(), [], "it signed off");
}

/// apalis cuts a worker off at its shutdown timeout: what ran goes back unused.
async fn a_worker_that_is_dropped_hands_back_what_it_held(place: &Place) {
    let mut tasks = backend::<u32>(place, quick("dropped"));
    tasks.push_bulk(vec![1, 2]).await.unwrap();
    let gate = Gate::closed();
    let running = tokio::spawn(worker(place, quick("dropped"), &gate));
    gate.wait_started().await;
    until(place, State::Running, 2).await;
    running.abort();
    until(place, State::Available, 2).await;
    let store = place.open();
    let jobs = store
        .list(&Filter::default(), Page::default(), None)
        .await
        .unwrap()
        .jobs;
    assert!(jobs.iter().all(|job| (job.attempt, job.crashes) == (0, 0)));
    let dropped = jobs.iter().flat_map(|job| &job.attempts);
    assert!(dropped.clone().count() > 0);
    assert!(
        dropped
            .clone()
            .all(|attempt| attempt.outcome == AttemptOutcome::Released)
    );
}

/// Paused by apalis' own means, a worker keeps nothing from others.
async fn a_paused_worker_hands_back_and_goes_on_when_resumed(place: &Place) {
    let mut tasks = backend::<u32>(place, quick("paused"));
    let (first, one) = task(1);
    let (second, two) = task(2);
    tasks.push_task(one).await.unwrap();
    tasks.push_task(two).await.unwrap();
    let gate = Gate::closed();
    let running = tokio::spawn(worker(place, quick("paused"), &gate));
    gate.wait_started().await;
    until(place, State::Running, 2).await;
    gate.worker().pause().unwrap();
    until(place, State::Available, 1).await;
    gate.open.add_permits(2);
    until(place, State::Completed, 1).await;
    assert_eq!(gate.runs.load(Ordering::SeqCst), 1);
    gate.worker().resume().unwrap();
    for id in [&first, &second] {
        ended::<_, u32>(&tasks, id).await.result.unwrap();
    }
    gate.worker().stop().unwrap();
    running.await.unwrap().unwrap();
}

on_every_store!(
    a_batch_stays_its_workers_however_slow_it_is,
    a_stopping_worker_hands_back_at_once_and_keeps_what_runs,
    a_worker_that_is_dropped_hands_back_what_it_held,
    a_paused_worker_hands_back_and_goes_on_when_resumed,
);

/// A handler that blocks its thread stops neither heartbeats nor outcomes, which are other tasks.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_handler_that_blocks_its_thread_keeps_its_lease() {
    let place = Place::sqlite().await;
    let mut tasks = backend::<u64>(&place, quick("blocking"));
    let (id, blocking) = task(1800);
    tasks.push_task(blocking).await.unwrap();
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let running = WorkerBuilder::new("blocked")
        .backend(tasks.clone())
        .build(async |millis: u64| std::thread::sleep(Duration::from_millis(millis)))
        .run_until(async move {
            stopped.cancelled().await;
            Ok::<(), std::io::Error>(())
        });
    let running = tokio::spawn(running);
    assert_eq!(ended::<_, ()>(&tasks, &id).await.result, Ok(()));
    stop.cancel();
    running.await.unwrap().unwrap();
    let id = JobId::from_uuid(id.to_uuid());
    let job = place.open().get(id, None, None).await.unwrap().unwrap();
    assert_eq!((job.attempt, job.crashes, job.claim_no), (1, 0, 1));
}

//! How tasks end: results, failures, panics, args that do not decode.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use apalis::layers::WorkerBuilderExt;
use apalis::layers::retry::RetryPolicy;
use apalis_core::backend::{FetchById, TaskSink};
use apalis_core::error::{AbortError, BoxDynError, DeferredError, RetryAfterError};
use apalis_core::task::attempt::Attempt;
use apalis_core::task::builder::TaskBuilder;
use apalis_core::task::data::Data;
use apalis_core::task::metadata::MetadataStore;
use apalis_core::task::status::Status;
use apalis_core::task::task_id::TaskId;
use apalis_core::worker::builder::WorkerBuilder;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use windlass::apalis::{Claimed, WindlassBackend};
use windlass::model::AttemptOutcome;
use windlass::{JobId, JobRecord, Json, NewJob, State};

use crate::stores::{Place, backend, ended, on_every_store, quick, task};

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Act {
    Greet(String),
    Fail,
    Abort,
    RetryAfter(u64),
    Defer,
    Panic,
    WaitForCancel,
}

#[derive(Debug, Clone, Default)]
struct Seen {
    runs: Arc<AtomicUsize>,
    waiting: Arc<tokio::sync::Notify>,
}

async fn act(
    act: Act,
    seen: Data<Seen>,
    id: TaskId,
    attempt: Attempt,
    metadata: MetadataStore,
    claimed: Data<Claimed>,
) -> Result<String, BoxDynError> {
    seen.runs.fetch_add(1, Ordering::SeqCst);
    match act {
        Act::Greet(name) => {
            claimed.progress(&"greeting").await?;
            let from = metadata.get("from").unwrap_or("nobody");
            let attempt = attempt.current();
            Ok(format!("{id} attempt {attempt}: hello {name} from {from}"))
        }
        Act::Fail => Err("boom".into()),
        Act::Abort => Err(AbortError::new("no such user").into()),
        Act::RetryAfter(secs) => {
            Err(RetryAfterError::new("too many requests", Duration::from_secs(secs)).into())
        }
        Act::Defer if seen.runs.load(Ordering::SeqCst) < 4 => {
            Err(DeferredError::new("not yet").into())
        }
        Act::Defer => Ok(format!("attempt {}", attempt.current())),
        Act::Panic => panic!("the handler panicked"),
        Act::WaitForCancel => {
            seen.waiting.notify_one();
            claimed.cancelled().cancelled().await;
            Err("told to end".into())
        }
    }
}

/// Runs `act` over a queue while a case goes on.
async fn working(backend: &WindlassBackend<Act>, seen: &Seen, case: impl Future<Output = ()>) {
    let stop = CancellationToken::new();
    let worker = WorkerBuilder::new("actor")
        .backend(backend.clone())
        .data(seen.clone())
        .concurrency(4)
        .build(act);
    let stopped = stop.clone();
    let signal = async move {
        stopped.cancelled().await;
        Ok::<(), std::io::Error>(())
    };
    let running = tokio::spawn(worker.run_until(signal));
    case.await;
    stop.cancel();
    running.await.unwrap().unwrap();
}

async fn job(place: &Place, id: &TaskId) -> JobRecord {
    let id = JobId::from_uuid(id.to_uuid());
    place.open().get(id, None, None).await.unwrap().unwrap()
}

async fn a_stock_handler_gets_what_it_asks_for_and_its_result_is_kept(place: &Place) {
    let mut tasks = backend::<Act>(place, quick("acts"));
    let seen = Seen::default();
    let id = TaskId::Uuid(JobId::new().as_uuid());
    let mut metadata = MetadataStore::default();
    metadata.insert("from", "grace").unwrap();
    let greet = TaskBuilder::new(Act::Greet("ada".into()))
        .task_id(id.clone())
        .with_metadata(metadata)
        .build();
    tasks.push_task(greet).await.unwrap();
    working(&tasks, &seen, async {
        let result = ended::<_, String>(&tasks, &id).await;
        assert_eq!(result.status, Status::Done);
        assert_eq!(
            result.result,
            Ok(format!("{id} attempt 1: hello ada from grace"))
        );
    })
    .await;
    let job = job(place, &id).await;
    assert_eq!((job.state, job.attempt), (State::Completed, 1));
    assert_eq!(job.progress, Some(Json::parse("\"greeting\"").unwrap()));
    let fetched = tasks.fetch_by_id(&id).await.unwrap().unwrap();
    assert_eq!(fetched.args, Json::parse(r#"{"greet":"ada"}"#).unwrap());
    assert_eq!(fetched.metadata().get("from"), Some("grace"));
}

async fn failures_back_off_in_the_store_and_abort_is_final(place: &Place) {
    let mut options = quick("acts");
    options.backoff = windlass::Backoff::constant(Duration::from_hours(1));
    let mut tasks = backend::<Act>(place, options);
    let seen = Seen::default();
    let (failing, first) = task(Act::Fail);
    let (aborting, second) = task(Act::Abort);
    let (later, third) = task(Act::RetryAfter(900));
    let (good, fourth) = task(Act::Greet("ada".into()));
    for task in [first, second, third] {
        tasks.push_task(task).await.unwrap();
    }
    working(&tasks, &seen, async {
        let aborted = ended::<_, String>(&tasks, &aborting).await;
        assert_eq!(aborted.status, Status::Killed);
        assert_eq!(aborted.result, Err("no such user".to_owned()));
        tasks.clone().push_task(fourth).await.unwrap();
        ended::<_, String>(&tasks, &good).await.result.unwrap();
    })
    .await;
    assert_eq!(
        seen.runs.load(Ordering::SeqCst),
        4,
        "nothing was repeated at once"
    );
    for (id, wait) in [(failing, 3600), (later, 900)] {
        let job = job(place, &id).await;
        assert_eq!((job.state, job.attempt), (State::Retryable, 1));
        let ended_at = job.attempts[0].ended_at;
        let waits = job.run_at.since(ended_at).as_secs_f64();
        assert!((waits - f64::from(wait)).abs() < 60.0, "{waits}");
    }
}

async fn attempts_are_used_up_and_a_deferred_one_uses_none(place: &Place) {
    let mut tasks = backend::<Act>(place, quick("acts"));
    let seen = Seen::default();
    let (deferred, first) = task(Act::Defer);
    tasks.push_task(first).await.unwrap();
    working(&tasks, &seen, async {
        let result = ended::<_, String>(&tasks, &deferred).await;
        assert_eq!(result.result, Ok("attempt 1".to_owned()));
    })
    .await;
    assert_eq!(seen.runs.load(Ordering::SeqCst), 4);
    let (failing, second) = task(Act::Fail);
    tasks.push_task(second).await.unwrap();
    working(&tasks, &seen, async {
        let result = ended::<_, String>(&tasks, &failing).await;
        assert_eq!(result.result, Err("boom".to_owned()));
    })
    .await;
    let job = job(place, &failing).await;
    assert_eq!((job.state, job.attempt), (State::Dead, 3));
    assert_eq!(seen.runs.load(Ordering::SeqCst), 7);
}

async fn a_panic_or_args_that_do_not_decode_end_one_task_and_not_the_worker(place: &Place) {
    let store = place.open();
    let mut tasks = backend::<Act>(place, quick("acts"));
    let mut strange = NewJob::new("acts", Json::parse(r#"{"secret":"hunter2"}"#).unwrap());
    strange.queue = "acts".into();
    store
        .enqueue(std::slice::from_ref(&strange), None)
        .await
        .unwrap();
    let (panicking, first) = task(Act::Panic);
    let (good, second) = task(Act::Greet("ada".into()));
    tasks.push_task(first).await.unwrap();
    tasks.push_task(second).await.unwrap();
    working(&tasks, &Seen::default(), async {
        ended::<_, String>(&tasks, &good).await.result.unwrap();
        let panicked = ended::<_, String>(&tasks, &panicking).await;
        assert_eq!(panicked.result, Err("the handler panicked".to_owned()));
        let odd = ended::<_, String>(&tasks, &TaskId::Uuid(strange.id.as_uuid())).await;
        let told = odd.result.unwrap_err();
        assert!(
            told.contains("do not decode") && !told.contains("hunter2"),
            "{told}"
        );
    })
    .await;
    let job = job(place, &panicking).await;
    assert_eq!((job.state, job.attempt), (State::Dead, 3));
    assert!(
        job.attempts
            .iter()
            .all(|a| a.outcome == AttemptOutcome::Panicked)
    );
    let odd = store.get(strange.id, None, None).await.unwrap().unwrap();
    assert_eq!((odd.state, odd.attempt), (State::Dead, 1));
}

async fn an_operator_stops_a_running_task(place: &Place) {
    let store = place.open();
    let mut tasks = backend::<Act>(place, quick("acts"));
    let (id, waiting) = task(Act::WaitForCancel);
    tasks.push_task(waiting).await.unwrap();
    let seen = Seen::default();
    working(&tasks, &seen, async {
        seen.waiting.notified().await;
        let asked = store
            .cancel(JobId::from_uuid(id.to_uuid()), None, None)
            .await
            .unwrap();
        assert_eq!(asked, windlass::store::Changed::Asked);
        let result = ended::<_, String>(&tasks, &id).await;
        assert_eq!(result.status, Status::Killed);
    })
    .await;
    assert_eq!(job(place, &id).await.state, State::Cancelled);
}

on_every_store!(
    a_stock_handler_gets_what_it_asks_for_and_its_result_is_kept,
    failures_back_off_in_the_store_and_abort_is_final,
    attempts_are_used_up_and_a_deferred_one_uses_none,
    a_panic_or_args_that_do_not_decode_end_one_task_and_not_the_worker,
    an_operator_stops_a_running_task,
);

#[tokio::test]
async fn a_retry_layer_repeats_within_one_attempt_of_ours() {
    let place = Place::memory();
    let mut tasks = backend::<u32>(&place, quick("flaky"));
    let (id, flaky) = task(7);
    tasks.push_task(flaky).await.unwrap();
    let runs = Arc::new(AtomicUsize::new(0));
    let handler = async |n: u32, runs: Data<Arc<AtomicUsize>>, stop: Data<CancellationToken>| {
        if runs.fetch_add(1, Ordering::SeqCst) < 2 {
            return Err(BoxDynError::from("not this time"));
        }
        assert!(!stop.is_cancelled());
        Ok(n)
    };
    let worker = WorkerBuilder::new("flaky")
        .backend(tasks.clone())
        .data(Arc::clone(&runs))
        .retry(RetryPolicy::retries(5))
        .build(handler);
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let running = tokio::spawn(worker.run_until(async move {
        stopped.cancelled().await;
        Ok::<(), std::io::Error>(())
    }));
    assert_eq!(ended::<_, u32>(&tasks, &id).await.result, Ok(7));
    stop.cancel();
    running.await.unwrap().unwrap();
    assert_eq!(runs.load(Ordering::SeqCst), 3);
    assert_eq!(job(&place, &id).await.attempt, 1);
}

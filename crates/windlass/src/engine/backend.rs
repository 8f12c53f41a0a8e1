//! The seam to apalis: its worker loop and tower layers run what our fetcher claimed.
//!
//! apalis sees a [`Backend`] that always has the next task or waits, never fails, and is never asked
//! to persist anything. It is handed no more tasks than the queue has slots, which may change while
//! they run. Around each task run, from the outside in: recording (this file), the deadline (this
//! file), a task of its own on the runtime, and catch-panic. See `docs/adr/0001`.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use apalis::layers::catch_panic::CatchPanicLayer;
use apalis_core::backend::finalize::Ephemeral;
use apalis_core::backend::{Backend, BackendConfig};
use apalis_core::error::BoxDynError;
use apalis_core::monitor::Monitor;
use apalis_core::task::Task;
use apalis_core::worker::builder::WorkerBuilder;
use apalis_core::worker::context::WorkerContext;
use apalis_core::worker::ext::parallelize::ParallelizeExt;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::{Notify, watch};
use tokio_util::task::AbortOnDropHandle;
use tower::{Layer, Service};

use super::context::{Attempt, Stop};
use super::executor::{Ended, panicked, perform};
use super::job::Outcome;

use super::registry::Registry;
use crate::telemetry;

/// Claimed jobs between a fetcher and its worker, and the count of both. Starts without slots: nothing
/// runs before it is [allowed](Feed::allow) to.
#[derive(Debug, Default)]
pub(super) struct Feed {
    ready: Mutex<Ready>,
    /// How many may run at once, for the fetcher.
    slots: watch::Sender<usize>,
    /// Buffered and running.
    outstanding: AtomicUsize,
    /// Attempts ended, ever.
    ended: AtomicUsize,
    /// The fetcher is woken when no more than this many are outstanding.
    low_water: AtomicUsize,
    drained: Notify,
}

#[derive(Debug, Default)]
struct Ready {
    jobs: VecDeque<Arc<Attempt>>,
    /// Handed out and not ended.
    running: usize,
    /// How many may run at once.
    slots: usize,
    worker: Option<Waker>,
}

impl Ready {
    fn next(&mut self) -> Option<Arc<Attempt>> {
        if self.running >= self.slots {
            return None;
        }
        let job = self.jobs.pop_front()?;
        self.running += 1;
        Some(job)
    }

    /// Whoever is to take the next job, if there is one and a slot for it.
    fn take_waker(&mut self) -> Option<Waker> {
        if self.jobs.is_empty() || self.running >= self.slots {
            return None;
        }
        self.worker.take()
    }
}

impl Feed {
    /// Lets so many jobs run at once from now on; none starts while it is 0. What runs is left alone.
    pub(super) fn allow(&self, slots: usize) {
        let worker = {
            let mut ready = self.ready();
            ready.slots = slots;
            ready.take_waker()
        };
        if let Some(worker) = worker {
            worker.wake();
        }
        self.slots
            .send_if_modified(|known| std::mem::replace(known, slots) != slots);
    }

    /// How many jobs may run at once, and whenever that changes.
    pub(super) fn slots(&self) -> watch::Receiver<usize> {
        self.slots.subscribe()
    }

    fn ready(&self) -> MutexGuard<'_, Ready> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands claimed jobs to the worker.
    pub(super) fn push(&self, jobs: impl IntoIterator<Item = Arc<Attempt>>) {
        let mut ready = self.ready();
        let before = ready.jobs.len();
        ready.jobs.extend(jobs);
        self.outstanding
            .fetch_add(ready.jobs.len() - before, Ordering::AcqRel);
        if let Some(worker) = ready.take_waker() {
            worker.wake();
        }
    }

    /// Takes back what has not started.
    pub(super) fn take_unstarted(&self) -> Vec<Arc<Attempt>> {
        let mut ready = self.ready();
        let jobs: Vec<_> = ready.jobs.drain(..).collect();
        self.outstanding.fetch_sub(jobs.len(), Ordering::AcqRel);
        jobs
    }

    pub(super) fn outstanding(&self) -> usize {
        self.outstanding.load(Ordering::Acquire)
    }

    pub(super) fn ended(&self) -> usize {
        self.ended.load(Ordering::Relaxed)
    }

    /// Waits until no more than `low_water` jobs are outstanding.
    pub(super) async fn drained_to(&self, low_water: usize) {
        self.low_water.store(low_water, Ordering::Release);
        while self.outstanding() > low_water {
            self.drained.notified().await;
        }
    }

    /// The next job, or later: when there is one and a slot for it.
    pub(super) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Arc<Attempt>> {
        let mut ready = self.ready();
        match ready.next() {
            Some(job) => Poll::Ready(job),
            None => {
                ready.worker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// How many have been handed out and have not ended.
    pub(super) fn running(&self) -> usize {
        self.ready().running
    }

    pub(super) fn one_ended(&self) {
        let worker = {
            let mut ready = self.ready();
            ready.running -= 1;
            ready.take_waker()
        };
        if let Some(worker) = worker {
            worker.wake();
        }
        self.ended.fetch_add(1, Ordering::Relaxed);
        let left = self.outstanding.fetch_sub(1, Ordering::AcqRel) - 1;
        if left <= self.low_water.load(Ordering::Acquire) {
            self.drained.notify_one();
        }
    }
}

/// What apalis polls.
#[derive(Debug)]
pub(super) struct FeedBackend {
    feed: Arc<Feed>,
    record: RecordLayer,
}

impl Backend for FeedBackend {
    type Task = Task<Arc<Attempt>>;
    type Error = Infallible;

    fn poll_ready(
        &mut self,
        _: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Option<Result<Self::Task, Infallible>>> {
        self.feed.poll_next(cx).map(|job| Some(Ok(Task::new(job))))
    }

    fn poll_close(
        &mut self,
        _: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }
}

impl BackendConfig for FeedBackend {
    type Args = Arc<Attempt>;
    type Id = uuid::Uuid;
    type Kind = Ephemeral;
    type Config = ();
    type Layer = RecordLayer;

    fn config(&self) -> &() {
        &()
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> RecordLayer {
        self.record.clone()
    }
}

/// Gets every end of every attempt, exactly once.
pub(super) type Record =
    Arc<dyn Fn(Arc<Attempt>, Result<Outcome, Ended>) -> BoxFuture<'static, ()> + Send + Sync>;

/// The outermost layer: whatever happens inside, the attempt's end is recorded.
#[derive(Clone)]
pub(super) struct RecordLayer {
    feed: Arc<Feed>,
    record: Record,
}

impl std::fmt::Debug for RecordLayer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordLayer").finish_non_exhaustive()
    }
}

#[derive(Debug, Clone)]
pub(super) struct RecordService<T> {
    inner: T,
    layer: RecordLayer,
}

impl<T> Layer<T> for RecordLayer {
    type Service = RecordService<T>;

    fn layer(&self, inner: T) -> Self::Service {
        RecordService {
            inner,
            layer: self.clone(),
        }
    }
}

impl<T> Service<Task<Arc<Attempt>>> for RecordService<T>
where
    T: Service<Task<Arc<Attempt>>, Response = Outcome, Error = BoxDynError>,
    T::Future: Send + 'static,
{
    type Response = ();
    type Error = BoxDynError;
    type Future = BoxFuture<'static, Result<(), BoxDynError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxDynError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, task: Task<Arc<Attempt>>) -> Self::Future {
        let attempt = Arc::clone(&task.args);
        let running = self.inner.call(task);
        let RecordLayer { feed, record } = self.layer.clone();
        async move {
            let result = running.await.map_err(ended);
            record(attempt, result).await;
            feed.one_ended();
            Ok(())
        }
        .boxed()
    }
}

/// The layers' errors are ours; anything else is a task of the runtime that did not end by itself.
fn ended(error: BoxDynError) -> Ended {
    match error.downcast::<Ended>() {
        Ok(ended) => *ended,
        Err(other) => Ended::Panicked(crate::model::AttemptError::new(other.to_string())),
    }
}

/// Ends attempts that take too long, were cancelled, lost their lease, or must stop with the
/// process: first by their token, then, if they do not heed it, by abandoning them.
#[derive(Debug, Clone)]
struct DeadlineLayer {
    cancel_grace: Duration,
}

#[derive(Debug, Clone)]
struct DeadlineService<T> {
    inner: T,
    cancel_grace: Duration,
}

impl<T> Layer<T> for DeadlineLayer {
    type Service = DeadlineService<T>;

    fn layer(&self, inner: T) -> Self::Service {
        DeadlineService {
            inner,
            cancel_grace: self.cancel_grace,
        }
    }
}

impl<T> Service<Task<Arc<Attempt>>> for DeadlineService<T>
where
    T: Service<Task<Arc<Attempt>>, Response = Outcome, Error = BoxDynError>,
    T::Future: Send + 'static,
{
    type Response = Outcome;
    type Error = BoxDynError;
    type Future = BoxFuture<'static, Result<Outcome, BoxDynError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxDynError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, task: Task<Arc<Attempt>>) -> Self::Future {
        let attempt = Arc::clone(&task.args);
        let running = Box::pin(self.inner.call(task));
        let cancel_grace = self.cancel_grace;
        async move { supervise(running, &attempt, attempt.options.timeout, cancel_grace).await }
            .boxed()
    }
}

/// Runs an attempt to its end: its own, its deadline's, or that of whoever told it to stop.
pub(super) async fn supervise<T>(
    mut running: impl Future<Output = Result<T, BoxDynError>> + Unpin,
    attempt: &Attempt,
    timeout: Duration,
    cancel_grace: Duration,
) -> Result<T, BoxDynError> {
    let why = tokio::select! {
        biased;
        result = &mut running => return told_to_end(result, attempt.told.get(), timeout),
        () = attempt.cancelled.cancelled() => attempt.told.get(),
        () = tokio::time::sleep(timeout) => {
            attempt.cancelled.cancel();
            Some(&Stop::TimedOut)
        }
    };
    let result = tokio::time::timeout(cancel_grace, &mut running)
        .await
        .unwrap_or_else(|_| {
            telemetry::handler_hung(attempt.job.id, &attempt.job.kind);
            Err(Ended::Stopped.into())
        });
    told_to_end(result, why, timeout)
}

/// How an attempt ended that may have been told to. A handler that finished its work all the same
/// has finished it; an error is put down to having been told.
fn told_to_end<T>(
    result: Result<T, BoxDynError>,
    why: Option<&Stop>,
    timeout: Duration,
) -> Result<T, BoxDynError> {
    let (Err(_), Some(why)) = (&result, why) else {
        return result;
    };
    Err(match why {
        Stop::TimedOut => Ended::TimedOut(timeout),
        Stop::Cancelled => Ended::Cancelled,
        Stop::Stopping => Ended::Stopped,
        Stop::LeaseLost => Ended::LeaseLost,
    }
    .into())
}

/// The innermost service.
#[derive(Debug)]
struct Perform<S> {
    registry: Arc<Registry<S>>,
}

impl<S: Clone + Send + Sync + 'static> Service<Task<Arc<Attempt>>> for Perform<S> {
    type Response = Outcome;
    type Error = BoxDynError;
    type Future = BoxFuture<'static, Result<Outcome, BoxDynError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxDynError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, task: Task<Arc<Attempt>>) -> Self::Future {
        let registry = Arc::clone(&self.registry);
        async move { perform(registry, task.args).await.map_err(Into::into) }.boxed()
    }
}

/// Adds the worker of one queue to apalis' monitor.
pub(super) fn register<S: Clone + Send + Sync + 'static>(
    monitor: Monitor,
    name: &str,
    cancel_grace: Duration,
    feed: &Arc<Feed>,
    registry: &Arc<Registry<S>>,
    record: &Record,
) -> Monitor {
    let (name, feed, registry) = (name.to_owned(), Arc::clone(feed), Arc::clone(registry));
    let record = RecordLayer {
        feed: Arc::clone(&feed),
        record: Arc::clone(record),
    };
    monitor.register(move |_| {
        WorkerBuilder::new(name.as_str())
            .backend(FeedBackend {
                feed: Arc::clone(&feed),
                record: record.clone(),
            })
            .layer(DeadlineLayer { cancel_grace })
            .parallelize(|attempt| AbortOnDropHandle::new(tokio::spawn(attempt)))
            .layer(CatchPanicLayer::with_panic_handler(
                |payload: &Box<dyn std::any::Any + Send>| panicked(&**payload),
            ))
            .build(Perform {
                registry: Arc::clone(&registry),
            })
    })
}

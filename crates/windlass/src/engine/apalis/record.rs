use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use apalis_core::error::{AbortError, BoxDynError, DeferredError, RetryAfterError};
use apalis_core::task::Task;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tower::{Layer, Service};
use tracing::Instrument;

use super::ids;
use super::options::BackendOptions;
use crate::engine::ContextError;
use crate::engine::backend::{Feed, supervise};
use crate::engine::context::{Attempt, kept};
use crate::engine::executor::{Ended, Failure, judge, panicked};
use crate::engine::failure::{permanent, retry_after, wait_for};
use crate::engine::job::Outcome;
use crate::engine::leases::Leases;
use crate::model::{Finish, JobId, Json};
use crate::telemetry;

/// Where ends of attempts go.
#[derive(Debug)]
struct Recorder {
    feed: Arc<Feed>,
    /// Weak: the completer ends once the driver and all attempts have let go.
    outcomes: mpsc::WeakSender<Finish>,
    leases: Arc<Leases>,
    options: Arc<BackendOptions>,
}

/// A task as this worker holds it. Handlers get it as `Data<Claimed>`.
#[derive(Debug, Clone)]
pub struct Claimed {
    attempt: Arc<Attempt>,
    recorder: Arc<Recorder>,
    again: Arc<OnceLock<Duration>>,
}

impl Claimed {
    /// The job's id: the task's own, if that is a UUID.
    pub fn id(&self) -> JobId {
        self.attempt.job.id
    }

    /// Fires when the attempt should end: cancelled by an operator, timed out, or its lease lost. A handler
    /// that ignores it is dropped a little later.
    pub fn cancelled(&self) -> &CancellationToken {
        &self.attempt.cancelled
    }

    /// Reports progress: any JSON an operator understands.
    pub async fn progress<T: Serialize + Sync + ?Sized>(
        &self,
        progress: &T,
    ) -> Result<(), ContextError> {
        let (store, lease) = (self.attempt.client.store(), self.attempt.job.lease());
        kept(store.progress(lease, &Json::encode(progress)?).await?)
    }

    /// Once this attempt has succeeded, runs the task again after so long; uses no attempt.
    pub(super) fn run_again(&self, wait: Duration) {
        // The first wish stands.
        let _ = self.again.set(wait);
    }

    pub(super) fn attempt(&self) -> &Attempt {
        &self.attempt
    }

    /// Ends a task that can never start.
    pub(super) fn set_aside(&self, error: &dyn std::error::Error) {
        let error = permanent(anyhow::Error::msg(error.to_string()));
        let end = self
            .begin()
            .map(|end| end.record(Err(Ended::Failed(Failure(error)))));
        if let Some(end) = end {
            tokio::spawn(end);
        }
    }

    /// Makes sure that its end is recorded, whatever happens; `None` if the worker has been closed.
    fn begin(&self) -> Option<End> {
        Some(End {
            outcomes: self.recorder.outcomes.upgrade()?,
            claimed: self.clone(),
            recorded: false,
        })
    }
}

/// The end of an attempt, still to come. Dropped without one, it hands the task back: its worker was
/// dropped with it.
struct End {
    claimed: Claimed,
    outcomes: mpsc::Sender<Finish>,
    recorded: bool,
}

impl End {
    async fn record(mut self, result: Result<Outcome, Ended>) {
        let attempt = &self.claimed.attempt;
        let job = &attempt.job;
        let now = attempt.now();
        let finish = judge(result, job, &attempt.options, now, &mut rand::rng());
        let (waited, ran) = (job.claimed_at.since(job.run_at), now.since(job.claimed_at));
        attempt.span().in_scope(|| {
            telemetry::attempt_ended(job, attempt.is_known(), finish.as_ref(), waited, ran);
        });
        attempt.client.count_attempt(job, finish.as_ref());
        match finish {
            // The completer lives as long as any sender: it cannot be gone.
            Some(finish) => drop(self.outcomes.send(finish).await),
            None => self.claimed.recorder.leases.forget([job.lease()]),
        }
        self.recorded = true;
    }
}

impl Drop for End {
    fn drop(&mut self) {
        if !self.recorded {
            // If there is no room, the lease runs out and the task is rescued.
            let _ = self
                .outcomes
                .try_send(Finish::release(self.claimed.attempt.job.lease()));
        }
        self.claimed.recorder.feed.one_ended();
    }
}

/// The outermost layer around a worker's own: supervises each attempt and records its end.
#[derive(Debug, Clone)]
pub struct RecordLayer {
    recorder: Arc<Recorder>,
}

impl RecordLayer {
    pub(super) fn new(
        feed: &Arc<Feed>,
        outcomes: &mpsc::Sender<Finish>,
        leases: &Arc<Leases>,
        options: &Arc<BackendOptions>,
    ) -> Self {
        Self {
            recorder: Arc::new(Recorder {
                feed: Arc::clone(feed),
                outcomes: outcomes.downgrade(),
                leases: Arc::clone(leases),
                options: Arc::clone(options),
            }),
        }
    }

    pub(super) fn claimed(&self, attempt: Arc<Attempt>) -> Claimed {
        Claimed {
            attempt,
            recorder: Arc::clone(&self.recorder),
            again: Arc::default(),
        }
    }
}

impl<T> Layer<T> for RecordLayer {
    type Service = RecordService<T>;

    fn layer(&self, inner: T) -> RecordService<T> {
        RecordService { inner }
    }
}

/// See [`RecordLayer`].
#[derive(Debug, Clone)]
pub struct RecordService<T> {
    inner: T,
}

impl<T, Args> Service<Task<Args>> for RecordService<T>
where
    T: Service<Task<Args>>,
    T::Response: Serialize + Send + 'static,
    T::Error: Into<BoxDynError>,
    T::Future: Send + 'static,
{
    type Response = T::Response;
    type Error = BoxDynError;
    type Future = BoxFuture<'static, Result<T::Response, BoxDynError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxDynError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, task: Task<Args>) -> Self::Future {
        let Some(claimed) = task.data().get::<Claimed>().cloned() else {
            // Not one of ours: nobody is told how it ends.
            return self.inner.call(task).map(|r| r.map_err(Into::into)).boxed();
        };
        let Some(end) = claimed.begin() else {
            return std::future::ready(Err("the worker has been closed".into())).boxed();
        };
        // Layers may panic before there is a future, as apalis' own does for an id that it knows.
        let called = catch_unwind(AssertUnwindSafe(|| self.inner.call(task)));
        async move {
            let (attempt, options) = (&claimed.attempt, &claimed.recorder.options);
            let handler = async {
                let ended = match called {
                    Ok(future) => AssertUnwindSafe(future).catch_unwind().await,
                    Err(panic) => Err(panic),
                };
                match ended {
                    Ok(result) => result.map_err(Into::into),
                    Err(panic) => Err(BoxDynError::from(panicked(&*panic))),
                }
            };
            let handler = telemetry::cause(&attempt.job)
                .scope(ids::within(claimed.id(), handler))
                .instrument(attempt.span().clone());
            let timeout = attempt.options.timeout;
            let result = supervise(Box::pin(handler), attempt, timeout, options.cancel_grace).await;
            let ended = match &result {
                Ok(response) => Ok(outcome(response, claimed.again.get())),
                Err(error) => Err(classified(error, options.deferred)),
            };
            end.record(ended).await;
            result
        }
        .boxed()
    }
}

/// What becomes of a task whose handler succeeded.
fn outcome<T: Serialize>(response: &T, again: Option<&Duration>) -> Outcome {
    if let Some(wait) = again {
        return Outcome::Snooze(*wait);
    }
    let result = Json::encode(response).inspect_err(|error| {
        // The work is done; to do it again would not help.
        tracing::warn!(%error, "a task's result cannot be kept");
    });
    Outcome::Complete {
        result: result.ok().filter(|result| result.as_str() != "null"),
    }
}

/// How an attempt ended, as its error says.
fn classified(error: &BoxDynError, deferred: Duration) -> Ended {
    if let Some(ended) = error.downcast_ref::<Ended>() {
        return match ended {
            Ended::Failed(failure) => {
                Ended::Failed(Failure(anyhow::Error::msg(failure.to_string())))
            }
            Ended::Panicked(error) => Ended::Panicked(error.clone()),
            Ended::TimedOut(after) => Ended::TimedOut(*after),
            Ended::Cancelled => Ended::Cancelled,
            Ended::Stopped => Ended::Stopped,
            Ended::LeaseLost => Ended::LeaseLost,
        };
    }
    let mut told = Vec::new();
    let mut class: fn(Duration, anyhow::Error) -> anyhow::Error = |_, error| error;
    let mut after = deferred;
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&**error);
    while let Some(this) = cause {
        // Layers wrap errors: what the handler said is somewhere within.
        if this.is::<AbortError>() {
            class = |_, error| permanent(error);
        } else if let Some(retry) = this.downcast_ref::<RetryAfterError>() {
            (after, class) = (retry.get_duration(), |after, error| {
                retry_after(after, error)
            });
        } else if this.is::<DeferredError>() {
            class = |after, error| wait_for(after, error);
        } else {
            told.push(this.to_string());
        }
        cause = this.source();
    }
    told.dedup();
    let mut told = told.into_iter().rev();
    let innermost = anyhow::Error::msg(told.next().unwrap_or_else(|| error.to_string()));
    let error = told.fold(innermost, anyhow::Error::context);
    Ended::Failed(Failure(class(after, error)))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;
    use crate::engine::JobOptions;
    use crate::model::{AttemptOutcome, ClaimedJob, Timestamp, Verdict};

    const NOW: Timestamp = Timestamp::from_micros(1_000_000);

    #[derive(Debug, thiserror::Error)]
    #[error("the mail server answered")]
    struct Wrapped(#[source] BoxDynError);

    fn finish(error: impl Into<BoxDynError>) -> Finish {
        let job = ClaimedJob {
            id: JobId::new(),
            kind: "test".into(),
            args: Json::empty_object(),
            queue: "test".into(),
            priority: 5,
            run_at: NOW,
            attempt: 1,
            max_attempts: 3,
            crashes: 0,
            claim_no: 1,
            tenant_id: None,
            correlation_id: None,
            trace_parent: None,
            ordering_key: None,
            enqueued_at: NOW,
            claimed_at: NOW,
            checkpoint: None,
        };
        let ended = classified(&error.into(), Duration::from_secs(5));
        let mut rng = rand::rngs::StdRng::seed_from_u64(1);
        judge(Err(ended), &job, &JobOptions::default(), NOW, &mut rng).unwrap()
    }

    #[test]
    fn an_error_says_what_becomes_of_its_task_also_from_within_others() {
        let at = |secs| NOW + Duration::from_secs(secs);
        let abort = || BoxDynError::from(AbortError::new("no such user"));
        assert_eq!(finish(abort()).verdict, Verdict::Dead);
        let wrapped = finish(Wrapped(abort()));
        assert_eq!(wrapped.verdict, Verdict::Dead);
        let told = wrapped.error.unwrap();
        assert_eq!(told.message, "the mail server answered");
        assert_eq!(told.chain, ["no such user"]);
        let later = RetryAfterError::new("429", Duration::from_secs(90));
        assert_eq!(finish(later).verdict, Verdict::Retry { at: at(90) });
        let deferred = finish(DeferredError::new("not yet"));
        assert_eq!(deferred.verdict, Verdict::Snooze { until: at(5) });
        assert_eq!(deferred.outcome, AttemptOutcome::Snoozed);
        assert!(matches!(finish("boom").verdict, Verdict::Retry { at } if at > NOW));
        assert_eq!(finish(Ended::Stopped).verdict, Verdict::Release);
    }
}

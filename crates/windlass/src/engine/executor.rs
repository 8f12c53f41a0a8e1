//! Runs one attempt, and decides what becomes of its job.
//!
//! [`perform`] is the innermost service under the tower layers; [`judge`] is the whole retry policy,
//! as a pure function.

use std::any::Any;
use std::backtrace::Backtrace;
use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Once};
use std::time::Duration;

use futures_util::FutureExt;
use rand::Rng;
use tracing::Instrument;

use super::context::{Attempt, Context};
use super::failure::{is_permanent, messages, permanent, retry_hint, wait_for};
use super::job::{JobOptions, Outcome};
use super::registry::Registry;
use super::sealing::{Content, OpenError};
use crate::model::{AttemptError, AttemptOutcome, ClaimedJob, Finish, Timestamp, Verdict};
use crate::telemetry;

/// How long a job whose key is missing waits before it looks again.
const KEY_PATIENCE: Duration = Duration::from_mins(5);

/// How an attempt ended, as seen by whoever ran it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Ended {
    /// The handler returned an error.
    #[error("the attempt failed")]
    Failed(#[source] Failure),
    /// The handler panicked.
    #[error("the attempt panicked")]
    Panicked(AttemptError),
    /// It ran longer than its kind allows.
    #[error("the attempt timed out after {0:?}")]
    TimedOut(Duration),
    /// An operator cancelled it and it stopped.
    #[error("the attempt was cancelled")]
    Cancelled,
    /// The process is stopping; the job goes back unused.
    #[error("the attempt was stopped with its process")]
    Stopped,
    /// Its lease was lost: nothing is recorded.
    #[error("the attempt lost its lease")]
    LeaseLost,
}

impl Ended {
    pub(super) fn failed(error: anyhow::Error) -> Self {
        Self::Failed(Failure(error))
    }
}

/// The handler's own error, which need not be a `std::error::Error` itself.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Failure(#[from] pub anyhow::Error);

/// What is to be recorded after an attempt: nothing if the job committed by itself or lost its
/// lease, else the verdict with its reason.
///
/// Pure: the same inputs and the same random numbers give the same verdict.
pub fn judge(
    result: Result<Outcome, Ended>,
    job: &ClaimedJob,
    options: &JobOptions,
    now: Timestamp,
    rng: &mut impl Rng,
) -> Option<Finish> {
    let ended = |verdict, outcome, error| {
        Some(Finish {
            lease: job.lease(),
            verdict,
            outcome,
            error,
        })
    };
    let failed = |outcome, error: AttemptError, rng: &mut _| {
        let verdict = if job.attempt >= job.max_attempts {
            Verdict::Dead
        } else {
            Verdict::Retry {
                at: now + options.backoff.wait(job.attempt, rng),
            }
        };
        ended(verdict, outcome, Some(error))
    };
    match result {
        Ok(Outcome::Complete { result }) => Some(Finish::complete(job.lease(), result)),
        Ok(Outcome::Committed(_)) | Err(Ended::LeaseLost) => None,
        Ok(Outcome::Snooze(delay)) => ended(
            Verdict::Snooze { until: now + delay },
            AttemptOutcome::Snoozed,
            None,
        ),
        Ok(Outcome::AwaitSignal { name, at_most }) => ended(
            Verdict::Await {
                signal: name,
                until: now + at_most,
            },
            AttemptOutcome::Snoozed,
            None,
        ),
        Ok(Outcome::RetryAt(_)) if job.attempt >= job.max_attempts => {
            let error = AttemptError::new("asked to be retried, but has no attempts left");
            ended(Verdict::Dead, AttemptOutcome::Failed, Some(error))
        }
        Ok(Outcome::RetryAt(at)) => ended(
            Verdict::Retry { at: at.max(now) },
            AttemptOutcome::Failed,
            None,
        ),
        Ok(Outcome::Cancel { reason }) => ended(
            Verdict::Cancel,
            AttemptOutcome::Cancelled,
            Some(AttemptError::new(reason)),
        ),
        Ok(Outcome::Discard { reason }) => ended(
            Verdict::Dead,
            AttemptOutcome::Discarded,
            Some(AttemptError::new(reason)),
        ),
        Err(Ended::Failed(Failure(error))) => {
            let (message, chain) = messages(&error);
            let told = AttemptError::new(message).with_chain(chain);
            if is_permanent(&error) {
                return ended(Verdict::Dead, AttemptOutcome::Failed, Some(told));
            }
            match retry_hint(&error) {
                Some(hint) if !hint.uses_attempt => {
                    let verdict = Verdict::Snooze {
                        until: now + hint.after,
                    };
                    ended(verdict, AttemptOutcome::Snoozed, Some(told))
                }
                Some(hint) if job.attempt < job.max_attempts => {
                    let verdict = Verdict::Retry {
                        at: now + hint.after,
                    };
                    ended(verdict, AttemptOutcome::Failed, Some(told))
                }
                _ => failed(AttemptOutcome::Failed, told, rng),
            }
        }
        Err(Ended::Panicked(error)) => failed(AttemptOutcome::Panicked, error, rng),
        Err(Ended::TimedOut(after)) => {
            let error = AttemptError::new(format!("did not end within {after:?}"));
            failed(AttemptOutcome::TimedOut, error, rng)
        }
        Err(Ended::Cancelled) => ended(Verdict::Cancel, AttemptOutcome::Cancelled, None),
        Err(Ended::Stopped) => Some(Finish::release(job.lease())),
    }
}

/// Finds the kind's handler and runs it.
pub(super) async fn perform<S: Clone + Send + Sync + 'static>(
    registry: Arc<Registry<S>>,
    attempt: Arc<Attempt>,
) -> Result<Outcome, Ended> {
    let job = &attempt.job;
    let Some(run) = registry.runner(&job.kind) else {
        // A newer program may know it: an ordinary failure, so that others get to try.
        let error = anyhow::anyhow!("this worker knows no kind {}", job.kind);
        return Err(Ended::Failed(Failure(error)));
    };
    let args = attempt
        .open(Content::Args, &job.args)
        .map_err(|error| unopened("args", &error))?;
    if let Some(checkpoint) = &job.checkpoint {
        let opened = attempt.open(Content::Checkpoint, checkpoint);
        opened.map_err(|error| unopened("the checkpoint", &error))?;
    }
    let context = Context::new(registry.services().clone(), Arc::clone(&attempt));
    let handler = run(context, args.as_ref().unwrap_or(&job.args));
    let handler = telemetry::cause(job).scope(IN_JOB.scope((), handler));
    handler.instrument(attempt.span().clone()).await
}

/// The outcome with its result as it is to be stored.
pub(super) fn kept(attempt: &Attempt, outcome: Outcome) -> Result<Outcome, Ended> {
    match outcome {
        Outcome::Complete {
            result: Some(result),
        } => attempt
            .seal(Content::Result, result)
            .map(|result| Outcome::Complete {
                result: Some(result),
            })
            // Unreachable with an engine, which does not start without the keys it needs.
            .map_err(|error| Ended::Failed(Failure(error.into()))),
        other => Ok(other),
    }
}

/// A key that is not there may have been forgotten in a deployment: its jobs wait and lose nothing.
/// What was tampered with can never run.
fn unopened(what: &'static str, error: &OpenError) -> Ended {
    let waits = matches!(error, OpenError::UnknownKey(_) | OpenError::Newer(_));
    let told = anyhow::anyhow!("{what}: {error}");
    Ended::Failed(Failure(if waits {
        wait_for(KEY_PATIENCE, told)
    } else {
        permanent(told)
    }))
}

tokio::task_local! {
    static IN_JOB: ();
}

thread_local! {
    static LAST_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps where a job panicked for its attempt's record, instead of printing it: a panic's message
/// may hold what belongs in no log. Panics elsewhere go on to the hook that was there before.
pub(super) fn install_panic_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if IN_JOB.try_with(|()| ()).is_ok() {
                let place = info.location().map(ToString::to_string).unwrap_or_default();
                let trace = format!("at {place}\n{}", Backtrace::force_capture());
                LAST_PANIC.with(|last| *last.borrow_mut() = Some(trace));
            } else {
                previous(info);
            }
        }));
    });
}

/// Runs a handler that does the jobs of several attempts; its panic is kept as one of an attempt is.
pub(super) async fn caught<T>(handler: impl Future<Output = T>) -> Result<T, AttemptError> {
    let handler = AssertUnwindSafe(IN_JOB.scope((), handler)).catch_unwind();
    handler.await.map_err(|payload| panic_error(&*payload))
}

/// What a panic left, on the thread it happened on.
pub(super) fn panicked(payload: &(dyn Any + Send)) -> Ended {
    Ended::Panicked(panic_error(payload))
}

fn panic_error(payload: &(dyn Any + Send)) -> AttemptError {
    let message = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panicked with a value that is no text".to_owned());
    let error = AttemptError::new(message);
    match LAST_PANIC.with(|last| last.borrow_mut().take()) {
        Some(trace) => error.with_backtrace(trace),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;
    use crate::engine::{permanent, retry_after, wait_for};
    use crate::model::{JobId, Json};

    const NOW: Timestamp = Timestamp::from_micros(1_000_000_000);

    fn job(attempt: u16, max_attempts: u16) -> ClaimedJob {
        ClaimedJob {
            id: JobId::new(),
            kind: "test".into(),
            args: Json::empty_object(),
            queue: "default".into(),
            priority: 5,
            run_at: NOW,
            attempt,
            max_attempts,
            crashes: 0,
            claim_no: 7,
            tenant_id: None,
            correlation_id: None,
            trace_parent: None,
            ordering_key: None,
            enqueued_at: NOW,
            claimed_at: NOW,
            checkpoint: None,
        }
    }

    fn verdict(result: Result<Outcome, Ended>, job: &ClaimedJob) -> Option<Finish> {
        judge(
            result,
            job,
            &JobOptions::default(),
            NOW,
            &mut StdRng::seed_from_u64(1),
        )
    }

    fn failing(error: anyhow::Error) -> Result<Outcome, Ended> {
        Err(Ended::Failed(Failure(error)))
    }

    proptest! {
        #[test]
        fn failures_retry_until_attempts_are_used_up_and_never_after(
            attempt in 1_u16..50, max in 1_u16..50, how in 0..3,
        ) {
            let result = match how {
                0 => failing(anyhow!("boom")),
                1 => Err(Ended::Panicked(AttemptError::new("boom"))),
                _ => Err(Ended::TimedOut(Duration::from_secs(1))),
            };
            let finish = verdict(result, &job(attempt, max)).unwrap();
            match finish.verdict {
                Verdict::Retry { at } => prop_assert!(attempt < max && at > NOW),
                Verdict::Dead => prop_assert!(attempt >= max),
                other => prop_assert!(false, "{other:?}"),
            }
            prop_assert!(finish.error.is_some());
        }
    }

    #[test]
    fn a_permanent_error_is_dead_at_once() {
        let finish = verdict(failing(permanent(anyhow!("no"))), &job(1, 10)).unwrap();
        assert_eq!(finish.verdict, Verdict::Dead);
        assert_eq!(finish.error.unwrap().message, "no");
    }

    #[test]
    fn an_error_may_name_its_own_time() {
        let wait = Duration::from_secs(30);
        let finish = verdict(failing(retry_after(wait, anyhow!("429"))), &job(1, 2)).unwrap();
        assert_eq!(finish.verdict, Verdict::Retry { at: NOW + wait });
        let finish = verdict(failing(retry_after(wait, anyhow!("429"))), &job(2, 2)).unwrap();
        assert_eq!(finish.verdict, Verdict::Dead, "it still uses attempts");
        let finish = verdict(failing(wait_for(wait, anyhow!("down"))), &job(2, 2)).unwrap();
        assert_eq!(
            finish.verdict,
            Verdict::Snooze { until: NOW + wait },
            "this one does not"
        );
    }

    #[test]
    fn stopping_hands_back_and_a_lost_lease_records_nothing() {
        assert_eq!(
            verdict(Err(Ended::Stopped), &job(1, 1)).unwrap().verdict,
            Verdict::Release
        );
        assert_eq!(verdict(Err(Ended::LeaseLost), &job(1, 1)), None);
        assert_eq!(
            verdict(Err(Ended::Cancelled), &job(1, 1)).unwrap().verdict,
            Verdict::Cancel
        );
    }
}

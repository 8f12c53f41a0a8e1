use std::time::Duration;

use crate::engine::backoff::Backoff;
use crate::engine::job::JobOptions;
use crate::engine::maintenance::Retention;
use crate::engine::runtime::{EngineOptions, InvalidOptions};
use crate::model::NewJob;

/// How a [`WindlassBackend`](super::WindlassBackend) stores, claims and retries. The defaults are meant
/// for production.
#[derive(Debug, Clone)]
pub struct BackendOptions {
    /// The queue.
    pub queue: String,
    /// The kind that its tasks are stored as; the queue's name.
    pub kind: String,
    /// How long a lease lasts, renewed at a third of it; 30 s.
    pub lease: Duration,
    /// The longest time between two looks at an idle queue; 1 s. Wake-ups make it faster.
    pub poll: Duration,
    /// How many tasks to have claimed beyond those that run; 10.
    pub ahead: usize,
    /// How many this worker has claimed at once at most, whatever its layers would let run; 1000.
    pub most: usize,
    /// How long an attempt may take; as long as it likes if none, which is the default.
    pub timeout: Option<Duration>,
    /// How long a handler that was cancelled or timed out gets before it is dropped; 2 s.
    pub cancel_grace: Duration,
    /// How long to wait between attempts; 2 s, 6 s, 18 s .. an hour.
    pub backoff: Backoff,
    /// How long a `DeferredError`, which names no time, waits; 5 s.
    pub deferred: Duration,
    /// The attempts of tasks that name none; 10.
    pub max_attempts: u16,
    /// How long an idempotency key is held after the push, besides while its task is unfinished; a day.
    pub unique_for: Duration,
    /// How long a push goes on trying while the store is away; 30 s. A schedule that is piped in should
    /// have much more: its worker ends with the push.
    pub patience: Duration,
    /// A task that takes its process down so often is set aside as dead; 3.
    pub max_crashes: u16,
    /// How long finished tasks are kept.
    pub retention: Retention,
    /// Whether this process may lead maintenance; yes.
    pub maintenance: bool,
}

impl BackendOptions {
    /// The defaults for a queue.
    pub fn new(queue: impl Into<String>) -> Self {
        let engine = EngineOptions::default();
        let queue = queue.into();
        Self {
            kind: queue.clone(),
            queue,
            lease: engine.lease,
            poll: engine.poll,
            ahead: 10,
            most: 1000,
            timeout: None,
            cancel_grace: engine.cancel_grace,
            backoff: Backoff::default(),
            deferred: Duration::from_secs(5),
            max_attempts: NewJob::DEFAULT_MAX_ATTEMPTS,
            unique_for: Duration::from_hours(24),
            patience: Duration::from_secs(30),
            max_crashes: engine.max_crashes,
            retention: engine.retention,
            maintenance: engine.maintenance,
        }
    }

    pub(super) fn validate(&self) -> Result<(), InvalidOptions> {
        let invalid = |field, problem: &str| {
            Err(InvalidOptions {
                field,
                problem: problem.to_owned(),
            })
        };
        let mut probe = NewJob::new(self.kind.clone(), crate::model::Json::empty_object());
        probe.queue.clone_from(&self.queue);
        probe.max_attempts = self.max_attempts;
        probe
            .validate(&crate::model::Limits::default())
            .map_err(|fault| InvalidOptions {
                field: fault.field,
                problem: fault.problem,
            })?;
        if self.ahead == 0 {
            return invalid("ahead", "zero; nothing could ever start, use at least 1");
        }
        if self.most == 0 || self.most > 100_000 {
            return invalid("most", "use 1 to 100000");
        }
        self.engine().validate()
    }

    /// The same, for what is shared with an engine.
    pub(super) fn engine(&self) -> EngineOptions {
        EngineOptions {
            queues: vec![(self.queue.clone(), self.most)],
            lease: self.lease,
            cancel_grace: self.cancel_grace,
            poll: self.poll,
            max_crashes: self.max_crashes,
            retention: self.retention,
            maintenance: self.maintenance,
            ..EngineOptions::default()
        }
    }

    /// The same, for its jobs.
    pub(super) fn job(&self) -> JobOptions {
        JobOptions {
            max_attempts: self.max_attempts,
            timeout: self.timeout.unwrap_or(Duration::MAX),
            backoff: self.backoff,
            ..JobOptions::default()
        }
    }
}

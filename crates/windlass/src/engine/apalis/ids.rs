use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use apalis_core::task::task_id::{GenerateId, TaskId};
use uuid::Uuid;

use crate::model::{InvalidId, JobId};

/// Makes the ids of tasks: sorted by time, and **the same again** when an attempt is repeated.
///
/// apalis-workflow pushes what follows a step, under ids that it asks of its backend, before the step
/// itself is recorded. A crash in between repeats the step; as the ids are made from the step's own id and
/// their number within the attempt, what it pushes again is known already, and does not run twice. That
/// holds for what is pushed from within the handler's own future (not from tasks that it spawned), in the
/// same order, while [`BackendOptions::unique_for`](super::BackendOptions::unique_for) lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(JobId);

tokio::task_local! {
    static WITHIN: Within;
}

/// The attempt that the current future is part of.
#[derive(Debug, Clone)]
struct Within {
    job: JobId,
    made: Arc<AtomicU64>,
}

/// Runs a handler so that the ids it makes are its job's.
pub(super) async fn within<T>(job: JobId, handler: impl Future<Output = T>) -> T {
    let made = Arc::default();
    WITHIN.scope(Within { job, made }, handler).await
}

/// Whether the caller is part of an attempt.
pub(super) fn are_repeatable() -> bool {
    WITHIN.try_with(|_| ()).is_ok()
}

impl Default for Id {
    fn default() -> Self {
        WITHIN
            .try_with(|within| {
                let number = within.made.fetch_add(1, Ordering::Relaxed);
                let made = Uuid::new_v5(&within.job.as_uuid(), &number.to_be_bytes());
                Self(JobId::from_uuid(made))
            })
            .unwrap_or_else(|_| Self(JobId::new()))
    }
}

impl GenerateId for Id {
    fn generate() -> TaskId {
        TaskId::Uuid(Self::default().0.as_uuid())
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Id {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        text.parse().map(Self)
    }
}

/// The job that a task is, whatever form its id has.
pub(super) fn job_id(task: &TaskId) -> JobId {
    JobId::from_uuid(task.to_uuid())
}

//! One operation over many jobs, as a job of its own: page by page, each in one transaction with the
//! note of how far it got, so that a crash repeats nothing and leaves nothing out.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::context::Context;
use super::job::Outcome;
use crate::model::{Cursor, Filter, InvalidJob, JobId, Json, Limits, NewJob, Page};
use crate::store::{Changed, Operate, Operation};

/// What the engine enqueues for itself goes under names that begin so.
const INTERNAL: &str = "windlass.";
/// Its kind. No program registers it, so nobody can enqueue it but [`Operator::bulk`](super::Operator).
pub(super) const KIND: &str = "windlass.bulk";
/// Where it waits, apart from everyone's work.
pub(super) const QUEUE: &str = "windlass";
/// How many of them a process runs at once.
pub(super) const SLOTS: usize = 2;

/// Jobs changed in one transaction.
const PAGE: u32 = 200;
/// After so long it lets others have its slot for a moment.
const TURN: Duration = Duration::from_secs(30);

/// What is to be done to which jobs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Bulk {
    pub(super) operation: Operation,
    pub(super) filter: Filter,
}

/// How far it got; also what it shows as its progress.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Done {
    /// Jobs that were looked at.
    seen: u64,
    /// Jobs that were changed.
    changed: u64,
    /// Jobs that run and were asked to stop.
    asked: u64,
    /// Jobs whose state did not allow it, or that were gone.
    skipped: u64,
    /// The last job that was looked at.
    after: Option<JobId>,
}

/// Whether it is the engine's own, which no bulk operation touches.
pub(super) fn is_internal(kind: &str) -> bool {
    kind.starts_with(INTERNAL)
}

impl Bulk {
    pub(super) const fn verb(&self) -> &'static str {
        match self.operation {
            Operation::Cancel => "cancel",
            Operation::Discard => "discard",
            Operation::Requeue => "requeue",
            Operation::Snooze => "snooze",
        }
    }

    pub(super) fn new_job(&self, limits: Limits) -> Result<NewJob, InvalidJob> {
        let job = NewJob {
            queue: QUEUE.to_owned(),
            tenant_id: self.filter.tenant_id.clone(),
            ..NewJob::new(KIND, Json::encode(self)?)
        };
        job.validate(&limits)?;
        Ok(job)
    }

    /// Goes on from where it stopped, for one turn.
    pub(super) async fn run<S: Clone + Send + Sync + 'static>(
        self,
        cx: Context<S>,
    ) -> anyhow::Result<Outcome> {
        let mut done: Done = cx.resume()?.unwrap_or_default();
        let began = Instant::now();
        while began.elapsed() < TURN {
            anyhow::ensure!(!cx.cancelled().is_cancelled(), "was told to stop");
            let goes_on = self.page(&cx, &mut done).await?;
            cx.progress(&done).await?;
            if !goes_on {
                return Ok(Outcome::complete_with(&done)?);
            }
        }
        Ok(Outcome::snooze(Duration::ZERO))
    }

    /// Whether it goes on.
    async fn page<S: Sync>(&self, cx: &Context<S>, done: &mut Done) -> anyhow::Result<bool> {
        let page = Page {
            after: done.after.map(Cursor),
            limit: PAGE,
        };
        let found = cx.client().matching(&self.filter, page).await?;
        let last = found.jobs.last().map(|job| Cursor(job.id));
        let Some(after) = found.next.or(last) else {
            return Ok(false);
        };
        let ids: Vec<JobId> = found
            .jobs
            .iter()
            .filter(|job| !is_internal(&job.kind))
            .map(|job| job.id)
            .collect();
        // What is counted is only known afterwards, so it is noted with the next page.
        let mut next = *done;
        next.after = Some(after.0);
        let note = Json::encode(&next)?;
        let operate = Operate {
            operation: self.operation,
            ids: &ids,
            tenant: self.filter.tenant_id.as_deref(),
            args: None,
            run_at: None,
            audit: None,
            checkpoint: Some((cx.job().lease(), &note)),
            now: None,
        };
        for changed in cx.client().store().operate(operate).await? {
            next.seen += 1;
            match changed {
                Changed::Done => next.changed += 1,
                Changed::Asked => next.asked += 1,
                Changed::Refused(_) | Changed::Held(_) | Changed::NotFound => next.skipped += 1,
            }
        }
        *done = next;
        Ok(found.next.is_some())
    }
}

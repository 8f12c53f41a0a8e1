use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use serde::Serialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::client::{Client, EnqueueError};
use super::job::{Committed, Job, JobOptions, Outcome};
use super::sealing::{Content, NoKeys, OpenError, Protection};
use crate::db;
use crate::model::{ClaimedJob, Enqueued, Finish, Json, NewJob, Recorded, Timestamp};
use crate::{store, telemetry};

/// What a running job knows and may do.
#[derive(Debug, Clone)]
pub struct Context<S> {
    services: S,
    pub(super) attempt: Arc<Attempt>,
}

/// A claimed job on its way to, or in, its handler. Shared by all who have to do with it: one
/// allocation, however many layers it passes.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) job: ClaimedJob,
    pub(super) options: Arc<JobOptions>,
    pub(super) client: Client,
    /// When the claim's answer came: later than the store's `claimed_at`, never earlier.
    pub(super) answered: Instant,
    pub(super) cancelled: CancellationToken,
    /// Set before the token fires.
    pub(super) told: OnceLock<Stop>,
    /// Set right before a commit that also completes the job: from then on the lease may be gone
    /// without being lost.
    pub(super) committing: AtomicBool,
    /// See [`Attempt::span`].
    pub(super) span: OnceLock<tracing::Span>,
}

/// Why an attempt must end before it ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    TimedOut,
    Cancelled,
    Stopping,
    LeaseLost,
}

/// Why an attempt could not record something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContextError {
    /// The lease was lost: the job is, or was, run elsewhere. Stop; nothing of this attempt counts.
    #[error("the lease was lost")]
    LeaseLost,
    /// The value cannot be written as JSON.
    #[error(transparent)]
    Json(#[from] crate::model::InvalidJson),
    /// A stored value is not of the type that was asked for. Says where, never what stands there.
    #[error(
        "{what} does not decode: a value at line {line}, column {column} has the wrong type or form"
    )]
    Decode {
        /// Which value.
        what: &'static str,
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// The value is to be sealed, and there is no key.
    #[error(transparent)]
    NoKeys(#[from] NoKeys),
    /// A stored value does not open.
    #[error("the checkpoint {0}")]
    Open(#[from] OpenError),
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl ContextError {
    pub(super) fn decode(what: &'static str, error: &serde_json::Error) -> Self {
        Self::Decode {
            what,
            line: error.line(),
            column: error.column(),
        }
    }
}

/// A lost lease is an error to whoever runs under it.
pub(super) const fn kept(recorded: Recorded) -> Result<(), ContextError> {
    match recorded {
        Recorded::Yes => Ok(()),
        Recorded::LeaseLost => Err(ContextError::LeaseLost),
    }
}

impl Attempt {
    /// Around all that is told of it, to its last word.
    pub(super) fn span(&self) -> &tracing::Span {
        self.span.get_or_init(|| telemetry::attempt_span(&self.job))
    }

    /// Whether this program has the job's kind; one that only carries others' has no list of them.
    pub(super) fn is_known(&self) -> bool {
        let catalogue = self.client.catalogue();
        catalogue.kinds().next().is_none() || catalogue.get(&self.job.kind).is_some()
    }

    /// Tells the attempt to end. The first reason stands.
    pub(super) fn stop(&self, why: Stop) {
        if self.told.set(why).is_ok() {
            self.cancelled.cancel();
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        let manual = self.client.store().manual_clock();
        manual.unwrap_or_else(|| self.job.claimed_at + self.answered.elapsed())
    }

    /// A value of this job as it is to be stored.
    pub(super) fn seal(&self, content: Content, json: Json) -> Result<Json, NoKeys> {
        let job = &self.job;
        let how = Protection {
            seal: self.options.seal,
            compress_above: self.options.compress_above,
        };
        let keys = self.client.keys();
        let stored = keys.protect(how, content, &job.kind, job.tenant_id.as_deref(), &json)?;
        Ok(stored.unwrap_or(json))
    }

    /// A stored value of this job as it was given; `None` if it is stored as it was given.
    pub(super) fn open(&self, content: Content, json: &Json) -> Result<Option<Json>, OpenError> {
        self.open_of(content, &self.job.kind, json)
    }

    /// The same of another job of its tenant.
    pub(super) fn open_of(
        &self,
        content: Content,
        kind: &str,
        json: &Json,
    ) -> Result<Option<Json>, OpenError> {
        self.client
            .open(content, kind, self.job.tenant_id.as_deref(), json)
    }
}

impl<S> Context<S> {
    pub(super) const fn new(services: S, attempt: Arc<Attempt>) -> Self {
        Self { services, attempt }
    }

    /// What every job gets to work with.
    pub const fn services(&self) -> &S {
        &self.services
    }

    /// The job as it was claimed, with args as they are stored: sealed or compressed, if its kind is.
    pub fn job(&self) -> &ClaimedJob {
        &self.attempt.job
    }

    /// This attempt, counted from 1.
    pub fn attempt(&self) -> u16 {
        self.attempt.job.attempt
    }

    /// The store's time, as far as this process can tell without asking: at most a claim's answer
    /// behind, never ahead. No two machines' clocks need to agree.
    pub fn now(&self) -> Timestamp {
        self.attempt.now()
    }

    /// Whether this is the last attempt the job has.
    pub fn is_last_attempt(&self) -> bool {
        self.attempt.job.attempt >= self.attempt.job.max_attempts
    }

    /// Fires when the attempt should end: cancelled by an operator, timed out, its lease lost, or
    /// the process stopping. Handlers that ignore it are aborted a little later.
    pub fn cancelled(&self) -> &CancellationToken {
        &self.attempt.cancelled
    }

    /// Enqueues and looks after other jobs.
    pub fn client(&self) -> &Client {
        &self.attempt.client
    }

    /// Reports progress: any JSON an operator understands.
    pub async fn progress<T: Serialize + Sync + ?Sized>(
        &self,
        progress: &T,
    ) -> Result<(), ContextError> {
        let progress = Json::encode(progress)?;
        let lease = self.attempt.job.lease();
        kept(self.store().progress(lease, &progress).await?)
    }

    /// A follow-up job that carries on this one's tenant, correlation id and trace.
    pub fn follow_up<J: Job>(&self, job: &J) -> Result<NewJob, EnqueueError> {
        let this = &self.attempt.job;
        let mut next = self.attempt.client.prepare(job)?;
        next.tenant_id = next.tenant_id.or_else(|| this.tenant_id.clone());
        next.correlation_id.clone_from(&this.correlation_id);
        next.trace_parent = telemetry::Cause::current()
            .trace_parent
            .or_else(|| this.trace_parent.clone());
        Ok(next)
    }

    /// Enqueues a follow-up within the job's own transaction.
    pub async fn enqueue_in<J: Job>(
        &self,
        tx: &mut db::Tx,
        job: &J,
    ) -> Result<Enqueued, EnqueueError> {
        self.attempt
            .client
            .insert_in(tx, self.follow_up(job)?)
            .await
    }

    /// Finishes the job **inside its own transaction** and commits: what the transaction wrote and
    /// the job's completion become durable together, exactly once, or not at all.
    ///
    /// If the lease was lost meanwhile, everything is rolled back.
    pub async fn commit(
        &self,
        mut tx: db::Tx,
        result: Option<Json>,
    ) -> Result<Outcome, ContextError> {
        let result = result
            .map(|result| self.attempt.seal(Content::Result, result))
            .transpose()?;
        let finish = Finish::complete(self.attempt.job.lease(), result);
        kept(self.store().finish_in(&mut tx, &finish, None).await?)?;
        self.attempt.committing.store(true, Ordering::Release);
        // If the reply to the commit is lost, this fails although it may have happened; the failure
        // is then recorded under the same fence, and refused if it did happen.
        tx.commit().await.map_err(store::Error::from)?;
        Ok(Outcome::Committed(Committed(())))
    }

    pub(super) fn store(&self) -> &dyn store::Store {
        &**self.attempt.client.store()
    }
}

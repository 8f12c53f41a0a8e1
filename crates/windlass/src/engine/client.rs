use std::sync::Arc;

use super::job::Job;
use super::registry::{Catalogue, prepare};
use crate::db;
use crate::model::{
    Enqueued, Filter, InvalidJob, JobId, JobRecord, Json, Limits, MAX_ENQUEUE, NewJob, Page,
    QueueStats, Timestamp, WorkerRecord,
};
use crate::store::{self, Changed, Store};
use crate::telemetry;

/// Enqueues jobs and looks after them. Cheap to clone; runs nothing itself.
#[derive(Debug, Clone)]
pub struct Client {
    store: Arc<dyn Store>,
    catalogue: Catalogue,
    limits: Limits,
}

/// Why a job was not enqueued. Nothing of it was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnqueueError {
    /// A field is at fault; it says which, and what would be right.
    #[error(transparent)]
    Invalid(#[from] InvalidJob),
    /// No program registered this kind.
    #[error("kind: unknown kind; known are {known}")]
    UnknownKind {
        /// All there are.
        known: String,
    },
    /// Another job holds its unique key, and it asked to be refused then.
    #[error("unique: job {0} holds this key")]
    Rejected(JobId),
    /// Its idempotency key was used for another request.
    #[error("idempotency_key: was used for another request, which made job {0}; use a new key")]
    IdempotencyMismatch(JobId),
    /// The store did not do it. It may have: repeat with the same job id or an idempotency key.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Client {
    /// A client that accepts any kind, for programs that enqueue what others run.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            catalogue: Catalogue::default(),
            limits: Limits::default(),
        }
    }

    /// Checks kinds and args that come as text against what is known.
    #[must_use]
    pub fn with_catalogue(mut self, catalogue: Catalogue) -> Self {
        self.catalogue = catalogue;
        self
    }

    /// Sets other bounds than the default ones.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The bounds on what may be enqueued.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// The kinds that are known.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// The store underneath.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// A job as its kind wants it enqueued; change what you like, then [`Client::insert`] it.
    pub fn prepare<J: Job>(&self, job: &J) -> Result<NewJob, EnqueueError> {
        Ok(prepare(job)?)
    }

    /// The same for a kind and args that come as text: both are checked.
    pub fn prepare_raw(&self, kind: &str, args: Json) -> Result<NewJob, EnqueueError> {
        let info = self
            .catalogue
            .get(kind)
            .ok_or_else(|| EnqueueError::UnknownKind {
                known: self.catalogue.kinds().collect::<Vec<_>>().join(", "),
            })?;
        Ok(info.prepare(args)?)
    }

    /// Enqueues a job: when this returns, it is durable.
    pub async fn enqueue<J: Job>(&self, job: &J) -> Result<Enqueued, EnqueueError> {
        self.insert(self.prepare(job)?).await
    }

    /// Enqueues a job within the caller's transaction: both happen, or neither.
    pub async fn enqueue_in<J: Job>(
        &self,
        tx: &mut db::Tx,
        job: &J,
    ) -> Result<Enqueued, EnqueueError> {
        self.insert_in(tx, self.prepare(job)?).await
    }

    /// Enqueues a prepared job.
    pub async fn insert(&self, job: NewJob) -> Result<Enqueued, EnqueueError> {
        job.validate(&self.limits)?;
        let enqueued = self.store.enqueue(std::slice::from_ref(&job), None).await?;
        telemetry::enqueued(std::slice::from_ref(&job), &enqueued);
        accepted(&enqueued)
    }

    /// Enqueues a prepared job within the caller's transaction.
    pub async fn insert_in(&self, tx: &mut db::Tx, job: NewJob) -> Result<Enqueued, EnqueueError> {
        job.validate(&self.limits)?;
        let enqueued = self
            .store
            .enqueue_in(tx, std::slice::from_ref(&job), None)
            .await?;
        telemetry::enqueued(std::slice::from_ref(&job), &enqueued);
        accepted(&enqueued)
    }

    /// Enqueues many, all or none, and says what became of each, in order.
    pub async fn insert_many(&self, jobs: &[NewJob]) -> Result<Vec<Enqueued>, EnqueueError> {
        if jobs.len() > MAX_ENQUEUE {
            let problem = format!(
                "{} jobs are more than {MAX_ENQUEUE}; split them",
                jobs.len()
            );
            return Err(InvalidJob::new("jobs", problem).into());
        }
        for (index, job) in jobs.iter().enumerate() {
            job.validate(&self.limits).map_err(|e| InvalidJob {
                field: e.field,
                problem: format!("{} (job {index} of the batch)", e.problem),
            })?;
        }
        let enqueued = self.store.enqueue(jobs, None).await?;
        telemetry::enqueued(jobs, &enqueued);
        Ok(enqueued)
    }

    /// One job.
    pub async fn get(
        &self,
        id: JobId,
        tenant: Option<&str>,
    ) -> Result<Option<JobRecord>, store::Error> {
        self.store.get(id, tenant, None).await
    }

    /// Jobs that match, newest first.
    pub async fn list(&self, filter: &Filter, page: Page) -> Result<Vec<JobRecord>, store::Error> {
        self.store.list(filter, page, None).await
    }

    /// Stops a job, or asks it to stop if it runs.
    pub async fn cancel(&self, id: JobId, tenant: Option<&str>) -> Result<Changed, store::Error> {
        let changed = self.store.cancel(id, tenant, None).await?;
        telemetry::operated("cancel", id, changed);
        Ok(changed)
    }

    /// Sets an unfinished job aside.
    pub async fn discard(&self, id: JobId, tenant: Option<&str>) -> Result<Changed, store::Error> {
        let changed = self.store.discard(id, tenant, None).await?;
        telemetry::operated("discard", id, changed);
        Ok(changed)
    }

    /// Makes a job available now.
    pub async fn requeue(&self, id: JobId, tenant: Option<&str>) -> Result<Changed, store::Error> {
        let changed = self.store.requeue(id, tenant, None).await?;
        telemetry::operated("requeue", id, changed);
        Ok(changed)
    }

    /// How each queue with unfinished jobs stands.
    pub async fn queues(&self) -> Result<Vec<QueueStats>, store::Error> {
        self.store.queues(None).await
    }

    /// The processes that run jobs.
    pub async fn workers(&self) -> Result<Vec<WorkerRecord>, store::Error> {
        self.store.workers(None).await
    }

    /// The store's clock; also the cheapest proof that it answers.
    pub async fn now(&self) -> Result<Timestamp, store::Error> {
        self.store.now().await
    }
}

/// Turns refusals into errors.
fn accepted(enqueued: &[Enqueued]) -> Result<Enqueued, EnqueueError> {
    match enqueued.first().copied() {
        Some(Enqueued::Rejected(id)) => Err(EnqueueError::Rejected(id)),
        Some(Enqueued::IdempotencyMismatch(id)) => Err(EnqueueError::IdempotencyMismatch(id)),
        Some(accepted) => Ok(accepted),
        None => Err(store::Error::Corrupt("an enqueue was not answered".to_owned()).into()),
    }
}

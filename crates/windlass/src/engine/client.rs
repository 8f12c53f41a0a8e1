use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use tracing::Instrument;

use super::job::Job;
use super::registry::{Catalogue, prepare};
use super::sealing::{Content, Form, KeyRing, NoKeys, OpenError, Protection, form};
use super::tally::{MINUTES_KEPT, Tally};
use crate::db;
use crate::model::{
    AttemptOutcome, ClaimedJob, CountedAt, Enqueued, Filter, Finish, Found, InvalidJob, JobId,
    JobRecord, Json, Limits, MAX_ENQUEUE, NewJob, Page, QueueStats, Timestamp, Verdict,
    WorkerRecord,
};
use crate::store::{self, Changed, Grain, Matched, Store, Tallied};
use crate::telemetry::{self, Cause};

/// Enqueues jobs and looks after them. Cheap to clone; runs nothing itself.
#[derive(Debug, Clone)]
pub struct Client {
    store: Arc<dyn Store>,
    catalogue: Catalogue,
    keys: KeyRing,
    limits: Limits,
    tally: Arc<Tally>,
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
    /// Its args are to be sealed, and there is no key.
    #[error(transparent)]
    NoKeys(#[from] NoKeys),
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
            keys: KeyRing::default(),
            limits: Limits::default(),
            tally: Arc::default(),
        }
    }

    /// Checks kinds and args that come as text against what is known.
    #[must_use]
    pub fn with_catalogue(mut self, catalogue: Catalogue) -> Self {
        self.catalogue = catalogue;
        self
    }

    /// Seals with the first of these keys, and opens with all of them.
    #[must_use]
    pub fn with_keys(mut self, keys: KeyRing) -> Self {
        self.keys = keys;
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

    /// The keys that seal and open.
    pub fn keys(&self) -> &KeyRing {
        &self.keys
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
        let span = telemetry::enqueue_span(std::slice::from_ref(&job));
        let job = span.in_scope(|| self.stored(job))?;
        let enqueued = self.store.enqueue(std::slice::from_ref(&job), None);
        let enqueued = enqueued.instrument(span).await?;
        self.count_enqueued(std::slice::from_ref(&job), &enqueued);
        accepted(&enqueued)
    }

    /// Enqueues a prepared job within the caller's transaction.
    pub async fn insert_in(&self, tx: &mut db::Tx, job: NewJob) -> Result<Enqueued, EnqueueError> {
        let span = telemetry::enqueue_span(std::slice::from_ref(&job));
        let job = span.in_scope(|| self.stored(job))?;
        let enqueued = self.store.enqueue_in(tx, std::slice::from_ref(&job), None);
        let enqueued = enqueued.instrument(span).await?;
        self.count_enqueued(std::slice::from_ref(&job), &enqueued);
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
        let span = telemetry::enqueue_span(jobs);
        let heir = span.in_scope(Cause::current) != Cause::default();
        let jobs = if heir || jobs.iter().any(|job| self.changes(job)) {
            let stored = jobs.iter().cloned().map(|job| self.protected(job));
            Cow::Owned(span.in_scope(|| stored.collect::<Result<_, _>>())?)
        } else {
            Cow::Borrowed(jobs)
        };
        let enqueued = self.store.enqueue(&jobs, None).instrument(span).await?;
        self.count_enqueued(&jobs, &enqueued);
        Ok(enqueued)
    }

    fn count_enqueued(&self, jobs: &[NewJob], enqueued: &[Enqueued]) {
        telemetry::enqueued(jobs, enqueued);
        self.tally.enqueued(&self.store, jobs, enqueued);
    }

    /// Counts how an attempt ended; none if it completed its job within its own transaction.
    pub(super) fn count_attempt(&self, job: &ClaimedJob, end: Option<&Finish>) {
        let (outcome, dead) = end.map_or((AttemptOutcome::Completed, false), |end| {
            (end.outcome, end.verdict == Verdict::Dead)
        });
        self.tally.attempt_ended(&self.store, job, outcome, dead);
    }

    /// Writes down what was counted so far.
    pub(super) async fn write_tally(&self) -> Result<(), store::Error> {
        self.tally.write(&*self.store).await
    }

    /// What was enqueued and attempted, per queue and step of time, oldest first: so far back, in steps so
    /// long. Steps are whole minutes, kept for two days; whole hours are kept for 92 days. Processes write
    /// what they counted every few seconds; nothing is counted to answer.
    pub async fn stats(
        &self,
        range: Duration,
        step: Duration,
    ) -> Result<Vec<CountedAt>, store::Error> {
        let minutes_are_kept = range <= MINUTES_KEPT;
        let tallied = Tallied {
            grain: if minutes_are_kept {
                Grain::Minute
            } else {
                Grain::Hour
            },
            range,
            step,
            now: None,
        };
        self.store.tallied(tallied).await
    }

    /// A job as it is to be stored: valid, under its kind's present name, its args sealed and compressed
    /// as its kind wants. Whatever writes jobs without [`Client::insert`] writes what this returns.
    pub(super) fn stored(&self, job: NewJob) -> Result<NewJob, EnqueueError> {
        job.validate(&self.limits)?;
        self.protected(job)
    }

    fn protected(&self, mut job: NewJob) -> Result<NewJob, EnqueueError> {
        inherit(&mut job, &Cause::current());
        if !self.changes(&job) {
            return Ok(job);
        }
        if let Some(info) = self.catalogue.get(&job.kind) {
            info.kind.clone_into(&mut job.kind);
            job.seal |= info.options.seal;
            job.compress_above = job.compress_above.or(info.options.compress_above);
        }
        let how = Protection {
            seal: job.seal,
            compress_above: job.compress_above,
        };
        let tenant = job.tenant_id.as_deref();
        let stored = self
            .keys
            .protect(how, Content::Args, &job.kind, tenant, &job.args)?;
        job.args = stored.unwrap_or(job.args);
        Ok(job)
    }

    /// Whether a job may be stored otherwise than it was given. Most are not, and cost no more for it.
    fn changes(&self, job: &NewJob) -> bool {
        job.seal
            || job.compress_above.is_some()
            || form(&job.args) != Form::Plain
            || self.catalogue.get(&job.kind).is_some_and(|info| {
                info.options.seal || info.options.compress_above.is_some() || info.kind != job.kind
            })
    }

    /// A job's args as they were given, whatever they are stored as.
    pub fn args_of(&self, job: &JobRecord) -> Result<Json, OpenError> {
        self.opened(Content::Args, job, &job.args)
    }

    /// A job's result as it was given, whatever it is stored as.
    pub fn result_of(&self, job: &JobRecord) -> Result<Option<Json>, OpenError> {
        let result = job.result.as_ref();
        result
            .map(|result| self.opened(Content::Result, job, result))
            .transpose()
    }

    fn opened(&self, content: Content, job: &JobRecord, json: &Json) -> Result<Json, OpenError> {
        let opened = self.open(content, &job.kind, job.tenant_id.as_deref(), json)?;
        Ok(opened.unwrap_or_else(|| json.clone()))
    }

    /// A stored value as it was given, under whichever of its kind's names it was sealed; `None` if it is
    /// stored as it was given.
    pub(super) fn open(
        &self,
        content: Content,
        kind: &str,
        tenant: Option<&str>,
        json: &Json,
    ) -> Result<Option<Json>, OpenError> {
        let opened = self.keys.open(content, kind, tenant, json);
        let (Err(OpenError::Tampered), Some(info)) = (&opened, self.catalogue.get(kind)) else {
            return opened;
        };
        let names = [info.kind].into_iter().chain(info.aliases.iter().copied());
        names
            .map(|name| self.keys.open(content, name, tenant, json))
            .find(Result::is_ok)
            .unwrap_or(opened)
    }

    /// One job.
    pub async fn get(
        &self,
        id: JobId,
        tenant: Option<&str>,
    ) -> Result<Option<JobRecord>, store::Error> {
        self.store.get(id, tenant, None).await
    }

    /// Jobs that match, newest first: a full page, or all there are. What is rare among millions may be
    /// long in coming; [`Client::search`] has a bound.
    pub async fn list(&self, filter: &Filter, page: Page) -> Result<Vec<JobRecord>, store::Error> {
        Ok(self.search(filter, page, Duration::MAX).await?.jobs)
    }

    /// Jobs that match, newest first: those found `within` the time, and where the search goes on.
    pub async fn search(
        &self,
        filter: &Filter,
        page: Page,
        within: Duration,
    ) -> Result<Found<JobRecord>, store::Error> {
        let Some(named) = self.under_each_name(filter) else {
            return store::search(&*self.store, filter, page, within).await;
        };
        let mut pages = Vec::with_capacity(named.len());
        for filter in &named {
            pages.push(store::search(&*self.store, filter, page, within).await?);
        }
        Ok(Found::merged(pages, page.limit, |job| job.id))
    }

    /// Which jobs match, newest first, as far as one search comes.
    pub(super) async fn matching(
        &self,
        filter: &Filter,
        page: Page,
    ) -> Result<Found<Matched>, store::Error> {
        let Some(named) = self.under_each_name(filter) else {
            return self.store.matching(filter, page, None).await;
        };
        let mut pages = Vec::with_capacity(named.len());
        for filter in &named {
            pages.push(self.store.matching(filter, page, None).await?);
        }
        Ok(Found::merged(pages, page.limit, |job| job.id))
    }

    /// The filters for a kind that has had other names: rows keep the one they were stored under.
    fn under_each_name(&self, filter: &Filter) -> Option<Vec<Filter>> {
        let info = self.catalogue.get(filter.kind.as_deref()?)?;
        let names = [info.kind].into_iter().chain(info.aliases.iter().copied());
        let under = |name: &str| Filter {
            kind: Some(name.to_owned()),
            ..filter.clone()
        };
        (!info.aliases.is_empty()).then(|| names.map(under).collect())
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

/// What a job does not say itself, it takes over from the work that enqueues it.
fn inherit(job: &mut NewJob, cause: &Cause) {
    if job.correlation_id.is_none() {
        job.correlation_id.clone_from(&cause.correlation_id);
    }
    // While the program traces, the span that enqueues is what the job was set off by.
    if cause.trace_parent.is_some() && (job.trace_parent.is_none() || telemetry::is_traced()) {
        job.trace_parent.clone_from(&cause.trace_parent);
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

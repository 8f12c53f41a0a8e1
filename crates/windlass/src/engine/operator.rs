//! What operators do, each act recorded with who did it and why.

use std::time::{Duration, Instant};

use crate::model::{
    Audit, AuditEntry, AuditFilter, Drain, Enqueued, Filter, InvalidJob, JobId, JobRecord, Json,
    MAX_SLOTS, Mute, NewJob, Page, Pause, Setting, Slots, State, Timestamp,
};
use crate::store::{self, ChangeSetting, Changed, MAX_MATCHED, Operate, Operation};
use crate::telemetry;

use super::bulk::{Bulk, is_internal};
use super::client::{Client, EnqueueError};
use super::sealing::OpenError;

/// For how long a preview goes on counting.
const COUNTING: Duration = Duration::from_millis(50);

/// The longest actor and reason that are kept, in characters.
const MAX_ACTOR: usize = 200;
const MAX_REASON: usize = 1000;

/// Somebody who looks after jobs: whatever is done through it is in the audit log, recorded in the
/// same transaction as the act itself, or before it.
///
/// ```
/// # use std::sync::Arc;
/// # use windlass::{Client, store::memory::MemoryStore};
/// # #[tokio::main]
/// # async fn main() -> Result<(), windlass::engine::OperatorError> {
/// # let client = Client::new(Arc::new(MemoryStore::default()));
/// let ada = client.operator("ada", Some("the provider is down"));
/// ada.set_slots("mail", 2).await?;
/// let log = client.audit(&Default::default(), None, 10).await?;
/// assert_eq!(log[0].audit.action, "queue.slots");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Operator {
    pub(super) client: Client,
    actor: String,
    reason: Option<String>,
}

/// What to pause: at least one of the three; see [`Pause`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PauseOf {
    /// Jobs of this queue.
    pub queue: Option<String>,
    /// Jobs of this kind.
    pub kind: Option<String>,
    /// Jobs of this tenant.
    pub tenant_id: Option<String>,
}

/// How many jobs a filter finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preview {
    /// So many.
    pub jobs: usize,
    /// Counting stopped here: there may be more.
    pub at_least: bool,
}

/// Why something was not done. Nothing of it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OperatorError {
    /// A field is at fault; it says which, and what would be right.
    #[error(transparent)]
    Invalid(#[from] InvalidJob),
    /// There is no such thing.
    #[error("there is no {what} {name}")]
    NotFound {
        /// What was looked for.
        what: &'static str,
        /// By which name.
        name: String,
    },
    /// The job's state does not allow it.
    #[error("a {0} job has not finished: wait for it or cancel it first")]
    Unfinished(State),
    /// The new job was refused.
    #[error(transparent)]
    Enqueue(#[from] EnqueueError),
    /// The job's args cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Client {
    /// Acts in somebody's name. Control characters are dropped from name and reason, and what is too
    /// long is cut off.
    pub fn operator(&self, actor: &str, reason: Option<&str>) -> Operator {
        let clean = |text: &str, most: usize| -> String {
            let text = text.chars().filter(|c| !c.is_control());
            text.take(most).collect::<String>().trim().to_owned()
        };
        Operator {
            client: self.clone(),
            actor: clean(actor, MAX_ACTOR),
            reason: reason
                .map(|reason| clean(reason, MAX_REASON))
                .filter(|reason| !reason.is_empty()),
        }
    }

    /// What is paused, including what is over and not yet tidied away.
    pub async fn pauses(&self) -> Result<Vec<Pause>, store::Error> {
        let settings = self.store().settings(Some(Pause::SPACE)).await?;
        Ok(decoded(&settings).map(|(_, pause)| pause).collect())
    }

    /// The errors that are muted, by fingerprint.
    pub async fn mutes(&self) -> Result<Vec<(String, Mute)>, store::Error> {
        let settings = self.store().settings(Some(Mute::SPACE)).await?;
        if settings.is_empty() {
            return Ok(Vec::new());
        }
        let now = self.now().await?;
        let stand = |(_, mute): &(String, Mute)| !mute.is_over(now);
        Ok(decoded(&settings).filter(stand).collect())
    }

    /// The queues whose slots were set, by name.
    pub async fn slots(&self) -> Result<Vec<(String, Slots)>, store::Error> {
        let settings = self.store().settings(Some(Slots::SPACE)).await?;
        Ok(decoded(&settings).collect())
    }

    /// Up to `limit` (1 to 1000) lines of the audit log, newest first, older than number `before`.
    pub async fn audit(
        &self,
        filter: &AuditFilter,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, store::Error> {
        self.store().audit(filter, before, limit).await
    }

    /// How many jobs [`Operator::bulk`] would go over now, as far as they are soon counted.
    pub async fn preview(&self, filter: &Filter) -> Result<Preview, store::Error> {
        let began = Instant::now();
        let mut page = Page {
            after: None,
            limit: MAX_MATCHED,
        };
        let mut preview = Preview {
            jobs: 0,
            at_least: false,
        };
        loop {
            let found = self.matching(filter, page).await?;
            let matched = u32::try_from(found.jobs.len()).unwrap_or(u32::MAX);
            let jobs = found.jobs.iter().filter(|job| !is_internal(&job.kind));
            preview.jobs = (preview.jobs + jobs.count()).min(MAX_MATCHED as usize - 1);
            page.limit = page.limit.saturating_sub(matched);
            page.after = found.next;
            preview.at_least = found.next.is_some();
            if !preview.at_least || page.limit == 0 || began.elapsed() >= COUNTING {
                return Ok(preview);
            }
        }
    }
}

/// A setting that cannot be read is as if it were not there; the engines say so.
fn decoded<T: serde::de::DeserializeOwned>(
    settings: &[Setting],
) -> impl Iterator<Item = (String, T)> {
    settings
        .iter()
        .filter_map(|setting| Some((setting.name.clone(), setting.value.decode().ok()?)))
}

impl Operator {
    pub(super) fn audit(&self, action: &str, subject: String) -> Audit {
        let audit = Audit::new(self.actor.as_str(), action, subject);
        Audit {
            reason: self.reason.clone(),
            ..audit
        }
    }

    /// Stops a job, or asks it to stop if it runs, wherever it runs.
    pub async fn cancel(&self, id: JobId, tenant: Option<&str>) -> Result<Changed, store::Error> {
        self.operate(Operation::Cancel, id, tenant, None, None)
            .await
    }

    /// Sets an unfinished job aside.
    pub async fn discard(&self, id: JobId, tenant: Option<&str>) -> Result<Changed, store::Error> {
        self.operate(Operation::Discard, id, tenant, None, None)
            .await
    }

    /// Makes a job available now.
    pub async fn requeue(&self, id: JobId, tenant: Option<&str>) -> Result<Changed, store::Error> {
        self.operate(Operation::Requeue, id, tenant, None, None)
            .await
    }

    /// Makes a job available at a time that lies ahead: revives a finished one with all its attempts.
    ///
    /// # Errors
    ///
    /// [`OperatorError::Invalid`] about `run_at` if the time has passed.
    pub async fn requeue_at(
        &self,
        id: JobId,
        tenant: Option<&str>,
        at: Timestamp,
    ) -> Result<Changed, OperatorError> {
        self.ahead(at).await?;
        Ok(self
            .operate(Operation::Requeue, id, tenant, None, Some(at))
            .await?)
    }

    /// Lets an unfinished job, which waits for its time or a worker, wait until another time. It keeps its
    /// attempts; a finished, running or blocked one is refused.
    ///
    /// # Errors
    ///
    /// [`OperatorError::Invalid`] about `run_at` if the time has passed.
    pub async fn snooze(
        &self,
        id: JobId,
        tenant: Option<&str>,
        until: Timestamp,
    ) -> Result<Changed, OperatorError> {
        self.ahead(until).await?;
        Ok(self
            .operate(Operation::Snooze, id, tenant, None, Some(until))
            .await?)
    }

    async fn ahead(&self, at: Timestamp) -> Result<(), OperatorError> {
        if at <= self.client.now().await? {
            let problem = "lies in the past; name a later time, or requeue it without one";
            return Err(InvalidJob::new("run_at", problem).into());
        }
        Ok(())
    }

    /// Makes a job available now, with other args, which its kind checks.
    pub async fn requeue_with(
        &self,
        id: JobId,
        tenant: Option<&str>,
        args: Json,
    ) -> Result<Changed, OperatorError> {
        let Some(job) = self.client.get(id, tenant).await? else {
            return Ok(Changed::NotFound);
        };
        let edited = self.client.stored(self.edited(&job, args)?)?;
        if edited.kind != job.kind {
            let problem = format!("is called {} now; run it again instead", edited.kind);
            return Err(InvalidJob::new("kind", problem).into());
        }
        let args = Some(&edited.args);
        Ok(self
            .operate(Operation::Requeue, id, tenant, args, None)
            .await?)
    }

    async fn operate(
        &self,
        operation: Operation,
        id: JobId,
        tenant: Option<&str>,
        args: Option<&Json>,
        run_at: Option<Timestamp>,
    ) -> Result<Changed, store::Error> {
        let verb = match operation {
            Operation::Cancel => "cancel",
            Operation::Discard => "discard",
            Operation::Requeue => "requeue",
            Operation::Snooze => "snooze",
        };
        let mut audit = self.audit(&format!("job.{verb}"), format!("job/{id}"));
        // What the args are is nobody's business here; that they were changed is.
        audit.after = args.map(|_| Json::trusted(r#"{"state":"available","args":"edited"}"#));
        let operate = Operate {
            operation,
            ids: &[id],
            tenant,
            args,
            run_at,
            audit: Some(&audit),
            checkpoint: None,
            now: None,
        };
        let changed = self.client.store().operate(operate).await?;
        let changed = changed.first().copied().unwrap_or(Changed::NotFound);
        telemetry::operated(verb, id, changed);
        Ok(changed)
    }

    /// Runs a finished job again as a new one, with other args if there are any, which its kind
    /// checks. It belongs to what the old one belonged to, and holds no unique key.
    pub async fn rerun(
        &self,
        id: JobId,
        tenant: Option<&str>,
        args: Option<Json>,
    ) -> Result<JobId, OperatorError> {
        let Some(job) = self.client.get(id, tenant).await? else {
            let name = id.to_string();
            return Err(OperatorError::NotFound { what: "job", name });
        };
        if !job.state.is_finished() {
            return Err(OperatorError::Unfinished(job.state));
        }
        let edited = if args.is_some() {
            "edited"
        } else {
            "as before"
        };
        let args = match args {
            Some(args) => args,
            None => self.client.args_of(&job)?,
        };
        let again = NewJob {
            unique: None,
            ..self.edited(&job, args)?
        };
        again.validate(&self.client.limits())?;
        let new = again.id;
        let mut audit = self.audit("job.rerun", format!("job/{id}"));
        audit.tenant_id.clone_from(&job.tenant_id);
        audit.after = Some(Json::trusted(format!(
            r#"{{"job":"{new}","args":"{edited}"}}"#
        )));
        self.client.store().record_audit(&audit, None).await?;
        Ok(self.client.insert(again).await.map(Enqueued::id)?)
    }

    /// The job as its kind would have it enqueued with these args, still belonging to what it did.
    fn edited(&self, job: &JobRecord, args: Json) -> Result<NewJob, OperatorError> {
        let new = self.client.prepare_raw(&job.kind, args)?;
        if new.tenant_id.is_some() && new.tenant_id != job.tenant_id {
            let problem = "name another tenant than the job's; enqueue a new job for that one";
            return Err(InvalidJob::new("args", problem).into());
        }
        Ok(NewJob {
            queue: job.queue.clone(),
            priority: job.priority,
            max_attempts: job.max_attempts,
            tags: job.tags.clone(),
            tenant_id: job.tenant_id.clone(),
            correlation_id: job.correlation_id.clone(),
            trace_parent: job.trace_parent.clone(),
            ordering_key: job.ordering_key.clone(),
            ..new
        })
    }

    /// Keeps jobs from being started in every process, within a second. What runs is left to finish.
    pub async fn pause(
        &self,
        what: PauseOf,
        until: Option<Timestamp>,
    ) -> Result<Pause, OperatorError> {
        let now = self.begins(until).await?;
        let pause = Pause {
            reason: self.reason.clone(),
            until,
            ..checked(what, &self.actor, now)?
        };
        let value = Json::encode(&pause).map_err(InvalidJob::from)?;
        self.change(
            "pause.set",
            Pause::SPACE,
            &pause.name(),
            Some(&value),
            "pause",
        )
        .await?;
        Ok(pause)
    }

    /// Ends a pause of exactly this; `false` if there is none.
    pub async fn resume(&self, what: PauseOf) -> Result<bool, OperatorError> {
        let pause = checked(what, &self.actor, Timestamp::EPOCH)?;
        self.change("pause.end", Pause::SPACE, &pause.name(), None, "pause")
            .await
    }

    /// Says that an error is known: jobs that fail with it need nobody's attention until the mute ends.
    pub async fn mute(
        &self,
        fingerprint: &str,
        until: Option<Timestamp>,
    ) -> Result<Mute, OperatorError> {
        let is_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        if !(1..=64).contains(&fingerprint.len()) || !fingerprint.chars().all(is_hex) {
            let problem = "is not the fingerprint of an error; the list of errors tells them";
            return Err(InvalidJob::new("fingerprint", problem).into());
        }
        let mute = Mute {
            reason: self.reason.clone(),
            by: self.actor.clone(),
            at: self.begins(until).await?,
            until,
        };
        let value = Json::encode(&mute).map_err(InvalidJob::from)?;
        self.change(
            "error.mute",
            Mute::SPACE,
            fingerprint,
            Some(&value),
            "error",
        )
        .await?;
        Ok(mute)
    }

    /// Ends a mute; `false` if there is none.
    pub async fn unmute(&self, fingerprint: &str) -> Result<bool, OperatorError> {
        self.change("error.unmute", Mute::SPACE, fingerprint, None, "error")
            .await
    }

    /// The time now, before which nothing may end.
    async fn begins(&self, until: Option<Timestamp>) -> Result<Timestamp, OperatorError> {
        let now = self.client.now().await?;
        if until.is_some_and(|until| until <= now) {
            let problem = "lies in the past; name a later time, or none";
            return Err(InvalidJob::new("until", problem).into());
        }
        Ok(now)
    }

    /// Lets each process run so many jobs of a queue at once from now on, whatever it was started
    /// with. What runs is left to finish.
    pub async fn set_slots(&self, queue: &str, slots: u32) -> Result<(), OperatorError> {
        let of = PauseOf {
            queue: Some(queue.to_owned()),
            ..PauseOf::default()
        };
        checked(of, &self.actor, Timestamp::EPOCH)?;
        if !(1..=MAX_SLOTS).contains(&slots) {
            let problem =
                format!("{slots} is not possible; 1 to {MAX_SLOTS} are. To stop, pause it");
            return Err(InvalidJob::new("slots", problem).into());
        }
        let value = Json::encode(&Slots { slots }).map_err(InvalidJob::from)?;
        self.change("queue.slots", Slots::SPACE, queue, Some(&value), "queue")
            .await?;
        Ok(())
    }

    /// Gives a queue the slots back that each process was started with; `false` if it has them.
    pub async fn reset_slots(&self, queue: &str) -> Result<bool, OperatorError> {
        self.change("queue.slots", Slots::SPACE, queue, None, "queue")
            .await
    }

    /// Lets a worker start nothing more: what it has claimed and not started is handed back.
    pub async fn drain(&self, worker: &str) -> Result<(), OperatorError> {
        let workers = self.client.workers().await?;
        if workers.iter().all(|known| known.id != worker) {
            let name = worker.to_owned();
            return Err(OperatorError::NotFound {
                what: "worker",
                name,
            });
        }
        let order = Drain {
            by: self.actor.clone(),
            at: self.client.now().await?,
            reason: self.reason.clone(),
        };
        let value = Json::encode(&order).map_err(InvalidJob::from)?;
        self.change("worker.drain", Drain::SPACE, worker, Some(&value), "worker")
            .await?;
        Ok(())
    }

    /// Lets a drained worker work again; `false` if it was not drained.
    pub async fn undrain(&self, worker: &str) -> Result<bool, OperatorError> {
        self.change("worker.undrain", Drain::SPACE, worker, None, "worker")
            .await
    }

    /// Whether there was something to change.
    async fn change(
        &self,
        action: &str,
        space: &str,
        name: &str,
        value: Option<&Json>,
        what: &str,
    ) -> Result<bool, OperatorError> {
        let audit = self.audit(action, format!("{what}/{name}"));
        let change = ChangeSetting {
            space,
            name,
            value,
            expected: None,
            audit: &audit,
            now: None,
        };
        let changed = self.client.store().change_setting(change).await?;
        telemetry::setting_changed(action, name);
        Ok(changed.before.is_some() || changed.after.is_some())
    }

    /// Does one thing to all jobs that match, in the background: gives the job that does it, which
    /// shows its progress and may be cancelled. Any engine with maintenance runs it.
    ///
    /// # Errors
    ///
    /// An empty filter matches every job: it is refused unless `all` says that this is meant.
    pub async fn bulk(
        &self,
        operation: Operation,
        filter: Filter,
        all: bool,
    ) -> Result<JobId, OperatorError> {
        if filter == Filter::default() && !all {
            let problem =
                "is empty and would match every job; name at least one field, or say `all`";
            return Err(InvalidJob::new("filter", problem).into());
        }
        if operation == Operation::Snooze {
            let problem =
                "snooze is for one job at a time; pause the queue, the kind or the tenant instead";
            return Err(InvalidJob::new("operation", problem).into());
        }
        let bulk = Bulk { operation, filter };
        let job = bulk.new_job(self.client.limits())?;
        let (id, verb) = (job.id, bulk.verb());
        let mut audit = self.audit(&format!("jobs.{verb}"), format!("job/{id}"));
        audit.tenant_id.clone_from(&bulk.filter.tenant_id);
        audit.after = Some(job.args.clone());
        self.client.store().record_audit(&audit, None).await?;
        Ok(self.client.insert(job).await.map(Enqueued::id)?)
    }
}

/// A pause of something, whose names could be those of a job.
fn checked(what: PauseOf, by: &str, at: Timestamp) -> Result<Pause, OperatorError> {
    let pause = Pause {
        queue: what.queue,
        kind: what.kind,
        tenant_id: what.tenant_id,
        ..Pause::by(by, at)
    };
    if pause.is_empty() {
        let problem = "nothing is named; name a queue, a kind or a tenant";
        return Err(InvalidJob::new("queue", problem).into());
    }
    let like = NewJob::new(pause.kind.as_deref().unwrap_or("any"), Json::empty_object());
    let like = NewJob {
        queue: pause.queue.clone().unwrap_or(like.queue),
        tenant_id: pause.tenant_id.clone(),
        ..like
    };
    like.validate(&crate::model::Limits::default())?;
    Ok(pause)
}

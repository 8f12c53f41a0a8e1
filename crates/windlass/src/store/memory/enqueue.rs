//! Enqueueing: the same id, then the idempotency key, then the unique key decide whether another
//! job stands for the new one.

use super::Data;
use super::jobs::unblocked;
use crate::model::{
    Conflict, Enqueued, Idempotency, JobId, JobRecord, NewJob, State, Timestamp, Unique,
};

/// Kind, tenant, key.
pub(super) type UniqueKey = (String, Option<String>, String);

/// Who took a unique key last. The key is held while that job is unfinished, and until a time.
#[derive(Debug, Clone)]
pub(super) struct Held {
    by: JobId,
    until: Timestamp,
}

/// The answer to a request, until a time.
#[derive(Debug, Clone)]
pub(super) struct Remembered {
    job: JobId,
    digest: String,
    until: Timestamp,
}

impl Data {
    pub(super) fn enqueue(&mut self, job: &NewJob, now: Timestamp) -> Enqueued {
        if self.jobs.get(job.id).is_some() {
            return Enqueued::Duplicate(job.id);
        }
        if let Some(answer) = self.answer_of_the_same_request(job, now) {
            return answer;
        }
        let record = record(job, now);
        let holder = key_of(&record).and_then(|key| self.holder(&key, now));
        let answer = match (&job.unique, holder) {
            (Some(unique), Some(holder)) => self.collide(unique, &record, holder, now),
            _ => {
                if let Some(key) = &job.limit_key {
                    self.jobs.limit_by(job.id, key);
                }
                self.insert(job.unique.as_ref(), record, now)
            }
        };
        if let Some(idempotency) = &job.idempotency {
            self.remember(idempotency, job, answer, now);
        }
        answer
    }

    /// The unfinished or recent job that holds a unique key.
    pub(super) fn holder(&self, key: &UniqueKey, now: Timestamp) -> Option<JobId> {
        let held = self.unique.get(key)?;
        self.is_held(held, now).then_some(held.by)
    }

    /// Gives a revived job its key back. Its window is reckoned from the enqueue, so it is over, or
    /// the key was never anyone else's.
    pub(super) fn retake(&mut self, key: UniqueKey, by: JobId) {
        let until = Timestamp::EPOCH;
        let held = self.unique.entry(key).or_insert(Held { by, until });
        if held.by != by {
            *held = Held { by, until };
        }
    }

    /// Forgets keys that nothing holds any more.
    pub(super) fn drop_expired_keys(&mut self, now: Timestamp) {
        let mut unique = std::mem::take(&mut self.unique);
        unique.retain(|_, held| self.is_held(held, now));
        self.unique = unique;
        self.idempotency.retain(|_, request| now < request.until);
    }

    fn is_held(&self, held: &Held, now: Timestamp) -> bool {
        let unfinished = |job: &JobRecord| !job.state.is_finished();
        now < held.until || self.jobs.get(held.by).is_some_and(unfinished)
    }

    fn answer_of_the_same_request(&self, job: &NewJob, now: Timestamp) -> Option<Enqueued> {
        let request = self.idempotency.get(&job.idempotency_scope()?)?;
        if now >= request.until {
            return None;
        }
        Some(match &job.idempotency {
            Some(idempotency) if idempotency.digest != request.digest => {
                Enqueued::IdempotencyMismatch(request.job)
            }
            _ => Enqueued::Duplicate(request.job),
        })
    }

    fn insert(&mut self, unique: Option<&Unique>, job: JobRecord, now: Timestamp) -> Enqueued {
        let id = job.id;
        if let (Some(key), Some(unique)) = (key_of(&job), unique) {
            let until = unique
                .window
                .map_or(Timestamp::EPOCH, |window| now + window);
            self.unique.insert(key, Held { by: id, until });
        }
        self.jobs.insert(job, now);
        Enqueued::Inserted(id)
    }

    fn collide(
        &mut self,
        unique: &Unique,
        newer: &JobRecord,
        holder: JobId,
        now: Timestamp,
    ) -> Enqueued {
        let replaceable = |job: &JobRecord| job.state.is_claimable() || job.state == State::Waiting;
        match unique.conflict {
            Conflict::Reject => Enqueued::Rejected(holder),
            Conflict::Replace if self.jobs.get(holder).is_some_and(replaceable) => {
                self.jobs.change(holder, now, |job| {
                    job.args = newer.args.clone();
                    job.priority = newer.priority;
                    job.run_at = newer.run_at;
                    if job.state != State::Waiting {
                        job.state = unblocked(job.run_at, now);
                    }
                });
                Enqueued::Replaced(holder)
            }
            Conflict::ReturnExisting | Conflict::Replace => Enqueued::Duplicate(holder),
        }
    }

    /// A refused request is not remembered: asked again, it is judged again.
    fn remember(&mut self, asked: &Idempotency, job: &NewJob, answer: Enqueued, now: Timestamp) {
        if let (
            Some(scope),
            Enqueued::Inserted(id) | Enqueued::Duplicate(id) | Enqueued::Replaced(id),
        ) = (job.idempotency_scope(), answer)
        {
            let request = Remembered {
                job: id,
                digest: asked.digest.clone(),
                until: now + asked.window,
            };
            self.idempotency.insert(scope, request);
        }
    }
}

/// The space of keys that a job with a unique key lives in, as [`NewJob::unique_scope`] has it.
pub(super) fn key_of(job: &JobRecord) -> Option<UniqueKey> {
    let key = job.unique_key.clone()?;
    Some((job.kind.clone(), job.tenant_id.clone(), key))
}

pub(super) fn record(job: &NewJob, now: Timestamp) -> JobRecord {
    let run_at = job.run_at.resolve(now);
    JobRecord {
        id: job.id,
        kind: job.kind.clone(),
        args: job.args.clone(),
        queue: job.queue.clone(),
        priority: job.priority,
        state: unblocked(run_at, now),
        run_at,
        attempt: 0,
        max_attempts: job.max_attempts,
        crashes: 0,
        claim_no: 0,
        tags: job.tags.clone(),
        tenant_id: job.tenant_id.clone(),
        correlation_id: job.correlation_id.clone(),
        trace_parent: job.trace_parent.clone(),
        unique_key: job.unique.as_ref().map(|unique| unique.key.clone()),
        ordering_key: job.ordering_key.clone(),
        enqueued_at: now,
        claimed_at: None,
        worker: None,
        lease_expires_at: None,
        cancel_requested_at: None,
        progress: None,
        result: None,
        finished_at: None,
        attempts: Vec::new(),
    }
}

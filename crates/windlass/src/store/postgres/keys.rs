//! Unique and idempotency keys.
//!
//! Every key that a call names is a row of `unique_keys`, locked (and added if it is missing) before
//! anything is decided; then all that counts is read, decided here in the order of the jobs, and
//! written. A unique key is held while its job is among the unfinished ones, which finishing a job
//! changes by itself, and until its window ends. Keys are locked in order, before lines and jobs.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};

use sqlx::Row;
use uuid::Uuid;

use super::rows;
use super::{Error, Session, enqueue, sql};
use crate::model::{Conflict, Enqueued, JobId, NewJob, Timestamp};

/// The full unique key, as [`NewJob::unique_scope`] has it.
pub(super) fn scope(kind: &str, tenant: Option<&str>, key: &str) -> String {
    format!(
        "unique\u{1f}{kind}\u{1f}{}\u{1f}{key}",
        tenant.unwrap_or_default()
    )
}

/// Who took a key last.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Held {
    job: Option<JobId>,
    until: Option<Timestamp>,
    digest: Option<String>,
}

/// All that decides about the jobs of one call, kept up to date from job to job.
#[derive(Debug)]
struct Desk<'a> {
    now: Timestamp,
    keys: HashMap<String, Held>,
    /// Keys that were taken in this call.
    taken: BTreeSet<String>,
    /// Jobs that exist, of those that are to be enqueued.
    known: HashSet<JobId>,
    /// Unfinished jobs, of those that hold keys.
    unfinished: HashSet<JobId>,
    inserts: Vec<Cow<'a, NewJob>>,
}

/// Enqueues jobs of which some have keys, in the transaction that the connection is in. Only doubtful
/// ones may be there already.
pub(super) async fn enqueue(
    connection: &mut Session<'_>,
    jobs: &[NewJob],
    doubtful: &HashSet<JobId>,
    governed: &HashSet<String>,
    now: Option<Timestamp>,
) -> Result<Vec<Enqueued>, Error> {
    let mut desk = Desk::open(connection, jobs, doubtful, now).await?;
    let mut answers = Vec::with_capacity(jobs.len());
    for job in jobs {
        answers.push(desk.enqueue(connection, job).await?);
    }
    desk.close(connection, governed).await?;
    Ok(answers)
}

/// Takes the key of a finished job for it again; or says who holds it now.
pub(super) async fn retake(
    connection: &mut Session<'_>,
    scope: String,
    job: JobId,
    now: Option<Timestamp>,
) -> Result<Option<JobId>, Error> {
    let (now, mut keys) = take(connection, &[&scope], now).await?;
    let held = keys.remove(&scope).unwrap_or_default();
    let unfinished = unfinished(connection, held.job.into_iter()).await?;
    match held.job {
        Some(other) if other != job && is_held(&held, now, &unfinished) => Ok(Some(other)),
        Some(own) if own == job => Ok(None),
        _ => {
            let held = Held {
                job: Some(job),
                ..Held::default()
            };
            put(connection, std::iter::once((scope.as_str(), &held))).await?;
            Ok(None)
        }
    }
}

impl<'a> Desk<'a> {
    async fn open(
        connection: &mut Session<'_>,
        jobs: &[NewJob],
        doubtful: &HashSet<JobId>,
        now: Option<Timestamp>,
    ) -> Result<Self, Error> {
        let wanted: BTreeSet<String> = jobs
            .iter()
            .flat_map(|job| [job.unique_scope(), job.idempotency_scope()])
            .flatten()
            .collect();
        let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
        let (now, keys) = take(connection, &wanted, now).await?;
        let known = enqueue::known(connection, doubtful.iter().copied()).await?;
        let holders = keys.values().filter_map(|held| held.job);
        let unfinished = unfinished(connection, holders).await?;
        Ok(Self {
            now,
            keys,
            taken: BTreeSet::new(),
            known,
            unfinished,
            inserts: Vec::new(),
        })
    }

    async fn enqueue(
        &mut self,
        connection: &mut Session<'_>,
        job: &'a NewJob,
    ) -> Result<Enqueued, Error> {
        if self.known.contains(&job.id) {
            return Ok(Enqueued::Duplicate(job.id));
        }
        if let Some(answer) = self.answer_of_the_same_request(job) {
            return Ok(answer);
        }
        let answer = match (&job.unique, self.holder(job)) {
            (Some(unique), Some(holder)) => match unique.conflict {
                Conflict::Reject => Enqueued::Rejected(holder),
                Conflict::Replace if self.replace(connection, holder, job).await? => {
                    Enqueued::Replaced(holder)
                }
                Conflict::Replace | Conflict::ReturnExisting => Enqueued::Duplicate(holder),
            },
            _ => self.insert(job),
        };
        self.remember(job, answer);
        Ok(answer)
    }

    fn answer_of_the_same_request(&self, job: &NewJob) -> Option<Enqueued> {
        let idempotency = job.idempotency.as_ref()?;
        let request = self.keys.get(&job.idempotency_scope()?)?;
        let answer = request.job?;
        if request.until.is_none_or(|until| until <= self.now) {
            return None;
        }
        Some(if request.digest.as_ref() == Some(&idempotency.digest) {
            Enqueued::Duplicate(answer)
        } else {
            Enqueued::IdempotencyMismatch(answer)
        })
    }

    fn holder(&self, job: &NewJob) -> Option<JobId> {
        let held = self.keys.get(&job.unique_scope()?)?;
        held.job
            .filter(|_| is_held(held, self.now, &self.unfinished))
    }

    /// Gives the holder what the newer job asks for, unless it runs or has finished.
    async fn replace(
        &mut self,
        connection: &mut Session<'_>,
        holder: JobId,
        newer: &NewJob,
    ) -> Result<bool, Error> {
        if let Some(own) = self.inserts.iter_mut().find(|own| own.id == holder) {
            let own = own.to_mut();
            own.args = newer.args.clone();
            own.priority = newer.priority;
            own.run_at = newer.run_at;
            return Ok(true);
        }
        let replaced = sqlx::query(sql::REPLACE)
            .bind(holder.as_uuid())
            .bind(newer.args.as_str())
            .bind(i16::from(newer.priority))
            .bind(rows::time(newer.run_at.resolve(self.now)))
            .bind(rows::time(self.now))
            .execute(connection)
            .await?;
        Ok(replaced.rows_affected() == 1)
    }

    fn insert(&mut self, job: &'a NewJob) -> Enqueued {
        if let (Some(scope), Some(unique)) = (job.unique_scope(), &job.unique) {
            let held = Held {
                job: Some(job.id),
                until: unique.window.map(|window| self.now + window),
                digest: None,
            };
            self.taken.insert(scope.clone());
            self.keys.insert(scope, held);
        }
        self.known.insert(job.id);
        self.unfinished.insert(job.id);
        self.inserts.push(Cow::Borrowed(job));
        Enqueued::Inserted(job.id)
    }

    /// A refused request is not remembered: asked again, it is judged again.
    fn remember(&mut self, job: &NewJob, answer: Enqueued) {
        if let (
            Some(scope),
            Some(idempotency),
            Enqueued::Inserted(id) | Enqueued::Duplicate(id) | Enqueued::Replaced(id),
        ) = (job.idempotency_scope(), &job.idempotency, answer)
        {
            let request = Held {
                job: Some(id),
                until: Some(self.now + idempotency.window),
                digest: Some(idempotency.digest.clone()),
            };
            self.taken.insert(scope.clone());
            self.keys.insert(scope, request);
        }
    }

    async fn close(
        self,
        connection: &mut Session<'_>,
        governed: &HashSet<String>,
    ) -> Result<(), Error> {
        let inserts: Vec<&NewJob> = self.inserts.iter().map(AsRef::as_ref).collect();
        enqueue::insert(connection, &inserts, governed, Some(self.now)).await?;
        let taken = self
            .taken
            .iter()
            .filter_map(|key| Some((key.as_str(), self.keys.get(key)?)));
        put(connection, taken).await
    }
}

fn is_held(held: &Held, now: Timestamp, unfinished: &HashSet<JobId>) -> bool {
    held.until.is_some_and(|until| now < until)
        || held.job.is_some_and(|job| unfinished.contains(&job))
}

/// Locks keys; tells the time and who took each last.
async fn take(
    connection: &mut Session<'_>,
    keys: &[&str],
    now: Option<Timestamp>,
) -> Result<(Timestamp, HashMap<String, Held>), Error> {
    let rows = sqlx::query(sql::UNIQUE_TAKE)
        .bind(keys)
        .bind(now.map(rows::time))
        .fetch_all(connection)
        .await?;
    let (mut at, mut taken) = (now.unwrap_or(Timestamp::EPOCH), HashMap::new());
    for row in &rows {
        let held = Held {
            job: row.try_get::<Option<Uuid>, _>(1)?.map(JobId::from_uuid),
            until: rows::timestamp_or_none(row, 2)?,
            digest: row.try_get(3)?,
        };
        at = rows::timestamp(row, 4)?;
        taken.insert(row.try_get(0)?, held);
    }
    Ok((at, taken))
}

/// Which of the jobs are unfinished. Read after the keys are locked, so a holder that another
/// transaction has just made is seen.
async fn unfinished(
    connection: &mut Session<'_>,
    jobs: impl Iterator<Item = JobId>,
) -> Result<HashSet<JobId>, Error> {
    let jobs: Vec<Uuid> = jobs.map(JobId::as_uuid).collect();
    if jobs.is_empty() {
        return Ok(HashSet::new());
    }
    sqlx::query(sql::UNIQUE_HOLDER)
        .bind(jobs)
        .fetch_all(connection)
        .await?
        .iter()
        .map(|row| rows::id(row, 0))
        .collect()
}

async fn put<'k>(
    connection: &mut Session<'_>,
    held: impl Iterator<Item = (&'k str, &'k Held)>,
) -> Result<(), Error> {
    let (mut keys, mut jobs, mut untils, mut digests) = (vec![], vec![], vec![], vec![]);
    for (key, held) in held {
        keys.push(key);
        jobs.push(held.job.map(JobId::as_uuid));
        untils.push(held.until.map(rows::time));
        digests.push(held.digest.as_deref());
    }
    if keys.is_empty() {
        return Ok(());
    }
    sqlx::query(sql::UNIQUE_PUT)
        .bind(keys)
        .bind(jobs)
        .bind(untils)
        .bind(digests)
        .execute(connection)
        .await?;
    Ok(())
}

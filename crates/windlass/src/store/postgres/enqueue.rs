//! Making jobs durable.
//!
//! One job without keys is one prepared statement that commits by itself, and so are some; many are
//! copied (`copy.rs`). Wake-ups are sent beside them, never by them. Jobs with unique or idempotency
//! keys go through `keys.rs`. Those of several callers at once go together (`gather.rs`).

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use sqlx::Row;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use uuid::Uuid;

use super::lane::{run, transaction};
use super::rows::{self, Time};
use super::{Error, Session, Shared, copy, keys, lane, planner, sql};
use crate::db;
use crate::model::{Enqueued, JobId, NewJob, RunAt, Timestamp};

/// From so many on, COPY is faster.
const COPY_FROM: usize = 100;

/// Jobs are inserted in parts of about so many bytes of args: no value may reach a gigabyte.
pub(super) const PART_BYTES: usize = 32 * 1024 * 1024;

impl Shared {
    pub(super) async fn enqueue(
        self: &Arc<Self>,
        jobs: &[NewJob],
        now: Option<Timestamp>,
    ) -> Result<Vec<Enqueued>, Error> {
        let doubtful = self.sent.note(jobs.iter().map(|job| job.id));
        match now {
            None => self.enqueue_now(jobs, doubtful).await,
            now => self.enqueue_alone(jobs, &doubtful, now).await,
        }
    }

    /// Enqueues jobs with nobody else's.
    pub(super) async fn enqueue_alone(
        self: &Arc<Self>,
        jobs: &[NewJob],
        doubtful: &HashSet<JobId>,
        now: Option<Timestamp>,
    ) -> Result<Vec<Enqueued>, Error> {
        let governed = &*self.governed_names();
        let answers = if has_keys(jobs) {
            self.insert_keyed(jobs, doubtful, governed, now).await?
        } else {
            let jobs: Vec<&NewJob> = jobs.iter().collect();
            match self.copy(&jobs, doubtful, governed, now).await? {
                Some(answers) => answers,
                None => self.insert(&jobs, doubtful, governed, now).await?,
            }
        };
        self.enqueued(&queues(jobs), now);
        Ok(answers)
    }

    async fn insert_keyed(
        &self,
        jobs: &[NewJob],
        doubtful: &HashSet<JobId>,
        governed: &HashSet<String>,
        now: Option<Timestamp>,
    ) -> Result<Vec<Enqueued>, Error> {
        if let [job] = jobs
            && doubtful.is_empty()
        {
            let answer = run!(self.enqueues, |connection| {
                enqueue_one_in(connection, job, governed, now).await
            })?;
            if let Some(answer) = answer {
                return Ok(vec![answer]);
            }
        }
        transaction!(self.enqueues, |connection| {
            keys::enqueue(connection, jobs, doubtful, governed, now).await
        })
    }

    /// Copies jobs in, if they are many and it can be done.
    async fn copy(
        &self,
        jobs: &[&NewJob],
        doubtful: &HashSet<JobId>,
        governed: &HashSet<String>,
        now: Option<Timestamp>,
    ) -> Result<Option<Vec<Enqueued>>, Error> {
        if jobs.len() < COPY_FROM || jobs.iter().any(|job| job.ordering_key.is_some()) {
            return Ok(None);
        }
        let copied = run!(self.enqueues, |connection| {
            let new = without_known(connection, jobs, doubtful).await?;
            let now = match now {
                Some(now) => now,
                None => {
                    let row = sqlx::query(sql::NOW).fetch_one(&mut *connection).await?;
                    rows::timestamp(&row, 0)?
                }
            };
            copy::insert(connection, &new, governed, now).await?;
            Ok(answers(jobs, new.iter().map(|job| job.id).collect()))
        });
        match copied {
            // One of them was there: nothing has been copied.
            Err(error) if lane::code(&error).as_deref() == Some("23505") => Ok(None),
            copied => copied.map(Some),
        }
    }

    async fn insert(
        &self,
        jobs: &[&NewJob],
        doubtful: &HashSet<JobId>,
        governed: &HashSet<String>,
        now: Option<Timestamp>,
    ) -> Result<Vec<Enqueued>, Error> {
        if parts(jobs).nth(1).is_none() {
            return run!(self.enqueues, |connection| {
                insert_new(connection, jobs, doubtful, governed, now).await
            });
        }
        transaction!(self.enqueues, |connection| {
            insert_new(connection, jobs, doubtful, governed, now).await
        })
    }

    /// The same in a transaction of the caller's.
    pub(super) async fn enqueue_in(
        self: &Arc<Self>,
        tx: &mut db::Tx,
        jobs: &[NewJob],
        now: Option<Timestamp>,
    ) -> Result<Vec<Enqueued>, Error> {
        let connection = &mut self.session(tx, "enqueue in another store's transaction")?;
        let doubtful = self.sent.note(jobs.iter().map(|job| job.id));
        let governed = &*self.governed_names();
        let answers = match jobs {
            [job] if doubtful.is_empty() => enqueue_one_in(connection, job, governed, now).await?,
            _ => None,
        };
        let answers = match answers {
            Some(answer) => vec![answer],
            None => enqueue_all_in(connection, jobs, &doubtful, governed, now).await?,
        };
        for job in jobs {
            if let Some(key) = &job.ordering_key {
                tx.joined_line(job.tenant_id.clone(), key.clone());
            }
        }
        let queues: Vec<String> = queues(jobs).into_iter().map(str::to_owned).collect();
        let shared = self.clone();
        tx.after_commit(move || {
            shared.enqueued(&queues.iter().map(String::as_str).collect(), now);
        });
        Ok(answers)
    }

    /// Makes it known that these queues got jobs.
    pub(super) fn enqueued(&self, queues: &BTreeSet<&str>, now: Option<Timestamp>) {
        self.wake(queues, now);
        self.notifier.tell(queues);
    }
}

/// Adds a job in one call, if it is new and nobody ever took its key: most are, most never.
async fn enqueue_one_in(
    connection: &mut Session<'_>,
    job: &NewJob,
    governed: &HashSet<String>,
    now: Option<Timestamp>,
) -> Result<Option<Enqueued>, Error> {
    if job.idempotency.is_some() {
        return Ok(None);
    }
    let window = job.unique.as_ref().and_then(|unique| unique.window);
    let enqueued = bound(sql::ENQUEUE_IN, job, governed, now)
        .bind(job.unique_scope())
        .bind(window.map(rows::micros))
        .fetch_one(connection)
        .await?;
    Ok(match enqueued.try_get(0)? {
        "inserted" => Some(Enqueued::Inserted(job.id)),
        "there" => Some(Enqueued::Duplicate(job.id)),
        _ => None,
    })
}

async fn enqueue_all_in(
    connection: &mut Session<'_>,
    jobs: &[NewJob],
    doubtful: &HashSet<JobId>,
    governed: &HashSet<String>,
    now: Option<Timestamp>,
) -> Result<Vec<Enqueued>, Error> {
    let callers = planner::ours(connection).await?;
    let answers = if has_keys(jobs) {
        keys::enqueue(connection, jobs, doubtful, governed, now).await?
    } else {
        let jobs: Vec<&NewJob> = jobs.iter().collect();
        insert_new(connection, &jobs, doubtful, governed, now).await?
    };
    planner::restore(connection, callers).await?;
    Ok(answers)
}

pub(super) fn has_keys(jobs: &[NewJob]) -> bool {
    jobs.iter()
        .any(|job| job.unique.is_some() || job.idempotency.is_some())
}

pub(super) fn queues(jobs: &[NewJob]) -> BTreeSet<&str> {
    jobs.iter().map(|job| job.queue.as_str()).collect()
}

/// Adds jobs without keys, unless they are there already.
pub(super) async fn insert_new(
    connection: &mut Session<'_>,
    jobs: &[&NewJob],
    doubtful: &HashSet<JobId>,
    governed: &HashSet<String>,
    now: Option<Timestamp>,
) -> Result<Vec<Enqueued>, Error> {
    let new = without_known(connection, jobs, doubtful).await?;
    let inserted = insert(connection, &new, governed, now).await?;
    Ok(answers(jobs, inserted))
}

/// Jobs less those that are there already, or come twice, which only doubtful ones can.
async fn without_known<'a>(
    connection: &mut Session<'_>,
    jobs: &[&'a NewJob],
    doubtful: &HashSet<JobId>,
) -> Result<Vec<&'a NewJob>, Error> {
    if doubtful.is_empty() {
        return Ok(jobs.to_vec());
    }
    let mut known = known(connection, doubtful.iter().copied()).await?;
    let new = jobs
        .iter()
        .filter(|job| !doubtful.contains(&job.id) || known.insert(job.id));
    Ok(new.copied().collect())
}

/// The first of equal ids was inserted, if it was.
fn answers(jobs: &[&NewJob], mut inserted: HashSet<JobId>) -> Vec<Enqueued> {
    jobs.iter()
        .map(|job| {
            if inserted.remove(&job.id) {
                Enqueued::Inserted(job.id)
            } else {
                Enqueued::Duplicate(job.id)
            }
        })
        .collect()
}

/// Which of the jobs there are already.
pub(super) async fn known(
    connection: &mut Session<'_>,
    jobs: impl Iterator<Item = JobId>,
) -> Result<HashSet<JobId>, Error> {
    let jobs: Vec<Uuid> = jobs.map(JobId::as_uuid).collect();
    if jobs.is_empty() {
        return Ok(HashSet::new());
    }
    sqlx::query(sql::KNOWN)
        .bind(jobs)
        .fetch_all(connection)
        .await?
        .iter()
        .map(|row| rows::id(row, 0))
        .collect()
}

/// Adds jobs; says which were not there.
pub(super) async fn insert(
    connection: &mut Session<'_>,
    jobs: &[&NewJob],
    governed: &HashSet<String>,
    now: Option<Timestamp>,
) -> Result<HashSet<JobId>, Error> {
    match jobs {
        [] => Ok(HashSet::new()),
        [job] => insert_one(connection, job, governed, now).await,
        jobs => {
            let mut inserted = HashSet::with_capacity(jobs.len());
            for part in parts(jobs) {
                insert_many(connection, part, governed, now, &mut inserted).await?;
            }
            Ok(inserted)
        }
    }
}

async fn insert_one(
    connection: &mut Session<'_>,
    job: &NewJob,
    governed: &HashSet<String>,
    now: Option<Timestamp>,
) -> Result<HashSet<JobId>, Error> {
    let inserted = bound(sql::ENQUEUE, job, governed, now)
        .execute(connection)
        .await?;
    Ok((inserted.rows_affected() == 1)
        .then_some(job.id)
        .into_iter()
        .collect())
}

/// A statement that adds one job, with all that says what it is.
fn bound<'q>(
    statement: &'static str,
    job: &'q NewJob,
    governed: &HashSet<String>,
    now: Option<Timestamp>,
) -> Query<'q, sqlx::Postgres, PgArguments> {
    let (at, delay) = due(job.run_at);
    sqlx::query(statement)
        .bind(job.id.as_uuid())
        .bind(&job.kind)
        .bind(at)
        .bind(delay)
        .bind(&job.queue)
        .bind(i16::from(job.priority))
        .bind(rows::small(job.max_attempts))
        .bind(job.args.as_str())
        .bind(Some(&job.tags).filter(|tags| !tags.is_empty()))
        .bind(&job.tenant_id)
        .bind(&job.correlation_id)
        .bind(&job.trace_parent)
        .bind(&job.ordering_key)
        .bind(now.map(rows::time))
        .bind(unique_key(job))
        .bind(governed.contains(&job.queue))
        .bind(&job.limit_key)
}

async fn insert_many(
    connection: &mut Session<'_>,
    jobs: &[&NewJob],
    governed: &HashSet<String>,
    now: Option<Timestamp>,
    inserted: &mut HashSet<JobId>,
) -> Result<(), Error> {
    fn column<'a, T>(jobs: &[&'a NewJob], field: impl Fn(&'a NewJob) -> T) -> Vec<T> {
        jobs.iter().map(|job| field(job)).collect()
    }
    let ordered = jobs.iter().any(|job| job.ordering_key.is_some());
    let (at, delay): (Vec<_>, Vec<_>) = jobs.iter().map(|job| due(job.run_at)).unzip();
    let rows = sqlx::query(if ordered {
        sql::ENQUEUE_ORDERED
    } else {
        sql::ENQUEUE_MANY
    })
    .bind(now.map(rows::time))
    .bind(column(jobs, |job| job.id.as_uuid()))
    .bind(column(jobs, |job| job.kind.as_str()))
    .bind(at)
    .bind(delay)
    .bind(column(jobs, |job| job.queue.as_str()))
    .bind(column(jobs, |job| i16::from(job.priority)))
    .bind(column(jobs, |job| rows::small(job.max_attempts)))
    .bind(column(jobs, |job| job.args.as_str()))
    .bind(column(jobs, |job| tags(&job.tags)))
    .bind(column(jobs, |job| job.tenant_id.as_deref()))
    .bind(column(jobs, |job| job.correlation_id.as_deref()))
    .bind(column(jobs, |job| job.trace_parent.as_deref()))
    .bind(column(jobs, unique_key))
    .bind(column(jobs, |job| job.ordering_key.as_deref()))
    .bind(column(jobs, |job| governed.contains(&job.queue)))
    .bind(column(jobs, |job| job.limit_key.as_deref()))
    .fetch_all(connection)
    .await?;
    for row in &rows {
        inserted.insert(JobId::from_uuid(row.try_get(0)?));
    }
    Ok(())
}

fn unique_key(job: &NewJob) -> Option<&str> {
    job.unique.as_ref().map(|unique| unique.key.as_str())
}

/// When it is due: a time, or microseconds from now, or neither.
pub(super) fn due(run_at: RunAt) -> (Option<Time>, Option<i64>) {
    match run_at {
        RunAt::Now => (None, None),
        RunAt::In(delay) => (None, Some(rows::micros(delay))),
        RunAt::At(at) => (Some(rows::time(at)), None),
    }
}

/// Tags as the text of a PostgreSQL array: an array of arrays of different lengths cannot be sent.
pub(super) fn tags(tags: &[String]) -> Option<String> {
    if tags.is_empty() {
        return None;
    }
    let quoted: Vec<String> = tags
        .iter()
        .map(|tag| format!("\"{}\"", tag.replace('\\', "\\\\").replace('"', "\\\"")))
        .collect();
    Some(format!("{{{}}}", quoted.join(",")))
}

/// Splits jobs so that no part is too large to send.
fn parts<'a, 'j>(jobs: &'a [&'j NewJob]) -> impl Iterator<Item = &'a [&'j NewJob]> {
    let mut rest = jobs;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |job: &&&NewJob| {
            let first = bytes == 0;
            bytes += job.args.as_str().len() + 1;
            first || bytes <= PART_BYTES
        };
        let length = rest.iter().take_while(fits).count();
        let (part, others) = rest.split_at(length);
        rest = others;
        (length > 0).then_some(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Json;

    #[test]
    fn tags_are_quoted_as_an_array() {
        assert_eq!(tags(&[]), None);
        let odd = ["a,b".to_owned(), "{\"c\\".to_owned(), "null".to_owned()];
        assert_eq!(tags(&odd).unwrap(), r#"{"a,b","{\"c\\","null"}"#);
    }

    #[test]
    fn parts_are_bounded_and_leave_nothing_out() {
        let large = Json::encode(&"x".repeat(20 * 1024 * 1024)).unwrap();
        let jobs = [
            NewJob::new("k", large.clone()),
            NewJob::new("k", large),
            NewJob::new("k", Json::empty_object()),
        ];
        let jobs: Vec<&NewJob> = jobs.iter().collect();
        let lengths: Vec<usize> = parts(&jobs).map(<[_]>::len).collect();
        assert_eq!(lengths, [1, 2]);
        assert_eq!(parts(&[]).count(), 0);
    }
}

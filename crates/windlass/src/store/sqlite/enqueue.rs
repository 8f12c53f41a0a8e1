//! Making jobs durable.
//!
//! Within one transaction: what is known about the ids, keys and lines of the batch is read once,
//! the jobs are judged in order, then everything is written in a few statements.

use std::collections::{HashMap, HashSet};

use serde::Serialize;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Row as _};

use super::super::Error;
use super::at;
use super::keys::{self, Holder, KeyRow, Line};
use super::rows::{self, Woken, encode, micros, portions};
use crate::db;
use crate::model::{Conflict, Enqueued, JobId, NewJob, State, Timestamp};

const ENQUEUE: &str = include_str!("sql/enqueue.sql");
const KNOWN: &str = include_str!("sql/known.sql");
const REPLACE: &str = include_str!("sql/replace.sql");

/// The answers in order, and which queues may have work because of it.
type Done = (Vec<Enqueued>, Woken);

pub(super) async fn enqueue(
    db: &db::Sqlite,
    jobs: &[NewJob],
    now: Option<Timestamp>,
) -> Result<Done, Error> {
    if let [job] = jobs
        && has_no_key(job)
    {
        return enqueue_plain(db, job, now).await;
    }
    let mut tx = db.writer().begin_with("begin immediate").await?;
    let done = enqueue_all(&mut tx, jobs, at(now)).await?;
    tx.commit().await?;
    Ok(done)
}

pub(super) async fn enqueue_in(
    connection: &mut SqliteConnection,
    jobs: &[NewJob],
    now: Option<Timestamp>,
) -> Result<Done, Error> {
    let mut savepoint = connection.begin().await?;
    let done = enqueue_all(&mut savepoint, jobs, at(now)).await?;
    savepoint.commit().await?;
    Ok(done)
}

const fn has_no_key(job: &NewJob) -> bool {
    job.unique.is_none() && job.idempotency.is_none() && job.ordering_key.is_none()
}

/// One job that only its id can collide: a single statement is its own transaction.
async fn enqueue_plain(
    db: &db::Sqlite,
    job: &NewJob,
    now: Option<Timestamp>,
) -> Result<Done, Error> {
    let mut connection = db.writer().acquire().await?;
    let now = at(now);
    let row = Row::of(job, None, false, now);
    let mut woken = Woken::new();
    let answer = if insert(&mut connection, std::slice::from_ref(&row), now).await? == 0 {
        Enqueued::Duplicate(job.id)
    } else {
        row.note_if_due(&mut woken);
        Enqueued::Inserted(job.id)
    };
    Ok((vec![answer], woken))
}

pub(super) async fn enqueue_all(
    connection: &mut SqliteConnection,
    jobs: &[NewJob],
    now: Timestamp,
) -> Result<Done, Error> {
    let mut batch = Batch::read(connection, jobs, now).await?;
    let answers = jobs.iter().map(|job| batch.judge(job)).collect();
    let woken = batch.write(connection).await?;
    Ok((answers, woken))
}

/// One call: what was known before it, and what it comes to.
#[derive(Debug)]
struct Batch<'a> {
    now: Timestamp,
    ids: HashSet<JobId>,
    holders: HashMap<String, Holder>,
    lines: HashSet<Line>,
    rows: Vec<Row<'a>>,
    keys: HashMap<String, KeyRow>,
    replaced: HashMap<JobId, &'a NewJob>,
    woken: Woken,
}

impl<'a> Batch<'a> {
    async fn read(
        connection: &mut SqliteConnection,
        jobs: &'a [NewJob],
        now: Timestamp,
    ) -> Result<Self, Error> {
        let scopes: Vec<String> = jobs
            .iter()
            .flat_map(|job| [job.unique_scope(), job.idempotency_scope()])
            .flatten()
            .collect();
        let lines: Vec<Line> = jobs.iter().filter_map(line).collect();
        Ok(Self {
            now,
            ids: known(connection, jobs).await?,
            holders: keys::holders(connection, &scopes, now).await?,
            lines: keys::occupied(connection, &lines).await?,
            rows: Vec::with_capacity(jobs.len()),
            keys: HashMap::new(),
            replaced: HashMap::new(),
            woken: Woken::new(),
        })
    }

    /// The same id, then the same request, then the same unique key make another job stand for it.
    fn judge(&mut self, job: &'a NewJob) -> Enqueued {
        if self.ids.contains(&job.id) {
            return Enqueued::Duplicate(job.id);
        }
        if let Some(answer) = self.same_request(job) {
            return answer;
        }
        let scope = job.unique_scope();
        let holder = scope.as_deref().and_then(|scope| self.holders.get(scope));
        let answer = match (&job.unique, holder.cloned()) {
            (Some(unique), Some(holder)) => self.collide(job, unique.conflict, &holder),
            _ => self.insert(job, scope),
        };
        self.remember(job, answer);
        answer
    }

    fn same_request(&self, job: &NewJob) -> Option<Enqueued> {
        let asked = job.idempotency.as_ref()?;
        let known = self.holders.get(&job.idempotency_scope()?)?;
        Some(if known.digest.as_ref() == Some(&asked.digest) {
            Enqueued::Duplicate(known.job)
        } else {
            Enqueued::IdempotencyMismatch(known.job)
        })
    }

    fn collide(&mut self, job: &'a NewJob, conflict: Conflict, holder: &Holder) -> Enqueued {
        match conflict {
            Conflict::Reject => Enqueued::Rejected(holder.job),
            Conflict::Replace if holder.replaceable => {
                self.replaced.insert(holder.job, job);
                Enqueued::Replaced(holder.job)
            }
            Conflict::ReturnExisting | Conflict::Replace => Enqueued::Duplicate(holder.job),
        }
    }

    fn insert(&mut self, job: &'a NewJob, scope: Option<String>) -> Enqueued {
        let blocked = line(job).is_some_and(|line| !self.lines.insert(line));
        if let (Some(scope), Some(unique)) = (&scope, &job.unique) {
            let until = unique.window.map(|window| micros(self.now + window));
            self.hold(scope.clone(), job.id, until, None);
        }
        let row = Row::of(job, scope, blocked, self.now);
        row.note_if_due(&mut self.woken);
        self.rows.push(row);
        self.ids.insert(job.id);
        Enqueued::Inserted(job.id)
    }

    /// A refused request is not remembered: asked again, it is judged again.
    fn remember(&mut self, job: &NewJob, answer: Enqueued) {
        if let (Some(asked), Some(scope)) = (&job.idempotency, job.idempotency_scope())
            && let Enqueued::Inserted(id) | Enqueued::Duplicate(id) | Enqueued::Replaced(id) =
                answer
        {
            let until = Some(micros(self.now + asked.window));
            self.hold(scope, id, until, Some(asked.digest.clone()));
        }
    }

    fn hold(&mut self, key: String, job: JobId, until: Option<i64>, digest: Option<String>) {
        let row = KeyRow {
            key: key.clone(),
            job_id: job,
            held_until: until,
            digest: digest.clone(),
        };
        self.keys.insert(key.clone(), row);
        let holder = Holder {
            job,
            digest,
            replaceable: true,
        };
        self.holders.insert(key, holder);
    }

    async fn write(mut self, connection: &mut SqliteConnection) -> Result<Woken, Error> {
        for rows in portions(&self.rows, |row| row.args.len()) {
            insert(connection, rows, self.now).await?;
        }
        let keys: Vec<KeyRow> = self.keys.into_values().collect();
        keys::take(connection, &keys).await?;
        for (holder, job) in self.replaced {
            let queue = replace(connection, holder, job, self.now).await?;
            self.woken.extend(queue);
        }
        Ok(self.woken)
    }
}

/// A row for `enqueue.sql`, which names the fields.
#[derive(Debug, Serialize)]
struct Row<'a> {
    id: JobId,
    kind: &'a str,
    args: &'a str,
    queue: &'a str,
    priority: u8,
    state: &'static str,
    run_at: i64,
    max_attempts: u16,
    tags: Option<String>,
    tenant_id: Option<&'a str>,
    correlation_id: Option<&'a str>,
    trace_parent: Option<&'a str>,
    unique_scope: Option<String>,
    ordering_key: Option<&'a str>,
    limit_key: Option<&'a str>,
}

impl<'a> Row<'a> {
    fn of(job: &'a NewJob, scope: Option<String>, blocked: bool, now: Timestamp) -> Self {
        let run_at = job.run_at.resolve(now);
        let state = if blocked {
            State::Waiting
        } else {
            State::Scheduled.at(run_at, now)
        };
        Self {
            id: job.id,
            kind: &job.kind,
            args: job.args.as_str(),
            queue: &job.queue,
            priority: job.priority,
            state: state.as_str(),
            run_at: micros(run_at),
            max_attempts: job.max_attempts,
            tags: rows::encode_list(&job.tags),
            tenant_id: job.tenant_id.as_deref(),
            correlation_id: job.correlation_id.as_deref(),
            trace_parent: job.trace_parent.as_deref(),
            unique_scope: scope,
            ordering_key: job.ordering_key.as_deref(),
            limit_key: job.limit_key.as_deref(),
        }
    }

    fn note_if_due(&self, woken: &mut Woken) {
        if self.state == State::Available.as_str() && !woken.contains(self.queue) {
            woken.insert(self.queue.to_owned());
        }
    }
}

fn line(job: &NewJob) -> Option<Line> {
    keys::line(job.ordering_key.as_deref(), job.tenant_id.as_deref())
}

/// Which of the ids exist.
async fn known(
    connection: &mut SqliteConnection,
    jobs: &[NewJob],
) -> Result<HashSet<JobId>, Error> {
    let ids: Vec<JobId> = jobs.iter().map(|job| job.id).collect();
    let rows = sqlx::query(KNOWN)
        .bind(encode(&ids)?)
        .fetch_all(connection)
        .await?;
    rows.iter().map(|row| rows::id(row, "id")).collect()
}

async fn insert(
    connection: &mut SqliteConnection,
    rows: &[Row<'_>],
    now: Timestamp,
) -> Result<u64, Error> {
    let done = sqlx::query(ENQUEUE)
        .bind(encode(rows)?)
        .bind(micros(now))
        .execute(connection)
        .await?;
    Ok(done.rows_affected())
}

/// The queue of the job that took over, if that is due.
async fn replace(
    connection: &mut SqliteConnection,
    holder: JobId,
    job: &NewJob,
    now: Timestamp,
) -> Result<Option<String>, Error> {
    let row = sqlx::query(REPLACE)
        .bind(holder.as_uuid())
        .bind(job.args.as_str())
        .bind(job.priority)
        .bind(micros(job.run_at.resolve(now)))
        .bind(micros(now))
        .fetch_optional(connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let due = row.try_get::<&str, _>("state")? == State::Available.as_str();
    Ok(due.then(|| row.try_get("queue")).transpose()?)
}

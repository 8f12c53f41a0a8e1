//! Moves waiting jobs out of other job systems, so that none is lost and none runs twice.
//!
//! Of each batch the source first takes the jobs away from its own workers, in a form that nobody but an
//! import picks up; then they are enqueued here; then the source strikes them off. Wherever that breaks off,
//! the next run finds what was taken and goes on: an old job has one id and one idempotency key here,
//! made of its own, so that to enqueue it again is harmless. What cannot be taken over is left as it is.

mod apalis;
pub mod postgres;
pub mod redis;
pub mod sqlite;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use windlass::engine::EnqueueError;
use windlass::model::Enqueued;
use windlass::{Client, NewJob, Timestamp};

pub use apalis::{Kinds, Unfit};

/// Jobs moved at once.
const BATCH: usize = 500;
/// How long one call of a source may take.
const PATIENCE: Duration = Duration::from_mins(1);
/// Jobs left behind that are named one by one.
const NAMED: usize = 100;

/// Why a source could not be read or changed. Names no URL: it may hold a password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Its URL.
    #[error("--from: {0}")]
    Url(String),
    /// Its database.
    #[error("the old store: {0}")]
    Sql(#[from] sqlx::Error),
    /// Its Redis.
    #[error("the old store: {0}")]
    Redis(#[from] ::redis::RedisError),
    /// It did not answer.
    #[error("the old store did not answer within {PATIENCE:?}")]
    Timeout,
    /// It holds what no store of apalis does.
    #[error("the old store: {0}")]
    Strange(String),
    /// The jobs of a batch were not enqueued; the source has them back.
    #[error(transparent)]
    Enqueue(#[from] EnqueueError),
}

/// A job of the other system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldJob {
    /// Its id there.
    pub id: String,
    /// Its type, by which its kind here is found.
    pub job_type: String,
    /// Its args.
    pub payload: Vec<u8>,
    /// Attempts used.
    pub attempts: u64,
    /// Attempts it may have.
    pub max_attempts: u64,
    /// When it is due; at once if none.
    pub run_at: Option<Timestamp>,
    /// Higher is sooner; 0 is normal.
    pub priority: i64,
    /// What else is known of it.
    pub metadata: BTreeMap<String, String>,
    /// At most one of a key.
    pub idempotency_key: Option<String>,
}

/// Where old jobs come from. Every verb can be repeated.
#[async_trait]
pub trait Source: Send {
    /// The ids of all that waits, and of what an earlier import took and did not finish.
    async fn waiting(&mut self) -> Result<Vec<String>, Error>;

    /// These jobs, as far as they are still there, in any order.
    async fn read(&mut self, ids: &[String]) -> Result<Vec<OldJob>, Error>;

    /// Takes these away from the source's own workers; says which it got.
    async fn hold(&mut self, ids: &[String]) -> Result<Vec<String>, Error>;

    /// Gives held ones back.
    async fn release(&mut self, ids: &[String]) -> Result<(), Error>;

    /// Strikes held ones off: they are ours.
    async fn done(&mut self, ids: &[String]) -> Result<(), Error>;
}

/// What an import did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Waiting jobs that were found.
    pub found: usize,
    /// Jobs that are ours now, or would be.
    pub imported: usize,
    /// Jobs among them that had been ours already.
    pub known: usize,
    /// Jobs that their own workers took meanwhile.
    pub gone: usize,
    /// Jobs that were left where they are.
    pub left: usize,
    /// The first of them, with the reasons.
    pub named: Vec<Left>,
}

/// A job that was left where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Left {
    /// Its id there.
    pub id: String,
    /// Its type there.
    pub job_type: String,
    /// Why, and what would help.
    pub reason: String,
}

impl Report {
    fn leave(&mut self, old: OldJob, reason: String) {
        self.left += 1;
        if self.named.len() < NAMED {
            let OldJob { id, job_type, .. } = old;
            self.named.push(Left {
                id,
                job_type,
                reason,
            });
        }
    }
}

/// Moves everything that waits; tells how far it is after each batch. With `dry_run` it only looks.
pub async fn run(
    source: &mut dyn Source,
    client: &Client,
    kinds: &Kinds,
    dry_run: bool,
    told: &mut (dyn FnMut(&Report) + Send),
) -> Result<Report, Error> {
    let ids = soon(source.waiting()).await?;
    let mut report = Report {
        found: ids.len(),
        ..Report::default()
    };
    for ids in ids.chunks(BATCH) {
        let old = soon(source.read(ids)).await?;
        report.gone += ids.len().saturating_sub(old.len());
        let mut fit = BTreeMap::new();
        for old in old {
            match kinds.job(client, &old) {
                Ok(job) => drop(fit.insert(old.id.clone(), (old, job))),
                Err(reason) => report.leave(old, reason.to_string()),
            }
        }
        if dry_run {
            report.imported += fit.len();
        } else {
            take_over(source, client, fit, &mut report).await?;
        }
        told(&report);
    }
    Ok(report)
}

async fn take_over(
    source: &mut dyn Source,
    client: &Client,
    mut fit: BTreeMap<String, (OldJob, NewJob)>,
    report: &mut Report,
) -> Result<(), Error> {
    let ids: Vec<String> = fit.keys().cloned().collect();
    let held = soon(source.hold(&ids)).await?;
    report.gone += ids.len().saturating_sub(held.len());
    fit.retain(|id, _| held.contains(id));
    let (old, jobs): (Vec<OldJob>, Vec<NewJob>) = fit.into_values().unzip();
    let enqueued = match client.insert_many(&jobs).await {
        Ok(enqueued) => enqueued,
        Err(error) => {
            // If that fails too, the next import finds them.
            soon(source.release(&held)).await?;
            return Err(error.into());
        }
    };
    let (mut done, mut back) = (Vec::new(), Vec::new());
    for (old, enqueued) in old.into_iter().zip(enqueued) {
        match enqueued {
            Enqueued::Inserted(_) | Enqueued::Duplicate(_) | Enqueued::Replaced(_) => {
                report.imported += 1;
                report.known += usize::from(!enqueued.is_inserted());
                done.push(old.id);
            }
            Enqueued::Rejected(id) | Enqueued::IdempotencyMismatch(id) => {
                back.push(old.id.clone());
                report.leave(old, format!("job {id} here stands in its way"));
            }
        }
    }
    soon(source.done(&done)).await?;
    if !back.is_empty() {
        soon(source.release(&back)).await?;
    }
    Ok(())
}

async fn soon<T>(call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::time::timeout(PATIENCE, call)
        .await
        .unwrap_or(Err(Error::Timeout))
}

//! Taking due jobs.

use std::time::Duration;

use serde::Deserialize;
use sqlx::sqlite::SqliteConnection;

use super::super::{Claim, Error};
use super::at;
use super::rows::{decode, micros};
use crate::db;
use crate::model::{ClaimedJob, JobId, Json, Timestamp};

const CLAIM_DUE: &str = include_str!("sql/claim_due.sql");
const CLAIM: &str = include_str!("sql/claim.sql");
const NEXT_DUE: &str = include_str!("sql/next_due.sql");

/// How many jobs come in one text, which SQLite lets grow to 1 GB: enough for the largest args.
const AT_ONCE: u32 = 250;

pub(super) async fn claim(db: &db::Sqlite, claim: &Claim<'_>) -> Result<Vec<ClaimedJob>, Error> {
    let mut tx = db.writer().begin_with("begin immediate").await?;
    let now = at(claim.now);
    let mut jobs = Vec::new();
    let mut wanted = claim.limit;
    while wanted > 0 {
        let limit = wanted.min(AT_ONCE);
        let portion = portion(&mut tx, claim, limit, now).await?;
        let exhausted = portion.len() < limit as usize;
        jobs.extend(portion);
        wanted = if exhausted { 0 } else { wanted - limit };
    }
    tx.commit().await?;
    // The database adds them up in order, but does not promise to.
    jobs.sort_unstable_by_key(|job: &ClaimedJob| (job.priority, job.run_at, job.id));
    Ok(jobs)
}

async fn portion(
    connection: &mut SqliteConnection,
    claim: &Claim<'_>,
    limit: u32,
    now: Timestamp,
) -> Result<Vec<ClaimedJob>, Error> {
    let due: String = sqlx::query_scalar(CLAIM_DUE)
        .bind(claim.queue)
        .bind(micros(now))
        .bind(limit)
        .fetch_one(&mut *connection)
        .await?;
    let due: Vec<Due> = decode(&due)?;
    if !due.is_empty() {
        sqlx::query(CLAIM)
            .bind(claim.queue)
            .bind(micros(now))
            .bind(limit)
            .bind(claim.worker)
            .bind(micros(now + claim.lease))
            .execute(connection)
            .await?;
    }
    Ok(due
        .into_iter()
        .map(|due| due.claimed(claim.queue, now))
        .collect())
}

/// A job of `claim_due.sql`, whose order this is.
#[derive(Debug, Deserialize)]
pub(super) struct Due {
    id: JobId,
    kind: String,
    args: Box<str>,
    priority: u8,
    run_at: i64,
    attempt: u16,
    max_attempts: u16,
    crashes: u16,
    claim_no: i64,
    tenant_id: Option<String>,
    correlation_id: Option<String>,
    trace_parent: Option<String>,
    ordering_key: Option<String>,
    enqueued_at: i64,
    checkpoint: Option<Box<str>>,
}

impl Due {
    pub(super) fn claimed(self, queue: &str, now: Timestamp) -> ClaimedJob {
        ClaimedJob {
            id: self.id,
            kind: self.kind,
            args: Json::trusted(self.args),
            queue: queue.to_owned(),
            priority: self.priority,
            run_at: Timestamp::from_micros(self.run_at),
            attempt: self.attempt,
            max_attempts: self.max_attempts,
            crashes: self.crashes,
            claim_no: self.claim_no,
            tenant_id: self.tenant_id,
            correlation_id: self.correlation_id,
            trace_parent: self.trace_parent,
            ordering_key: self.ordering_key,
            enqueued_at: Timestamp::from_micros(self.enqueued_at),
            claimed_at: now,
            checkpoint: self.checkpoint.map(Json::trusted),
        }
    }
}

pub(super) async fn next_due(
    db: &db::Sqlite,
    queue: &str,
    now: Option<Timestamp>,
) -> Result<Option<Duration>, Error> {
    let run_at: Option<i64> = sqlx::query_scalar(NEXT_DUE)
        .bind(queue)
        .fetch_one(db.readers())
        .await?;
    Ok(run_at.map(|run_at| Timestamp::from_micros(run_at).since(at(now))))
}

//! Taking due jobs.

use std::time::Duration;

use super::super::{Claim, Error};
use super::{at, rows};
use crate::db;
use crate::model::{ClaimedJob, Timestamp};

const CLAIM: &str = include_str!("sql/claim.sql");
const NEXT_DUE: &str = include_str!("sql/next_due.sql");

pub(super) async fn claim(db: &db::Sqlite, claim: &Claim<'_>) -> Result<Vec<ClaimedJob>, Error> {
    let mut connection = db.writer().acquire().await?;
    let now = at(claim.now);
    let rows = sqlx::query(CLAIM)
        .bind(claim.queue)
        .bind(claim.worker)
        .bind(rows::micros(now))
        .bind(rows::micros(now + claim.lease))
        .bind(claim.limit)
        .fetch_all(&mut *connection)
        .await?;
    let mut jobs = rows
        .iter()
        .map(|row| rows::claimed(row, claim.queue, now))
        .collect::<Result<Vec<_>, _>>()?;
    // RETURNING promises no order.
    jobs.sort_unstable_by_key(|job| (job.priority, job.run_at, job.id));
    Ok(jobs)
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

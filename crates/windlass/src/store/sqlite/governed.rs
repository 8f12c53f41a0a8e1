//! Claims that go by limits and turns. One connection writes: a claim sees all that others took.

use async_trait::async_trait;
use sqlx::Row;
use sqlx::sqlite::SqliteConnection;

use super::claim::Due;
use super::rows::{self, Woken, decode, encode, micros};
use super::{SqliteStore, at, timed};
use crate::db;
use crate::model::{Allotter, Bucket, Buckets, Cell, ClaimedJob, Head, Look, Running, Timestamp};
use crate::store::{Claim, Error, Governed, Granted};

const ADOPT: &str = include_str!("sql/adopt.sql");
const ADOPT_RUNNING: &str = include_str!("sql/adopt_running.sql");
const BUCKETS: &str = include_str!("sql/buckets.sql");
const CELLS: &str = include_str!("sql/cells.sql");
const CLAIM_GOVERNED: &str = include_str!("sql/claim_governed.sql");
const FORGET_BUCKETS: &str = include_str!("sql/forget_buckets.sql");
const GOVERN_QUEUE: &str = include_str!("sql/govern_queue.sql");
const GOVERNED_DUE: &str = include_str!("sql/governed_due.sql");
const GOVERNED_QUEUES: &str = include_str!("sql/governed_queues.sql");
const PUT_BUCKETS: &str = include_str!("sql/put_buckets.sql");
const RUNNING: &str = include_str!("sql/running.sql");
const RUNNING_TOGETHER: &str = include_str!("sql/running_together.sql");
const UNGOVERN: &str = include_str!("sql/ungovern.sql");
const UNGOVERN_QUEUE: &str = include_str!("sql/ungovern_queue.sql");

/// Stragglers that one claim makes governed at most.
const ADOPTED: u64 = 500;
/// How often a claim takes what another left over. Whatever is left then, the next one takes.
const PASSES: usize = 4;
/// How many jobs come in one text, which SQLite lets grow to 1 GB.
const AT_ONCE: u32 = 250;

async fn claim_governed(
    db: &db::Sqlite,
    claim: &Claim<'_>,
    allotter: &mut Allotter,
) -> Result<Granted, Error> {
    let mut tx = db.writer().begin_with("begin immediate").await?;
    let granted = governed(&mut tx, claim, allotter, at(claim.now)).await?;
    tx.commit().await?;
    Ok(granted)
}

async fn governed(
    connection: &mut SqliteConnection,
    claim: &Claim<'_>,
    allotter: &mut Allotter,
    now: Timestamp,
) -> Result<Granted, Error> {
    let policy = &allotter.rules().policy;
    let (counts, apart) = (policy.has_concurrency(), policy.has_concurrency_apart());
    let (adopts, mut stragglers) = (allotter.adopts(now), false);
    if adopts {
        govern(connection, claim.queue).await?;
        let adopted = adopt(connection, claim.queue).await?;
        stragglers = adopted == ADOPTED;
        allotter.adopted(now, stragglers);
    }
    if counts && allotter.settles(now) {
        sqlx::query(ADOPT_RUNNING)
            .bind(claim.queue)
            .execute(&mut *connection)
            .await?;
    }
    let depth = Allotter::depth(claim.limit);
    let wide = allotter.sweep().wide();
    let wide = cells(connection, claim.queue, &wide, now, depth).await?;
    let deep = match allotter.sweep().deep(&wide) {
        Some(look) => Some(cells(connection, claim.queue, &look, now, depth).await?),
        None => None,
    };
    let mut heads = wide.clone();
    heads.extend(deep.iter().flatten().cloned());
    heads.sort_by(|a, b| a.cell.cmp(&b.cell));
    heads.dedup_by(|a, b| a.cell == b.cell);
    let running = if counts {
        running(connection, claim.queue, apart).await?
    } else {
        Vec::new()
    };
    let names = allotter.buckets(&heads);
    let stored = buckets(connection, claim.queue, &names).await?;
    let mut round = allotter.begin(now, &heads, &running, &stored);
    for _ in 0..PASSES {
        let grants = round.grants(claim.limit);
        if grants.is_empty() {
            break;
        }
        let taken = take(connection, claim, now, &grants).await?;
        round.took(taken);
    }
    let ended = round.end();
    put_buckets(connection, claim.queue, &ended.buckets, now).await?;
    let short = ended.jobs.len() < claim.limit as usize;
    let sweep = allotter.sweep();
    let more = sweep.looked(&wide, deep.as_deref(), ended.jobs.len(), short);
    if short && !adopts {
        stragglers = adopt(connection, claim.queue).await? > 0;
    }
    Ok(Granted {
        more: more || stragglers,
        jobs: ended.jobs,
        again_in: ended.again_in,
        held_by: ended.held_by,
        buckets: ended.buckets,
    })
}

async fn govern(connection: &mut SqliteConnection, queue: &str) -> Result<(), Error> {
    sqlx::query(GOVERN_QUEUE)
        .bind(queue)
        .execute(connection)
        .await?;
    Ok(())
}

async fn adopt(connection: &mut SqliteConnection, queue: &str) -> Result<u64, Error> {
    let adopted = sqlx::query(ADOPT)
        .bind(queue)
        .bind(ADOPTED.cast_signed())
        .execute(connection)
        .await?;
    Ok(adopted.rows_affected())
}

async fn cells(
    connection: &mut SqliteConnection,
    queue: &str,
    look: &Look,
    now: Timestamp,
    depth: u32,
) -> Result<Vec<Head>, Error> {
    let after = look.after.as_ref();
    let rows = sqlx::query(CELLS)
        .bind(queue)
        .bind(after.map_or("", |cell| &cell.tenant))
        .bind(after.map_or("", |cell| &cell.kind))
        .bind(after.map_or("", |cell| &cell.key))
        .bind(after.map_or(-1, |cell| i32::from(cell.priority)))
        .bind(look.of_tenant)
        .bind(look.most)
        .bind(micros(now))
        .bind(depth)
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| {
            let due = rows::number(row, "due")?;
            Ok(Head {
                cell: Cell {
                    tenant: row.try_get("tenant")?,
                    kind: row.try_get("kind")?,
                    key: row.try_get("key")?,
                    priority: rows::number(row, "priority")?,
                },
                run_at: Timestamp::from_micros(row.try_get("run_at")?),
                due,
                deep: due >= depth,
                later: row
                    .try_get::<Option<i64>, _>("later")?
                    .map(Timestamp::from_micros),
            })
        })
        .collect()
}

/// What runs, by kind and key if limits tell them `apart`, which takes longer to count.
async fn running(
    connection: &mut SqliteConnection,
    queue: &str,
    apart: bool,
) -> Result<Vec<Running>, Error> {
    let rows = sqlx::query(if apart { RUNNING } else { RUNNING_TOGETHER })
        .bind(queue)
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Running {
                kind: row.try_get("kind")?,
                key: row.try_get("key")?,
                jobs: rows::number(row, "jobs")?,
            })
        })
        .collect()
}

async fn buckets(
    connection: &mut SqliteConnection,
    queue: &str,
    names: &[String],
) -> Result<Buckets, Error> {
    if names.is_empty() {
        return Ok(Buckets::new());
    }
    let rows = sqlx::query(BUCKETS)
        .bind(queue)
        .bind(encode(names)?)
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| {
            let bucket = Bucket {
                tokens: row.try_get("tokens")?,
                at: Timestamp::from_micros(row.try_get("at")?),
            };
            Ok((row.try_get("name")?, bucket))
        })
        .collect()
}

/// Leases up to so many jobs of each cell, all at once: a statement costs more than a job.
async fn take(
    connection: &mut SqliteConnection,
    claim: &Claim<'_>,
    now: Timestamp,
    grants: &[(&Head, u32)],
) -> Result<Vec<(ClaimedJob, String)>, Error> {
    let (mut rows, mut taken) = (Vec::new(), Vec::new());
    for (head, jobs) in grants {
        // A cell's jobs come in one text each time, which is why many are asked for in parts.
        let mut told = 0;
        while told < *jobs {
            let part = (told, (*jobs - told).min(AT_ONCE));
            let found = due(connection, claim.queue, now, &head.cell, part).await?;
            let exhausted = found.len() < part.1 as usize;
            for (row, due) in found {
                rows.push(row);
                taken.push((due.claimed(claim.queue, now), head.cell.key.clone()));
            }
            told = if exhausted { *jobs } else { told + part.1 };
        }
    }
    lease(connection, claim, now, &rows).await?;
    Ok(taken)
}

/// Of a cell's due jobs, after so many, so many at most: each with the number of its row.
async fn due(
    connection: &mut SqliteConnection,
    queue: &str,
    now: Timestamp,
    cell: &Cell,
    (after, limit): (u32, u32),
) -> Result<Vec<(i64, Due)>, Error> {
    let due: String = sqlx::query_scalar(GOVERNED_DUE)
        .bind(queue)
        .bind(micros(now))
        .bind(&cell.tenant)
        .bind(&cell.kind)
        .bind(&cell.key)
        .bind(cell.priority)
        .bind(limit)
        .bind(after)
        .fetch_one(connection)
        .await?;
    decode(&due)
}

/// Leases the jobs in these rows.
async fn lease(
    connection: &mut SqliteConnection,
    claim: &Claim<'_>,
    now: Timestamp,
    rows: &[i64],
) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(CLAIM_GOVERNED)
        .bind(encode(rows)?)
        .bind(micros(now))
        .bind(claim.worker)
        .bind(micros(now + claim.lease))
        .execute(connection)
        .await?;
    Ok(())
}

async fn put_buckets(
    connection: &mut SqliteConnection,
    queue: &str,
    buckets: &Buckets,
    now: Timestamp,
) -> Result<(), Error> {
    if buckets.is_empty() {
        return Ok(());
    }
    let rows: Vec<(&str, f64)> = buckets
        .iter()
        .map(|(name, bucket)| (name.as_str(), bucket.tokens))
        .collect();
    sqlx::query(PUT_BUCKETS)
        .bind(queue)
        .bind(encode(&rows)?)
        .bind(micros(now))
        .execute(connection)
        .await?;
    Ok(())
}

async fn ungovern(db: &db::Sqlite, queue: &str, limit: u32) -> Result<u64, Error> {
    let mut tx = db.writer().begin_with("begin immediate").await?;
    for statement in [UNGOVERN_QUEUE, FORGET_BUCKETS] {
        sqlx::query(statement).bind(queue).execute(&mut *tx).await?;
    }
    let handed_back = sqlx::query(UNGOVERN)
        .bind(queue)
        .bind(limit)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(handed_back.rows_affected())
}

#[async_trait]
impl Governed for SqliteStore {
    async fn claim_governed(
        &self,
        claim: Claim<'_>,
        allotter: &mut Allotter,
    ) -> Result<Granted, Error> {
        timed(claim_governed(&self.db, &claim, allotter)).await
    }

    async fn ungovern(&self, queue: &str, limit: u32) -> Result<u64, Error> {
        let handed_back = timed(ungovern(&self.db, queue, limit)).await?;
        if handed_back > 0 {
            self.wake(Woken::from([queue.to_owned()]));
        }
        Ok(handed_back)
    }

    async fn governed_queues(&self) -> Result<Vec<String>, Error> {
        timed(async {
            Ok(sqlx::query_scalar(GOVERNED_QUEUES)
                .fetch_all(self.db.readers())
                .await?)
        })
        .await
    }
}

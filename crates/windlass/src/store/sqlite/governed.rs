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
    let counts = allotter.rules().policy.has_concurrency();
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
        running(connection, claim.queue).await?
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
        let mut taken = Vec::new();
        for (head, jobs) in grants {
            take(connection, claim, now, (&head.cell, jobs), &mut taken).await?;
        }
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

async fn running(connection: &mut SqliteConnection, queue: &str) -> Result<Vec<Running>, Error> {
    let rows = sqlx::query(RUNNING)
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

/// Leases up to so many jobs of a cell.
async fn take(
    connection: &mut SqliteConnection,
    claim: &Claim<'_>,
    now: Timestamp,
    (cell, jobs): (&Cell, u32),
    taken: &mut Vec<(ClaimedJob, String)>,
) -> Result<(), Error> {
    let mut wanted = jobs;
    while wanted > 0 {
        let limit = wanted.min(AT_ONCE);
        let due: String = sqlx::query_scalar(GOVERNED_DUE)
            .bind(claim.queue)
            .bind(micros(now))
            .bind(&cell.tenant)
            .bind(&cell.kind)
            .bind(&cell.key)
            .bind(cell.priority)
            .bind(limit)
            .fetch_one(&mut *connection)
            .await?;
        let due: Vec<Due> = decode(&due)?;
        if !due.is_empty() {
            sqlx::query(CLAIM_GOVERNED)
                .bind(claim.queue)
                .bind(micros(now))
                .bind(&cell.tenant)
                .bind(&cell.kind)
                .bind(&cell.key)
                .bind(cell.priority)
                .bind(limit)
                .bind(claim.worker)
                .bind(micros(now + claim.lease))
                .execute(&mut *connection)
                .await?;
        }
        let exhausted = due.len() < limit as usize;
        let claimed = due.into_iter().map(|due| due.claimed(claim.queue, now));
        taken.extend(claimed.map(|job| (job, cell.key.clone())));
        wanted = if exhausted { 0 } else { wanted - limit };
    }
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

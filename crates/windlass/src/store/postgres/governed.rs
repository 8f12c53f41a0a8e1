//! Claims that go by limits and turns.
//!
//! One transaction of separate statements: with limits it begins by waiting for the queue's lock, so
//! that every later statement sees what all claims before it took. Fairness alone needs no lock.
//!
//! What is remembered between claims only makes them cheaper: which queues are governed, for
//! enqueues; and the first end of a lease among a queue's running jobs, before which the index holds
//! nothing but dead entries.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use sqlx::{PgConnection, Row};

use super::lane::{run, transaction};
use super::lines::Freed;
use super::{Error, PgStore, Shared, rows, sql};
use crate::model::{Allotter, Bucket, Buckets, Cell, ClaimedJob, Head, Look, Running, Timestamp};
use crate::store::{Claim, Governed, Granted};

/// Stragglers that one claim makes governed at most.
const ADOPTED: u64 = 500;

/// How often a claim takes what another left over. Whatever is left then, the next one takes.
const PASSES: usize = 4;

/// How long an enqueue may go by what it knows of governed queues.
const FRESH: Duration = Duration::from_secs(1);

/// How long to rest after many cells have been looked at in vain.
const REST: Duration = Duration::from_millis(500);

/// How far the database's clock may be put back, or a heartbeat be late to commit.
const MARGIN: Duration = Duration::from_mins(1);

/// What this process knows of governed queues.
#[derive(Debug, Default)]
pub(super) struct GovernedQueues {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    names: Arc<HashSet<String>>,
    read_at: Option<Instant>,
    /// By queue: when it was last made governed here, and the first end of a running job's lease.
    claimed: HashMap<String, Claimed>,
}

#[derive(Debug)]
struct Claimed {
    governed_at: Option<Instant>,
    first_lease: Timestamp,
}

impl Default for Claimed {
    fn default() -> Self {
        Self {
            governed_at: None,
            first_lease: Timestamp::EPOCH,
        }
    }
}

impl GovernedQueues {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the queue has to be made governed, which lasts a while: another process may have
    /// undone it.
    fn govern(&self, queue: &str) -> bool {
        let mut known = self.lock();
        let claimed = known.claimed.entry(queue.to_owned()).or_default();
        let due = claimed.governed_at.is_none_or(|at| at.elapsed() >= FRESH);
        if due {
            claimed.governed_at = Some(Instant::now());
            Arc::make_mut(&mut known.names).insert(queue.to_owned());
        }
        due
    }

    fn forget(&self, queue: &str) {
        let mut known = self.lock();
        known.claimed.remove(queue);
        Arc::make_mut(&mut known.names).remove(queue);
    }

    fn first_lease(&self, queue: &str) -> Timestamp {
        let known = self.lock();
        let claimed = known.claimed.get(queue);
        claimed.map_or(Timestamp::EPOCH, |claimed| claimed.first_lease)
    }

    /// No lease ends before the first that was seen; what is leased later ends later than now.
    fn counted(&self, queue: &str, first: Option<Timestamp>, now: Timestamp) {
        if let Some(claimed) = self.lock().claimed.get_mut(queue) {
            let now = now.minus(MARGIN);
            claimed.first_lease = first.map_or(now, |first| first.min(now));
        }
    }
}

impl Shared {
    /// Which queues are governed, as last heard; if that was a while ago, asks again, but does not wait.
    pub(super) fn governed_names(self: &Arc<Self>) -> Arc<HashSet<String>> {
        let mut known = self.governed.lock();
        if known.read_at.is_none_or(|at| at.elapsed() >= FRESH) {
            known.read_at = Some(Instant::now());
            let shared = Arc::clone(self);
            tokio::spawn(async move {
                match shared.read_governed_names().await {
                    Ok(names) => shared.governed.lock().names = Arc::new(names),
                    Err(error) => {
                        tracing::debug!(%error, "cannot tell which queues are governed; trying again");
                    }
                }
            });
        }
        Arc::clone(&known.names)
    }

    async fn read_governed_names(&self) -> Result<HashSet<String>, Error> {
        run!(self.leases, |connection| {
            let names: Vec<String> = sqlx::query_scalar(sql::GOVERNED_NAMES)
                .fetch_all(connection)
                .await?;
            Ok(names.into_iter().collect())
        })
    }

    async fn claim_governed(
        &self,
        claim: &Claim<'_>,
        allotter: &mut Allotter,
    ) -> Result<Granted, Error> {
        let govern = self.governed.govern(claim.queue);
        // A time of one's own may lie before every lease.
        let first_lease = match claim.now {
            None => self.governed.first_lease(claim.queue),
            Some(_) => Timestamp::EPOCH,
        };
        let (granted, counted) = transaction!(self.claims, |connection| {
            if govern {
                sqlx::query(sql::GOVERN_QUEUE)
                    .bind(claim.queue)
                    .execute(&mut *connection)
                    .await?;
            }
            governed(connection, claim, allotter, first_lease).await
        })
        .inspect_err(|_| self.governed.forget(claim.queue))?;
        if let (None, Some((first, now))) = (claim.now, counted) {
            self.governed.counted(claim.queue, first, now);
        }
        Ok(granted)
    }

    async fn ungovern(&self, queue: &str, limit: u32) -> Result<u64, Error> {
        self.governed.forget(queue);
        let freed: Vec<Freed> = transaction!(self.upkeep, |connection| {
            sqlx::query(sql::UNGOVERN_QUEUE)
                .bind(queue)
                .execute(&mut *connection)
                .await?;
            sqlx::query(sql::UNGOVERN)
                .bind(queue)
                .bind(i64::from(limit))
                .fetch_all(&mut *connection)
                .await?
                .iter()
                .map(|row| {
                    Ok(Freed {
                        queue: row.try_get(0)?,
                        priority: rows::short(row, 1)?,
                        run_at: rows::timestamp(row, 2)?,
                    })
                })
                .collect::<Result<_, Error>>()
        })?;
        self.freed(&freed);
        Ok(freed.len() as u64)
    }
}

/// When running jobs were counted, and the first end of a lease among them.
type Counted = Option<(Option<Timestamp>, Timestamp)>;

async fn governed(
    connection: &mut PgConnection,
    claim: &Claim<'_>,
    allotter: &mut Allotter,
    first_lease: Timestamp,
) -> Result<(Granted, Counted), Error> {
    let policy = &allotter.rules().policy;
    let (limits, counts) = (policy.has_limits(), policy.has_concurrency());
    let now = begin(connection, claim, limits).await?;
    let (adopts, mut stragglers) = (allotter.adopts(now), false);
    if adopts {
        let adopted = adopt(connection, claim.queue).await?;
        stragglers = adopted == ADOPTED;
        allotter.adopted(now, stragglers);
    }
    if counts && allotter.settles(now) {
        sqlx::query(sql::ADOPT_RUNNING)
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
    let (running, counted) = if counts && !heads.is_empty() {
        let (running, first) = running(connection, claim.queue, first_lease).await?;
        (running, Some((first, now)))
    } else {
        (Vec::new(), None)
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
    let looked = allotter.sweep();
    let more = looked.looked(&wide, deep.as_deref(), ended.jobs.len(), short);
    let again_in = ended.again_in.map(|again_in| {
        // All of them have been looked at in vain: not at once again.
        let whole = looked.is_whole();
        again_in.max(if whole { Duration::ZERO } else { REST })
    });
    if short && !adopts {
        stragglers = adopt(connection, claim.queue).await? > 0;
    }
    let granted = Granted {
        jobs: ended.jobs,
        more: more || stragglers,
        again_in,
        held_by: ended.held_by,
        buckets: ended.buckets,
    };
    Ok((granted, counted))
}

/// Waits for its turn if there are limits; tells the time.
async fn begin(
    connection: &mut PgConnection,
    claim: &Claim<'_>,
    limits: bool,
) -> Result<Timestamp, Error> {
    let row = sqlx::query(sql::GOVERN)
        .bind(claim.queue)
        .bind(limits)
        .bind(claim.now.map(rows::time))
        .fetch_one(connection)
        .await?;
    rows::timestamp(&row, 0)
}

async fn adopt(connection: &mut PgConnection, queue: &str) -> Result<u64, Error> {
    let adopted = sqlx::query(sql::ADOPT)
        .bind(queue)
        .bind(ADOPTED.cast_signed())
        .execute(connection)
        .await?;
    Ok(adopted.rows_affected())
}

async fn cells(
    connection: &mut PgConnection,
    queue: &str,
    look: &Look,
    now: Timestamp,
    depth: u32,
) -> Result<Vec<Head>, Error> {
    let after = look.after.as_ref();
    sqlx::query(sql::CELLS)
        .bind(queue)
        .bind(after.map_or("", |cell| &cell.tenant))
        .bind(after.map_or("", |cell| &cell.kind))
        .bind(after.map_or("", |cell| &cell.key))
        .bind(after.map_or(-1, |cell| i16::from(cell.priority)))
        .bind(i64::from(look.of_tenant))
        .bind(i64::from(look.most))
        .bind(rows::time(now))
        .bind(i64::from(depth))
        .fetch_all(connection)
        .await?
        .iter()
        .map(|row| {
            let due = rows::long(row, 5)?;
            Ok(Head {
                cell: Cell {
                    tenant: row.try_get(0)?,
                    kind: row.try_get(1)?,
                    key: row.try_get(2)?,
                    priority: rows::short(row, 3)?,
                },
                run_at: rows::timestamp(row, 4)?,
                due,
                deep: due >= depth,
            })
        })
        .collect()
}

async fn running(
    connection: &mut PgConnection,
    queue: &str,
    first_lease: Timestamp,
) -> Result<(Vec<Running>, Option<Timestamp>), Error> {
    let counted = sqlx::query(sql::RUNNING)
        .bind(queue)
        .bind(rows::time(first_lease))
        .fetch_all(connection)
        .await?;
    let mut first = None;
    let mut running = Vec::with_capacity(counted.len());
    for row in &counted {
        running.push(Running {
            kind: row.try_get(0)?,
            key: row.try_get(1)?,
            jobs: rows::long(row, 2)?,
        });
        let lease = rows::timestamp(row, 3)?;
        first = Some(first.map_or(lease, |first: Timestamp| first.min(lease)));
    }
    Ok((running, first))
}

async fn buckets(
    connection: &mut PgConnection,
    queue: &str,
    names: &[String],
) -> Result<Buckets, Error> {
    if names.is_empty() {
        return Ok(Buckets::new());
    }
    sqlx::query(sql::BUCKETS)
        .bind(queue)
        .bind(names)
        .fetch_all(connection)
        .await?
        .iter()
        .map(|row| {
            let bucket = Bucket {
                tokens: row.try_get(1)?,
                at: rows::timestamp(row, 2)?,
            };
            Ok((row.try_get(0)?, bucket))
        })
        .collect()
}

async fn take(
    connection: &mut PgConnection,
    claim: &Claim<'_>,
    now: Timestamp,
    grants: &[(&Cell, u32)],
) -> Result<Vec<(ClaimedJob, String)>, Error> {
    fn column<'a, T>(grants: &[(&'a Cell, u32)], field: impl Fn(&'a Cell) -> T) -> Vec<T> {
        grants.iter().map(|(cell, _)| field(cell)).collect()
    }
    let jobs: Vec<i64> = grants.iter().map(|(_, jobs)| i64::from(*jobs)).collect();
    sqlx::query(sql::CLAIM_GOVERNED)
        .bind(claim.queue)
        .bind(claim.worker)
        .bind(rows::micros(claim.lease))
        .bind(rows::time(now))
        .bind(column(grants, |cell| cell.tenant.as_str()))
        .bind(column(grants, |cell| cell.kind.as_str()))
        .bind(column(grants, |cell| cell.key.as_str()))
        .bind(column(grants, |cell| i16::from(cell.priority)))
        .bind(jobs)
        .fetch_all(connection)
        .await?
        .iter()
        .map(|row| Ok((rows::claimed(row)?, row.try_get("key")?)))
        .collect()
}

async fn put_buckets(
    connection: &mut PgConnection,
    queue: &str,
    buckets: &Buckets,
    now: Timestamp,
) -> Result<(), Error> {
    if buckets.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = buckets.keys().map(String::as_str).collect();
    let tokens: Vec<f64> = buckets.values().map(|bucket| bucket.tokens).collect();
    sqlx::query(sql::PUT_BUCKETS)
        .bind(queue)
        .bind(names)
        .bind(tokens)
        .bind(rows::time(now))
        .execute(connection)
        .await?;
    Ok(())
}

#[async_trait]
impl Governed for PgStore {
    async fn claim_governed(
        &self,
        claim: Claim<'_>,
        allotter: &mut Allotter,
    ) -> Result<Granted, Error> {
        self.shared.claim_governed(&claim, allotter).await
    }

    async fn ungovern(&self, queue: &str, limit: u32) -> Result<u64, Error> {
        self.shared.ungovern(queue, limit).await
    }

    async fn governed_queues(&self) -> Result<Vec<String>, Error> {
        run!(self.shared.reads, |connection| {
            Ok(sqlx::query_scalar(sql::GOVERNED_QUEUES)
                .fetch_all(connection)
                .await?)
        })
    }
}

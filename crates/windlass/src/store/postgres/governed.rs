//! Claims that go by limits and turns.
//!
//! One transaction of separate statements: with limits it begins by waiting for the queue's lock, so
//! that every later statement sees what all claims before it took. Fairness alone needs no lock.
//!
//! What is remembered between claims only makes them cheaper: which queues are governed, for
//! enqueues; where each known cell begins (`cells.rs`); and the first end of a lease among a queue's
//! running jobs, before which the index holds nothing but dead entries.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use sqlx::Row;

use super::cells::{Cells, Start};
use super::lane::{run, transaction};
use super::lines::Freed;
use super::looks;
use super::{Error, PgStore, Session, Shared, rows, sql};
use crate::model::{Allotter, Bucket, Buckets, ClaimedJob, Head, Running, Timestamp};
use crate::store::{Claim, Governed, Granted, Wake};

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
    claimed: HashMap<String, Claimed>,
}

/// What is known of one queue.
#[derive(Debug)]
struct Claimed {
    /// When it was last made governed here.
    governed_at: Option<Instant>,
    /// The first end of a running job's lease.
    first_lease: Timestamp,
    cells: Cells,
}

impl Default for Claimed {
    fn default() -> Self {
        Self {
            governed_at: None,
            first_lease: Timestamp::EPOCH,
            cells: Cells::default(),
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

    /// Takes over which queues are governed. What was made so here may have been so for too short a
    /// time to be among them.
    fn heard(&self, mut names: HashSet<String>) {
        let mut known = self.lock();
        let claimed = known.claimed.iter();
        let here = claimed.filter(|(_, claimed)| claimed.governed_at.is_some());
        names.extend(here.map(|(queue, _)| queue.clone()));
        known.names = Arc::new(names);
    }

    fn forget(&self, queue: &str) {
        let mut known = self.lock();
        known.claimed.remove(queue);
        Arc::make_mut(&mut known.names).remove(queue);
    }

    /// Where a claim begins: the first end of a lease, and the cells.
    fn start(&self, queue: &str) -> (Timestamp, Start) {
        let mut known = self.lock();
        let claimed = known.claimed.entry(queue.to_owned()).or_default();
        (claimed.first_lease, claimed.cells.start())
    }

    /// Takes over what a claim saw.
    fn saw(&self, queue: &str, start: &Start, seen: &Seen) {
        let mut known = self.lock();
        let Some(claimed) = known.claimed.get_mut(queue) else {
            return;
        };
        if let Some(first_lease) = seen.first_lease {
            claimed.first_lease = first_lease;
        }
        claimed
            .cells
            .looked(start, &seen.heads, seen.now, seen.whole, seen.short);
    }

    /// Makes room for a job that became claimable at an old time.
    pub(super) fn fall_back(&self, queue: &str, priority: u8, run_at: Timestamp) {
        if let Some(claimed) = self.lock().claimed.get_mut(queue) {
            claimed.cells.fall_back(priority, run_at);
        }
    }

    /// Forgets where cells begin, for jobs that were given times of their own.
    pub(super) fn forget_cells(&self, queue: &str) {
        if let Some(claimed) = self.lock().claimed.get_mut(queue) {
            claimed.cells.forget();
        }
    }

    fn plan_look_back(&self, queue: &str) -> Option<Duration> {
        let mut known = self.lock();
        known.claimed.get_mut(queue)?.cells.plan_look_back()
    }

    fn looks_back(&self, queue: &str) {
        if let Some(claimed) = self.lock().claimed.get_mut(queue) {
            claimed.cells.looks_back();
        }
    }

    /// Whether a job was hidden, and whether to look again.
    fn looked_back(&self, queue: &str, found: Option<&[Head]>, took: Duration) -> (bool, bool) {
        let mut known = self.lock();
        let Some(Claimed { cells, .. }) = known.claimed.get_mut(queue) else {
            return (false, false);
        };
        (cells.looked_back(found, took), cells.has_to_look_again())
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
                    Ok(names) => shared.governed.heard(names),
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
        self: &Arc<Self>,
        claim: &Claim<'_>,
        allotter: &mut Allotter,
    ) -> Result<Granted, Error> {
        let govern = self.governed.govern(claim.queue);
        // A time of one's own may lie before every lease and every cell's place.
        let (first_lease, start) = match claim.now {
            None => self.governed.start(claim.queue),
            Some(_) => (Timestamp::EPOCH, Cells::search()),
        };
        let (granted, seen) = transaction!(self.claims, |connection| {
            if govern {
                sqlx::query(sql::GOVERN_QUEUE)
                    .bind(claim.queue)
                    .execute(&mut *connection)
                    .await?;
            }
            governed(connection, claim, allotter, first_lease, &start).await
        })
        .inspect_err(|_| self.governed.forget(claim.queue))?;
        if claim.now.is_none() {
            self.governed.saw(claim.queue, &start, &seen);
            self.look_into_cells_soon(claim.queue);
        }
        Ok(granted)
    }

    /// Looks back once it is time to, unless someone is about to already. Whoever claims causes a look
    /// that begins later than his claim.
    fn look_into_cells_soon(self: &Arc<Self>, queue: &str) {
        let Some(rest) = self.governed.plan_look_back(queue) else {
            return;
        };
        let (shared, queue) = (Arc::downgrade(self), Arc::<str>::from(queue));
        tokio::spawn(async move {
            tokio::time::sleep(rest).await;
            if let Some(shared) = shared.upgrade() {
                shared.look_into_cells(queue).await;
            }
        });
    }

    async fn look_into_cells(self: &Arc<Self>, queue: Arc<str>) {
        self.governed.looks_back(&queue);
        let began = Instant::now();
        let found = run!(self.claims, |connection| {
            looks::first_jobs(connection, &queue).await
        });
        if let Err(error) = &found {
            tracing::debug!(queue = &*queue, %error, "cannot look back for late jobs; trying again");
        }
        let (hidden, again) =
            self.governed
                .looked_back(&queue, found.as_deref().ok(), began.elapsed());
        if again || found.is_err() {
            self.look_into_cells_soon(&queue);
        }
        if hidden {
            self.waker.send(Wake::Queue(queue));
        }
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

/// What a claim saw.
struct Seen {
    now: Timestamp,
    /// No lease of a running job ends before this, now or later; if they were counted.
    first_lease: Option<Timestamp>,
    heads: Vec<Head>,
    /// Whether these were all the cells there are.
    whole: bool,
    /// Whether it took less than it had room for.
    short: bool,
}

async fn governed(
    connection: &mut Session<'_>,
    claim: &Claim<'_>,
    allotter: &mut Allotter,
    first_lease: Timestamp,
    start: &Start,
) -> Result<(Granted, Seen), Error> {
    let policy = &allotter.rules().policy;
    let (limits, counts) = (policy.has_limits(), policy.has_concurrency());
    let apart = policy.has_concurrency_apart();
    let now = begin(connection, claim, limits).await?;
    let adopts = allotter.adopts(now);
    let mut stragglers = adopts && settle(connection, claim.queue, allotter, now).await?;
    let depth = Allotter::depth(claim.limit);
    let looked = looks::look(connection, claim.queue, allotter.sweep(), start, now, depth).await?;
    let heads = looked.heads();
    let (running, first_lease) = if counts && !heads.is_empty() {
        let (running, first) = running(connection, claim.queue, first_lease, apart).await?;
        // What is leased later ends later than now.
        let later = now.minus(MARGIN);
        (running, Some(first.map_or(later, |first| first.min(later))))
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
    let sweep = allotter.sweep();
    let more = sweep.looked(
        &looked.wide,
        looked.deep.as_deref(),
        ended.jobs.len(),
        short,
    );
    let whole = sweep.is_whole();
    let again_in = ended.again_in.map(|again_in| {
        // All of them have been looked at in vain: not at once again.
        again_in.max(if whole { Duration::ZERO } else { REST })
    });
    if short && !adopts {
        stragglers = adopt(connection, claim.queue).await? > 0;
    }
    let granted = Granted {
        jobs: ended.jobs,
        more: more || stragglers || (short && !start.is_thorough()),
        again_in,
        held_by: ended.held_by,
        buckets: ended.buckets,
    };
    let seen = Seen {
        now,
        first_lease,
        heads,
        whole,
        short,
    };
    Ok((granted, seen))
}

/// Makes governed what is not though it should be; says whether there may be more of it.
async fn settle(
    connection: &mut Session<'_>,
    queue: &str,
    allotter: &mut Allotter,
    now: Timestamp,
) -> Result<bool, Error> {
    let more = adopt(connection, queue).await? == ADOPTED;
    allotter.adopted(now, more);
    if allotter.rules().policy.has_concurrency() && allotter.settles(now) {
        sqlx::query(sql::ADOPT_RUNNING)
            .bind(queue)
            .execute(connection)
            .await?;
    }
    Ok(more)
}

/// Waits for its turn if there are limits; tells the time.
async fn begin(
    connection: &mut Session<'_>,
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

async fn adopt(connection: &mut Session<'_>, queue: &str) -> Result<u64, Error> {
    let adopted = sqlx::query(sql::ADOPT)
        .bind(queue)
        .bind(ADOPTED.cast_signed())
        .execute(connection)
        .await?;
    Ok(adopted.rows_affected())
}

/// What runs, by kind and key if limits tell them `apart`, which takes longer to count.
async fn running(
    connection: &mut Session<'_>,
    queue: &str,
    first_lease: Timestamp,
    apart: bool,
) -> Result<(Vec<Running>, Option<Timestamp>), Error> {
    let statement = if apart {
        sql::RUNNING
    } else {
        sql::RUNNING_TOGETHER
    };
    let counted = sqlx::query(statement)
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
        // Of none at all there is no first.
        if let Some(lease) = rows::timestamp_or_none(row, 3)? {
            first = Some(first.map_or(lease, |first: Timestamp| first.min(lease)));
        }
    }
    Ok((running, first))
}

async fn buckets(
    connection: &mut Session<'_>,
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
    connection: &mut Session<'_>,
    claim: &Claim<'_>,
    now: Timestamp,
    grants: &[(&Head, u32)],
) -> Result<Vec<(ClaimedJob, String)>, Error> {
    fn column<'a, T>(grants: &[(&'a Head, u32)], field: impl Fn(&'a Head) -> T) -> Vec<T> {
        grants.iter().map(|(head, _)| field(head)).collect()
    }
    let jobs: Vec<i64> = grants.iter().map(|(_, jobs)| i64::from(*jobs)).collect();
    sqlx::query(sql::CLAIM_GOVERNED)
        .bind(claim.queue)
        .bind(claim.worker)
        .bind(rows::micros(claim.lease))
        .bind(rows::time(now))
        .bind(column(grants, |head| head.cell.tenant.as_str()))
        .bind(column(grants, |head| head.cell.kind.as_str()))
        .bind(column(grants, |head| head.cell.key.as_str()))
        .bind(column(grants, |head| i16::from(head.cell.priority)))
        .bind(column(grants, |head| rows::time(head.run_at)))
        .bind(jobs)
        .fetch_all(connection)
        .await?
        .iter()
        .map(|row| Ok((rows::claimed(row)?, row.try_get("key")?)))
        .collect()
}

async fn put_buckets(
    connection: &mut Session<'_>,
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

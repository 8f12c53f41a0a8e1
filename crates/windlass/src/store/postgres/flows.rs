//! What outlives an attempt, and what ties jobs together.

use std::collections::HashSet;

use async_trait::async_trait;
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::lane::{run, transaction};
use super::lines::Freed;
use super::rows::{self, Time};
use super::steps::{self, Ended, Tally};
use super::{Error, PgStore, Session, Shared, lines, signals, sql};
use crate::db;
use crate::model::{
    Edge, End, FlowFilter, FlowId, FlowRecord, JobId, Json, Lease, NewFlow, Parent, Recorded,
    Retried, RetryRefused, Signal, State, StepRecord, StepState, Timestamp, retry,
};
use crate::store::flows::{FLOW_CANCELLED, MAX_PAGE, kept_for};
use crate::store::{Changed, FlowChanged, Flows, Prune, Started};

/// Flows deleted by one statement.
const PRUNED_AT_ONCE: i64 = 100;

#[async_trait]
impl Flows for PgStore {
    async fn checkpoint(&self, lease: Lease, note: &Json) -> Result<Recorded, Error> {
        run!(self.shared.leases, |connection| {
            checkpoint(connection, lease, note).await
        })
    }

    async fn checkpoint_in(
        &self,
        tx: &mut db::Tx,
        lease: Lease,
        note: &Json,
    ) -> Result<Recorded, Error> {
        let connection = &mut self
            .shared
            .session(tx, "keep a checkpoint in another store's transaction")?;
        checkpoint(connection, lease, note).await
    }

    async fn start(&self, flow: &NewFlow, now: Option<Timestamp>) -> Result<Started, Error> {
        self.shared.start(flow, now).await
    }

    async fn start_in(
        &self,
        tx: &mut db::Tx,
        flow: &NewFlow,
        now: Option<Timestamp>,
    ) -> Result<Started, Error> {
        self.shared.start_in(tx, flow, now).await
    }

    async fn flow(&self, id: FlowId, tenant: Option<&str>) -> Result<Option<FlowRecord>, Error> {
        run!(self.shared.reads, |connection| {
            let row = sqlx::query(sql::FLOW)
                .bind(id.as_uuid())
                .bind(tenant)
                .fetch_optional(connection)
                .await?;
            row.as_ref().map(flow).transpose()
        })
    }

    async fn flows(
        &self,
        filter: &FlowFilter,
        before: Option<FlowId>,
        limit: u32,
    ) -> Result<Vec<FlowRecord>, Error> {
        run!(self.shared.reads, |connection| {
            sqlx::query(sql::FLOWS)
                .bind(i64::from(limit.clamp(1, MAX_PAGE)))
                .bind(before.map(FlowId::as_uuid))
                .bind(&filter.tenant_id)
                .bind(&filter.name)
                .bind(filter.finished)
                .fetch_all(connection)
                .await?
                .iter()
                .map(flow)
                .collect()
        })
    }

    async fn steps(
        &self,
        id: FlowId,
        tenant: Option<&str>,
        from: u32,
        limit: u32,
        now: Option<Timestamp>,
    ) -> Result<Vec<StepRecord>, Error> {
        let most = i64::try_from(StepRecord::MOST_PARENTS).unwrap_or(i64::MAX);
        run!(self.shared.reads, |connection| {
            sqlx::query(sql::FLOW_STEPS)
                .bind(id.as_uuid())
                .bind(tenant)
                .bind(i32::try_from(from).unwrap_or(i32::MAX))
                .bind(i64::from(limit.clamp(1, MAX_PAGE)))
                .bind(most)
                .bind(now.map(rows::time))
                .fetch_all(connection)
                .await?
                .iter()
                .map(step)
                .collect()
        })
    }

    async fn parents(&self, job: JobId) -> Result<Vec<Parent>, Error> {
        run!(self.shared.reads, |connection| {
            sqlx::query(sql::FLOW_PARENTS)
                .bind(job.as_uuid())
                .fetch_all(connection)
                .await?
                .iter()
                .map(parent)
                .collect()
        })
    }

    async fn cancel_flow(
        &self,
        id: FlowId,
        tenant: Option<&str>,
        now: Option<Timestamp>,
    ) -> Result<FlowChanged, Error> {
        let now = now.map(rows::time);
        let (changed, freed) = transaction!(self.shared.leases, |connection| {
            cancel(connection, id, tenant, now).await
        })?;
        self.shared.freed(&freed);
        Ok(changed)
    }

    async fn retry_flow(
        &self,
        id: FlowId,
        tenant: Option<&str>,
        from: Option<&str>,
        now: Option<Timestamp>,
    ) -> Result<FlowChanged, Error> {
        let now = now.map(rows::time);
        let (changed, freed) = transaction!(self.shared.leases, |connection| {
            run_again(connection, id, tenant, from, now).await
        })?;
        self.shared.freed(&freed);
        Ok(changed)
    }

    async fn signal(
        &self,
        job: JobId,
        tenant: Option<&str>,
        name: &str,
        payload: &Json,
        now: Option<Timestamp>,
    ) -> Result<Changed, Error> {
        self.shared.signal(job, tenant, name, payload, now).await
    }

    async fn signalled(&self, job: JobId, name: &str) -> Result<Signal, Error> {
        self.shared.signalled(job, name).await
    }
}

impl Shared {
    /// Forgets flows that have been finished for as long as their jobs are kept.
    pub(super) async fn prune_flows(&self, prune: Prune, now: Timestamp) -> Result<(), Error> {
        let before = |failed| rows::time(now.minus(kept_for(failed, &prune)));
        run!(self.upkeep, |connection| {
            sqlx::query(sql::PRUNE_FLOWS)
                .bind(before(false))
                .bind(before(true))
                .bind(PRUNED_AT_ONCE)
                .execute(connection)
                .await?;
            Ok(())
        })
    }
}

pub(super) async fn checkpoint(
    connection: &mut Session<'_>,
    lease: Lease,
    note: &Json,
) -> Result<Recorded, Error> {
    let recorded = sqlx::query(sql::CHECKPOINT)
        .bind(lease.job.as_uuid())
        .bind(lease.claim_no)
        .bind(note.as_str())
        .execute(connection)
        .await?;
    Ok(if recorded.rows_affected() == 1 {
        Recorded::Yes
    } else {
        Recorded::LeaseLost
    })
}

/// Whether all of the flow's steps have ended; the flow and its lines are locked.
async fn lock(
    connection: &mut Session<'_>,
    id: FlowId,
    tenant: Option<&str>,
) -> Result<Option<bool>, Error> {
    sqlx::query(sql::LOCK_FLOW_LINES)
        .bind(id.as_uuid())
        .execute(&mut *connection)
        .await?;
    let finished = sqlx::query_scalar(sql::LOCK_FLOW)
        .bind(id.as_uuid())
        .bind(tenant)
        .fetch_optional(connection)
        .await?;
    Ok(finished)
}

async fn cancel(
    connection: &mut Session<'_>,
    id: FlowId,
    tenant: Option<&str>,
    now: Option<Time>,
) -> Result<(FlowChanged, Vec<Freed>), Error> {
    match lock(connection, id, tenant).await? {
        None => return Ok((FlowChanged::NotFound, Vec::new())),
        Some(true) => return Ok((FlowChanged::Finished, Vec::new())),
        Some(false) => {}
    }
    let (mut running, mut others, mut ended) = (Vec::new(), Vec::<Uuid>::new(), Vec::new());
    let rows = sqlx::query(sql::LOCK_STEPS)
        .bind(id.as_uuid())
        .fetch_all(&mut *connection)
        .await?;
    let rows_locked = rows.len() as u64;
    for row in &rows {
        if rows::state(row, 1)? == State::Running {
            running.push(row.try_get::<Uuid, _>(0)?);
        } else {
            others.push(row.try_get(0)?);
            ended.push(Ended {
                reason: Some(FLOW_CANCELLED.to_owned()),
                ..Ended::new(rows::id(row, 0)?, End::Cancelled)
            });
        }
    }
    sqlx::query(sql::CANCEL_RUNNING)
        .bind(running)
        .bind(now)
        .execute(&mut *connection)
        .await?;
    let rows = sqlx::query(sql::END_WAITING)
        .bind(others)
        .bind(now)
        .fetch_all(&mut *connection)
        .await?;
    let mut freed_lines = Vec::new();
    for row in &rows {
        if let Some(key) = row.try_get::<Option<String>, _>(1)? {
            freed_lines.push((row.try_get(0)?, key));
        }
    }
    // All that waited for these are among them: nothing comes of it for others.
    steps::ended(connection, &ended, now).await?;
    let freed = lines::hand_on(connection, &freed_lines, now).await?;
    Ok((FlowChanged::Done(rows_locked), freed))
}

/// Retries a flow, in the transaction that the connection is in.
async fn run_again(
    connection: &mut Session<'_>,
    id: FlowId,
    tenant: Option<&str>,
    from: Option<&str>,
    now: Option<Time>,
) -> Result<(FlowChanged, Vec<Freed>), Error> {
    if lock(connection, id, tenant).await?.is_none() {
        return Ok((FlowChanged::NotFound, Vec::new()));
    }
    let states = states(connection, id).await?;
    let edges = edges(connection, id).await?;
    let retried = match retry(&states, &edges, from) {
        Ok(retried) => retried,
        Err(refused) => return Ok((FlowChanged::Refused(refused), Vec::new())),
    };
    let missing = missing(connection, &retried).await?;
    if let Some(gone) = states.iter().find(|step| missing == Some(step.job)) {
        let refused = RetryRefused::Pruned(gone.name.clone());
        return Ok((FlowChanged::Refused(refused), Vec::new()));
    }
    let mut tally = Tally::default();
    let again: HashSet<JobId> = retried.reset.iter().map(|(job, _)| *job).collect();
    for end in states
        .iter()
        .filter(|step| again.contains(&step.job))
        .filter_map(|step| step.ended_as)
    {
        tally.add(id.as_uuid(), end, -1);
    }
    let count = retried.reset.len() as u64;
    reset(connection, id, &retried.reset, now).await?;
    let freed = steps::apply(connection, retried.settled, &mut tally, now).await?;
    tally.write(connection, now).await?;
    Ok((FlowChanged::Done(count), freed))
}

async fn states(connection: &mut Session<'_>, id: FlowId) -> Result<Vec<StepState>, Error> {
    sqlx::query(sql::FLOW_STATES)
        .bind(id.as_uuid())
        .fetch_all(connection)
        .await?
        .iter()
        .map(|row| {
            Ok(StepState {
                job: rows::id(row, 0)?,
                name: row.try_get(1)?,
                after: steps::after(row, 2)?,
                ended_as: steps::end(row, 3)?,
                blocked: row.try_get(4)?,
            })
        })
        .collect()
}

async fn edges(connection: &mut Session<'_>, id: FlowId) -> Result<Vec<Edge>, Error> {
    sqlx::query(sql::FLOW_EDGES)
        .bind(id.as_uuid())
        .fetch_all(connection)
        .await?
        .iter()
        .map(|row| {
            Ok(Edge {
                parent: rows::id(row, 0)?,
                child: rows::id(row, 1)?,
            })
        })
        .collect()
}

/// A job that a retry needs and retention has taken; the others are locked.
async fn missing(connection: &mut Session<'_>, retried: &Retried) -> Result<Option<JobId>, Error> {
    let jobs: Vec<Uuid> = retried.reset.iter().map(|(job, _)| job.as_uuid()).collect();
    let kept: HashSet<JobId> = sqlx::query(sql::LOCK_FINISHED_STEPS)
        .bind(jobs)
        .fetch_all(connection)
        .await?
        .iter()
        .map(|row| rows::id(row, 0))
        .collect::<Result<_, _>>()?;
    let gone = retried.reset.iter().find(|(job, _)| !kept.contains(job));
    Ok(gone.map(|(job, _)| *job))
}

/// Makes ended steps wait for their parents.
async fn reset(
    connection: &mut Session<'_>,
    flow: FlowId,
    steps: &[(JobId, u32)],
    now: Option<Time>,
) -> Result<(), Error> {
    let (jobs, pending): (Vec<Uuid>, Vec<i32>) = steps
        .iter()
        .map(|(job, pending)| (job.as_uuid(), i32::try_from(*pending).unwrap_or(i32::MAX)))
        .unzip();
    signals::drop_of(connection, &jobs).await?;
    sqlx::query(sql::RESET_STEPS)
        .bind(&jobs)
        .bind(pending)
        .execute(&mut *connection)
        .await?;
    sqlx::query(sql::REVIVE_STEPS)
        .bind(&jobs)
        .bind(flow.as_uuid())
        .bind(now)
        .execute(connection)
        .await?;
    Ok(())
}

/// Reviving a finished step is retrying its flow from there; `None` if the job is no step.
pub(super) async fn revive_step(
    connection: &mut Session<'_>,
    job: JobId,
    state: State,
    now: Option<Timestamp>,
) -> Result<Option<(Changed, Vec<Freed>)>, Error> {
    let row = sqlx::query(sql::FLOW_OF_STEP)
        .bind(job.as_uuid())
        .fetch_optional(&mut *connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let flow = FlowId::from_uuid(row.try_get(0)?);
    let name: String = row.try_get(1)?;
    let now = now.map(rows::time);
    let (changed, freed) = run_again(connection, flow, None, Some(&name), now).await?;
    Ok(Some(match changed {
        FlowChanged::Done(_) => (Changed::Done, freed),
        _ => (Changed::Refused(state), freed),
    }))
}

fn flow(row: &PgRow) -> Result<FlowRecord, Error> {
    Ok(FlowRecord {
        id: FlowId::from_uuid(row.try_get(0)?),
        name: row.try_get(1)?,
        tenant_id: row.try_get(2)?,
        correlation_id: row.try_get(3)?,
        created_at: rows::timestamp(row, 4)?,
        finished_at: rows::timestamp_or_none(row, 5)?,
        steps: steps::count(row, 6)?,
        completed: steps::count(row, 7)?,
        failed: steps::count(row, 8)?,
        skipped: steps::count(row, 9)?,
    })
}

fn step(row: &PgRow) -> Result<StepRecord, Error> {
    let ended_as = steps::end(row, 6)?;
    let now = rows::timestamp(row, 10)?;
    let state = match ended_as {
        Some(end) => end.state(),
        None => rows::state(row, 8)?.at(rows::timestamp(row, 9)?, now),
    };
    Ok(StepRecord {
        position: steps::count(row, 0)?,
        name: row.try_get(1)?,
        job: rows::id(row, 2)?,
        kind: row.try_get(3)?,
        after: steps::after(row, 4)?,
        pending: steps::count(row, 5)?,
        parents: row.try_get(11)?,
        state,
        ended_as,
        reason: row.try_get(7)?,
    })
}

fn parent(row: &PgRow) -> Result<Parent, Error> {
    Ok(Parent {
        name: row.try_get(0)?,
        job: rows::id(row, 1)?,
        kind: row.try_get(4)?,
        ended_as: steps::end(row, 2)?,
        result: row.try_get::<Option<String>, _>(3)?.map(Json::trusted),
    })
}

//! What outlives an attempt, and what ties jobs together.

use std::collections::HashMap;

use async_trait::async_trait;
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use uuid::Uuid;

use super::rows::{self, Woken, decode, encode, micros};
use super::steps::{self, Ended, Tally};
use super::{SqliteStore, at, connection, keys, signals, start, timed, wake};
use crate::db;
use crate::model::{
    Edge, End, FlowFilter, FlowId, FlowRecord, JobId, Json, Lease, NewFlow, Parent, Recorded,
    RetryRefused, Signal, State, StepRecord, StepState, Timestamp, retry,
};
use crate::store::flows::{FLOW_CANCELLED, MAX_PAGE, kept_for};
use crate::store::{Changed, Error, FlowChanged, Flows, Prune, Started};

const CHECKPOINT: &str = include_str!("sql/checkpoint.sql");
const FLOW: &str = include_str!("sql/flow.sql");
const FLOWS: &str = include_str!("sql/flows.sql");
const FLOW_STEPS: &str = include_str!("sql/flow_steps.sql");
const FLOW_PARENTS: &str = include_str!("sql/flow_parents.sql");
const FLOW_STATES: &str = include_str!("sql/flow_states.sql");
const FLOW_EDGES: &str = include_str!("sql/flow_edges.sql");
const FLOW_OF_STEP: &str = include_str!("sql/flow_of_step.sql");
const CANCEL_RUNNING: &str = include_str!("sql/cancel_running.sql");
const RESET_STEPS: &str = include_str!("sql/reset_steps.sql");
const REVIVE_STEPS: &str = include_str!("sql/revive_steps.sql");
const PRUNE_FLOWS: &str = include_str!("sql/prune_flows.sql");
const PRUNE_EDGES: &str = include_str!("sql/prune_edges.sql");
const PRUNE_STEPS: &str = include_str!("sql/prune_steps.sql");

/// Flows deleted in one transaction.
const PRUNED_AT_ONCE: u32 = 100;

#[async_trait]
impl Flows for SqliteStore {
    async fn checkpoint(&self, lease: Lease, note: &Json) -> Result<Recorded, Error> {
        timed(async {
            let mut connection = self.db.writer().acquire().await?;
            checkpoint(&mut connection, lease, note).await
        })
        .await
    }

    async fn checkpoint_in(
        &self,
        tx: &mut db::Tx,
        lease: Lease,
        note: &Json,
    ) -> Result<Recorded, Error> {
        let connection = connection(tx, "keep a checkpoint in a transaction of another database")?;
        timed(checkpoint(connection, lease, note)).await
    }

    async fn start(&self, flow: &NewFlow, now: Option<Timestamp>) -> Result<Started, Error> {
        let (started, woken) = timed(start::start(&self.db, flow, now)).await?;
        self.wake(woken);
        Ok(started)
    }

    async fn start_in(
        &self,
        tx: &mut db::Tx,
        flow: &NewFlow,
        now: Option<Timestamp>,
    ) -> Result<Started, Error> {
        let connection = connection(tx, "start a flow in a transaction of another database")?;
        let (started, woken) = timed(start::start_in(connection, flow, now)).await?;
        let waker = self.waker.clone();
        tx.after_commit(move || wake(&waker, woken));
        Ok(started)
    }

    async fn flow(&self, id: FlowId, tenant: Option<&str>) -> Result<Option<FlowRecord>, Error> {
        timed(async {
            let mut connection = self.db.readers().acquire().await?;
            find(&mut connection, id, tenant).await
        })
        .await
    }

    async fn flows(
        &self,
        filter: &FlowFilter,
        before: Option<FlowId>,
        limit: u32,
    ) -> Result<Vec<FlowRecord>, Error> {
        timed(async {
            let rows = sqlx::query(FLOWS)
                .bind(limit.clamp(1, MAX_PAGE))
                .bind(before.map(FlowId::as_uuid))
                .bind(&filter.tenant_id)
                .bind(&filter.name)
                .bind(filter.finished)
                .fetch_all(self.db.readers())
                .await?;
            rows.iter().map(flow).collect()
        })
        .await
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
        timed(async {
            let rows = sqlx::query(FLOW_STEPS)
                .bind(id.as_uuid())
                .bind(tenant)
                .bind(from)
                .bind(limit.clamp(1, MAX_PAGE))
                .bind(most)
                .fetch_all(self.db.readers())
                .await?;
            let now = at(now);
            rows.iter().map(|row| step(row, now)).collect()
        })
        .await
    }

    async fn parents(&self, job: JobId) -> Result<Vec<Parent>, Error> {
        timed(async {
            let rows = sqlx::query(FLOW_PARENTS)
                .bind(job.as_uuid())
                .fetch_all(self.db.readers())
                .await?;
            rows.iter().map(parent).collect()
        })
        .await
    }

    async fn cancel_flow(
        &self,
        id: FlowId,
        tenant: Option<&str>,
        now: Option<Timestamp>,
    ) -> Result<FlowChanged, Error> {
        let (changed, woken) = timed(async {
            let mut tx = self.db.writer().begin_with("begin immediate").await?;
            let changed = cancel(&mut tx, id, tenant, at(now)).await?;
            tx.commit().await?;
            Ok(changed)
        })
        .await?;
        self.wake(woken);
        Ok(changed)
    }

    async fn retry_flow(
        &self,
        id: FlowId,
        tenant: Option<&str>,
        from: Option<&str>,
        now: Option<Timestamp>,
    ) -> Result<FlowChanged, Error> {
        let mut woken = Woken::new();
        let changed = timed(async {
            let mut tx = self.db.writer().begin_with("begin immediate").await?;
            let changed = run_again(&mut tx, id, tenant, from, at(now), &mut woken).await?;
            tx.commit().await?;
            Ok(changed)
        })
        .await?;
        self.wake(woken);
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
        let (changed, woken) =
            timed(signals::signal(&self.db, job, tenant, name, payload, now)).await?;
        self.wake(woken);
        Ok(changed)
    }

    async fn signalled(&self, job: JobId, name: &str) -> Result<Signal, Error> {
        timed(signals::signalled(&self.db, job, name)).await
    }
}

pub(super) async fn checkpoint(
    connection: &mut SqliteConnection,
    lease: Lease,
    note: &Json,
) -> Result<Recorded, Error> {
    let done = sqlx::query(CHECKPOINT)
        .bind(lease.job.as_uuid())
        .bind(lease.claim_no)
        .bind(note.as_str())
        .execute(connection)
        .await?;
    Ok(match done.rows_affected() {
        0 => Recorded::LeaseLost,
        _ => Recorded::Yes,
    })
}

async fn find(
    connection: &mut SqliteConnection,
    id: FlowId,
    tenant: Option<&str>,
) -> Result<Option<FlowRecord>, Error> {
    let row = sqlx::query(FLOW)
        .bind(id.as_uuid())
        .bind(tenant)
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(flow).transpose()
}

async fn cancel(
    connection: &mut SqliteConnection,
    id: FlowId,
    tenant: Option<&str>,
    now: Timestamp,
) -> Result<(FlowChanged, Woken), Error> {
    let mut woken = Woken::new();
    match find(connection, id, tenant).await? {
        None => return Ok((FlowChanged::NotFound, woken)),
        Some(flow) if flow.finished_at.is_some() => return Ok((FlowChanged::Finished, woken)),
        Some(_) => {}
    }
    let (mut running, mut others) = (Vec::new(), Vec::new());
    for (step, state) in states(connection, id).await? {
        match state {
            _ if step.ended_as.is_some() => {}
            Some(State::Running) => running.push(step.job),
            _ => others.push(step.job),
        }
    }
    sqlx::query(CANCEL_RUNNING)
        .bind(encode(&running)?)
        .bind(micros(now))
        .execute(&mut *connection)
        .await?;
    steps::end_jobs(connection, &others, now).await?;
    // All that waited for these are among them: nothing comes of it for others.
    let reason = Some(FLOW_CANCELLED.to_owned());
    let ended: Vec<Ended<'_>> = others
        .iter()
        .map(|job| Ended(*job, End::Cancelled, None, reason.clone()))
        .collect();
    steps::ended(connection, &ended, now, &mut woken).await?;
    keys::unblock(connection, &encode(&others)?, now, &mut woken).await?;
    let count = running.len() + others.len();
    Ok((FlowChanged::Done(count as u64), woken))
}

/// Retries a flow, in the transaction that the connection is in.
async fn run_again(
    connection: &mut SqliteConnection,
    id: FlowId,
    tenant: Option<&str>,
    from: Option<&str>,
    now: Timestamp,
    woken: &mut Woken,
) -> Result<FlowChanged, Error> {
    if find(connection, id, tenant).await?.is_none() {
        return Ok(FlowChanged::NotFound);
    }
    let states = states(connection, id).await?;
    let kept: HashMap<JobId, bool> = states
        .iter()
        .map(|(step, state)| (step.job, state.is_some()))
        .collect();
    let states: Vec<StepState> = states.into_iter().map(|(step, _)| step).collect();
    let edges = edges(connection, id).await?;
    let retried = match retry(&states, &edges, from) {
        Ok(retried) => retried,
        Err(refused) => return Ok(FlowChanged::Refused(refused)),
    };
    let again: HashMap<JobId, u32> = retried.reset.iter().copied().collect();
    let mut tally = Tally::default();
    for step in states.iter().filter(|step| again.contains_key(&step.job)) {
        if kept.get(&step.job) != Some(&true) {
            let refused = RetryRefused::Pruned(step.name.clone());
            return Ok(FlowChanged::Refused(refused));
        }
        if let Some(end) = step.ended_as {
            tally.add(id.as_uuid(), end, -1);
        }
    }
    let jobs: Vec<JobId> = again.keys().copied().collect();
    signals::drop_of(connection, &jobs).await?;
    sqlx::query(RESET_STEPS)
        .bind(encode(&retried.reset)?)
        .execute(&mut *connection)
        .await?;
    sqlx::query(REVIVE_STEPS)
        .bind(encode(&jobs)?)
        .bind(micros(now))
        .execute(&mut *connection)
        .await?;
    steps::apply(connection, retried.settled, &mut tally, now, woken).await?;
    tally.write(connection, now).await?;
    Ok(FlowChanged::Done(jobs.len() as u64))
}

/// Reviving a finished step is retrying its flow from there; `None` if the job is no step.
pub(super) async fn revive_step(
    connection: &mut SqliteConnection,
    job: JobId,
    state: State,
    now: Timestamp,
    woken: &mut Woken,
) -> Result<Option<Changed>, Error> {
    let row = sqlx::query(FLOW_OF_STEP)
        .bind(job.as_uuid())
        .fetch_optional(&mut *connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let flow = FlowId::from_uuid(row.try_get("flow_id")?);
    let name: String = row.try_get("name")?;
    let changed = run_again(connection, flow, None, Some(&name), now, woken).await?;
    Ok(Some(match changed {
        FlowChanged::Done(_) => Changed::Done,
        _ => Changed::Refused(state),
    }))
}

/// Forgets flows that have been finished for as long as their jobs are kept.
pub(super) async fn prune_flows(
    db: &db::Sqlite,
    prune: Prune,
    now: Timestamp,
) -> Result<(), Error> {
    let before = |failed| micros(now.minus(kept_for(failed, &prune)));
    let mut tx = db.writer().begin_with("begin immediate").await?;
    let flows: Vec<Uuid> = sqlx::query_scalar(PRUNE_FLOWS)
        .bind(before(false))
        .bind(before(true))
        .bind(PRUNED_AT_ONCE)
        .fetch_all(&mut *tx)
        .await?;
    if !flows.is_empty() {
        let flows = encode(&flows)?;
        sqlx::query(PRUNE_EDGES)
            .bind(&flows)
            .execute(&mut *tx)
            .await?;
        sqlx::query(PRUNE_STEPS)
            .bind(&flows)
            .execute(&mut *tx)
            .await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Every step, and where its job stands, if that is kept.
async fn states(
    connection: &mut SqliteConnection,
    id: FlowId,
) -> Result<Vec<(StepState, Option<State>)>, Error> {
    sqlx::query(FLOW_STATES)
        .bind(id.as_uuid())
        .fetch_all(connection)
        .await?
        .iter()
        .map(|row| {
            let step = StepState {
                job: rows::id(row, "job_id")?,
                name: row.try_get("name")?,
                after: steps::after(row)?,
                ended_as: steps::end(row)?,
                blocked: row.try_get("blocked")?,
            };
            Ok((step, job_state(row)?))
        })
        .collect()
}

async fn edges(connection: &mut SqliteConnection, id: FlowId) -> Result<Vec<Edge>, Error> {
    sqlx::query(FLOW_EDGES)
        .bind(id.as_uuid())
        .fetch_all(connection)
        .await?
        .iter()
        .map(|row| {
            Ok(Edge {
                parent: rows::id(row, "parent_id")?,
                child: rows::id(row, "child_id")?,
            })
        })
        .collect()
}

fn job_state(row: &SqliteRow) -> Result<Option<State>, Error> {
    let word: Option<&str> = row.try_get("state")?;
    word.map(|word| {
        word.parse()
            .map_err(|_| Error::Corrupt(format!("the state {word} is unknown")))
    })
    .transpose()
}

fn flow(row: &SqliteRow) -> Result<FlowRecord, Error> {
    let finished_at: Option<i64> = row.try_get("finished_at")?;
    Ok(FlowRecord {
        id: FlowId::from_uuid(row.try_get("id")?),
        name: row.try_get("name")?,
        tenant_id: row.try_get("tenant_id")?,
        correlation_id: row.try_get("correlation_id")?,
        created_at: rows::timestamp(row, "created_at")?,
        finished_at: finished_at.map(Timestamp::from_micros),
        steps: rows::number(row, "steps")?,
        completed: rows::number(row, "completed")?,
        failed: rows::number(row, "failed")?,
        skipped: rows::number(row, "skipped")?,
    })
}

fn step(row: &SqliteRow, now: Timestamp) -> Result<StepRecord, Error> {
    let name: String = row.try_get("name")?;
    let ended_as = steps::end(row)?;
    let state = match (ended_as, job_state(row)?) {
        (Some(end), _) => end.state(),
        (None, Some(state)) => state.at(rows::timestamp(row, "run_at")?, now),
        (None, None) => return Err(Error::Corrupt(format!("step {name:?} has no job"))),
    };
    Ok(StepRecord {
        position: rows::number(row, "position")?,
        name,
        job: rows::id(row, "job_id")?,
        kind: row.try_get("kind")?,
        after: steps::after(row)?,
        parents: decode(row.try_get("parents")?)?,
        pending: rows::number(row, "pending")?,
        state,
        ended_as,
        reason: row.try_get("reason")?,
    })
}

fn parent(row: &SqliteRow) -> Result<Parent, Error> {
    let result: Option<String> = row.try_get("result")?;
    Ok(Parent {
        name: row.try_get("name")?,
        job: rows::id(row, "job_id")?,
        kind: row.try_get("kind")?,
        ended_as: steps::end(row)?,
        result: result.map(Json::trusted),
    })
}

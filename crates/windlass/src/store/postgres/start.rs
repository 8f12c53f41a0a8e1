//! Starting a flow: its row, its jobs, its steps and who waits for whom, in one transaction.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use sqlx::Row;
use uuid::Uuid;

use super::enqueue::{PART_BYTES, due, tags};
use super::lane::transaction;
use super::rows::{self, Time};
use super::{Error, Session, Shared, planner, sql};
use crate::db;
use crate::model::{NewFlow, NewStep, Timestamp};
use crate::store::Started;

impl Shared {
    pub(super) async fn start(
        self: &Arc<Self>,
        flow: &NewFlow,
        now: Option<Timestamp>,
    ) -> Result<Started, Error> {
        let governed = &*self.governed_names();
        let started = transaction!(self.enqueues, |connection| {
            start(connection, flow, governed, now).await
        })?;
        if started == Started::Started {
            self.enqueued(&queues(flow), now);
        }
        Ok(started)
    }

    pub(super) async fn start_in(
        self: &Arc<Self>,
        tx: &mut db::Tx,
        flow: &NewFlow,
        now: Option<Timestamp>,
    ) -> Result<Started, Error> {
        let connection = &mut self.session(tx, "start a flow in another store's transaction")?;
        let governed = &*self.governed_names();
        let callers = planner::ours(connection).await?;
        let started = start(connection, flow, governed, now).await?;
        planner::restore(connection, callers).await?;
        if started == Started::Started {
            let queues: Vec<String> = queues(flow).into_iter().map(ToOwned::to_owned).collect();
            for NewStep { job, .. } in &flow.steps {
                if let Some(key) = &job.ordering_key {
                    tx.joined_line(flow.tenant_id.clone(), key.clone());
                }
            }
            let shared = Arc::clone(self);
            tx.after_commit(move || {
                shared.enqueued(&queues.iter().map(String::as_str).collect(), now);
            });
        }
        Ok(started)
    }
}

/// Where jobs wait that run at once.
fn queues(flow: &NewFlow) -> BTreeSet<&str> {
    let first = flow.steps.iter().filter(|step| step.parents.is_empty());
    first.map(|step| step.job.queue.as_str()).collect()
}

async fn start(
    connection: &mut Session<'_>,
    flow: &NewFlow,
    governed: &HashSet<String>,
    now: Option<Timestamp>,
) -> Result<Started, Error> {
    let id = flow.id.as_uuid();
    let row = sqlx::query(sql::START_FLOW)
        .bind(id)
        .bind(&flow.name)
        .bind(&flow.tenant_id)
        .bind(&flow.correlation_id)
        .bind(i32::try_from(flow.steps.len()).unwrap_or(i32::MAX))
        .bind(now.map(rows::time))
        .fetch_optional(&mut *connection)
        .await?;
    let Some(row) = row else {
        return Ok(Started::Duplicate);
    };
    let at: Time = row.try_get(0)?;
    let (mut rest, mut place) = (flow.steps.as_slice(), 0);
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = |step: &&NewStep| {
            bytes += step.job.args.as_str().len() + 1;
            bytes <= PART_BYTES
        };
        let length = rest.iter().take_while(fits).count().max(1);
        let (part, others) = rest.split_at(length);
        add_jobs(connection, id, part, governed, at).await?;
        add_steps(connection, id, part, place).await?;
        place += i32::try_from(length).unwrap_or(i32::MAX);
        rest = others;
    }
    let (parents, children): (Vec<Uuid>, Vec<Uuid>) = flow
        .edges()
        .map(|edge| (edge.parent.as_uuid(), edge.child.as_uuid()))
        .unzip();
    if !parents.is_empty() {
        sqlx::query(sql::ADD_EDGES)
            .bind(parents)
            .bind(children)
            .execute(connection)
            .await?;
    }
    Ok(Started::Started)
}

fn column<'a, T>(steps: &'a [NewStep], field: impl Fn(&'a NewStep) -> T) -> Vec<T> {
    steps.iter().map(field).collect()
}

async fn add_jobs(
    connection: &mut Session<'_>,
    flow: Uuid,
    steps: &[NewStep],
    governed: &HashSet<String>,
    at: Time,
) -> Result<(), Error> {
    let (run_at, delay): (Vec<_>, Vec<_>) = steps.iter().map(|step| due(step.job.run_at)).unzip();
    sqlx::query(sql::ENQUEUE_STEPS)
        .bind(flow)
        .bind(at)
        .bind(column(steps, |step| step.job.id.as_uuid()))
        .bind(column(steps, |step| step.job.kind.as_str()))
        .bind(run_at)
        .bind(delay)
        .bind(column(steps, |step| step.job.queue.as_str()))
        .bind(column(steps, |step| i16::from(step.job.priority)))
        .bind(column(steps, |step| rows::small(step.job.max_attempts)))
        .bind(column(steps, |step| step.job.args.as_str()))
        .bind(column(steps, |step| tags(&step.job.tags)))
        .bind(column(steps, |step| step.job.tenant_id.as_deref()))
        .bind(column(steps, |step| step.job.correlation_id.as_deref()))
        .bind(column(steps, |step| step.job.trace_parent.as_deref()))
        .bind(column(steps, |step| step.job.ordering_key.as_deref()))
        .bind(column(steps, |step| !step.parents.is_empty()))
        .bind(column(steps, |step| governed.contains(&step.job.queue)))
        .bind(column(steps, |step| step.job.limit_key.as_deref()))
        .execute(connection)
        .await?;
    Ok(())
}

async fn add_steps(
    connection: &mut Session<'_>,
    flow: Uuid,
    steps: &[NewStep],
    first_place: i32,
) -> Result<(), Error> {
    let count = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
    sqlx::query(sql::ADD_STEPS)
        .bind(flow)
        .bind(column(steps, |step| step.job.id.as_uuid()))
        .bind((first_place..).take(steps.len()).collect::<Vec<i32>>())
        .bind(column(steps, |step| step.name.as_str()))
        .bind(column(steps, |step| step.job.kind.as_str()))
        .bind(column(steps, |step| step.after.as_str()))
        .bind(column(steps, |step| count(step.parents.len())))
        .bind(column(steps, |step| step.job.ordering_key.as_deref()))
        .execute(connection)
        .await?;
    Ok(())
}

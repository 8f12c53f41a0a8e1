//! Starting a flow: its row, its jobs, its steps and who waits for whom, in one transaction.

use std::borrow::Cow;

use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;

use super::super::{Error, Started};
use super::rows::{Woken, encode, micros, portions};
use super::{at, enqueue};
use crate::db;
use crate::model::{JobId, NewFlow, NewJob, Timestamp};

const START_FLOW: &str = include_str!("sql/start_flow.sql");
const ENQUEUE_STEPS: &str = include_str!("sql/enqueue_steps.sql");
const ADD_STEPS: &str = include_str!("sql/add_steps.sql");
const ADD_EDGES: &str = include_str!("sql/add_edges.sql");

pub(super) async fn start(
    db: &db::Sqlite,
    flow: &NewFlow,
    now: Option<Timestamp>,
) -> Result<(Started, Woken), Error> {
    let mut tx = db.writer().begin_with("begin immediate").await?;
    let started = start_all(&mut tx, flow, at(now)).await?;
    tx.commit().await?;
    Ok(started)
}

pub(super) async fn start_in(
    connection: &mut SqliteConnection,
    flow: &NewFlow,
    now: Option<Timestamp>,
) -> Result<(Started, Woken), Error> {
    let mut savepoint = connection.begin().await?;
    let started = start_all(&mut savepoint, flow, at(now)).await?;
    savepoint.commit().await?;
    Ok(started)
}

async fn start_all(
    connection: &mut SqliteConnection,
    flow: &NewFlow,
    now: Timestamp,
) -> Result<(Started, Woken), Error> {
    let id = flow.id.as_uuid();
    let added = sqlx::query(START_FLOW)
        .bind(id)
        .bind(&flow.name)
        .bind(&flow.tenant_id)
        .bind(&flow.correlation_id)
        .bind(i64::try_from(flow.steps.len()).unwrap_or(i64::MAX))
        .bind(micros(now))
        .execute(&mut *connection)
        .await?;
    if added.rows_affected() == 0 {
        return Ok((Started::Duplicate, Woken::new()));
    }
    // Whoever waits for parents is in no line yet.
    let jobs: Vec<NewJob> = flow
        .steps
        .iter()
        .map(|step| {
            let mut job = Cow::Borrowed(&step.job);
            if !step.parents.is_empty() && job.ordering_key.is_some() {
                job.to_mut().ordering_key = None;
            }
            job.into_owned()
        })
        .collect();
    let (_, woken) = enqueue::enqueue_all(connection, &jobs, now).await?;
    let blocked = flow
        .steps
        .iter()
        .map(|step| (step.job.id, !step.parents.is_empty()));
    sqlx::query(ENQUEUE_STEPS)
        .bind(id)
        .bind(encode(&blocked.collect::<Vec<_>>())?)
        .execute(&mut *connection)
        .await?;
    let steps: Vec<_> = flow
        .steps
        .iter()
        .zip(0_i64..)
        .map(|(step, place)| {
            (
                step.job.id,
                place,
                step.name.as_str(),
                step.job.kind.as_str(),
                step.after,
                step.parents.len(),
                step.job.ordering_key.as_deref(),
            )
        })
        .collect();
    for steps in portions(&steps, |step| step.2.len()) {
        sqlx::query(ADD_STEPS)
            .bind(id)
            .bind(encode(steps)?)
            .execute(&mut *connection)
            .await?;
    }
    let edges: Vec<(JobId, JobId)> = flow.edges().map(|edge| (edge.parent, edge.child)).collect();
    for edges in portions(&edges, |_| 0) {
        sqlx::query(ADD_EDGES)
            .bind(encode(edges)?)
            .execute(&mut *connection)
            .await?;
    }
    Ok((Started::Started, woken))
}

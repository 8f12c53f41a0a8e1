//! Keeping leases, and taking back those that ran out.

use std::collections::HashMap;

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::super::{Beat, Error, Heartbeat, Rescue, Rescued};
use super::at;
use super::outcomes::{Outcome, Outcomes};
use super::rows::{self, Woken, encode, micros};
use crate::db;
use crate::model::{AttemptError, AttemptOutcome, Json, Lease, Recorded, State, Timestamp};

const HEARTBEAT: &str = include_str!("sql/heartbeat.sql");
const PROGRESS: &str = include_str!("sql/progress.sql");
const EXPIRED: &str = include_str!("sql/expired.sql");

pub(super) async fn heartbeat(
    db: &db::Sqlite,
    heartbeat: &Heartbeat<'_>,
) -> Result<Vec<Beat>, Error> {
    let leases: Vec<_> = heartbeat
        .leases
        .iter()
        .map(|lease| (lease.job, lease.claim_no))
        .collect();
    let mut connection = db.writer().acquire().await?;
    let rows = sqlx::query(HEARTBEAT)
        .bind(encode(&leases)?)
        .bind(micros(at(heartbeat.now) + heartbeat.lease))
        .fetch_all(&mut *connection)
        .await?;
    let kept: HashMap<Lease, bool> = rows.iter().map(kept).collect::<Result<_, _>>()?;
    Ok(heartbeat
        .leases
        .iter()
        .filter_map(|lease| match kept.get(lease) {
            None => Some(Beat::Lost(*lease)),
            Some(true) => Some(Beat::CancelRequested(*lease)),
            Some(false) => None,
        })
        .collect())
}

/// A lease that was extended, and whether its job was asked to stop.
fn kept(row: &SqliteRow) -> Result<(Lease, bool), Error> {
    let lease = Lease {
        job: rows::id(row, "id")?,
        claim_no: row.try_get("claim_no")?,
    };
    Ok((lease, row.try_get("cancel_requested")?))
}

pub(super) async fn progress(
    db: &db::Sqlite,
    lease: Lease,
    progress: &Json,
) -> Result<Recorded, Error> {
    let done = sqlx::query(PROGRESS)
        .bind(lease.job.as_uuid())
        .bind(lease.claim_no)
        .bind(progress.as_str())
        .execute(db.writer())
        .await?;
    Ok(match done.rows_affected() {
        0 => Recorded::LeaseLost,
        _ => Recorded::Yes,
    })
}

pub(super) async fn rescue(
    db: &db::Sqlite,
    rescue: Rescue,
) -> Result<(Vec<Rescued>, Woken), Error> {
    let mut tx = db.writer().begin_with("begin immediate").await?;
    let now = at(rescue.now);
    let rows = sqlx::query(EXPIRED)
        .bind(micros(now))
        .bind(rescue.limit)
        .fetch_all(&mut *tx)
        .await?;
    let mut outcomes = Outcomes {
        keyed: true,
        ..Outcomes::default()
    };
    let rescued = rows
        .iter()
        .map(|row| outcomes.take_back(row, rescue.max_crashes, now))
        .collect::<Result<_, _>>()?;
    let woken = outcomes.write(&mut tx, now).await?;
    tx.commit().await?;
    Ok((rescued, woken))
}

impl Outcomes<'_> {
    /// A job whose worker vanished. A wish to cancel it is granted first.
    fn take_back(
        &mut self,
        row: &SqliteRow,
        max_crashes: u16,
        now: Timestamp,
    ) -> Result<Rescued, Error> {
        let (id, queue) = (rows::id(row, "id")?, row.try_get::<String, _>("queue")?);
        let crashes = rows::number::<u16>(row, "crashes")?.saturating_add(1);
        let cancelled: bool = row.try_get("cancel_requested")?;
        let dead = !cancelled && crashes >= max_crashes;
        let running = rows::attempt(row)?;
        let (attempt, worker) = (running.number - 1, running.worker.clone());
        let error = AttemptError::new("its worker vanished");
        let history = running.end(AttemptOutcome::Crashed, Some(error), now)?;
        if row.try_get("step")? {
            self.steps.insert(id);
        }
        let (state, run_at) = match (cancelled, dead) {
            (true, _) => (State::Cancelled, None),
            (false, true) => (State::Dead, None),
            (false, false) => (State::Available, Some(micros(now))),
        };
        self.others.push(Outcome {
            run_at,
            attempt: Some(attempt),
            crashes: Some(crashes),
            attempts: Some(history),
            ..Outcome::new(id, state)
        });
        if state == State::Available {
            self.woken.insert(queue.clone());
        }
        Ok(Rescued {
            id,
            kind: row.try_get("kind")?,
            queue,
            worker,
            crashes,
            dead,
        })
    }
}

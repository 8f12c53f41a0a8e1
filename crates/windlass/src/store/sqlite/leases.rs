//! Keeping leases, and taking back those that ran out.

use std::collections::HashMap;

use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::super::{Beat, Error, Heartbeat, Rescue, Rescued};
use super::at;
use super::finish::{Again, Attempt, Ended, end_jobs, reschedule};
use super::rows::{self, Woken, encode, micros};
use crate::db;
use crate::model::{AttemptError, AttemptOutcome, JobId, Json, Lease, Recorded, State, Timestamp};

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

/// A running job whose lease ran out.
#[derive(Debug)]
struct Expired {
    id: JobId,
    kind: String,
    queue: String,
    crashes: u16,
    cancel_requested: bool,
    attempt: Attempt,
}

/// What becomes of jobs that are taken back.
#[derive(Debug, Default)]
struct TakenBack {
    rescued: Vec<Rescued>,
    ended: Vec<Ended<'static>>,
    again: Vec<Again>,
    woken: Woken,
}

pub(super) async fn rescue(
    db: &db::Sqlite,
    rescue: Rescue,
) -> Result<(Vec<Rescued>, Woken), Error> {
    let mut tx = db.writer().begin_with("begin immediate").await?;
    let now = at(rescue.now);
    let mut taken = TakenBack::default();
    for job in expired(&mut tx, rescue.limit, now).await? {
        taken.add(job, rescue.max_crashes, now)?;
    }
    reschedule(&mut tx, &taken.again).await?;
    end_jobs(&mut tx, &taken.ended, now, &mut taken.woken).await?;
    tx.commit().await?;
    Ok((taken.rescued, taken.woken))
}

async fn expired(
    connection: &mut SqliteConnection,
    limit: u32,
    now: Timestamp,
) -> Result<Vec<Expired>, Error> {
    let rows = sqlx::query(EXPIRED)
        .bind(micros(now))
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Expired {
                id: rows::id(row, "id")?,
                kind: row.try_get("kind")?,
                queue: row.try_get("queue")?,
                crashes: rows::number(row, "crashes")?,
                cancel_requested: row.try_get("cancel_requested")?,
                attempt: Attempt {
                    number: rows::number(row, "attempt")?,
                    claim_no: row.try_get("claim_no")?,
                    worker: row.try_get("worker")?,
                    claimed_at: rows::timestamp(row, "claimed_at")?,
                    earlier: row.try_get("attempts")?,
                },
            })
        })
        .collect()
}

impl TakenBack {
    /// A wish to cancel the job is granted first.
    fn add(&mut self, job: Expired, max_crashes: u16, now: Timestamp) -> Result<(), Error> {
        let crashes = job.crashes.saturating_add(1);
        let number = job.attempt.number.saturating_sub(1);
        let dead = !job.cancel_requested && crashes >= max_crashes;
        let worker = job.attempt.worker.clone();
        let error = AttemptError::new("its worker vanished");
        let attempts = job.attempt.end(AttemptOutcome::Crashed, Some(error), now)?;
        if job.cancel_requested || dead {
            let state = if dead { State::Dead } else { State::Cancelled };
            self.ended.push(Ended {
                attempt: Some(number),
                crashes: Some(crashes),
                attempts: Some(attempts),
                ..Ended::new(job.id, state)
            });
        } else {
            self.woken.insert(job.queue.clone());
            self.again.push(Again {
                id: job.id,
                state: State::Available,
                run_at: Some(micros(now)),
                attempt: number,
                crashes: Some(crashes),
                attempts,
            });
        }
        self.rescued.push(Rescued {
            id: job.id,
            kind: job.kind,
            queue: job.queue,
            worker,
            crashes,
            dead,
        });
        Ok(())
    }
}

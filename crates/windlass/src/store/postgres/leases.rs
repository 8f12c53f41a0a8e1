//! Keeping leases, and taking back those that ran out.

use sqlx::Row;
use uuid::Uuid;

use super::lane::{run, transaction};
use super::lines::{self, Line};
use super::steps::{self, Ended};
use super::{Error, Session, Shared, rows, sql};
use crate::model::{
    AttemptError, End, Json, Lease, MAX_ATTEMPT_RECORDS, Recorded, State, Timestamp,
};
use crate::store::{Beat, Heartbeat, Rescue, Rescued};

impl Shared {
    pub(super) async fn heartbeat(&self, heartbeat: &Heartbeat<'_>) -> Result<Vec<Beat>, Error> {
        if heartbeat.leases.is_empty() {
            return Ok(Vec::new());
        }
        let (ids, claims): (Vec<Uuid>, Vec<i64>) = heartbeat
            .leases
            .iter()
            .map(|lease| (lease.job.as_uuid(), lease.claim_no))
            .unzip();
        let rows = run!(self.leases, |connection| {
            Ok(sqlx::query(sql::HEARTBEAT)
                .bind(&ids)
                .bind(&claims)
                .bind(rows::micros(heartbeat.lease))
                .bind(heartbeat.now.map(rows::time))
                .fetch_all(connection)
                .await?)
        })?;
        let mut beats = Vec::new();
        for row in &rows {
            let lease = Lease {
                job: rows::id(row, 0)?,
                claim_no: row.try_get(1)?,
            };
            if !row.try_get::<bool, _>(2)? {
                beats.push(Beat::Lost(lease));
            } else if row.try_get(3)? {
                beats.push(Beat::CancelRequested(lease));
            }
        }
        Ok(beats)
    }

    pub(super) async fn progress(&self, lease: Lease, progress: &Json) -> Result<Recorded, Error> {
        let recorded = run!(self.leases, |connection| {
            Ok(sqlx::query(sql::PROGRESS)
                .bind(lease.job.as_uuid())
                .bind(lease.claim_no)
                .bind(progress.as_str())
                .execute(connection)
                .await?)
        })?;
        Ok(if recorded.rows_affected() == 1 {
            Recorded::Yes
        } else {
            Recorded::LeaseLost
        })
    }

    pub(super) async fn rescue(&self, rescue: Rescue) -> Result<Vec<Rescued>, Error> {
        let expired = self.expired(rescue).await?;
        if expired.is_empty() {
            return Ok(Vec::new());
        }
        let (rescued, freed) = transaction!(self.leases, |connection| {
            let flows = steps::lock(connection, &expired, &[]).await?;
            let (rescued, mut freed, ended) = take_back(connection, &expired, rescue).await?;
            let now = rescue.now.map(rows::time);
            freed.extend(lines::hand_on(connection, &ended.lines, now).await?);
            let steps: Vec<Ended> = ended
                .jobs
                .into_iter()
                .filter(|step| flows.contains_key(&step.job))
                .collect();
            freed.extend(steps::ended(connection, &steps, now).await?);
            Ok((rescued, freed))
        })?;
        self.freed(&freed);
        Ok(rescued)
    }

    async fn expired(&self, rescue: Rescue) -> Result<Vec<Uuid>, Error> {
        run!(self.leases, |connection| {
            sqlx::query(sql::EXPIRED)
                .bind(rescue.now.map(rows::time))
                .bind(i64::from(rescue.limit))
                .fetch_all(connection)
                .await?
                .iter()
                .map(|row| Ok(row.try_get(0)?))
                .collect()
        })
    }
}

/// What was rescued, what of it may be claimed again, and what was ended.
type TakenBack = (Vec<Rescued>, Vec<lines::Freed>, SetAside);

#[derive(Debug, Default)]
struct SetAside {
    jobs: Vec<Ended>,
    lines: Vec<Line>,
}

async fn take_back(
    connection: &mut Session<'_>,
    expired: &[Uuid],
    rescue: Rescue,
) -> Result<TakenBack, Error> {
    let error = Json::encode(&AttemptError::new("its worker vanished"))
        .map_err(|error| Error::Corrupt(error.to_string()))?;
    let rows = sqlx::query(sql::RESCUE)
        .bind(expired)
        .bind(rescue.now.map(rows::time))
        .bind(i32::from(rescue.max_crashes))
        .bind(error.as_str())
        .bind(i32::try_from(MAX_ATTEMPT_RECORDS).unwrap_or(i32::MAX))
        .fetch_all(connection)
        .await?;
    let (mut rescued, mut freed, mut ended) = (Vec::new(), Vec::new(), SetAside::default());
    for row in &rows {
        let (queue, state): (String, State) = (row.try_get(2)?, rows::state(row, 7)?);
        let run_at: Timestamp = rows::timestamp(row, 4)?;
        if let Some(end) = End::of(state) {
            ended.jobs.push(Ended::new(rows::id(row, 0)?, end));
            if let Some(key) = row.try_get(9)? {
                ended.lines.push((row.try_get(8)?, key));
            }
        } else {
            freed.push(lines::Freed {
                queue: queue.clone(),
                priority: rows::short(row, 3)?,
                run_at,
            });
        }
        rescued.push(Rescued {
            id: rows::id(row, 0)?,
            kind: row.try_get(1)?,
            queue,
            worker: row.try_get::<Option<_>, _>(5)?.unwrap_or_default(),
            crashes: rows::short(row, 6)?,
            dead: state == State::Dead,
        });
    }
    Ok((rescued, freed, ended))
}

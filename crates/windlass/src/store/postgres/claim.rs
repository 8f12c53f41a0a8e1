//! Claims, and when the next one makes sense. Where they start is in `positions.rs`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::lane::run;
use super::positions::{BEGINNING, MARGIN, Times};
use super::rows::{self, Time};
use super::{Error, Shared, sql};
use crate::model::{ClaimedJob, Timestamp};
use crate::store::{Claim, Wake};

/// Priorities in the order they are claimed in.
const PRIORITIES: [i16; 10] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];

impl Shared {
    pub(super) async fn claim(
        self: &Arc<Self>,
        claim: &Claim<'_>,
    ) -> Result<Vec<ClaimedJob>, Error> {
        let start = self.positions.start(claim.queue);
        // A time of one's own may lie before every position, which must never hide a job.
        let times = claim.now.map_or(start.times, |_| BEGINNING);
        let mut jobs = run!(self.claims, |connection| {
            sqlx::query(sql::CLAIM)
                .bind(claim.queue)
                .bind(claim.worker)
                .bind(i64::from(claim.limit))
                .bind(rows::micros(claim.lease))
                .bind(PRIORITIES)
                .bind(params(times))
                .bind(claim.now.map(rows::time))
                .fetch_all(connection)
                .await?
                .iter()
                .map(rows::claimed)
                .collect::<Result<Vec<_>, _>>()
        })?;
        jobs.sort_unstable_by_key(|job| (job.priority, job.run_at, job.id));
        if claim.now.is_none() {
            let claimed = jobs.iter().map(|job| (job.priority, job.run_at));
            self.positions.advance(claim.queue, start, claimed);
            self.look_back_soon(claim.queue);
        }
        Ok(jobs)
    }

    pub(super) async fn next_due(
        &self,
        queue: &str,
        now: Option<Timestamp>,
    ) -> Result<Option<Duration>, Error> {
        let times = now.map_or(self.positions.start(queue).times, |_| BEGINNING);
        let micros: Option<i64> = run!(self.claims, |connection| {
            Ok(sqlx::query_scalar(sql::NEXT_DUE)
                .bind(queue)
                .bind(PRIORITIES)
                .bind(params(times))
                .bind(now.map(rows::time))
                .fetch_optional(connection)
                .await?)
        })?;
        Ok(micros.map(|micros| Duration::from_micros(u64::try_from(micros).unwrap_or(0))))
    }

    /// Looks back once it is time to, unless someone is about to already. Whoever claims causes a look
    /// that begins later than his claim: what he missed is found without his coming back.
    fn look_back_soon(self: &Arc<Self>, queue: &str) {
        let Some(rest) = self.positions.plan_look_back(queue) else {
            return;
        };
        let (shared, queue) = (Arc::downgrade(self), Arc::<str>::from(queue));
        tokio::spawn(async move {
            tokio::time::sleep(rest).await;
            if let Some(shared) = shared.upgrade() {
                shared.look_back(queue).await;
            }
        });
    }

    async fn look_back(self: &Arc<Self>, queue: Arc<str>) {
        self.positions.looks_back(&queue);
        let (start, began) = (self.positions.start(&queue), Instant::now());
        let found = self.first_claimable(&queue).await;
        if let Err(error) = &found {
            tracing::debug!(queue = &*queue, %error, "cannot look back for late jobs; trying again");
        }
        let hidden =
            self.positions
                .looked_back(&queue, start, found.as_deref().ok(), began.elapsed());
        if self.positions.has_to_look_again(&queue) || found.is_err() {
            self.look_back_soon(&queue);
        }
        if hidden {
            self.waker.send(Wake::Queue(queue));
        }
    }

    async fn first_claimable(&self, queue: &str) -> Result<Vec<(u8, Timestamp)>, Error> {
        run!(self.claims, |connection| {
            sqlx::query(sql::LOOK_BACK)
                .bind(queue)
                .bind(PRIORITIES)
                .bind(rows::micros(MARGIN))
                .fetch_all(connection)
                .await?
                .iter()
                .map(|row| Ok((rows::short(row, 0)?, rows::timestamp(row, 1)?)))
                .collect()
        })
    }
}

fn params(times: Times) -> Vec<Time> {
    times.into_iter().map(rows::time).collect()
}

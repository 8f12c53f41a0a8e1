//! What anyone may look at.

use futures_util::TryStreamExt;
use sqlx::Row;

use super::lane::run;
use super::search::{A_FEW, MANY, Search};
use super::{Error, Shared, rows, sql};
use crate::model::{Filter, Found, JobId, JobRecord, Page, QueueStats, Timestamp};
use crate::store::{MAX_MATCHED, Matched};

/// The largest page of a list.
const MAX_PAGE: u32 = 1000;

/// Jobs of a queue are counted up to this many, in each priority and on each side of now.
const MOST_COUNTED: i64 = 100_000;

impl Shared {
    pub(super) async fn now(&self) -> Result<Timestamp, Error> {
        run!(self.reads, |connection| {
            rows::timestamp(&sqlx::query(sql::NOW).fetch_one(connection).await?, 0)
        })
    }

    pub(super) async fn get(
        &self,
        id: JobId,
        tenant: Option<&str>,
        now: Option<Timestamp>,
    ) -> Result<Option<JobRecord>, Error> {
        run!(self.reads, |connection| {
            sqlx::query(sql::GET)
                .bind(id.as_uuid())
                .bind(tenant)
                .fetch_optional(connection)
                .await?
                .map(|row| rows::record(&row, now))
                .transpose()
        })
    }

    pub(super) async fn list(
        &self,
        filter: &Filter,
        page: Page,
        now: Option<Timestamp>,
    ) -> Result<Found<JobRecord>, Error> {
        let search = Search::new(filter, page, page.limit.clamp(1, MAX_PAGE), now);
        let (jobs, reached) = run!(self.reads, |connection| {
            let mut reached = search.reach(A_FEW, connection).await?;
            let mut rows = search.find(reached).fetch_all(&mut *connection).await?;
            if reached.is_some() && rows.len() < search.limit as usize {
                reached = search.reach(MANY, connection).await?;
                rows = search.find(reached).fetch_all(connection).await?;
            }
            let jobs = rows.iter().map(|row| rows::record(row, now));
            Ok((jobs.collect::<Result<_, Error>>()?, reached))
        })?;
        Ok(Found::new(jobs, search.limit, reached, |job| job.id))
    }

    /// Row by row, so that only one job's args are in memory at a time.
    pub(super) async fn matching(
        &self,
        filter: &Filter,
        page: Page,
        now: Option<Timestamp>,
    ) -> Result<Found<Matched>, Error> {
        let search = Search::new(filter, page, page.limit.clamp(1, MAX_MATCHED), now);
        let (jobs, reached) = run!(self.reads, |connection| {
            let reached = search.reach(MANY, connection).await?;
            let mut rows = search.find(reached).fetch(connection);
            let mut matched = Vec::new();
            while let Some(row) = rows.try_next().await? {
                matched.push(Matched {
                    id: rows::id(&row, 0)?,
                    kind: row.try_get(1)?,
                });
            }
            Ok((matched, reached))
        })?;
        Ok(Found::new(jobs, search.limit, reached, |job| job.id))
    }

    pub(super) async fn queues(&self, now: Option<Timestamp>) -> Result<Vec<QueueStats>, Error> {
        run!(self.reads, |connection| {
            sqlx::query(sql::QUEUES)
                .bind(now.map(rows::time))
                .bind(MOST_COUNTED)
                .fetch_all(connection)
                .await?
                .iter()
                .map(rows::queue_stats)
                .collect()
        })
    }
}

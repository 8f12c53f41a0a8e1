//! What anyone may look at.

use futures_util::TryStreamExt;
use sqlx::Row;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;

use super::lane::run;
use super::{Error, Shared, rows, sql};
use crate::model::{Filter, JobId, JobRecord, Page, QueueStats, Timestamp};
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
    ) -> Result<Vec<JobRecord>, Error> {
        let (states, limit) = (states(filter), page.limit.clamp(1, MAX_PAGE));
        run!(self.reads, |connection| {
            find(&states, filter, page, limit, now)
                .fetch_all(connection)
                .await?
                .iter()
                .map(|row| rows::record(row, now))
                .collect()
        })
    }

    /// Row by row, so that only one job's args are in memory at a time.
    pub(super) async fn matching(
        &self,
        filter: &Filter,
        page: Page,
        now: Option<Timestamp>,
    ) -> Result<Vec<Matched>, Error> {
        let (states, limit) = (states(filter), page.limit.clamp(1, MAX_MATCHED));
        run!(self.reads, |connection| {
            let mut rows = find(&states, filter, page, limit, now).fetch(connection);
            let mut matched = Vec::new();
            while let Some(row) = rows.try_next().await? {
                matched.push(Matched {
                    id: rows::id(&row, 0)?,
                    kind: row.try_get(1)?,
                });
            }
            Ok(matched)
        })
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

fn states(filter: &Filter) -> Vec<&'static str> {
    filter.states.iter().map(|state| state.as_str()).collect()
}

fn find<'q>(
    states: &'q Vec<&'q str>,
    filter: &'q Filter,
    page: Page,
    limit: u32,
    now: Option<Timestamp>,
) -> Query<'q, sqlx::Postgres, PgArguments> {
    let before = page
        .after
        .map_or(uuid::Uuid::max(), |cursor| cursor.0.as_uuid());
    sqlx::query(sql::LIST)
        .bind(i64::from(limit))
        .bind(before)
        .bind(Some(states).filter(|states| !states.is_empty()))
        .bind(&filter.kind)
        .bind(&filter.queue)
        .bind(&filter.tenant_id)
        .bind(&filter.correlation_id)
        .bind(&filter.tag)
        .bind(now.map(rows::time))
}

use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use sqlx::types::chrono::NaiveDate;
use windlass::Timestamp;
use windlass::db::Tx;

use super::super::Error;
use super::super::analytics::{Analytics, DailyFigures, Days, KnownTenant, MetricCursor, Pruned};
use super::super::rows::{duration_millis, millis, timestamp};
use super::{SqliteRepository, of, sql};

#[async_trait]
impl Analytics for SqliteRepository {
    async fn known_tenants(&self) -> Result<Vec<KnownTenant>, Error> {
        Ok(sqlx::query_as(sql::KNOWN_TENANTS)
            .fetch_all(self.readers())
            .await?)
    }

    async fn last_aggregated(&self, tenant: &str) -> Result<Option<NaiveDate>, Error> {
        Ok(sqlx::query_scalar(sql::LAST_AGGREGATED)
            .bind(tenant)
            .fetch_one(self.readers())
            .await?)
    }

    async fn aggregate_days(
        &self,
        tx: &mut Tx,
        tenant: &str,
        days: Days,
        idle: Duration,
        now: Timestamp,
    ) -> Result<u64, Error> {
        let done = sqlx::query(sql::AGGREGATE_DAYS)
            .bind(tenant)
            .bind(days.from)
            .bind(days.to)
            .bind(millis(now))
            .bind(duration_millis(idle))
            .execute(of(tx)?)
            .await?;
        Ok(done.rows_affected())
    }

    async fn analytics(&self, tenant: &str, days: Days) -> Result<Vec<DailyFigures>, Error> {
        Ok(sqlx::query_as(sql::ANALYTICS)
            .bind(tenant)
            .bind(days.from)
            .bind(days.to)
            .fetch_all(self.readers())
            .await?)
    }

    async fn prune_metrics(
        &self,
        before: Timestamp,
        after: MetricCursor,
        limit: u32,
    ) -> Result<Pruned, Error> {
        let mut tx = self.db.writer().begin_with("begin immediate").await?;
        let rows: Vec<(i64, i64, bool)> = sqlx::query_as(sql::OLD_METRICS)
            .bind(millis(before))
            .bind(millis(after.at))
            .bind(after.id)
            .bind(limit)
            .fetch_all(&mut *tx)
            .await?;
        let gone: Vec<i64> = rows
            .iter()
            .filter(|(_, _, aggregated)| *aggregated)
            .map(|(id, _, _)| *id)
            .collect();
        let done = sqlx::query(sql::PRUNE_METRICS)
            .bind(json!(gone))
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(Pruned {
            seen: rows.len() as u64,
            deleted: done.rows_affected(),
            next: rows.last().map_or(after, |(id, at, _)| MetricCursor {
                at: timestamp(*at),
                id: *id,
            }),
        })
    }

    /// SQLite has no partitions.
    async fn is_partitioned(&self, _table: &'static str) -> Result<bool, Error> {
        Ok(false)
    }

    async fn add_month(&self, _table: &'static str, _first: NaiveDate) -> Result<bool, Error> {
        Ok(false)
    }
}

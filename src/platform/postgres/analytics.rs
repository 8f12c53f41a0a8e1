use std::time::Duration;

use async_trait::async_trait;
use sqlx::types::chrono::{NaiveDate, NaiveTime};
use windlass::Timestamp;
use windlass::db::Tx;

use super::super::Error;
use super::super::analytics::{Analytics, DailyFigures, Days, KnownTenant, MetricCursor, Pruned};
use super::super::rows::{duration_millis, timestamp};
use super::{PostgresRepository, instant, of, sql};

#[async_trait]
impl Analytics for PostgresRepository {
    async fn known_tenants(&self) -> Result<Vec<KnownTenant>, Error> {
        Ok(sqlx::query_as(sql::KNOWN_TENANTS)
            .fetch_all(self.db.pool())
            .await?)
    }

    async fn last_aggregated(&self, tenant: &str) -> Result<Option<NaiveDate>, Error> {
        Ok(sqlx::query_scalar(sql::LAST_AGGREGATED)
            .bind(tenant)
            .fetch_one(self.db.pool())
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
            .bind(instant(now))
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
            .fetch_all(self.db.pool())
            .await?)
    }

    async fn prune_metrics(
        &self,
        before: Timestamp,
        after: MetricCursor,
        limit: u32,
    ) -> Result<Pruned, Error> {
        let id = i32::try_from(after.id).unwrap_or(i32::MAX);
        let (seen, deleted, id, at): (i64, i64, Option<i32>, Option<i64>) =
            sqlx::query_as(sql::PRUNE_METRICS)
                .bind(instant(before))
                .bind(instant(after.at))
                .bind(id)
                .bind(i64::from(limit))
                .fetch_one(self.db.pool())
                .await?;
        Ok(Pruned {
            seen: seen.unsigned_abs(),
            deleted: deleted.unsigned_abs(),
            next: match (id, at) {
                (Some(id), Some(at)) => MetricCursor {
                    at: timestamp(at),
                    id: id.into(),
                },
                _ => after,
            },
        })
    }

    async fn is_partitioned(&self, table: &'static str) -> Result<bool, Error> {
        Ok(sqlx::query_scalar(sql::PARTITIONED)
            .bind(table)
            .fetch_one(self.db.pool())
            .await?)
    }

    async fn add_month(&self, table: &'static str, first: NaiveDate) -> Result<bool, Error> {
        let there: bool = sqlx::query_scalar(sql::MONTH_EXISTS)
            .bind(table)
            .bind(first.and_time(NaiveTime::MIN))
            .fetch_one(self.db.pool())
            .await?;
        if there {
            return Ok(false);
        }
        let mut tx = self.db.pool().begin().await?;
        sqlx::query(sql::NAME_MONTH)
            .bind(table)
            .bind(first.to_string())
            .execute(&mut *tx)
            .await?;
        sqlx::query(sql::ADD_MONTH).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(true)
    }
}

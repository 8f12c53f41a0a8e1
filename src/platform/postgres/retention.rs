use async_trait::async_trait;
use windlass::Timestamp;

use super::super::Error;
use super::super::retention::Retention;
use super::{PostgresRepository, instant, sql};

#[async_trait]
impl Retention for PostgresRepository {
    async fn conversations_after(
        &self,
        tenant: &str,
        after: &str,
        limit: u32,
    ) -> Result<Vec<String>, Error> {
        let mut tx = self.reading(tenant).await?;
        let ids = sqlx::query_scalar(sql::CONVERSATIONS_AFTER)
            .bind(tenant)
            .bind(after)
            .bind(i64::from(limit))
            .fetch_all(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(ids)
    }

    async fn prune_messages(
        &self,
        tenant: &str,
        conversations: &[String],
        before: Timestamp,
        limit: u32,
    ) -> Result<u64, Error> {
        let mut tx = self.reading(tenant).await?;
        let done = sqlx::query(sql::PRUNE_MESSAGES)
            .bind(tenant)
            .bind(conversations)
            .bind(instant(before))
            .bind(i64::from(limit))
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(done.rows_affected())
    }

    async fn prune_api_logs(
        &self,
        tenant: &str,
        before: Timestamp,
        limit: u32,
    ) -> Result<u64, Error> {
        let mut tx = self.reading(tenant).await?;
        let done = sqlx::query(sql::PRUNE_API_LOGS)
            .bind(tenant)
            .bind(instant(before))
            .bind(i64::from(limit))
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(done.rows_affected())
    }
}

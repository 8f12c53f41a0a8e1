use async_trait::async_trait;
use serde_json::json;
use windlass::Timestamp;

use super::super::Error;
use super::super::retention::Retention;
use super::super::rows::millis;
use super::{SqliteRepository, sql};

#[async_trait]
impl Retention for SqliteRepository {
    async fn conversations_after(
        &self,
        tenant: &str,
        after: &str,
        limit: u32,
    ) -> Result<Vec<String>, Error> {
        Ok(sqlx::query_scalar(sql::CONVERSATIONS_AFTER)
            .bind(tenant)
            .bind(after)
            .bind(limit)
            .fetch_all(self.readers())
            .await?)
    }

    async fn prune_messages(
        &self,
        tenant: &str,
        conversations: &[String],
        before: Timestamp,
        limit: u32,
    ) -> Result<u64, Error> {
        let done = sqlx::query(sql::PRUNE_MESSAGES)
            .bind(tenant)
            .bind(json!(conversations))
            .bind(millis(before))
            .bind(limit)
            .execute(self.db.writer())
            .await?;
        Ok(done.rows_affected())
    }

    async fn prune_api_logs(
        &self,
        tenant: &str,
        before: Timestamp,
        limit: u32,
    ) -> Result<u64, Error> {
        let done = sqlx::query(sql::PRUNE_API_LOGS)
            .bind(tenant)
            .bind(millis(before))
            .bind(limit)
            .execute(self.db.writer())
            .await?;
        Ok(done.rows_affected())
    }
}

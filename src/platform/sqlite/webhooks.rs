use async_trait::async_trait;
use windlass::db::Tx;

use super::super::Error;
use super::super::rows::{EventRow, MessageRow, WebhookRow};
use super::super::webhooks::{NewWebhook, Outbound};
use super::{SqliteRepository, of, sql};

#[async_trait]
impl Outbound for SqliteRepository {
    async fn message(
        &self,
        tenant: &str,
        conversation: &str,
        id: &str,
    ) -> Result<Option<MessageRow>, Error> {
        let row = sqlx::query_as(sql::MESSAGE)
            .bind(tenant)
            .bind(conversation)
            .bind(id)
            .fetch_optional(self.readers())
            .await?;
        Ok(row)
    }

    async fn event(&self, tenant: &str, id: &str) -> Result<Option<EventRow>, Error> {
        let row = sqlx::query_as(sql::EVENT)
            .bind(tenant)
            .bind(id)
            .fetch_optional(self.readers())
            .await?;
        Ok(row)
    }

    async fn create_webhook(
        &self,
        tx: &mut Tx,
        tenant: &str,
        id: &str,
        webhook: &NewWebhook<'_>,
    ) -> Result<(), Error> {
        sqlx::query(sql::CREATE_WEBHOOK)
            .bind(id)
            .bind(tenant)
            .bind(webhook.url)
            .bind(serde_json::json!(webhook.events))
            .bind(&webhook.headers)
            .execute(of(tx)?)
            .await?;
        Ok(())
    }

    async fn webhook(&self, tenant: &str, id: &str) -> Result<Option<WebhookRow>, Error> {
        let row = sqlx::query_as(sql::WEBHOOK)
            .bind(tenant)
            .bind(id)
            .fetch_optional(self.readers())
            .await?;
        Ok(row)
    }
}

use async_trait::async_trait;
use windlass::db::Tx;

use super::{PostgresRepository, instant, of, sql};
use crate::platform::Error;
use crate::platform::conversations::Message;
use crate::platform::intake::{Intake, Month};
use crate::platform::rows::{MessageRow, RuntimeRow, SecretRow, UsageRow};

#[async_trait]
impl Intake for PostgresRepository {
    async fn runtime(&self, tenant: &str) -> Result<Option<RuntimeRow>, Error> {
        let mut tx = self.reading(tenant).await?;
        let row = sqlx::query_as(sql::RUNTIME)
            .bind(tenant)
            .fetch_optional(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(row)
    }

    async fn tenant_secret(
        &self,
        tenant: &str,
        names: &[String; 2],
    ) -> Result<Option<SecretRow>, Error> {
        let mut tx = self.reading(tenant).await?;
        let row = sqlx::query_as(sql::TENANT_SECRET)
            .bind(tenant)
            .bind(&names[0])
            .bind(&names[1])
            .fetch_optional(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(row)
    }

    async fn record_message(
        &self,
        tx: &mut Tx,
        tenant: &str,
        message: &Message,
        ids: &[String],
    ) -> Result<Option<String>, Error> {
        Ok(sqlx::query_scalar(sql::RECORD_MESSAGE)
            .bind(&message.id)
            .bind(tenant)
            .bind(&message.conversation_id)
            .bind(&message.external_id)
            .bind(message.direction.as_str())
            .bind(&message.from)
            .bind(&message.kind)
            .bind(&*message.content)
            .bind(&*message.metadata)
            .bind(instant(message.at))
            .bind(ids)
            .fetch_optional(of(tx)?)
            .await?)
    }

    async fn has_message(&self, tenant: &str, external_id: &str) -> Result<bool, Error> {
        let mut tx = self.reading(tenant).await?;
        let there = sqlx::query_scalar(sql::HAS_MESSAGE)
            .bind(tenant)
            .bind(external_id)
            .fetch_one(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(there)
    }

    async fn newest(
        &self,
        tx: &mut Tx,
        tenant: &str,
        conversation: &str,
        limit: u32,
    ) -> Result<Vec<MessageRow>, Error> {
        Ok(sqlx::query_as(sql::MESSAGES)
            .bind(tenant)
            .bind(conversation)
            .bind(i64::from(limit))
            .fetch_all(of(tx)?)
            .await?)
    }

    async fn conversation_status(
        &self,
        tx: &mut Tx,
        tenant: &str,
        id: &str,
    ) -> Result<Option<String>, Error> {
        Ok(sqlx::query_scalar(sql::CONVERSATION_STATUS)
            .bind(tenant)
            .bind(id)
            .fetch_optional(of(tx)?)
            .await?)
    }

    async fn count_usage(
        &self,
        tx: &mut Tx,
        tenant: &str,
        month: &Month,
        conversations: i32,
    ) -> Result<UsageRow, Error> {
        Ok(sqlx::query_as(sql::COUNT_USAGE)
            .bind(tenant)
            .bind(instant(month.first))
            .bind(instant(month.last))
            .bind(conversations)
            .fetch_one(of(tx)?)
            .await?)
    }
}

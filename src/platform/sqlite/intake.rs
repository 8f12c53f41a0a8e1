use async_trait::async_trait;
use windlass::db::Tx;

use super::{SqliteRepository, of, sql};
use crate::platform::Error;
use crate::platform::conversations::Message;
use crate::platform::intake::{Intake, Month};
use crate::platform::repository::Repository;
use crate::platform::rows::{RuntimeRow, SecretRow, UsageRow, millis};

#[async_trait]
impl Intake for SqliteRepository {
    async fn runtime(&self, tenant: &str) -> Result<Option<RuntimeRow>, Error> {
        Ok(sqlx::query_as(sql::RUNTIME)
            .bind(tenant)
            .fetch_optional(self.readers())
            .await?)
    }

    async fn tenant_secret(
        &self,
        tenant: &str,
        names: &[String; 2],
    ) -> Result<Option<SecretRow>, Error> {
        Ok(sqlx::query_as(sql::TENANT_SECRET)
            .bind(tenant)
            .bind(&names[0])
            .bind(&names[1])
            .fetch_optional(self.readers())
            .await?)
    }

    /// SQLite returns nothing from an insert inside a query, and needs no round trips to save.
    async fn record_message(
        &self,
        tx: &mut Tx,
        tenant: &str,
        message: &Message,
        ids: &[String],
    ) -> Result<Option<(String, bool)>, Error> {
        if let Some(id) = self.find_message(tx, tenant, message, ids).await? {
            return Ok(Some((id, false)));
        }
        let made = self.insert_message(tx, tenant, message).await?;
        Ok(made.then(|| (message.id.clone(), true)))
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
            .bind(millis(month.first))
            .bind(millis(month.last))
            .bind(conversations)
            .fetch_one(of(tx)?)
            .await?)
    }
}

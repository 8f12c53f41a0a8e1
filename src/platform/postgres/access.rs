use async_trait::async_trait;

use super::super::Error;
use super::super::access::{Access, Holder};
use super::super::rows::{AdminKeyRow, ApiKeyRow};
use super::{PostgresRepository, sql};

#[async_trait]
impl Access for PostgresRepository {
    async fn api_keys(&self, prefix: &str) -> Result<Vec<ApiKeyRow>, Error> {
        let rows = sqlx::query_as(sql::API_KEYS)
            .bind(prefix)
            .fetch_all(self.db.pool())
            .await?;
        Ok(rows)
    }

    async fn admin_key(&self, id: &str) -> Result<Option<AdminKeyRow>, Error> {
        let row = sqlx::query_as(sql::ADMIN_KEY)
            .bind(id)
            .fetch_optional(self.db.pool())
            .await?;
        Ok(row)
    }

    async fn admin_user(&self, id: &str) -> Result<Option<String>, Error> {
        let role = sqlx::query_scalar(sql::ADMIN_USER)
            .bind(id)
            .fetch_optional(self.db.pool())
            .await?;
        Ok(role)
    }

    async fn tenant_user(&self, tenant: &str, id: &str) -> Result<Option<String>, Error> {
        let role = sqlx::query_scalar(sql::TENANT_USER)
            .bind(tenant)
            .bind(id)
            .fetch_optional(self.db.pool())
            .await?;
        Ok(role)
    }

    async fn touch_key(&self, holder: &Holder) -> Result<(), Error> {
        let (statement, key) = match holder {
            Holder::Tenant { key, .. } => (sql::TOUCH_TENANT_API_KEY, key),
            Holder::Admin { key, .. } => (sql::TOUCH_ADMIN_API_KEY, key),
            Holder::AdminKey { key, .. } => (sql::TOUCH_ADMIN_KEY, key),
        };
        sqlx::query(statement)
            .bind(key)
            .execute(self.db.pool())
            .await?;
        Ok(())
    }

    async fn has_admin_access(&self) -> Result<bool, Error> {
        let any = sqlx::query_scalar(sql::HAS_ADMIN_ACCESS)
            .fetch_one(self.db.pool())
            .await?;
        Ok(any)
    }
}

use async_trait::async_trait;
use serde_json::Value;
use windlass::Timestamp;
use windlass::db::Tx;

use super::super::Error;
use super::super::rows::{AdoptedRow, ExaminedRow, UnfinishedRow, millis};
use super::super::upkeep::{Idle, Upkeep};
use super::{PostgresRepository, instant, of, sql};

#[async_trait]
impl Upkeep for PostgresRepository {
    async fn hides_rows(&self) -> Result<bool, Error> {
        Ok(sqlx::query_scalar(sql::HIDES_ROWS)
            .fetch_one(self.db.pool())
            .await?)
    }

    async fn unfinished_documents(
        &self,
        tenant: Option<&str>,
        idle: &Idle,
        limit: u32,
    ) -> Result<Vec<UnfinishedRow>, Error> {
        let mut tx = self.reading(tenant.unwrap_or_default()).await?;
        let rows = sqlx::query_as(sql::UNFINISHED_DOCUMENTS)
            .bind(tenant)
            .bind(instant(idle.pending))
            .bind(instant(idle.processing))
            .bind(instant(idle.changed_after))
            .bind(i64::from(limit))
            .fetch_all(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(rows)
    }

    async fn adopt_document(
        &self,
        tx: &mut Tx,
        tenant: &str,
        id: &str,
        version: i32,
        updated_at: Timestamp,
    ) -> Result<Option<AdoptedRow>, Error> {
        Ok(sqlx::query_as(sql::ADOPT_DOCUMENT)
            .bind(tenant)
            .bind(id)
            .bind(version)
            .bind(millis(updated_at))
            .fetch_optional(of(tx)?)
            .await?)
    }

    async fn note_adoption(
        &self,
        tx: &mut Tx,
        tenant: &str,
        id: &str,
        version: i32,
        adoption: &Value,
    ) -> Result<(), Error> {
        sqlx::query(sql::NOTE_ADOPTION)
            .bind(tenant)
            .bind(id)
            .bind(version)
            .bind(adoption)
            .execute(of(tx)?)
            .await?;
        Ok(())
    }

    async fn examine_documents(
        &self,
        tenant: &str,
        after: &str,
        limit: u32,
    ) -> Result<Vec<ExaminedRow>, Error> {
        let mut tx = self.reading(tenant).await?;
        let rows = sqlx::query_as(sql::EXAMINE_DOCUMENTS)
            .bind(tenant)
            .bind(after)
            .bind(i64::from(limit))
            .fetch_all(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(rows)
    }
}

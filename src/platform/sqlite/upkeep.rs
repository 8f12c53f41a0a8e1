use async_trait::async_trait;
use windlass::Timestamp;
use windlass::db::Tx;

use super::super::Error;
use super::super::rows::{ExaminedRow, UnfinishedRow, millis};
use super::super::upkeep::{Idle, Upkeep};
use super::{SqliteRepository, of, sql};

#[async_trait]
impl Upkeep for SqliteRepository {
    async fn hides_rows(&self) -> Result<bool, Error> {
        Ok(sqlx::query_scalar(sql::HIDES_ROWS)
            .fetch_one(self.readers())
            .await?)
    }

    async fn unfinished_documents(
        &self,
        tenant: Option<&str>,
        idle: &Idle,
        limit: u32,
    ) -> Result<Vec<UnfinishedRow>, Error> {
        Ok(sqlx::query_as(sql::UNFINISHED_DOCUMENTS)
            .bind(tenant)
            .bind(millis(idle.pending))
            .bind(millis(idle.processing))
            .bind(millis(idle.changed_after))
            .bind(i64::from(limit))
            .fetch_all(self.readers())
            .await?)
    }

    async fn adopt_document(
        &self,
        tx: &mut Tx,
        tenant: &str,
        id: &str,
        version: i32,
        updated_at: Timestamp,
    ) -> Result<bool, Error> {
        let done = sqlx::query(sql::ADOPT_DOCUMENT)
            .bind(tenant)
            .bind(id)
            .bind(version)
            .bind(millis(updated_at))
            .execute(of(tx)?)
            .await?;
        Ok(done.rows_affected() > 0)
    }

    async fn examine_documents(
        &self,
        tenant: &str,
        after: &str,
        limit: u32,
    ) -> Result<Vec<ExaminedRow>, Error> {
        Ok(sqlx::query_as(sql::EXAMINE_DOCUMENTS)
            .bind(tenant)
            .bind(after)
            .bind(i64::from(limit))
            .fetch_all(self.readers())
            .await?)
    }
}

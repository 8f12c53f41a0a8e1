//! What outlives an attempt, and what ties jobs together.

use async_trait::async_trait;
use sqlx::PgConnection;

use super::lane::run;
use super::{Error, PgStore, connection, sql};
use crate::db;
use crate::model::{Json, Lease, Recorded};
use crate::store::Flows;

#[async_trait]
impl Flows for PgStore {
    async fn checkpoint(&self, lease: Lease, note: &Json) -> Result<Recorded, Error> {
        run!(self.shared.leases, |connection| {
            checkpoint(connection, lease, note).await
        })
    }

    async fn checkpoint_in(
        &self,
        tx: &mut db::Tx,
        lease: Lease,
        note: &Json,
    ) -> Result<Recorded, Error> {
        let connection = connection(tx, "keep a checkpoint in another store's transaction")?;
        checkpoint(connection, lease, note).await
    }
}

pub(super) async fn checkpoint(
    connection: &mut PgConnection,
    lease: Lease,
    note: &Json,
) -> Result<Recorded, Error> {
    let recorded = sqlx::query(sql::CHECKPOINT)
        .bind(lease.job.as_uuid())
        .bind(lease.claim_no)
        .bind(note.as_str())
        .execute(connection)
        .await?;
    Ok(if recorded.rows_affected() == 1 {
        Recorded::Yes
    } else {
        Recorded::LeaseLost
    })
}

//! What outlives an attempt, and what ties jobs together.

use async_trait::async_trait;
use sqlx::sqlite::SqliteConnection;

use super::{SqliteStore, connection, timed};
use crate::db;
use crate::model::{Json, Lease, Recorded};
use crate::store::{Error, Flows};

const CHECKPOINT: &str = include_str!("sql/checkpoint.sql");

#[async_trait]
impl Flows for SqliteStore {
    async fn checkpoint(&self, lease: Lease, note: &Json) -> Result<Recorded, Error> {
        timed(async {
            let mut connection = self.db.writer().acquire().await?;
            checkpoint(&mut connection, lease, note).await
        })
        .await
    }

    async fn checkpoint_in(
        &self,
        tx: &mut db::Tx,
        lease: Lease,
        note: &Json,
    ) -> Result<Recorded, Error> {
        let connection = connection(tx, "keep a checkpoint in a transaction of another database")?;
        timed(checkpoint(connection, lease, note)).await
    }
}

pub(super) async fn checkpoint(
    connection: &mut SqliteConnection,
    lease: Lease,
    note: &Json,
) -> Result<Recorded, Error> {
    let done = sqlx::query(CHECKPOINT)
        .bind(lease.job.as_uuid())
        .bind(lease.claim_no)
        .bind(note.as_str())
        .execute(connection)
        .await?;
    Ok(match done.rows_affected() {
        0 => Recorded::LeaseLost,
        _ => Recorded::Yes,
    })
}

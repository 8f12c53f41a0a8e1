//! What has finished.

use async_trait::async_trait;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::{SqliteStore, rows, timed};
use crate::model::JobId;
use crate::store::{Error, Finished, News, Since};

const FINISHED_SINCE: &str = include_str!("sql/finished_since.sql");

#[async_trait]
impl News for SqliteStore {
    async fn finished_since(&self, since: Since) -> Result<Vec<Finished>, Error> {
        timed(async {
            let rows = sqlx::query(FINISHED_SINCE)
                .bind(rows::micros(since.at))
                .bind(since.after.map_or(Uuid::nil(), JobId::as_uuid))
                .bind(since.limit)
                .fetch_all(self.db.readers())
                .await?;
            rows.iter().map(finished).collect()
        })
        .await
    }
}

fn finished(row: &SqliteRow) -> Result<Finished, Error> {
    let state: String = row.try_get("state")?;
    Ok(Finished {
        id: rows::id(row, "id")?,
        kind: row.try_get("kind")?,
        queue: row.try_get("queue")?,
        state: state
            .parse()
            .map_err(|_| Error::Corrupt(format!("{state} is no state")))?,
        attempt: rows::number(row, "attempt")?,
        tenant_id: row.try_get("tenant_id")?,
        correlation_id: row.try_get("correlation_id")?,
        finished_at: rows::timestamp(row, "finished_at")?,
    })
}

//! What has finished.

use async_trait::async_trait;
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::lane::run;
use super::{Error, PgStore, rows, sql};
use crate::model::JobId;
use crate::store::{Finished, News, Since};

#[async_trait]
impl News for PgStore {
    async fn finished_since(&self, since: Since) -> Result<Vec<Finished>, Error> {
        run!(self.shared.reads, |connection| {
            sqlx::query(sql::FINISHED_SINCE)
                .bind(rows::time(since.at))
                .bind(since.after.map_or(Uuid::nil(), JobId::as_uuid))
                .bind(i64::from(since.limit))
                .fetch_all(connection)
                .await?
                .iter()
                .map(finished)
                .collect()
        })
    }
}

fn finished(row: &PgRow) -> Result<Finished, Error> {
    Ok(Finished {
        id: rows::id(row, 0)?,
        kind: row.try_get(1)?,
        queue: row.try_get(2)?,
        state: rows::state(row, 3)?,
        attempt: rows::short(row, 4)?,
        tenant_id: row.try_get(5)?,
        correlation_id: row.try_get(6)?,
        finished_at: rows::timestamp(row, 7)?,
    })
}

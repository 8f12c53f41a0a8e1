//! Values as they are stored.

use async_trait::async_trait;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::{SqliteStore, rows, timed};
use crate::model::{JobId, Json};
use crate::store::{AtRest, Error, Rewrite, Values, Walk};

const WALK: &str = include_str!("sql/walk.sql");
const REWRITE: &str = include_str!("sql/rewrite.sql");

#[async_trait]
impl Values for SqliteStore {
    async fn walk(&self, walk: Walk) -> Result<Vec<AtRest>, Error> {
        timed(async {
            let rows = sqlx::query(WALK)
                .bind(walk.after.map_or(Uuid::nil(), JobId::as_uuid))
                .bind(walk.limit)
                .bind(walk.finished)
                .fetch_all(self.db.readers())
                .await?;
            rows.iter().map(at_rest).collect()
        })
        .await
    }

    async fn rewrite(&self, rewrites: &[Rewrite]) -> Result<Vec<bool>, Error> {
        timed(async {
            let mut tx = self.db.writer().begin_with("begin immediate").await?;
            let mut done = Vec::with_capacity(rewrites.len());
            for rewrite in rewrites {
                let mut query = sqlx::query(REWRITE).bind(rewrite.id.as_uuid());
                for change in [&rewrite.args, &rewrite.result, &rewrite.checkpoint] {
                    let (from, to) = change
                        .as_ref()
                        .map(|(f, t)| (f.as_str(), t.as_str()))
                        .unzip();
                    query = query.bind(from).bind(to);
                }
                done.push(query.execute(&mut *tx).await?.rows_affected() > 0);
            }
            tx.commit().await?;
            Ok(done)
        })
        .await
    }
}

fn at_rest(row: &SqliteRow) -> Result<AtRest, Error> {
    let json = |column| -> Result<_, Error> {
        Ok(row.try_get::<Option<String>, _>(column)?.map(Json::trusted))
    };
    Ok(AtRest {
        id: rows::id(row, "id")?,
        kind: row.try_get("kind")?,
        tenant_id: row.try_get("tenant_id")?,
        args: json("args")?,
        result: json("result")?,
        checkpoint: json("checkpoint")?,
    })
}

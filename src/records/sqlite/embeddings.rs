use serde_json::json;
use windlass::db::Sqlite;

use super::super::Error;
use super::super::embeddings::{ContentHash, EmbeddingsOf};
use super::sql;

pub(in super::super) async fn read(
    db: &Sqlite,
    of: EmbeddingsOf<'_>,
    texts: &[ContentHash],
) -> Result<Vec<(Vec<u8>, Vec<u8>)>, Error> {
    let hashes = json!(
        texts
            .iter()
            .map(|hash| hex::encode(hash.0))
            .collect::<Vec<_>>()
    );
    let rows = sqlx::query_as(sql::READ_EMBEDDINGS)
        .bind(of.tenant)
        .bind(of.model)
        .bind(dimensions(of))
        .bind(&hashes)
        .fetch_all(db.readers())
        .await?;
    sqlx::query(sql::TOUCH_EMBEDDINGS)
        .bind(of.tenant)
        .bind(of.model)
        .bind(dimensions(of))
        .bind(&hashes)
        .execute(db.writer())
        .await?;
    Ok(rows)
}

pub(in super::super) async fn keep(
    db: &Sqlite,
    of: EmbeddingsOf<'_>,
    rows: &[(ContentHash, Vec<u8>)],
) -> Result<(), Error> {
    let mut tx = db.writer().begin_with("begin immediate").await?;
    for (hash, vector) in rows {
        sqlx::query(sql::KEEP_EMBEDDINGS)
            .bind(of.tenant)
            .bind(of.model)
            .bind(dimensions(of))
            .bind(&hash.0[..])
            .bind(vector)
            .execute(&mut *tx)
            .await?;
    }
    tx.commit().await?;
    Ok(())
}

pub(in super::super) async fn beyond(db: &Sqlite, most: u32) -> Result<Option<i64>, Error> {
    Ok(sqlx::query_scalar(sql::EMBEDDINGS_BEYOND)
        .bind(i64::from(most))
        .fetch_optional(db.readers())
        .await?)
}

pub(in super::super) async fn forget(db: &Sqlite, until: i64, limit: u32) -> Result<u64, Error> {
    let done = sqlx::query(sql::FORGET_EMBEDDINGS)
        .bind(until)
        .bind(i64::from(limit))
        .execute(db.writer())
        .await?;
    Ok(done.rows_affected())
}

fn dimensions(of: EmbeddingsOf<'_>) -> i64 {
    i64::try_from(of.dimensions).unwrap_or(i64::MAX)
}

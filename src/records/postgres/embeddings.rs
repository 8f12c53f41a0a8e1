use windlass::db::Postgres;

use super::super::Error;
use super::super::embeddings::{ContentHash, EmbeddingsOf};
use super::sql;

pub(in super::super) async fn read(
    db: &Postgres,
    of: EmbeddingsOf<'_>,
    texts: &[ContentHash],
) -> Result<Vec<(Vec<u8>, Vec<u8>)>, Error> {
    let hashes: Vec<&[u8]> = texts.iter().map(|hash| &hash.0[..]).collect();
    let rows = sqlx::query_as(sql::READ_EMBEDDINGS)
        .bind(of.tenant)
        .bind(of.model)
        .bind(dimensions(of))
        .bind(&hashes)
        .fetch_all(db.pool())
        .await?;
    sqlx::query(sql::TOUCH_EMBEDDINGS)
        .bind(of.tenant)
        .bind(of.model)
        .bind(dimensions(of))
        .bind(&hashes)
        .execute(db.pool())
        .await?;
    Ok(rows)
}

pub(in super::super) async fn keep(
    db: &Postgres,
    of: EmbeddingsOf<'_>,
    rows: &[(ContentHash, Vec<u8>)],
) -> Result<(), Error> {
    let (hashes, vectors): (Vec<&[u8]>, Vec<&[u8]>) = rows
        .iter()
        .map(|(hash, vector)| (&hash.0[..], vector.as_slice()))
        .unzip();
    sqlx::query(sql::KEEP_EMBEDDINGS)
        .bind(of.tenant)
        .bind(of.model)
        .bind(dimensions(of))
        .bind(hashes)
        .bind(vectors)
        .execute(db.pool())
        .await?;
    Ok(())
}

pub(in super::super) async fn beyond(db: &Postgres, most: u32) -> Result<Option<i64>, Error> {
    Ok(sqlx::query_scalar(sql::EMBEDDINGS_BEYOND)
        .bind(i64::from(most))
        .fetch_optional(db.pool())
        .await?)
}

pub(in super::super) async fn forget(db: &Postgres, until: i64, limit: u32) -> Result<u64, Error> {
    let done = sqlx::query(sql::FORGET_EMBEDDINGS)
        .bind(until)
        .bind(i64::from(limit))
        .execute(db.pool())
        .await?;
    Ok(done.rows_affected())
}

fn dimensions(of: EmbeddingsOf<'_>) -> i32 {
    i32::try_from(of.dimensions).unwrap_or(i32::MAX)
}

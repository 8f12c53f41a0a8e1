//! Nearest neighbours and words in PostgreSQL (docs/adr/0004).

use pgvector::Vector;

use super::super::Error;
use super::super::rows::HitRow;
use super::super::search::SCANNED;
use super::super::terms::Terms;
use super::{PostgresRepository, sql};

/// An approximate index first finds the nearest chunks of *all* tenants and then drops those of
/// others, so it may return too few of ours, or none. When it returns fewer than asked for, all
/// of the tenant's chunks are compared. This is right with any index, or none, or a broken one,
/// and with any version of pgvector.
pub(super) async fn nearest(
    repository: &PostgresRepository,
    tenant: &str,
    query: &[f32],
    top_k: u32,
) -> Result<Vec<HitRow>, Error> {
    let query = Vector::from(query.to_vec());
    let mut tx = repository.reading(tenant).await?;
    sqlx::query(sql::SEARCH_WIDTH).execute(&mut *tx).await?;
    let mut hits: Vec<HitRow> = Vec::new();
    for statement in [sql::NEAREST, sql::NEAREST_EXACT] {
        hits = sqlx::query_as(statement)
            .bind(tenant)
            .bind(&query)
            .bind(i64::from(top_k))
            .fetch_all(&mut *tx)
            .await?;
        if hits.len() as u64 == u64::from(top_k) {
            break;
        }
    }
    tx.commit().await?;
    Ok(hits)
}

/// With the index on words if there is one. An existing platform has none, and gets none from us.
pub(super) async fn keyword(
    repository: &PostgresRepository,
    tenant: &str,
    terms: &Terms,
    top_k: u32,
) -> Result<Vec<HitRow>, Error> {
    let words = terms.words.iter().map(|word| format!("'{word}'"));
    let stems = terms.stems.iter().map(|stem| format!("'{stem}':*"));
    let queries: Vec<String> = words.chain(stems).collect();
    let mut tx = repository.reading(tenant).await?;
    let indexed: bool = sqlx::query_scalar(sql::WORD_INDEX)
        .fetch_one(&mut *tx)
        .await?;
    let hits = if indexed && terms.parts.is_empty() {
        sqlx::query_as(sql::KEYWORD)
            .bind(tenant)
            .bind(queries)
            .bind(i64::from(top_k))
            .fetch_all(&mut *tx)
            .await?
    } else {
        sqlx::query_as(sql::KEYWORD_SCAN)
            .bind(tenant)
            .bind(queries)
            .bind(i64::from(top_k))
            .bind(&terms.parts)
            .bind(i64::from(SCANNED))
            .fetch_all(&mut *tx)
            .await?
    };
    tx.commit().await?;
    Ok(hits)
}

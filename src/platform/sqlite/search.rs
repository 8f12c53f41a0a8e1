//! Nearest neighbours without an index, and words with one.
//!
//! Every vector of the tenant is compared: exact, and for the tens of thousands of chunks that one
//! file serves a matter of milliseconds. The extension that would index them (sqlite-vec) is an alpha
//! in C that can only be registered through unsafe code.

use futures_util::TryStreamExt;
use serde_json::json;
use sqlx::SqlitePool;

use super::super::Error;
use super::super::rows::HitRow;
use super::super::search::SCANNED;
use super::super::terms::Terms;
use super::sql;

pub(super) async fn nearest(
    pool: &SqlitePool,
    tenant: &str,
    query: &[f32],
    top_k: u32,
) -> Result<Vec<HitRow>, Error> {
    let keep = usize::try_from(top_k).unwrap_or(usize::MAX);
    let mut tx = pool.begin().await?;
    let mut best: Vec<(f64, i64)> = Vec::new();
    let mut rows = sqlx::query_as::<_, (i64, Vec<u8>)>(sql::NEAREST)
        .bind(tenant)
        .fetch(&mut *tx);
    while let Some((seq, blob)) = rows.try_next().await? {
        let Some(score) = similarity(query, &decode(&blob)) else {
            continue;
        };
        let place = best.partition_point(|(better, _)| *better >= score);
        if place < keep {
            best.insert(place, (score, seq));
            best.truncate(keep);
        }
    }
    drop(rows);
    let mut hits = Vec::with_capacity(best.len());
    for (score, seq) in best {
        let hit = sqlx::query_as(sql::HIT)
            .bind(tenant)
            .bind(seq)
            .bind(score)
            .fetch_one(&mut *tx)
            .await?;
        hits.push(hit);
    }
    tx.commit().await?;
    Ok(hits)
}

/// Words by the index; with scripts that put no blanks between words, all of it by a look at each chunk.
pub(super) async fn keyword(
    pool: &SqlitePool,
    tenant: &str,
    terms: &Terms,
    top_k: u32,
) -> Result<Vec<HitRow>, Error> {
    let indexed: bool = sqlx::query_scalar(sql::WORD_INDEX).fetch_one(pool).await?;
    if indexed && terms.parts.is_empty() {
        let words = terms.words.iter().map(|word| format!("\"{word}\""));
        let stems = terms.stems.iter().map(|stem| format!("\"{stem}\"*"));
        let queries: Vec<String> = words.chain(stems).collect();
        return Ok(sqlx::query_as(sql::KEYWORD)
            .bind(tenant)
            .bind(json!(queries))
            .bind(i64::from(top_k))
            .fetch_all(pool)
            .await?);
    }
    let parts: Vec<&String> = terms.parts.iter().chain(&terms.words).collect();
    Ok(sqlx::query_as(sql::KEYWORD_SCAN)
        .bind(tenant)
        .bind(json!(parts))
        .bind(i64::from(top_k))
        .bind(i64::from(SCANNED))
        .fetch_all(pool)
        .await?)
}

pub(super) fn encode(embedding: &[f32]) -> Vec<u8> {
    embedding.iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn decode(blob: &[u8]) -> Vec<f32> {
    let (numbers, _) = blob.as_chunks();
    numbers.iter().copied().map(f32::from_le_bytes).collect()
}

/// The cosine of the angle between two vectors; `None` if they cannot be compared.
fn similarity(a: &[f32], b: &[f32]) -> Option<f64> {
    if a.len() != b.len() {
        return None;
    }
    let (mut product, mut length_a, mut length_b) = (0.0_f64, 0.0_f64, 0.0_f64);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (f64::from(*a), f64::from(*b));
        product += a * b;
        length_a += a * a;
        length_b += b * b;
    }
    Some(product / (length_a * length_b).sqrt()).filter(|cosine| cosine.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_survives_its_blob() {
        let vector = [1.5, -0.25, f32::MIN_POSITIVE, 3e38];
        assert_eq!(decode(&encode(&vector)), vector);
    }

    #[test]
    fn similarity_is_the_cosine() {
        assert_eq!(similarity(&[2.0, 0.0], &[5.0, 0.0]), Some(1.0));
        assert_eq!(similarity(&[1.0, 0.0], &[0.0, 1.0]), Some(0.0));
        assert_eq!(similarity(&[1.0, 0.0], &[-3.0, 0.0]), Some(-1.0));
        assert_eq!(similarity(&[1.0, 0.0], &[0.0, 0.0]), None);
        assert_eq!(similarity(&[1.0, 0.0], &[1.0]), None);
    }
}

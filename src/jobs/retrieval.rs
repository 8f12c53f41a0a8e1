//! Finds what the tenant's documents say about a question: by meaning and by words, fused.

use std::collections::HashMap;

use crate::platform::{Hit, Platform, RagSettings};
use crate::services::models::Models;
use crate::telemetry;

use super::failure::{from_platform, from_service};

/// A piece of a document that bears on the question.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) hit: Hit,
    /// Cosine, -1 to 1; `None` if only words led to it.
    pub(super) similarity: Option<f64>,
}

/// The best pieces, best first, at most `top_k`.
pub(super) async fn retrieve(
    platform: &Platform,
    models: &Models,
    tenant: &str,
    settings: &RagSettings,
    question: &str,
) -> anyhow::Result<Vec<Found>> {
    let embedded = models
        .embedder
        .embed(&[question.to_owned()])
        .await
        .map_err(from_service)?;
    let by_meaning = match embedded.first() {
        Some(query) => platform
            .nearest(tenant, query, settings.top_k, settings.min_similarity)
            .await
            .map_err(from_platform)?,
        None => Vec::new(),
    };
    let by_words = platform
        .keyword(tenant, question, settings.top_k)
        .await
        .map_err(from_platform)?;
    let found = fuse(by_meaning, by_words, settings);
    telemetry::messages::looked_up(found.len());
    Ok(found)
}

/// `vector_weight * similarity + keyword_weight * rank / best rank`, as the platform's settings mean
/// it.
fn fuse(by_meaning: Vec<Hit>, by_words: Vec<Hit>, settings: &RagSettings) -> Vec<Found> {
    let best_rank = by_words
        .iter()
        .map(|hit| hit.score)
        .fold(f64::MIN_POSITIVE, f64::max);
    let mut scored: HashMap<String, (f64, Found)> = HashMap::new();
    for hit in by_meaning {
        let score = settings.vector_weight * hit.score;
        let similarity = Some(hit.score);
        scored.insert(hit.chunk_id.clone(), (score, Found { hit, similarity }));
    }
    for hit in by_words {
        let score = settings.keyword_weight * hit.score / best_rank;
        scored
            .entry(hit.chunk_id.clone())
            .and_modify(|(sum, _)| *sum += score)
            .or_insert((
                score,
                Found {
                    hit,
                    similarity: None,
                },
            ));
    }
    let mut found: Vec<_> = scored.into_values().collect();
    // Equal scores by id: the same question must give the same answer.
    found.sort_by(|(a, x), (b, y)| {
        b.total_cmp(a)
            .then_with(|| x.hit.chunk_id.cmp(&y.hit.chunk_id))
    });
    found.truncate(settings.top_k as usize);
    found.into_iter().map(|(_, found)| found).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::platform::Private;

    fn hit(id: &str, score: f64) -> Hit {
        Hit {
            chunk_id: id.into(),
            document_id: "d".into(),
            document_name: "d.md".into(),
            content: Private("text".into()),
            position: 0,
            metadata: Private(json!({})),
            score,
        }
    }

    #[test]
    fn what_both_ways_find_comes_first_and_ties_are_settled() {
        let settings = RagSettings {
            top_k: 3,
            ..RagSettings::default()
        };
        let found = fuse(
            vec![hit("meaning", 0.6), hit("both", 0.5)],
            vec![hit("both", 2.0), hit("words-b", 1.0), hit("words-a", 1.0)],
            &settings,
        );
        let ids: Vec<_> = found.iter().map(|f| f.hit.chunk_id.as_str()).collect();
        assert_eq!(ids, ["both", "meaning", "words-a"]);
        assert_eq!(
            (found[0].similarity, found[2].similarity),
            (Some(0.5), None)
        );
    }
}

//! Finds what the tenant's documents say about a question: by meaning and by words, fused.

use std::collections::HashMap;

use crate::platform::{Hit, Platform, RagSettings};
use crate::services::models::Models;
use crate::telemetry;

use super::failure::{from_platform, from_service};

/// Softens the lead of the first places in reciprocal rank fusion; the usual number.
const SOFTNESS: f64 = 60.0;
/// Each way looks this much further than what is used: what both find is best, and seldom first in both.
const FURTHER: u32 = 4;
/// What only words lead to must hold this part of the question, where rare words count more. Less is
/// "how", "is" and "the".
const FEWEST_WORDS: f64 = 0.2;

/// A piece of a document that bears on the question.
#[derive(Debug)]
pub struct Found {
    /// The piece.
    pub hit: Hit,
    /// Cosine, -1 to 1; `None` if only words led to it.
    pub similarity: Option<f64>,
}

/// The best pieces of the tenant's ready documents, best first, at most `top_k`. A way whose weight is
/// 0 is not gone.
///
/// # Errors
/// What the job that asks should do: wait for the model or the database, or give up.
pub async fn retrieve(
    platform: &Platform,
    models: &Models,
    tenant: &str,
    settings: &RagSettings,
    question: &str,
) -> anyhow::Result<Vec<Found>> {
    let (by_meaning, by_words) = tokio::try_join!(
        by_meaning(platform, models, tenant, settings, question),
        by_words(platform, tenant, settings, question),
    )?;
    let found = fuse(by_meaning, by_words, settings);
    telemetry::messages::looked_up(found.len());
    Ok(found)
}

async fn by_meaning(
    platform: &Platform,
    models: &Models,
    tenant: &str,
    settings: &RagSettings,
    question: &str,
) -> anyhow::Result<Vec<Hit>> {
    if settings.vector_weight <= 0.0 {
        return Ok(Vec::new());
    }
    let embedded = models.embedder.embed(&[question.to_owned()]).await;
    let embedded = embedded.map_err(from_service)?;
    let Some(query) = embedded.first() else {
        return Ok(Vec::new());
    };
    let most = settings.top_k.saturating_mul(FURTHER);
    let hits = platform.nearest(tenant, query, most, settings.min_similarity);
    hits.await.map_err(from_platform)
}

async fn by_words(
    platform: &Platform,
    tenant: &str,
    settings: &RagSettings,
    question: &str,
) -> anyhow::Result<Vec<Hit>> {
    if settings.keyword_weight <= 0.0 {
        return Ok(Vec::new());
    }
    let most = settings.top_k.saturating_mul(FURTHER);
    let hits = platform.keyword(tenant, question, most).await;
    hits.map_err(from_platform)
}

/// Reciprocal rank fusion: places are compared, for a cosine and a share of words are not of one scale.
/// `vector_weight / (60 + place) + keyword_weight / (60 + place)`.
fn fuse(by_meaning: Vec<Hit>, by_words: Vec<Hit>, settings: &RagSettings) -> Vec<Found> {
    let mut scored: HashMap<String, (f64, Found)> = HashMap::new();
    for (place, hit) in (1_u32..).zip(by_meaning) {
        let score = settings.vector_weight / (SOFTNESS + f64::from(place));
        let similarity = Some(hit.score);
        scored.insert(hit.chunk_id.clone(), (score, Found { hit, similarity }));
    }
    for (place, hit) in (1_u32..).zip(by_words) {
        let score = settings.keyword_weight / (SOFTNESS + f64::from(place));
        if let Some((sum, _)) = scored.get_mut(&hit.chunk_id) {
            *sum += score;
        } else if hit.score >= FEWEST_WORDS {
            let found = Found {
                hit,
                similarity: None,
            };
            scored.insert(found.hit.chunk_id.clone(), (score, found));
        }
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

    fn settings(top_k: u32) -> RagSettings {
        RagSettings {
            top_k,
            ..RagSettings::default()
        }
    }

    fn ids(found: &[Found]) -> Vec<&str> {
        found.iter().map(|f| f.hit.chunk_id.as_str()).collect()
    }

    #[test]
    fn what_both_ways_find_comes_first() {
        let found = fuse(
            vec![hit("meaning", 0.6), hit("both", 0.5)],
            vec![hit("words", 0.9), hit("both", 0.8)],
            &settings(3),
        );
        assert_eq!(ids(&found), ["both", "meaning", "words"]);
        assert_eq!(
            (found[0].similarity, found[2].similarity),
            (Some(0.5), None)
        );
    }

    #[test]
    fn words_that_say_little_lead_nowhere_alone() {
        let found = fuse(
            vec![hit("meaning", 0.6)],
            vec![hit("meaning", 0.1), hit("the", 0.1)],
            &settings(3),
        );
        assert_eq!(ids(&found), ["meaning"]);
    }

    #[test]
    fn weights_say_which_way_leads_and_ties_are_settled() {
        let ways = || (vec![hit("a", 0.6)], vec![hit("b", 0.9)]);
        let words_first = RagSettings {
            keyword_weight: 0.8,
            vector_weight: 0.2,
            ..settings(2)
        };
        let (meaning, words) = ways();
        assert_eq!(ids(&fuse(meaning, words, &words_first)), ["b", "a"]);
        let even = RagSettings {
            keyword_weight: 0.5,
            vector_weight: 0.5,
            ..settings(2)
        };
        let (meaning, words) = ways();
        assert_eq!(ids(&fuse(words, meaning, &even)), ["a", "b"]);
        let (meaning, words) = ways();
        assert_eq!(ids(&fuse(meaning, words, &settings(1))), ["a"]);
    }
}

//! The vectors of a document's chunks: those that are known, and those that must be made.

use std::collections::{HashMap, HashSet};

use serde_json::json;
use windlass::Context;

use super::Services;
use super::failure::{from_records, from_service};
use crate::records::{ContentHash, EmbeddingsOf};
use crate::services::chunking::Chunk;

/// Texts embedded between two notes of how far it is: some calls' worth, so that they overlap.
const PAGE: usize = 512;

/// What [`embed`] found and made.
pub(super) struct Embedded {
    /// One for each chunk.
    pub(super) vectors: Vec<Vec<f32>>,
    /// How many of them were made now.
    pub(super) fresh: usize,
}

/// Vectors are remembered page by page: what failed or was cut off goes on from there, and a text that
/// did not change is not embedded again.
pub(super) async fn embed(
    cx: &Context<Services>,
    tenant: &str,
    chunks: &[Chunk<'_>],
) -> anyhow::Result<Embedded> {
    let Services {
        models, records, ..
    } = cx.services();
    let embedder = &models.embedder;
    let of = EmbeddingsOf {
        tenant,
        model: embedder.name(),
        dimensions: embedder.dimensions(),
    };
    let texts: Vec<String> = chunks.iter().map(Chunk::text_to_embed).collect();
    let hashes: Vec<ContentHash> = texts.iter().map(|text| ContentHash::of(text)).collect();
    let remember = !embedder.is_cheap();

    let mut known: HashMap<ContentHash, Vec<f32>> = HashMap::with_capacity(hashes.len());
    for page in hashes.chunks(PAGE).filter(|_| remember) {
        let found = records.embeddings(of, page).await;
        known.extend(found.map_err(from_records)?);
    }
    let unknown = unknown(&texts, &hashes, &known);
    let fresh = unknown.len();
    let all = known.len() + fresh;
    for page in unknown.chunks(PAGE) {
        let (new, texts): (Vec<ContentHash>, Vec<String>) = page.iter().cloned().unzip();
        let vectors = embedder.embed(&texts).await.map_err(from_service)?;
        if remember {
            let rows: Vec<_> = new
                .iter()
                .copied()
                .zip(vectors.iter().map(Vec::as_slice))
                .collect();
            let kept = records.keep_embeddings(of, &rows).await;
            kept.map_err(from_records)?;
        }
        known.extend(new.into_iter().zip(vectors));
        cx.progress(&json!({"embedded": known.len(), "of": all}))
            .await?;
    }
    let vectors = hashes
        .iter()
        .map(|hash| known.get(hash).cloned().unwrap_or_default())
        .collect();
    Ok(Embedded { vectors, fresh })
}

/// Each text once, however often the document says it.
fn unknown(
    texts: &[String],
    hashes: &[ContentHash],
    known: &HashMap<ContentHash, Vec<f32>>,
) -> Vec<(ContentHash, String)> {
    let mut unknown = Vec::new();
    let mut taken = HashSet::new();
    for (hash, text) in hashes.iter().zip(texts) {
        if !known.contains_key(hash) && taken.insert(*hash) {
            unknown.push((*hash, text.clone()));
        }
    }
    unknown
}

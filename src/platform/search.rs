use serde_json::Value;

use super::rows::HitRow;
use super::terms::Terms;
use super::{Error, Platform, Private};

/// How many numbers an embedding has: what the platform's column holds.
pub const EMBEDDING_DIMENSIONS: usize = 1024;

/// The most chunks of a tenant that are read word by word where no index knows their words.
pub(super) const SCANNED: u32 = 20_000;

/// A chunk that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// The chunk.
    pub chunk_id: String,
    /// The document it is from.
    pub document_id: String,
    /// What people call that document.
    pub document_name: String,
    /// The text of the chunk.
    pub content: Private<String>,
    /// Its place among the document's chunks, from 0.
    pub position: i32,
    /// `charStart`, `charEnd`, `heading` and the like.
    pub metadata: Private<Value>,
    /// How good it is, more is better. From [`Platform::nearest`] the cosine similarity, -1 to 1;
    /// from [`Platform::keyword`] how much of the question the chunk holds, 0 to 1, where rare words
    /// count more.
    pub score: f64,
}

impl Platform {
    /// The `top_k` chunks of ready documents whose meaning is nearest, best first, of those at least
    /// as near as `min_similarity`.
    pub async fn nearest(
        &self,
        tenant: &str,
        query: &[f32],
        top_k: u32,
        min_similarity: f64,
    ) -> Result<Vec<Hit>, Error> {
        check_embedding(query)?;
        let rows = self.repository.nearest(tenant, query, top_k).await?;
        Ok(rows
            .into_iter()
            .map(Hit::from)
            .filter(|hit| hit.score >= min_similarity)
            .collect())
    }

    /// The `top_k` chunks of ready documents that best match any word of a question, in any language.
    pub async fn keyword(&self, tenant: &str, query: &str, top_k: u32) -> Result<Vec<Hit>, Error> {
        let terms = Terms::of(query);
        if terms.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.repository.keyword(tenant, &terms, top_k).await?;
        Ok(rows.into_iter().map(Hit::from).collect())
    }
}

/// An embedding that both databases can store and compare.
pub(super) fn check_embedding(embedding: &[f32]) -> Result<(), Error> {
    let problem = if embedding.len() != EMBEDDING_DIMENSIONS {
        format!(
            "an embedding has {EMBEDDING_DIMENSIONS} numbers, this one {}: another model made it",
            embedding.len()
        )
    } else if !embedding.iter().all(|x| x.is_finite()) {
        "an embedding holds a number that is not finite".to_owned()
    } else if embedding.iter().all(|x| *x == 0.0) {
        "an embedding of zeros points nowhere".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::Invalid { problem })
}

impl From<HitRow> for Hit {
    fn from(row: HitRow) -> Self {
        Self {
            chunk_id: row.chunk_id,
            document_id: row.document_id,
            document_name: row.document_name,
            content: Private(row.content),
            position: row.position,
            metadata: Private(row.metadata.0),
            score: row.score,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_embedding_of_the_wrong_shape_is_refused() {
        let unit = |x: f32| {
            let mut v = vec![0.0; EMBEDDING_DIMENSIONS];
            v[0] = x;
            v
        };
        assert!(check_embedding(&unit(1.0)).is_ok());
        assert!(check_embedding(&unit(0.0)).is_err());
        assert!(check_embedding(&unit(f32::NAN)).is_err());
        assert!(check_embedding(&[1.0; 1536]).is_err());
    }
}

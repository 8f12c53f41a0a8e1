use std::collections::HashMap;
use std::fmt;

use sha2::{Digest, Sha256};
use windlass::Timestamp;
use windlass::db::Db;

use super::{Error, Records, postgres, sqlite};

/// Whose vectors, and of which model. Vectors of one are of no use to another.
#[derive(Debug, Clone, Copy)]
pub struct EmbeddingsOf<'a> {
    /// Whose texts.
    pub tenant: &'a str,
    /// The name of the model.
    pub model: &'a str,
    /// How long its vectors are.
    pub dimensions: usize,
}

/// Which text was embedded, by its SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentHash(pub(super) [u8; 32]);

impl ContentHash {
    /// Of this text.
    pub fn of(text: &str) -> Self {
        Self(Sha256::digest(text).into())
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl Records {
    /// The vectors that are known of these texts. What is found counts as used today.
    pub async fn embeddings(
        &self,
        of: EmbeddingsOf<'_>,
        texts: &[ContentHash],
    ) -> Result<HashMap<ContentHash, Vec<f32>>, Error> {
        let rows = match &self.db {
            Db::Postgres(db) => postgres::embeddings::read(db, of, texts).await?,
            Db::Sqlite(db) => sqlite::embeddings::read(db, of, texts).await?,
            _ => return Err(Error::UnknownDialect),
        };
        // A row that is not what it says is as good as none: it is made again.
        let known = |(hash, vector): (Vec<u8>, Vec<u8>)| {
            let hash = ContentHash(hash.try_into().ok()?);
            let vector = decode(&vector);
            (vector.len() == of.dimensions).then_some((hash, vector))
        };
        Ok(rows.into_iter().filter_map(known).collect())
    }

    /// Remembers vectors. Those that are known already stay as they are.
    pub async fn keep_embeddings(
        &self,
        of: EmbeddingsOf<'_>,
        vectors: &[(ContentHash, &[f32])],
    ) -> Result<(), Error> {
        // In one order: two that write the same must not wait for each other.
        let mut rows: Vec<_> = vectors.iter().map(|(hash, v)| (*hash, encode(v))).collect();
        rows.sort_unstable_by_key(|(hash, _)| *hash);
        rows.dedup_by_key(|(hash, _)| *hash);
        match &self.db {
            Db::Postgres(db) => postgres::embeddings::keep(db, of, &rows).await,
            Db::Sqlite(db) => sqlite::embeddings::keep(db, of, &rows).await,
            _ => Err(Error::UnknownDialect),
        }
    }

    /// When the vector was last used that is, counted from the latest, the one after `most`; `None` if
    /// there are not so many.
    pub async fn embeddings_beyond(&self, most: u32) -> Result<Option<Timestamp>, Error> {
        let millis = match &self.db {
            Db::Postgres(db) => postgres::embeddings::beyond(db, most).await?,
            Db::Sqlite(db) => sqlite::embeddings::beyond(db, most).await?,
            _ => return Err(Error::UnknownDialect),
        };
        Ok(millis.map(|millis| Timestamp::from_micros(millis.saturating_mul(1000))))
    }

    /// Forgets up to `limit` vectors that were last used at or before this time; how many it forgot.
    pub async fn forget_embeddings(&self, until: Timestamp, limit: u32) -> Result<u64, Error> {
        let until = until.as_micros() / 1000;
        match &self.db {
            Db::Postgres(db) => postgres::embeddings::forget(db, until, limit).await,
            Db::Sqlite(db) => sqlite::embeddings::forget(db, until, limit).await,
            _ => Err(Error::UnknownDialect),
        }
    }
}

fn encode(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn decode(bytes: &[u8]) -> Vec<f32> {
    let (numbers, _) = bytes.as_chunks();
    numbers.iter().copied().map(f32::from_le_bytes).collect()
}

use chrono::SecondsFormat;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use windlass::Timestamp;
use windlass::db::Tx;

use super::rows::DocumentRow;
use super::search::check_embedding;
use super::{Error, Platform, Private, ids, text};

/// A text that answers are found in.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Its file name.
    pub filename: String,
    /// Its format, such as `text/markdown`.
    pub mime_type: String,
    /// Where its file is in the storage, if it has one.
    pub path: String,
    /// Which storage; `local` is the platform's folder.
    pub storage_provider: String,
    /// SHA-256 of the text or the file, in hex.
    pub checksum: String,
    /// Counts the texts it had; the first is 1.
    pub version: i32,
    /// How far its processing is.
    pub status: DocumentStatus,
    /// The text; `None` if the platform lost it.
    pub content: Option<Private<String>>,
    /// Everything else that is kept with it.
    pub metadata: Private<Map<String, Value>>,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// How far the processing of a document is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DocumentStatus {
    /// Nobody has begun.
    Pending,
    /// Somebody has begun.
    Processing,
    /// It can be found.
    Ready,
    /// It could not be processed.
    Failed,
    /// Its file is not what it was.
    Stale,
    /// Something else the platform wrote; the column is free text.
    Other(String),
}

/// A document to be made.
#[derive(Debug, Clone)]
pub struct NewDocument {
    /// What people call it.
    pub name: String,
    /// Its format, such as `text/plain`.
    pub mime_type: String,
    /// The text.
    pub content: Private<String>,
    /// What else is to be kept with it.
    pub metadata: Private<Map<String, Value>>,
}

/// A piece of a document, as it is searched.
#[derive(Debug, Clone)]
pub struct NewChunk {
    /// Its text.
    pub content: Private<String>,
    /// Its meaning, in [`super::EMBEDDING_DIMENSIONS`] numbers.
    pub embedding: Vec<f32>,
    /// Its place among the chunks, from 0.
    pub position: i32,
    /// `charStart`, `charEnd`, `heading` and the like.
    pub metadata: Private<Value>,
}

/// How a document was processed.
#[derive(Debug, Clone)]
pub struct Indexed {
    /// The model that made the embeddings.
    pub embedding_model: String,
    /// The language of the text, such as `hr`.
    pub language: Option<String>,
    /// When.
    pub at: Timestamp,
    /// What [`Document::stored`] said when the work began. It goes back if the platform's own program
    /// wrote over it meanwhile, as it does when its attempt at the same document fails.
    pub kept: Private<Value>,
}

/// How the processing of a document failed.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Why; whoever owns the document reads it.
    pub error: String,
    /// When.
    pub at: Timestamp,
    /// As in [`Indexed::kept`].
    pub kept: Private<Value>,
}

/// What became of the chunks of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finished {
    /// They are the ones that count now.
    Stored,
    /// The document has a newer text; nothing was changed.
    Superseded,
    /// The document is gone; nothing was changed.
    Gone,
}

impl Platform {
    /// Makes a document, to be processed, and returns its id.
    pub async fn insert_document(
        &self,
        tx: &mut Tx,
        tenant: &str,
        new: &NewDocument,
    ) -> Result<String, Error> {
        let id = ids::fresh();
        let content = text::storable(&new.content);
        let name = text::storable(&new.name);
        let filename = filename(&name);
        let mut metadata = Value::Object(new.metadata.0.clone());
        metadata["name"] = json!(name);
        metadata["content"] = json!(content);
        let row = NewDocumentRow {
            id: &id,
            path: &format!("documents/{tenant}/{id}-{filename}"),
            filename: &filename,
            mime_type: &text::storable(&new.mime_type),
            size: size(&content)?,
            checksum: &checksum(&content),
            metadata: &text::storable_json(&metadata),
        };
        self.repository.insert_document(tx, tenant, &row).await?;
        Ok(id)
    }

    /// One document with its text.
    pub async fn document(&self, tenant: &str, id: &str) -> Result<Option<Document>, Error> {
        Ok(self
            .repository
            .document(tenant, id)
            .await?
            .map(Document::from))
    }

    /// Gives a document a new text, to be processed, and returns the version it makes.
    pub async fn replace_content(
        &self,
        tx: &mut Tx,
        tenant: &str,
        id: &str,
        content: &str,
    ) -> Result<i32, Error> {
        let content = text::storable(content);
        self.repository
            .replace_content(
                tx,
                tenant,
                id,
                &content,
                size(&content)?,
                &checksum(&content),
            )
            .await
    }

    /// Says that work on one version begins. Returns false if that version does not count any more.
    /// A document that is ready stays ready: its old chunks are found until new ones replace them.
    pub async fn mark_processing(
        &self,
        tx: &mut Tx,
        tenant: &str,
        id: &str,
        version: i32,
    ) -> Result<bool, Error> {
        self.repository
            .mark_processing(tx, tenant, id, version)
            .await
    }

    /// Replaces all chunks of a document, unless it has a newer text by now. Searches see the old
    /// ones until the transaction commits, and then only the new ones.
    pub async fn replace_chunks(
        &self,
        tx: &mut Tx,
        tenant: &str,
        document: &str,
        version: i32,
        chunks: &[NewChunk],
    ) -> Result<Finished, Error> {
        for chunk in chunks {
            check_embedding(&chunk.embedding)?;
        }
        match self.repository.lock_document(tx, tenant, document).await? {
            None => return Ok(Finished::Gone),
            Some(current) if current != version => return Ok(Finished::Superseded),
            Some(_) => {}
        }
        let number = version.to_string();
        let rows: Vec<NewChunkRow> = (0_usize..)
            .zip(chunks)
            .map(|(index, chunk)| NewChunkRow {
                id: ids::derived(&["chunk", tenant, document, &number, &index.to_string()]),
                content: text::storable(&chunk.content).into_owned(),
                embedding: &chunk.embedding,
                position: chunk.position,
                metadata: text::storable_json(&chunk.metadata),
            })
            .collect();
        self.repository.delete_chunks(tx, tenant, document).await?;
        self.repository
            .insert_chunks(tx, tenant, document, &rows)
            .await?;
        Ok(Finished::Stored)
    }

    /// Replaces all chunks of a document and makes it ready, unless it has a newer text by now.
    pub async fn finish_document(
        &self,
        tx: &mut Tx,
        tenant: &str,
        id: &str,
        version: i32,
        chunks: &[NewChunk],
        indexed: &Indexed,
    ) -> Result<Finished, Error> {
        let finished = self.replace_chunks(tx, tenant, id, version, chunks).await?;
        if finished == Finished::Stored {
            let facts = json!({
                "processedAt": iso(indexed.at),
                "chunkCount": chunks.len(),
                "embeddingModel": indexed.embedding_model,
                "embeddingDimensions": super::EMBEDDING_DIMENSIONS,
                "language": indexed.language.as_deref().unwrap_or("en"),
                "languageDetectionMethod": indexed.language.as_ref().map_or("default", |_| "auto"),
                "indexedVersion": version,
            });
            self.repository
                .finish_document(tx, tenant, id, &facts, &indexed.kept)
                .await?;
        }
        Ok(finished)
    }

    /// Says why a version could not be processed. Its text stays, so that it can be tried again, and a
    /// ready document stays ready: the version before it is found still. Returns false, and changes
    /// nothing, if that version does not count any more or is indexed.
    pub async fn fail_document(
        &self,
        tx: &mut Tx,
        tenant: &str,
        id: &str,
        version: i32,
        failure: &Failure,
    ) -> Result<bool, Error> {
        let facts = json!({
            "error": text::storable(&failure.error),
            "failedAt": iso(failure.at),
            "failedVersion": version,
        });
        self.repository
            .fail_document(tx, tenant, id, version, &facts, &failure.kept)
            .await
    }
}

/// A document as it is inserted.
pub(super) struct NewDocumentRow<'a> {
    pub(super) id: &'a str,
    pub(super) filename: &'a str,
    pub(super) mime_type: &'a str,
    pub(super) size: i32,
    pub(super) path: &'a str,
    pub(super) checksum: &'a str,
    pub(super) metadata: &'a Value,
}

/// A chunk as it is inserted.
pub(super) struct NewChunkRow<'a> {
    pub(super) id: String,
    pub(super) content: String,
    pub(super) embedding: &'a [f32],
    pub(super) position: i32,
    pub(super) metadata: Value,
}

impl Document {
    /// Its metadata as they are stored, with the text.
    pub fn stored(&self) -> Private<Value> {
        let mut stored = self.metadata.0.clone();
        if let Some(content) = &self.content {
            stored.insert("content".to_owned(), json!(content.0));
        }
        Private(Value::Object(stored))
    }
}

impl From<DocumentRow> for Document {
    fn from(row: DocumentRow) -> Self {
        let mut metadata = match row.metadata.0 {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        let content = match metadata.remove("content") {
            Some(Value::String(content)) => Some(Private(content)),
            _ => None,
        };
        let name = metadata.get("name").and_then(Value::as_str);
        Self {
            name: name.unwrap_or(&row.filename).to_owned(),
            id: row.id,
            filename: row.filename,
            mime_type: row.mime_type,
            path: row.path,
            storage_provider: row.storage_provider,
            checksum: row.checksum,
            version: row.version,
            status: row.status.into(),
            content,
            metadata: Private(metadata),
            updated_at: super::rows::timestamp(row.updated_at),
        }
    }
}

impl From<String> for DocumentStatus {
    fn from(name: String) -> Self {
        match name.as_str() {
            "pending" => Self::Pending,
            "processing" => Self::Processing,
            "ready" => Self::Ready,
            "failed" => Self::Failed,
            "stale" => Self::Stale,
            _ => Self::Other(name),
        }
    }
}

/// The platform's rule: what is not a plain letter, digit, dash or underscore becomes one.
fn filename(name: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || c == '-' {
            c
        } else {
            '_'
        }
    };
    format!("{}.txt", name.chars().map(plain).collect::<String>())
}

fn size(content: &str) -> Result<i32, Error> {
    i32::try_from(content.len()).map_err(|_| Error::Invalid {
        problem: "a document holds at most 2 GiB of text".to_owned(),
    })
}

fn checksum(content: &str) -> String {
    hex::encode(Sha256::digest(content))
}

/// As the platform's own programs write an instant into JSON.
fn iso(at: Timestamp) -> String {
    at.to_datetime()
        .to_rfc3339_opts(SecondsFormat::Millis, true)
}

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use windlass::engine::{RetryAfter, is_permanent};
use windlass::model::{Conflict, Unique};
use windlass::{Context, Job, JobOptions, Json, Outcome, Timestamp};

use super::announce::announce;
use super::failure::from_platform;
use super::{Services, document_text, embedding};
use crate::platform::{
    Document, DocumentStatus, Failure, Finished, Indexed, NewChunk, NewEvent, Private,
};
use crate::services::chunking::Chunk;
use crate::services::extract::Extracted;
use crate::services::language;
use crate::telemetry;

/// Cuts a document into chunks, embeds them and makes them findable.
///
/// The new chunks replace the old ones in one transaction, and only if the document is still at the
/// version that was read: a slow run never undoes a newer one. The document's text is never touched,
/// whatever fails.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IngestDocument {
    /// Whose document.
    pub tenant_id: String,
    /// Which.
    pub document_id: String,
}

impl Job for IngestDocument {
    const KIND: &'static str = "ingest_document";
    type Services = Services;

    fn options() -> JobOptions {
        JobOptions {
            queue: "documents",
            max_attempts: 6,
            timeout: Duration::from_mins(30),
            ..JobOptions::default()
        }
    }

    fn tenant(&self) -> Option<&str> {
        Some(&self.tenant_id)
    }

    fn ordering_key(&self) -> Option<String> {
        Some(format!("document/{}", self.document_id))
    }

    fn unique(&self) -> Option<Unique> {
        // One is enough, even while it runs: it publishes only what is still the current version,
        // and otherwise starts again from the newer one.
        Some(Unique {
            key: self.document_id.clone(),
            window: None,
            conflict: Conflict::ReturnExisting,
        })
    }

    async fn run(self, cx: Context<Services>) -> anyhow::Result<Outcome> {
        let platform = &cx.services().platform;
        let document = platform
            .document(&self.tenant_id, &self.document_id)
            .await
            .map_err(from_platform)?;
        let Some(document) = document else {
            return Ok(Outcome::cancel("the document was deleted"));
        };
        match self.index(&cx, &document).await {
            Ok(outcome) => Ok(outcome),
            Err(error) => {
                if is_permanent(&error) || cx.is_last_attempt() && !waits(&error) {
                    self.mark_failed(&cx, &document, &error).await?;
                }
                Err(error)
            }
        }
    }
}

impl IngestDocument {
    async fn index(&self, cx: &Context<Services>, document: &Document) -> anyhow::Result<Outcome> {
        let Services {
            platform, chunker, ..
        } = cx.services();
        let mut tx = platform
            .begin(&self.tenant_id)
            .await
            .map_err(from_platform)?;
        let current = platform
            .mark_processing(&mut tx, &self.tenant_id, &document.id, document.version)
            .await
            .map_err(from_platform)?;
        // A ready one was told of when it came; it is only looked at once more.
        if current && document.status != DocumentStatus::Ready {
            let key = format!("{}/{}", document.id, document.version);
            let event = told("document.uploaded", document, key, None, cx.now());
            announce(cx, &mut tx, &self.tenant_id, &event).await?;
        }
        tx.commit()
            .await
            .map_err(|error| from_platform(error.into()))?;

        let Extracted { text, format } =
            document_text::read(cx.services(), &self.tenant_id, document).await?;
        let language = language::detect(&text);
        let chunks = chunker.chunks(&text, format);
        let embedded = embedding::embed(cx, &self.tenant_id, &chunks).await?;
        let new = new_chunks(&chunks, embedded.vectors, language)?;
        telemetry::documents::embedded(new.len(), embedded.fresh);
        self.publish(cx, document, &new, language).await
    }

    /// Swaps the chunks and is done: both, or neither.
    async fn publish(
        &self,
        cx: &Context<Services>,
        document: &Document,
        chunks: &[NewChunk],
        language: Option<&str>,
    ) -> anyhow::Result<Outcome> {
        let Services {
            platform, models, ..
        } = cx.services();
        let indexed = Indexed {
            embedding_model: models.embedder.name().to_owned(),
            language: language.map(str::to_owned),
            at: cx.now(),
            kept: document.stored(),
        };
        let mut tx = platform
            .begin(&self.tenant_id)
            .await
            .map_err(from_platform)?;
        let finished = platform
            .finish_document(
                &mut tx,
                &self.tenant_id,
                &document.id,
                document.version,
                chunks,
                &indexed,
            )
            .await
            .map_err(from_platform)?;
        match finished {
            Finished::Stored => {
                // Indexed once more, for another model, it is another event.
                let key = format!("{}/{}", document.id, cx.job().id);
                let event = told(
                    "document.indexed",
                    document,
                    key,
                    Some(chunks.len()),
                    cx.now(),
                );
                announce(cx, &mut tx, &self.tenant_id, &event).await?;
                let result = json!({"chunks": chunks.len(), "version": document.version});
                let done = cx.commit(tx, Some(Json::encode(&result)?)).await?;
                telemetry::documents::indexed(&self.tenant_id, &document.id, chunks.len());
                Ok(done)
            }
            Finished::Superseded => Ok(Outcome::snooze(Duration::ZERO)),
            Finished::Gone => Ok(Outcome::cancel("the document was deleted")),
        }
    }

    async fn mark_failed(
        &self,
        cx: &Context<Services>,
        document: &Document,
        error: &anyhow::Error,
    ) -> anyhow::Result<()> {
        let platform = &cx.services().platform;
        let failure = Failure {
            error: error.to_string(),
            at: cx.now(),
            kept: document.stored(),
        };
        let mut tx = platform
            .begin(&self.tenant_id)
            .await
            .map_err(from_platform)?;
        let version = document.version;
        platform
            .fail_document(&mut tx, &self.tenant_id, &document.id, version, &failure)
            .await
            .map_err(from_platform)?;
        tx.commit()
            .await
            .map_err(|error| from_platform(error.into()))?;
        telemetry::documents::failed(&self.tenant_id, &document.id);
        Ok(())
    }
}

/// What is told of a document: never its text.
fn told(
    kind: &str,
    document: &Document,
    key: String,
    chunks: Option<usize>,
    at: Timestamp,
) -> NewEvent {
    let mut data = json!({
        "documentId": document.id,
        "name": document.name,
        "mimeType": document.mime_type,
        "version": document.version,
    });
    if let Some(chunks) = chunks {
        data["chunkCount"] = chunks.into();
    }
    NewEvent {
        kind: kind.to_owned(),
        key: Some(key),
        data: Private(data),
        at,
    }
}

/// Whether the job will come back without having used this attempt.
fn waits(error: &anyhow::Error) -> bool {
    let hint = error.chain().find_map(|cause| cause.downcast_ref());
    hint.is_some_and(|hint: &RetryAfter| !hint.uses_attempt)
}

/// The chunks as they are stored, with the platform's names for what is known of them.
fn new_chunks(
    chunks: &[Chunk<'_>],
    vectors: Vec<Vec<f32>>,
    language: Option<&str>,
) -> anyhow::Result<Vec<NewChunk>> {
    let new = chunks.iter().zip(vectors).map(|(chunk, embedding)| {
        Ok(NewChunk {
            content: Private(chunk.content.to_owned()),
            embedding,
            position: i32::try_from(chunk.position)?,
            metadata: Private(json!({
                "charStart": chunk.chars.start,
                "charEnd": chunk.chars.end,
                "length": chunk.chars.len(),
                "heading": chunk.heading,
                "language": language.unwrap_or("en"),
            })),
        })
    });
    new.collect()
}

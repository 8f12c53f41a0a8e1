//! The text of a document: what its row holds, or what its file says.

use std::time::Duration;

use anyhow::anyhow;
use windlass::{permanent, wait_for};

use super::Services;
use crate::platform::Document;
use crate::services::extract::{ExtractError, Extracted, Kind};
use crate::services::files::FileError;

/// How long to wait for a storage that cannot be read.
const STORAGE: Duration = Duration::from_secs(30);
/// How long to wait for a place among the parsers.
const PARSERS: Duration = Duration::from_secs(30);
/// The storage that is a folder.
const LOCAL: &str = "local";

/// Whatever is wrong with the document itself is permanent, and says what to do.
pub(super) async fn read(
    services: &Services,
    tenant: &str,
    document: &Document,
) -> anyhow::Result<Extracted> {
    let extractor = &services.documents.extractor;
    let kind = Kind::of(&document.mime_type, &document.filename);
    if let Some(text) = &document.content {
        // The platform stores text under whatever type the client named: a type that nothing reads,
        // or a file format whose text was taken out by somebody else, is text all the same.
        let kind = kind.unwrap_or(Kind::Text);
        let extracted = extractor
            .extract_text(kind, text)
            .await
            .map_err(not_extracted)?;
        if extracted.text.trim().is_empty() {
            return Err(permanent(anyhow!(
                "metadata.content: the document holds no text; give it some and upload it again"
            )));
        }
        return Ok(extracted);
    }
    let bytes = file(services, tenant, document).await?;
    let kind = kind.map_err(permanent)?;
    let extracted = extractor.extract(kind, bytes).await;
    extracted.map_err(not_extracted)
}

async fn file(services: &Services, tenant: &str, document: &Document) -> anyhow::Result<Vec<u8>> {
    if document.storage_provider != LOCAL {
        return Err(permanent(anyhow!(
            "storageProvider: only files in the platform's own folder (`{LOCAL}`) can be read; upload \
             it there, or put its text into metadata.content"
        )));
    }
    let files = &services.documents.files;
    let checksum = Some(document.checksum.as_str());
    match files.read(tenant, &document.path, checksum).await {
        Ok(bytes) => Ok(bytes),
        Err(error @ FileError::Missing) => Err(permanent(anyhow!(
            "metadata.content: the document's text is not there; {error}"
        ))),
        // However long it is away: that is not the document's fault, and uses no attempt.
        Err(error) if error.is_transient() => Err(wait_for(STORAGE, error)),
        Err(error) => Err(permanent(error)),
    }
}

/// What is wrong with the document stays so; a place among the parsers becomes free.
fn not_extracted(error: ExtractError) -> anyhow::Error {
    match error {
        ExtractError::Unreadable(error) => permanent(error),
        ExtractError::Busy => wait_for(PARSERS, error),
    }
}

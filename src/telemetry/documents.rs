//! What is told of documents. Never what they say.
#![expect(
    clippy::disallowed_macros,
    reason = "the one place that names these metrics"
)]

use metrics::{counter, describe_counter};
use tracing::{info, warn};

/// Documents that were processed, by outcome.
pub const INGESTED: &str = "documents_ingested_total";
/// Documents that were left alone and taken over.
pub const ADOPTED: &str = "documents_adopted_total";
/// Documents in which something did not fit together, by what became of it.
pub const CHECKED: &str = "documents_unfit_total";
/// Chunks that documents were cut into, by where their vectors came from.
pub const CHUNKS: &str = "document_chunks_total";

pub(super) fn describe() {
    describe_counter!(INGESTED, "Documents that were processed");
    describe_counter!(ADOPTED, "Documents that were left alone and taken over");
    describe_counter!(CHECKED, "Documents in which something did not fit together");
    describe_counter!(CHUNKS, "Chunks that documents were cut into");
}

/// Of so many chunks these had to be embedded; the vectors of the others were known.
pub fn embedded(chunks: usize, fresh: usize) {
    let known = chunks.saturating_sub(fresh);
    counter!(CHUNKS, "vector" => "made").increment(fresh as u64);
    counter!(CHUNKS, "vector" => "known").increment(known as u64);
}

/// A document can be found.
pub fn indexed(tenant: &str, document: &str, chunks: usize) {
    counter!(INGESTED, "outcome" => "ready").increment(1);
    info!(
        tenantId = tenant,
        documentId = document,
        chunks,
        "document indexed"
    );
}

/// A document could not be processed; why stands with it and in its job.
pub fn failed(tenant: &str, document: &str) {
    counter!(INGESTED, "outcome" => "failed").increment(1);
    warn!(
        tenantId = tenant,
        documentId = document,
        "document failed: its metadata and its job say why"
    );
}

/// Every document was looked at.
pub fn checked(documents: u64, healed: u64, reported: u64) {
    counter!(CHECKED, "finding" => "healed").increment(healed);
    counter!(CHECKED, "finding" => "reported").increment(reported);
    info!(
        documents,
        healed, reported, "documents checked: the job's result says what was found"
    );
}

/// So many documents that nobody worked on have a job now.
pub fn adopted(documents: usize) {
    counter!(ADOPTED).increment(documents as u64);
    if documents > 0 {
        info!(documents, "documents taken over that nobody worked on");
    }
}

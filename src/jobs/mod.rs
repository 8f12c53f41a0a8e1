//! All background work of the platform: one job, one file. This is the registry.
//!
//! A job is added in two places: its file, and its line in [`registry`].

mod deliver_message;
mod failure;
mod ingest_document;
mod normalized;
mod process_message;
mod retrieval;

use std::sync::Arc;

use windlass::Registry;

use crate::platform::Platform;
use crate::services::chunking::Chunker;
use crate::services::events::Events;
use crate::services::models::Models;

pub use deliver_message::DeliverMessage;
pub use ingest_document::IngestDocument;
pub use normalized::{MessageKind, NormalizedMessage};
pub use process_message::ProcessMessage;

/// What jobs work with.
#[derive(Debug, Clone)]
pub struct Services {
    /// The platform's data.
    pub platform: Platform,
    /// What embeds and answers.
    pub models: Models,
    /// Who is watching conversations in this process.
    pub events: Events,
    /// Cuts documents.
    pub chunker: Arc<Chunker>,
}

/// Every kind of job there is.
pub fn registry(services: Services) -> Registry<Services> {
    Registry::new(services)
        .register::<ProcessMessage>()
        .register::<DeliverMessage>()
        .register::<IngestDocument>()
}

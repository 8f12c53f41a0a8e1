//! All background work of the platform: one job, one file. This is the registry.
//!
//! A job is added in two places: its file, and its line in [`registry`]. What is done by the clock is in
//! [`schedules`].

mod adopt_documents;
mod aggregate_analytics;
mod aggregate_tenant;
mod announce;
mod archive_wal;
mod check_backups;
mod check_documents;
mod check_tables;
mod create_backup;
mod deliver_message;
mod deliver_webhook;
mod document_text;
mod document_walk;
mod embedding;
mod failure;
mod find_failures;
mod ingest_document;
mod maintain_partitions;
mod messages;
mod normalized;
mod outbox;
mod process_message;
mod prune_backups;
mod prune_deliveries;
mod prune_embeddings;
mod prune_message_metrics;
mod prune_messages;
mod prune_quarantine;
mod publish_event;
mod reindex;
mod reindex_documents;
mod restore_backup;
mod retrieval;
pub mod schedules;
mod tell_failure;
mod verify_backup;
mod webchat;

use std::sync::Arc;

use windlass::Registry;

use crate::backups::Backups;
use crate::platform::Platform;
use crate::records::Records;
use crate::services::broker::Broker;
use crate::services::chunking::Chunker;
use crate::services::documents::Documents;
use crate::services::events::Events;
use crate::services::graph::Graph;
use crate::services::models::Models;
use crate::services::notifier::Notifier;
use crate::services::socketio::SocketIo;
use crate::services::webhooks::Webhooks;

pub use adopt_documents::AdoptDocuments;
pub use aggregate_analytics::AggregateAnalytics;
pub use aggregate_tenant::AggregateTenant;
pub use archive_wal::ArchiveWal;
pub use check_backups::CheckBackups;
pub use check_documents::CheckDocuments;
pub use check_tables::CheckTables;
pub use create_backup::CreateBackup;
pub use deliver_message::DeliverMessage;
pub use deliver_webhook::DeliverWebhook;
pub use find_failures::FindFailures;
pub use ingest_document::IngestDocument;
pub use maintain_partitions::MaintainPartitions;
pub use messages::{MessageOptions, PlanLimits, Texts};
pub use normalized::{MessageKind, NormalizedMessage};
pub use process_message::ProcessMessage;
pub use prune_backups::PruneBackups;
pub use prune_deliveries::PruneDeliveries;
pub use prune_embeddings::PruneEmbeddings;
pub use prune_message_metrics::PruneMessageMetrics;
pub use prune_messages::PruneMessages;
pub use prune_quarantine::PruneQuarantine;
pub use publish_event::{PlatformEvent, PublishEvent};
pub use reindex::Reindex;
pub use reindex_documents::ReindexDocuments;
pub use restore_backup::RestoreBackup;
pub use retrieval::{Found, retrieve};
pub use tell_failure::TellFailure;
pub use verify_backup::VerifyBackup;

/// What jobs work with.
#[derive(Debug, Clone)]
pub struct Services {
    /// The platform's data.
    pub platform: Platform,
    /// What embeds and answers.
    pub models: Models,
    /// Who is watching conversations in this process.
    pub events: Events,
    /// How messages are answered.
    pub messages: Arc<MessageOptions>,
    /// Cuts documents.
    pub chunker: Arc<Chunker>,
    /// What the product remembers besides.
    pub records: Records,
    /// Reads documents.
    pub documents: Documents,
    /// The platform's RabbitMQ, if it is to be used.
    pub broker: Option<Broker>,
    /// The platform's web sockets, if they can be reached.
    pub socket_io: Option<SocketIo>,
    /// What sends by WhatsApp and Messenger.
    pub graph: Graph,
    /// What tells tenants' endpoints of events.
    pub webhooks: Webhooks,
    /// What is backed up, and where to.
    pub backups: Backups,
    /// Who is told of backups.
    pub notifier: Notifier,
}

/// Every kind of job there is.
pub fn registry(services: Services) -> Registry<Services> {
    Registry::new(services)
        .register::<ProcessMessage>()
        .register::<FindFailures>()
        .register::<TellFailure>()
        .register::<DeliverMessage>()
        .register::<DeliverWebhook>()
        .register::<PruneDeliveries>()
        .register::<IngestDocument>()
        .register::<AdoptDocuments>()
        .register::<PruneEmbeddings>()
        .register::<CheckDocuments>()
        .register::<ReindexDocuments>()
        .register::<AggregateAnalytics>()
        .register::<AggregateTenant>()
        .register::<PruneMessageMetrics>()
        .register::<PruneMessages>()
        .register::<PruneQuarantine>()
        .register::<MaintainPartitions>()
        .register::<CheckTables>()
        .register::<Reindex>()
        .register::<PublishEvent>()
        .register::<CreateBackup>()
        .register::<PruneBackups>()
        .register::<CheckBackups>()
        .register::<VerifyBackup>()
        .register::<RestoreBackup>()
        .register::<ArchiveWal>()
}

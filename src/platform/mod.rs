//! The chat platform's data: tenants, channels, conversations, messages, documents and figures.
//!
//! [`Platform`] is the only way to it. The tables are those of the existing platform, on PostgreSQL
//! plain or partitioned, with row security or without; on SQLite they have the same names. Writes
//! join the caller's transaction, so that what a job did and that it did it become durable together;
//! every write may be repeated and happens once. Nothing here is decided: jobs decide.

mod access;
mod analytics;
mod conversations;
mod documents;
mod error;
mod events;
mod ids;
mod intake;
mod metrics;
mod partitions;
mod postgres;
mod private;
mod repository;
mod retention;
mod rows;
mod runtime;
mod schema;
mod search;
mod secrets;
mod settings;
mod sqlite;
mod tables;
mod tenants;
mod terms;
mod text;
mod upkeep;
mod webhooks;

use std::sync::Arc;

use windlass::db::{Db, Tx};

pub use access::{Holder, TenantUserRole};
pub use analytics::{DailyFigures, Days, KnownTenant, MetricCursor, Pruned};
pub use conversations::{
    Conversation, ConversationStatus, Direction, Message, NewConversation, NewMessage, Recorded,
};
pub use documents::{Document, DocumentStatus, Failure, Finished, Indexed, NewChunk, NewDocument};
pub use error::Error;
pub use events::{Announced, NewEvent};
pub use intake::{Inbound, MonthlyUsage, Received};
pub use metrics::MessageMetric;
pub use partitions::PARTITIONED;
pub use private::Private;
pub use runtime::TenantRuntime;
pub use schema::Prepared;
pub use search::{EMBEDDING_DIMENSIONS, Hit};
pub use secrets::{Credentials, InvalidSecretKey, SecretKeys};
pub use settings::{
    EscalationSettings, LlmSettings, RagSettings, RetentionSettings, SelfAssessment,
    TenantSettings, TextSettings,
};
pub use tables::{Advice, Advised, IndexHealth, Reindexed, TableHealth, TablesReport};
pub use tenants::{Channel, ChannelType, OpenChannel, Tenant, UnknownChannelType};
pub use upkeep::{Adoptions, ExaminedDocument, Idle, UnfinishedDocument};
pub use webhooks::{NewWebhook, RecordedEvent, Webhook};

use repository::Repository;

/// The platform's data in one database. Clones share it.
#[derive(Debug, Clone)]
pub struct Platform {
    db: Db,
    repository: Arc<dyn Repository>,
    secret_keys: SecretKeys,
    runtimes: runtime::Runtimes,
}

impl Platform {
    /// Uses the connections of `db`; connects to nothing yet.
    pub fn new(db: Db) -> Self {
        let repository: Arc<dyn Repository> = match &db {
            Db::Postgres(db) => Arc::new(postgres::PostgresRepository::new(db.clone())),
            Db::Sqlite(db) => Arc::new(sqlite::SqliteRepository::new(db.clone())),
            _ => {
                unreachable!("windlass knows no third dialect; if it learns one, so must this room")
            }
        };
        Self {
            db,
            repository,
            secret_keys: SecretKeys::default(),
            runtimes: runtime::Runtimes::default(),
        }
    }

    /// Makes the tables in an empty database. On an existing platform it changes nothing and only
    /// looks whether everything needed is there.
    pub async fn prepare(&self) -> Result<Prepared, Error> {
        self.repository.prepare(true).await
    }

    /// What [`Platform::prepare`] would find and do; nothing of it remains.
    pub async fn rehearse(&self) -> Result<Prepared, Error> {
        self.repository.prepare(false).await
    }

    /// Begins a transaction for one tenant.
    pub async fn begin(&self, tenant: &str) -> Result<Tx, Error> {
        let mut tx = self.db.begin().await?;
        self.enter(&mut tx, tenant).await?;
        Ok(tx)
    }

    /// Makes a transaction that was begun elsewhere one of this tenant, for row security.
    pub async fn enter(&self, tx: &mut Tx, tenant: &str) -> Result<(), Error> {
        self.repository.enter(tx, tenant).await
    }
}

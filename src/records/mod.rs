//! What the product must remember besides its jobs and the platform's data: one subject, one file.
//!
//! [`Records`] is the only way to it. On PostgreSQL the tables lie beside the engine's in the schema
//! `jobs`, so that an existing platform's own schema is left as it is; on SQLite in the same file.
//! Writes join the caller's transaction where the caller has one.

mod access_keys;
mod correlation;
mod deliveries;
mod embeddings;
mod error;
mod outbox;
mod postgres;
mod quarantine;
mod role;
mod secret;
mod sessions;
mod sqlite;

use windlass::Timestamp;
use windlass::db::Db;
/// In which several records, and a line of the audit log, are written together.
pub use windlass::db::Tx;

pub use access_keys::{AccessKey, NewAccessKey};
pub use deliveries::{Delivery, NewDelivery};
pub use embeddings::{ContentHash, EmbeddingsOf};
pub use error::Error;
pub use outbox::{NewOutgoing, OutboxFilter, Outgoing, SendState, Sent, UnknownSendState};
pub use quarantine::{NewQuarantined, NoPlace, QuarantineFilter, QuarantinePlace, Quarantined};
pub use role::{Role, UnknownRole};
pub use secret::{Digest, Secret};
pub use sessions::{Link, NewSession, Session};

/// The product's own tables in one database. Clones share it.
#[derive(Debug, Clone)]
pub struct Records {
    db: Db,
}

impl Records {
    /// Uses the connections of `db`; connects to nothing yet.
    pub fn new(db: Db) -> Self {
        Self { db }
    }

    /// How the connections stand.
    pub fn pool_status(&self) -> windlass::db::PoolStatus {
        self.db.pool_status()
    }

    /// Makes the tables, or brings them to this program's version. The engine's come first.
    pub async fn prepare(&self) -> Result<(), Error> {
        match &self.db {
            Db::Postgres(db) => postgres::prepare(db.pool()).await,
            Db::Sqlite(db) => sqlite::prepare(db).await,
            _ => Err(Error::UnknownDialect),
        }
    }
}

/// A stored instant: both dialects return milliseconds since 1970.
fn instant(millis: i64) -> Timestamp {
    Timestamp::from_micros(millis.saturating_mul(1000))
}

//! The product's own tables in SQLite.

pub(super) mod access_keys;
pub(super) mod deliveries;
pub(super) mod embeddings;
pub(super) mod outbox;
pub(super) mod quarantine;
pub(super) mod sessions;
mod sql;

use sqlx::SqliteConnection;
use sqlx::migrate::Migrator;
use windlass::db::{Sqlite, Tx};

use super::Error;

/// In one transaction that holds the write lock.
pub(super) async fn prepare(db: &Sqlite) -> Result<(), Error> {
    let mut tx = db.writer().begin_with("begin immediate").await?;
    migrator().run_direct(None, &mut *tx, false).await?;
    tx.commit().await?;
    Ok(())
}

fn of(tx: &mut Tx) -> Result<&mut SqliteConnection, Error> {
    tx.sqlite().ok_or(Error::ForeignTransaction)
}

fn migrator() -> Migrator {
    let mut migrator = sqlx::migrate!("migrations/records/sqlite");
    migrator.dangerous_set_table_name("_records_migrations");
    migrator
}

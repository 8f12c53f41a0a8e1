//! The product's own tables in SQLite.

pub(super) mod embeddings;
mod sql;

use sqlx::migrate::Migrator;
use windlass::db::Sqlite;

use super::Error;

/// In one transaction that holds the write lock.
pub(super) async fn prepare(db: &Sqlite) -> Result<(), Error> {
    let mut tx = db.writer().begin_with("begin immediate").await?;
    migrator().run_direct(None, &mut *tx, false).await?;
    tx.commit().await?;
    Ok(())
}

fn migrator() -> Migrator {
    let mut migrator = sqlx::migrate!("migrations/records/sqlite");
    migrator.dangerous_set_table_name("_records_migrations");
    migrator
}

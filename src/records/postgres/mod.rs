//! The product's own tables in PostgreSQL.

pub(super) mod access_keys;
pub(super) mod deliveries;
pub(super) mod embeddings;
pub(super) mod outbox;
pub(super) mod quarantine;
pub(super) mod sessions;
mod sql;

use sqlx::migrate::Migrator;
use sqlx::{PgConnection, PgPool};
use windlass::db::Tx;

use super::Error;

/// In one transaction and under one lock: of several processes that start, one makes the tables.
pub(super) async fn prepare(pool: &PgPool) -> Result<(), Error> {
    let mut tx = pool.begin().await?;
    sqlx::query(sql::PREPARE_LOCK).execute(&mut *tx).await?;
    migrator().run_direct(None, &mut *tx, false).await?;
    tx.commit().await?;
    Ok(())
}

fn of(tx: &mut Tx) -> Result<&mut PgConnection, Error> {
    tx.postgres().ok_or(Error::ForeignTransaction)
}

fn migrator() -> Migrator {
    let mut migrator = sqlx::migrate!("migrations/records/postgres");
    migrator.dangerous_set_table_name("jobs._records_migrations");
    // We hold a lock of our own, which the transaction gives back whatever happens.
    migrator.set_locking(false);
    migrator
}

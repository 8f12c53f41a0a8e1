//! The schema and its version.

use std::sync::LazyLock;

use sqlx::migrate::{MigrateError, Migrator};

use super::super::{Error, Migrated, Schema};
use crate::db;

const SCHEMA_EXISTS: &str = include_str!("sql/schema_exists.sql");
const APPLIED: &str = include_str!("sql/applied.sql");
const SCHEMA_VERSION: &str = include_str!("sql/schema_version.sql");

static MIGRATOR: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrator = sqlx::migrate!("migrations/sqlite");
    // An application may keep its own migrations in the same file, under sqlx's usual name.
    migrator.dangerous_set_table_name("_windlass_migrations");
    // A newer program may have been here before: it keeps what older ones need, or says that it has not.
    migrator.set_ignore_missing(true);
    migrator
});

/// Everything happens under one write lock: of several processes that start at once, one migrates
/// and the others find it done.
pub(super) async fn migrate(db: &db::Sqlite) -> Result<Migrated, Error> {
    let mut tx = db.writer().begin_with("begin immediate").await?;
    let before = read(&mut tx).await?;
    if before.contracted.is_some() {
        before.check()?;
    }
    let from = before.found;
    // `run` asks for a lifetime that a boxed future cannot give; this is its own way round that.
    MIGRATOR
        .run_direct(None, &mut *tx, false)
        .await
        .map_err(|e| refused(e, from))?;
    let to = version(&mut tx).await?;
    tx.commit().await?;
    Ok(Migrated { from, to })
}

pub(super) async fn schema_version(db: &db::Sqlite) -> Result<i64, Error> {
    version(&mut *db.readers().acquire().await?).await
}

pub(super) async fn schema(db: &db::Sqlite) -> Result<Schema, Error> {
    read(&mut *db.readers().acquire().await?).await
}

async fn read(connection: &mut sqlx::SqliteConnection) -> Result<Schema, Error> {
    let exists: bool = sqlx::query_scalar(SCHEMA_EXISTS)
        .fetch_one(&mut *connection)
        .await?;
    let mut applied = Vec::new();
    if exists {
        applied = sqlx::query_as(APPLIED).fetch_all(connection).await?;
    }
    let known = MIGRATOR
        .iter()
        .map(|known| (known.version, &*known.description));
    Ok(Schema::compare(known, &applied))
}

async fn version(connection: &mut sqlx::SqliteConnection) -> Result<i64, Error> {
    let exists: bool = sqlx::query_scalar(SCHEMA_EXISTS)
        .fetch_one(&mut *connection)
        .await?;
    if !exists {
        return Ok(0);
    }
    Ok(sqlx::query_scalar(SCHEMA_VERSION)
        .fetch_one(connection)
        .await?)
}

fn refused(error: MigrateError, found: i64) -> Error {
    let remedy = match error {
        MigrateError::VersionMismatch(_) => {
            "the file was made by a changed build; restore it from a backup or start a new one"
        }
        other => return sqlx::Error::from(other).into(),
    };
    let needed = MIGRATOR.iter().map(|m| m.version).max().unwrap_or(0);
    Error::Schema {
        found,
        needed,
        remedy,
    }
}

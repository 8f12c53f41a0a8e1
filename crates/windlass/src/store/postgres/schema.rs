//! The schema: bringing it to this program's version, and telling which it has.

use std::borrow::Cow;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

use super::lane::run;
use super::{Error, Session, Shared, sql};
use crate::db;
use crate::store::{Migrated, Schema};

/// A table may have to be rewritten.
pub(super) const LONGEST_MIGRATION: Duration = Duration::from_hours(1);

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

/// The version that this program needs.
pub(super) fn newest() -> i64 {
    MIGRATIONS
        .iter()
        .map(|migration| migration.version)
        .max()
        .unwrap_or(0)
}

impl Shared {
    pub(super) async fn migrate(&self) -> Result<Migrated, Error> {
        let migrate = async {
            let mut connection = self.migrations.connect().await?;
            let begin = self.migrations.begin();
            let migrated = migrate(&mut connection, begin, self.partitions_ahead).await?;
            connection.close().await?;
            Ok(migrated)
        };
        tokio::time::timeout(LONGEST_MIGRATION, migrate)
            .await
            .unwrap_or_else(|_| Err(Error::timeout(LONGEST_MIGRATION)))
    }

    pub(super) async fn schema(&self) -> Result<Schema, Error> {
        run!(self.reads, |connection| schema(connection).await)
    }

    pub(super) async fn schema_version(&self) -> Result<i64, Error> {
        run!(self.reads, |connection| version(connection).await)
    }
}

async fn schema(connection: &mut Session<'_>) -> Result<Schema, Error> {
    let mut applied = Vec::new();
    if exists(connection).await?.1 {
        for row in sqlx::query(sql::APPLIED)
            .fetch_all(&mut *connection)
            .await?
        {
            applied.push((row.try_get(0)?, row.try_get(1)?));
        }
    }
    let known = MIGRATIONS
        .iter()
        .map(|known| (known.version, &*known.description));
    Ok(Schema::compare(known, &applied))
}

/// In one transaction, so that no other process, no pooler and no crash ever sees half of it.
async fn migrate(
    connection: &mut PgConnection,
    begin: Option<&str>,
    days_ahead: i32,
) -> Result<Migrated, Error> {
    let mut tx = match begin {
        None => connection.begin().await?,
        // Safe: made of settings' names and quoted values, by the connector.
        Some(begin) => connection.begin_with(AssertSqlSafe(begin)).await?,
    };
    let is_pooled = begin.is_some();
    let session = &mut Session::new(&mut tx, !is_pooled);
    sqlx::query(sql::LOCK_SCHEMA).execute(&mut *session).await?;
    if !exists(session).await?.0 {
        sqlx::query(sql::CREATE_SCHEMA)
            .execute(&mut *session)
            .await?;
    }
    let before = schema(session).await?;
    if before.contracted.is_some() {
        before.check()?;
    }
    let from = before.found;
    let mut migrations = Migrator {
        migrations: Cow::Borrowed(&MIGRATIONS.migrations),
        // The transaction holds a lock of its own; the session lock would not survive a pooler.
        locking: false,
        // A newer program may have been here before: it keeps what older ones need.
        ignore_missing: true,
        ..Migrator::DEFAULT
    };
    migrations.dangerous_set_table_name("jobs._migrations");
    migrations
        .run_direct(None, &mut *tx, false)
        .await
        .map_err(failed)?;
    if is_pooled {
        sqlx::raw_sql(sql::FORGET_STATEMENTS)
            .execute(&mut *tx)
            .await?;
    }
    let session = &mut Session::new(&mut tx, !is_pooled);
    sqlx::query(sql::ADD_PARTITIONS)
        .bind(days_ahead)
        .execute(&mut *session)
        .await?;
    let to = version(session).await?;
    tx.commit().await?;
    Ok(Migrated { from, to })
}

async fn version(connection: &mut Session<'_>) -> Result<i64, Error> {
    if !exists(connection).await?.1 {
        return Ok(0);
    }
    let row = sqlx::query(sql::SCHEMA_VERSION)
        .fetch_one(connection)
        .await?;
    Ok(row.try_get(0)?)
}

/// Whether there is a schema, and a list of migrations in it.
async fn exists(connection: &mut Session<'_>) -> Result<(bool, bool), Error> {
    let row = sqlx::query(sql::SCHEMA_EXISTS)
        .fetch_one(connection)
        .await?;
    Ok((row.try_get(0)?, row.try_get(1)?))
}

fn failed(error: MigrateError) -> Error {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
        other => Error::Db(db::Error::Sqlx(sqlx::Error::Migrate(Box::new(other)))),
    }
}

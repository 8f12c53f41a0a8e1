use std::collections::HashSet;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{PgConnection, PgPool};

use super::super::schema::{HISTORY, Prepared, TABLES, missing};
use super::super::{EMBEDDING_DIMENSIONS, Error};
use super::sql;

/// Looks and acts under one lock and in one transaction: of several processes that start on an empty
/// database one makes the tables, and if that fails, nothing of it remains.
pub(super) async fn prepare(pool: &PgPool, keep: bool) -> Result<Prepared, Error> {
    let mut tx = pool.begin().await?;
    sqlx::query(sql::PREPARE_LOCK).execute(&mut *tx).await?;
    let ours = !tables(&mut tx, &[HISTORY]).await?.is_empty();
    let empty = tables(&mut tx, &TABLES).await?.is_empty();
    if ours || empty {
        make_tables(&mut tx).await?;
    }
    let columns = sqlx::query_scalar(sql::COLUMNS)
        .bind(TABLES)
        .fetch_all(&mut *tx)
        .await?;
    let problems = missing(&HashSet::from_iter(columns));
    if !problems.is_empty() {
        return Err(Error::Schema { problems });
    }
    if ours || empty {
        if keep {
            tx.commit().await?;
        }
        return Ok(Prepared::Ours);
    }
    let warnings = warnings(&mut tx).await?;
    tx.rollback().await?;
    Ok(Prepared::Existing { warnings })
}

async fn tables(connection: &mut PgConnection, names: &[&str]) -> Result<Vec<String>, Error> {
    Ok(sqlx::query_scalar(sql::TABLES)
        .bind(names)
        .fetch_all(connection)
        .await?)
}

async fn make_tables(connection: &mut PgConnection) -> Result<(), Error> {
    check_vector(connection).await?;
    migrator()
        .run_direct(None, connection, false) // `run` is not usable in a future that must be `Send`
        .await
        .map_err(|error| match denied(&error) {
            Some(what) => schema_problem(format!(
                "this role may not make the tables ({what}): grant it `create` on the schema, and \
                 have a superuser run `create extension vector` in this database"
            )),
            None => error.into(),
        })
}

/// What the server's message names, if it was a privilege that was missing.
fn denied(error: &MigrateError) -> Option<&str> {
    match error {
        MigrateError::Execute(sqlx::Error::Database(cause))
        | MigrateError::ExecuteMigration(sqlx::Error::Database(cause), _) => {
            (cause.code()? == INSUFFICIENT_PRIVILEGE).then(|| cause.message())
        }
        _ => None,
    }
}

const INSUFFICIENT_PRIVILEGE: &str = "42501";

/// The type `vector` must be found by its bare name, here and in every later statement.
async fn check_vector(connection: &mut PgConnection) -> Result<(), Error> {
    let (visible, available, home): (bool, bool, Option<String>) = sqlx::query_as(sql::VECTOR_HOME)
        .fetch_one(connection)
        .await?;
    match home {
        _ if visible => Ok(()),
        Some(home) => Err(schema_problem(format!(
            "the extension vector lives in schema {home}, which the search path does not lead to; \
             move it with `alter extension vector set schema`"
        ))),
        None if available => Ok(()),
        None => Err(schema_problem(
            "the server has no extension vector; install pgvector 0.5 or later on it".to_owned(),
        )),
    }
}

fn schema_problem(problem: String) -> Error {
    Error::Schema {
        problems: vec![problem],
    }
}

fn migrator() -> Migrator {
    let mut migrator = sqlx::migrate!("migrations/postgres");
    migrator.dangerous_set_table_name(HISTORY);
    // We hold a lock of our own, which the transaction gives back whatever happens.
    migrator.set_locking(false);
    migrator
}

/// Known faults of existing databases that stop a part of the work.
async fn warnings(connection: &mut PgConnection) -> Result<Vec<String>, Error> {
    let mut warnings = Vec::new();
    let hidden: Vec<String> = sqlx::query_scalar(sql::HIDDEN_TABLES)
        .bind(TABLES)
        .fetch_all(&mut *connection)
        .await?;
    if !hidden.is_empty() {
        warnings.push(format!(
            "row security hides every row of {} from this role: it is on and has no policy",
            hidden.join(", ")
        ));
    }
    let embedding: Option<String> = sqlx::query_scalar(sql::EMBEDDING_TYPE)
        .fetch_optional(&mut *connection)
        .await?;
    let needed = format!("vector({EMBEDDING_DIMENSIONS})");
    if let Some(found) = embedding.filter(|found| !found.ends_with(&needed)) {
        warnings.push(format!(
            "chunks.embedding is {found}, so no document can be indexed: it must be {needed}"
        ));
    }
    let btrees: Vec<String> = sqlx::query_scalar(sql::EMBEDDING_BTREE)
        .fetch_all(connection)
        .await?;
    warnings.extend(btrees.iter().map(|index| {
        format!(
            "index {index} is a btree, into which no embedding fits, so no document can be \
             indexed: drop it, and make it again `using hnsw (embedding vector_cosine_ops)`"
        )
    }));
    Ok(warnings)
}

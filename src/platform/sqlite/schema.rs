use std::collections::HashSet;

use serde_json::json;
use sqlx::SqliteConnection;
use sqlx::migrate::Migrator;
use windlass::db::Sqlite;

use super::super::Error;
use super::super::schema::{HISTORY, Prepared, TABLES, missing};
use super::sql;

/// Looks and acts in one transaction that holds the write lock.
pub(super) async fn prepare(db: &Sqlite, keep: bool) -> Result<Prepared, Error> {
    let mut tx = db.writer().begin_with("begin immediate").await?;
    let ours = !tables(&mut tx, &[HISTORY]).await?.is_empty();
    let empty = tables(&mut tx, &TABLES).await?.is_empty();
    if ours || empty {
        migrator().run_direct(None, &mut *tx, false).await?;
    }
    let columns = sqlx::query_scalar(sql::COLUMNS)
        .bind(json!(TABLES))
        .fetch_all(&mut *tx)
        .await?;
    let problems = missing(&HashSet::from_iter(columns));
    if !problems.is_empty() {
        return Err(Error::Schema { problems });
    }
    if keep {
        tx.commit().await?;
    }
    Ok(if ours || empty {
        Prepared::Ours
    } else {
        Prepared::Existing {
            warnings: Vec::new(),
        }
    })
}

async fn tables(connection: &mut SqliteConnection, names: &[&str]) -> Result<Vec<String>, Error> {
    Ok(sqlx::query_scalar(sql::TABLES)
        .bind(json!(names))
        .fetch_all(connection)
        .await?)
}

fn migrator() -> Migrator {
    let mut migrator = sqlx::migrate!("migrations/sqlite");
    migrator.dangerous_set_table_name(HISTORY);
    migrator
}

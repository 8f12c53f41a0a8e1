//! SQLite by `vacuum into`: a whole copy of one moment, while others write. Never a copy of the file, whose
//! log would be missing.

use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Row};

use super::{Error, Work};
use crate::backups::Manifest;

const COPY_INTO: &str = include_str!("sql/copy_into.sql");
const INTEGRITY: &str = include_str!("sql/integrity.sql");
const VERSION: &str = include_str!("sql/sqlite_version.sql");
const TABLES: &str = include_str!("sql/sqlite_tables.sql");

/// The copy's name.
const FILE: &str = "database.sqlite";

/// Copies the file, and checks and counts the copy: what is counted is what is kept.
pub(super) async fn copy(work: &Work<'_>, manifest: &mut Manifest) -> Result<(), Error> {
    let source = &work.target.path;
    if !source.is_file() {
        let problem = format!("there is no SQLite file {}", source.display());
        return Err(Error::setting("backups.targets", problem));
    }
    let name = source.file_name().unwrap_or_default();
    manifest.database = Some(name.to_string_lossy().into_owned());
    let copy = work.folder.join(FILE);
    work.bounded("copying a SQLite file", async {
        copy_into(source, &copy)
            .await
            .map_err(|e| failed("copying", source, &e))
    })
    .await?;
    let problems = work
        .bounded("checking the copy of a SQLite file", async {
            describe(&copy, manifest)
                .await
                .map_err(|e| failed("checking the copy of", source, &e))
        })
        .await?;
    if problems == ["ok"] {
        return Ok(());
    }
    let told = problems.join("; ");
    Err(Error::Suspect(format!(
        "the SQLite file {} is damaged: {told}",
        source.display()
    )))
}

async fn copy_into(source: &Path, copy: &Path) -> Result<(), sqlx::Error> {
    let mut live = open(SqliteConnectOptions::new().filename(source)).await?;
    let to = copy.to_string_lossy().into_owned();
    sqlx::query(COPY_INTO)
        .bind(to)
        .execute(&mut live)
        .await
        .map(drop)
}

/// Fills in what the copy is; what its check told.
async fn describe(copy: &Path, manifest: &mut Manifest) -> Result<Vec<String>, sqlx::Error> {
    let options = SqliteConnectOptions::new()
        .filename(copy)
        .read_only(true)
        .immutable(true);
    let mut copied = open(options).await?;
    let checked = sqlx::raw_sql(INTEGRITY).fetch_all(&mut copied).await?;
    let problems = checked
        .iter()
        .map(|row| row.try_get(0))
        .collect::<Result<_, _>>()?;
    let version = sqlx::raw_sql(VERSION).fetch_one(&mut copied).await?;
    manifest.server_version = Some(version.try_get("version")?);
    for table in sqlx::raw_sql(TABLES).fetch_all(&mut copied).await? {
        let name: String = table.try_get("table_name")?;
        let count = AssertSqlSafe(table.try_get::<String, _>("count_statement")?);
        let row = sqlx::raw_sql(count).fetch_one(&mut copied).await?;
        let rows: i64 = row.try_get("row_count")?;
        manifest.rows.insert(name, u64::try_from(rows).unwrap_or(0));
    }
    Ok(problems)
}

async fn open(options: SqliteConnectOptions) -> Result<SqliteConnection, sqlx::Error> {
    options.disable_statement_logging().connect().await
}

fn failed(what: &str, source: &Path, error: &sqlx::Error) -> Error {
    Error::Unavailable {
        what: format!("{what} {}", source.display()),
        reason: error.to_string(),
    }
}

//! A SQLite file: opened, asked, and the engine started on a copy of it.

use std::path::PathBuf;
use std::time::Instant;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, SqliteConnection};

use super::{Fault, Found, Trial};
use crate::backups::throwaway::ScratchFolder;
use crate::backups::{Error, Evidence, Level};

/// The file of the backup.
pub(super) fn file(trial: &Trial<'_>) -> Result<PathBuf, Fault> {
    match &trial.manifest.files[..] {
        [file] => Ok(trial.folder.join(&file.path)),
        files => Err(Fault::Broken(format!(
            "manifest.json names {} files where one database is expected",
            files.len()
        ))),
    }
}

/// Whether its pages and keys are whole.
pub(super) async fn structure(trial: &Trial<'_>, found: &mut Found) -> Result<(), Fault> {
    let file = file(trial)?;
    let name = &trial.manifest.files[0].path;
    let mut connection = open(&file).await.map_err(|error| refused(name, &error))?;
    let faults: Vec<String> = sqlx::query_scalar(include_str!("sql/integrity.sql"))
        .fetch_all(&mut connection)
        .await
        .map_err(|error| refused(name, &error))?;
    if faults != ["ok"] {
        return Err(Fault::Broken(format!("{name}: {}", faults.join("; "))));
    }
    let orphans: Vec<(String, String, i64)> = sqlx::query_as(include_str!("sql/foreign_keys.sql"))
        .fetch_all(&mut connection)
        .await
        .map_err(|error| refused(name, &error))?;
    if let Some((child, parent, rows)) = orphans.first() {
        let reason = format!("{name}: {rows} rows of {child} have no parent in {parent}");
        return Err(Fault::Broken(reason));
    }
    found.saw("integrity_check and foreign_key_check find nothing");
    Ok(())
}

/// Restores it by copying, and looks at what is in it.
pub(super) async fn try_out(
    trial: &Trial<'_>,
    to: Level,
    found: &mut Found,
) -> Result<(), (Level, Fault)> {
    let at = |level| move |fault| (level, fault);
    let began = Instant::now();
    let (folder, copy) = copied(trial).await.map_err(at(Level::Restored))?;
    found.took(Evidence::RESTORE_SECONDS, began);
    found.count("bytes", trial.manifest.size());
    found.held = Some(Level::Restored);
    if to >= Level::Contents {
        contents(trial, &copy, found)
            .await
            .map_err(at(Level::Contents))?;
        found.held = Some(Level::Contents);
    }
    if to >= Level::Started
        && started(trial, &copy, found)
            .await
            .map_err(at(Level::Started))?
    {
        found.held = Some(Level::Started);
    }
    drop(folder);
    Ok(())
}

async fn copied(trial: &Trial<'_>) -> Result<(ScratchFolder, PathBuf), Fault> {
    let from = file(trial)?;
    let options = trial.scratch();
    let folder = ScratchFolder::create(&options.folder, options.run_as)?;
    let to = folder.path().join("restored.db");
    tokio::fs::copy(&from, &to)
        .await
        .map_err(Error::io("copying the database"))?;
    Ok((folder, to))
}

async fn contents(trial: &Trial<'_>, file: &PathBuf, found: &mut Found) -> Result<(), Fault> {
    let name = "the restored database";
    let mut connection = open(file).await.map_err(|error| refused(name, &error))?;
    let broken = look(trial, &mut connection, found).await;
    match broken.map_err(|error| refused(name, &error))? {
        Some(reason) => Err(Fault::Broken(reason)),
        None => Ok(()),
    }
}

/// What is not as it should be.
async fn look(
    trial: &Trial<'_>,
    connection: &mut SqliteConnection,
    found: &mut Found,
) -> Result<Option<String>, sqlx::Error> {
    if trial.manifest.rows.is_empty() {
        return Ok(Some("manifest.json counts no table".to_owned()));
    }
    let statements: Vec<(String, String)> = sqlx::query_as(include_str!("sql/counts.sql"))
        .fetch_all(&mut *connection)
        .await?;
    let mut all = 0;
    for (table, expected) in &trial.manifest.rows {
        let bare = table.strip_prefix("main.").unwrap_or(table);
        let Some((_, statement)) = statements.iter().find(|(name, _)| name == bare) else {
            return Ok(Some(format!("table {table} is missing")));
        };
        let counted: i64 = sqlx::query_scalar(AssertSqlSafe(statement.clone()))
            .fetch_one(&mut *connection)
            .await?;
        if counted.unsigned_abs() != *expected {
            let reason = format!("table {table} has {counted} rows; the backup says {expected}");
            return Ok(Some(reason));
        }
        all += expected;
    }
    found.count("tables", trial.manifest.rows.len() as u64);
    found.count("rows", all);
    found.saw(format!(
        "{all} rows in {} tables, as counted when they were backed up",
        trial.manifest.rows.len()
    ));
    if !has_queue(connection).await? {
        return Ok(None);
    }
    let rules: Vec<(String, i64)> = sqlx::query_as(include_str!("sql/invariants.sql"))
        .fetch_all(&mut *connection)
        .await?;
    if let Some((rule, times)) = rules.iter().find(|(_, broken)| *broken > 0) {
        return Ok(Some(format!("the queue: {rule}: {times} times not")));
    }
    found.saw(format!("{} rules of the queue hold", rules.len()));
    let newest: Option<i64> = sqlx::query_scalar(include_str!("sql/newest.sql"))
        .fetch_one(connection)
        .await?;
    if let Some(at) = newest.map(windlass::Timestamp::from_micros) {
        found.saw(format!("the newest job is of {at}"));
    }
    Ok(None)
}

async fn has_queue(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    let tables: i64 = sqlx::query_scalar(include_str!("sql/has_queue.sql"))
        .fetch_one(connection)
        .await?;
    Ok(tables == 2)
}

async fn started(trial: &Trial<'_>, file: &PathBuf, found: &mut Found) -> Result<bool, Fault> {
    let name = "the restored database";
    let mut connection = open(file).await.map_err(|error| refused(name, &error))?;
    let queue = has_queue(&mut connection).await;
    if !queue.map_err(|error| refused(name, &error))? {
        found.saw("the engine's tables are not in this database: it was not started on it");
        return Ok(false);
    }
    trial
        .start_engine(&format!("sqlite:{}", file.display()), found)
        .await
}

async fn open(file: &PathBuf) -> Result<SqliteConnection, sqlx::Error> {
    SqliteConnectOptions::new()
        .filename(file)
        .read_only(true)
        .connect()
        .await
}

fn refused(name: &str, error: &sqlx::Error) -> Fault {
    Fault::Broken(format!("{name}: {error}"))
}

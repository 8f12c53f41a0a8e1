//! A logical backup of PostgreSQL, restored into a server of our own.

mod contents;

use std::path::Path;
use std::time::Instant;

use sqlx::PgConnection;
use windlass::Timestamp;

use super::{Fault, Found, Trial};
use crate::backups::throwaway::Instance;
use crate::backups::{Error, Evidence, Level, layout};

pub(super) use contents::check;
pub use contents::{SAMPLE, WHOLE, digests};

/// Not `postgres`, which may be the very database that is restored.
const ANY: &str = "template1";

/// Restores it whole, looks at what is in it, and starts the engine on it.
pub(super) async fn logical(
    trial: &Trial<'_>,
    to: Level,
    found: &mut Found,
) -> Result<(), (Level, Fault)> {
    let instance = restored(trial, found)
        .await
        .map_err(|fault| (Level::Restored, fault))?;
    found.held = Some(Level::Restored);
    let database = database(trial).map_err(|fault| (Level::Restored, fault))?;
    let as_of = trial.manifest.recovery_point;
    look(trial, &instance, database, as_of, to, found).await
}

/// What is done with a restored database, however it came to be, that is as of a moment.
pub(super) async fn look(
    trial: &Trial<'_>,
    instance: &Instance,
    database: &str,
    as_of: Timestamp,
    to: Level,
    found: &mut Found,
) -> Result<(), (Level, Fault)> {
    if to < Level::Contents {
        return Ok(());
    }
    let at = |fault| (Level::Contents, fault);
    check(trial, instance, database, as_of, found)
        .await
        .map_err(at)?;
    found.held = Some(Level::Contents);
    if to < Level::Started {
        return Ok(());
    }
    let answered = started(trial, instance, database, found).await;
    if answered.map_err(|fault| (Level::Started, fault))? {
        found.held = Some(Level::Started);
    }
    Ok(())
}

/// The name of the database that was dumped.
pub(super) fn database<'a>(trial: &'a Trial<'_>) -> Result<&'a str, Fault> {
    let name = trial.manifest.database.as_deref();
    name.ok_or_else(|| Fault::Broken("manifest.json names no database".to_owned()))
}

/// A server with the dump in it.
async fn restored(trial: &Trial<'_>, found: &mut Found) -> Result<Instance, Fault> {
    let instance = Instance::empty(&trial.scratch()).await?;
    let began = Instant::now();
    globals(trial, &instance).await?;
    if database(trial)? == "postgres" {
        let mut connection = instance.connect(ANY).await.map_err(refused)?;
        sqlx::query(include_str!("sql/drop_postgres.sql"))
            .execute(&mut connection)
            .await
            .map_err(refused)?;
    }
    let jobs = std::thread::available_parallelism().map_or(2, |cores| cores.get().min(8));
    let jobs = jobs.to_string();
    let dump = trial.folder.join(layout::DUMP);
    let args = [
        "--create",
        "--exit-on-error",
        "--no-tablespaces",
        "--jobs",
        &jobs,
        "--dbname",
        ANY,
    ];
    tool(trial, &instance, "pg_restore", &args, &dump).await?;
    found.took(Evidence::RESTORE_SECONDS, began);
    found.count("bytes", trial.manifest.size());
    found.saw(format!(
        "pg_restore restored {} into an empty PostgreSQL",
        layout::DUMP
    ));
    Ok(instance)
}

/// Roles first: who owns tables, and whom policies are for.
async fn globals(trial: &Trial<'_>, instance: &Instance) -> Result<(), Fault> {
    let path = trial.folder.join(layout::GLOBALS);
    if !path.exists() {
        return Ok(());
    }
    let text = tokio::fs::read_to_string(&path)
        .await
        .map_err(Error::io(format!("reading {}", layout::GLOBALS)))?;
    // Tablespaces are folders of another machine; what lay in them goes where everything else goes.
    let kept: Vec<&str> = text
        .lines()
        .filter(|line| !line.contains(" TABLESPACE "))
        .collect();
    let file = instance.folder().path().join(layout::GLOBALS);
    instance.folder().write(&file, &kept.join("\n"))?;
    let args = [
        "--no-psqlrc",
        "--quiet",
        "--set=ON_ERROR_STOP=1",
        "--dbname",
        ANY,
        "--file",
    ];
    tool(trial, instance, "psql", &args, &file).await?;
    Ok(())
}

/// Runs one of PostgreSQL's programs on the server.
pub(super) async fn tool(
    trial: &Trial<'_>,
    instance: &Instance,
    name: &str,
    args: &[&str],
    last: &Path,
) -> Result<String, Error> {
    let tool = trial.postgres(name).args(args).arg(last);
    let tool = instance
        .environment()
        .into_iter()
        .fold(tool, |tool, (name, value)| tool.env(name, value));
    trial.run(tool).await
}

/// Whether the engine starts on it, reading only; `false` if there is no engine in it.
async fn started(
    trial: &Trial<'_>,
    instance: &Instance,
    database: &str,
    found: &mut Found,
) -> Result<bool, Fault> {
    let mut connection = instance.connect(database).await.map_err(refused)?;
    if !contents::has_queue(&mut connection)
        .await
        .map_err(refused)?
    {
        found.saw("the engine's tables are not in this database: it was not started on it");
        return Ok(false);
    }
    let url = format!(
        "{}&options[default_transaction_read_only]=on",
        instance.url(database)
    );
    trial.start_engine(&url, found).await
}

/// A restored database that refuses a statement is no good one.
#[expect(clippy::needless_pass_by_value, reason = "what `map_err` hands over")]
pub(super) fn refused(error: sqlx::Error) -> Fault {
    match &error {
        sqlx::Error::Database(database) => Fault::Broken(format!(
            "the restored database refused a statement: {}",
            database.message()
        )),
        _ => Fault::Untried(Error::Unavailable {
            what: "the throwaway PostgreSQL".to_owned(),
            reason: error.to_string(),
        }),
    }
}

/// A connection whose transaction reads values as the backup's did.
pub(super) async fn read_alike(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query(include_str!("sql/reading.sql"))
        .execute(connection)
        .await
        .map(drop)
}

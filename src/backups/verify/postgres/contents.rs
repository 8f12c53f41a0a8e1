//! What must be in a restored database.

use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use windlass::Timestamp;

use super::super::{Fault, Found, Trial, not_run};
use super::{read_alike, refused, tool};
use crate::backups::throwaway::Instance;
use crate::backups::{Error, Kind, Manifest};

/// The detail of a manifest that holds the digest of all of a table's rows: this and its name.
pub const WHOLE: &str = "digest ";
/// The detail of a manifest that holds the digest of a table's first and last rows: this and its name.
pub const SAMPLE: &str = "sample ";
/// The beginning of a detail that names an extension; it holds the version.
const EXTENSION: &str = "extension.";
/// How far the clocks may differ of those who write rows and of the server.
const SKEW: Duration = Duration::from_mins(5);
/// How far a row may lie behind the moment whose data the backup holds: the target for daily dumps.
const RECOVERY_POINT: Duration = Duration::from_hours(24);

/// A table, and the statements that digest it.
#[derive(Debug, sqlx::FromRow)]
struct Digested {
    name: String,
    whole: String,
    sample: Option<String>,
    is_small: bool,
}

impl Digested {
    async fn all(connection: &mut PgConnection) -> Result<Vec<Self>, sqlx::Error> {
        sqlx::query_as(include_str!("sql/samples.sql"))
            .fetch_all(connection)
            .await
    }

    /// What is digested, under which mark in a manifest.
    fn statements(&self) -> impl Iterator<Item = (&'static str, &String)> {
        let whole = Some((WHOLE, &self.whole));
        let sample = self.sample.as_ref().map(|it| (SAMPLE, it));
        [whole, sample].into_iter().flatten()
    }
}

async fn digest(connection: &mut PgConnection, statement: &str) -> Result<String, sqlx::Error> {
    sqlx::query_scalar(AssertSqlSafe(statement.to_owned()))
        .fetch_one(connection)
        .await
}

/// Digests of each table, for a manifest's details: of all rows of a small one, and of the first and last of a
/// larger one, for which the whole would take too long. To be called in the transaction that sees what is dumped.
pub async fn digests(
    connection: &mut PgConnection,
) -> Result<BTreeMap<String, String>, sqlx::Error> {
    read_alike(connection).await?;
    let mut digests = BTreeMap::new();
    for table in Digested::all(connection).await? {
        let wanted = if table.is_small { WHOLE } else { SAMPLE };
        let statement = table.statements().find(|(mark, _)| *mark == wanted);
        if let Some((mark, statement)) = statement {
            let digest = digest(connection, statement).await?;
            digests.insert(format!("{mark}{}", table.name), digest);
        }
    }
    Ok(digests)
}

/// Whether the engine's tables are there.
pub(super) async fn has_queue(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(include_str!("sql/has_queue.sql"))
        .fetch_one(connection)
        .await
}

/// Compares what is there with what the manifest says, and asks it whether it is whole.
pub(in crate::backups::verify) async fn check(
    trial: &Trial<'_>,
    instance: &Instance,
    database: &str,
    as_of: Timestamp,
    found: &mut Found,
) -> Result<(), Fault> {
    let mut connection = instance.connect(database).await.map_err(refused)?;
    let mut tx = connection.begin().await.map_err(refused)?;
    read_alike(&mut tx).await.map_err(refused)?;
    rows(trial.manifest, &mut tx, found).await?;
    samples(trial.manifest, &mut tx, found).await?;
    extensions(trial.manifest, &mut tx, found).await?;
    newest(as_of, &mut tx, found).await?;
    constraints(&mut tx, found).await?;
    queue(&mut tx, found).await?;
    tx.rollback().await.map_err(refused)?;
    amcheck(trial, instance, database, &mut connection, found).await
}

async fn rows(
    manifest: &Manifest,
    connection: &mut PgConnection,
    found: &mut Found,
) -> Result<(), Fault> {
    if manifest.kind == Kind::PostgresPhysical {
        found.saw(not_run(
            "the count of rows",
            "a whole cluster is copied while it is written",
        ));
        return Ok(());
    }
    if manifest.rows.is_empty() {
        let reason = "manifest.json counts no table: there is nothing to compare with";
        return Err(Fault::Broken(reason.to_owned()));
    }
    let statements = include_str!("sql/counts.sql");
    let statements = generated(connection, statements).await.map_err(refused)?;
    let statements: BTreeMap<String, String> = statements.into_iter().collect();
    let mut all = 0;
    for (table, expected) in &manifest.rows {
        let Some(statement) = statements.get(table) else {
            return Err(Fault::Broken(format!("table {table} is missing")));
        };
        let counted = count(connection, statement).await?;
        if counted != *expected {
            return Err(Fault::Broken(format!(
                "table {table} has {counted} rows; the backup says {expected}"
            )));
        }
        all += counted;
    }
    found.count("tables", manifest.rows.len() as u64);
    found.count("rows", all);
    found.saw(format!(
        "{all} rows in {} tables, as counted when they were backed up",
        manifest.rows.len()
    ));
    Ok(())
}

async fn samples(
    manifest: &Manifest,
    connection: &mut PgConnection,
    found: &mut Found,
) -> Result<(), Fault> {
    let (mut whole, mut sampled) = (0, 0);
    for table in Digested::all(connection).await.map_err(refused)? {
        for (mark, statement) in table.statements() {
            let name = &table.name;
            let Some(expected) = manifest.details.get(&format!("{mark}{name}")) else {
                continue;
            };
            let (count, which) = if mark == WHOLE {
                (&mut whole, "its rows")
            } else {
                (&mut sampled, "its first and last rows")
            };
            let there = digest(connection, statement).await.map_err(refused)?;
            if there != *expected {
                return Err(Fault::Broken(format!(
                    "table {name}: {which} are not those that were backed up"
                )));
            }
            *count += 1;
        }
    }
    found.saw(format!(
        "all rows of {whole} tables, and the first and last rows of {sampled} large ones, are those that were \
         backed up"
    ));
    Ok(())
}

async fn extensions(
    manifest: &Manifest,
    connection: &mut PgConnection,
    found: &mut Found,
) -> Result<(), Fault> {
    let there: Vec<String> = sqlx::query_scalar(include_str!("sql/extensions.sql"))
        .fetch_all(connection)
        .await
        .map_err(refused)?;
    let expected = manifest.details.keys();
    let mut expected = expected.filter_map(|detail| detail.strip_prefix(EXTENSION));
    match expected.find(|name| there.iter().all(|it| it != name)) {
        Some(missing) => Err(Fault::Broken(format!("extension {missing} is missing"))),
        None => {
            found.saw(format!("extensions: {}", there.join(", ")));
            Ok(())
        }
    }
}

/// Nothing in it may be of a later time than the moment it is of, and something must be of that day.
async fn newest(
    point: Timestamp,
    connection: &mut PgConnection,
    found: &mut Found,
) -> Result<(), Fault> {
    let statements = include_str!("sql/newest.sql");
    let statements = generated(connection, statements).await.map_err(refused)?;
    let mut newest: Option<(Timestamp, String)> = None;
    for (column, statement) in statements {
        let micros: Option<i64> = sqlx::query_scalar(AssertSqlSafe(statement))
            .fetch_one(&mut *connection)
            .await
            .map_err(refused)?;
        if let Some(at) = micros.map(Timestamp::from_micros)
            && newest.as_ref().is_none_or(|(newest, _)| at > *newest)
        {
            newest = Some((at, column));
        }
    }
    let Some((at, column)) = newest else {
        return Ok(());
    };
    if at > point + SKEW {
        return Err(Fault::Broken(format!(
            "{column} has a row of {at}, after the moment that was backed up ({point})"
        )));
    }
    // An engine's database always has a younger row: that of the job that backed it up.
    if at < point.minus(RECOVERY_POINT) && has_queue(connection).await.map_err(refused)? {
        return Err(Fault::Broken(format!(
            "the newest row, of {column}, is of {at}: more than a day before the moment that was backed up \
             ({point})"
        )));
    }
    found.saw(format!("the newest row is of {at} ({column})"));
    Ok(())
}

async fn constraints(connection: &mut PgConnection, found: &mut Found) -> Result<(), Fault> {
    let foreign = include_str!("sql/foreign_keys.sql");
    let checked = none(connection, foreign, "foreign key", "rows without a parent").await?;
    found.saw(format!("{checked} foreign keys hold"));
    // An index that has lost a row would hide what is looked for.
    let without = sqlx::query(include_str!("sql/without_indexes.sql"));
    without.execute(&mut *connection).await.map_err(refused)?;
    let unique = include_str!("sql/unique_keys.sql");
    let checked = none(connection, unique, "unique index", "keys that stand twice").await?;
    found.saw(format!("{checked} unique indexes hold"));
    let sequences = include_str!("sql/sequences.sql");
    let checked = none(
        connection,
        sequences,
        "sequence",
        "numbers it would give again",
    )
    .await?;
    found.saw(format!("{checked} sequences are ahead of their columns"));
    Ok(())
}

/// Runs the statements that this one writes; each must count nothing.
async fn none(
    connection: &mut PgConnection,
    statements: &'static str,
    what: &str,
    wrong: &str,
) -> Result<usize, Fault> {
    let statements = generated(connection, statements).await.map_err(refused)?;
    for (name, statement) in &statements {
        let broken = count(connection, statement).await?;
        if broken > 0 {
            return Err(Fault::Broken(format!("{what} {name}: {broken} {wrong}")));
        }
    }
    Ok(statements.len())
}

async fn queue(connection: &mut PgConnection, found: &mut Found) -> Result<(), Fault> {
    if !has_queue(connection).await.map_err(refused)? {
        return Ok(());
    }
    let rules: Vec<(String, i64)> = sqlx::query_as(include_str!("sql/invariants.sql"))
        .fetch_all(connection)
        .await
        .map_err(refused)?;
    for (rule, broken) in &rules {
        if *broken > 0 {
            return Err(Fault::Broken(format!(
                "the queue: {rule}: {broken} times not"
            )));
        }
    }
    found.saw(format!("{} rules of the queue hold", rules.len()));
    Ok(())
}

async fn amcheck(
    trial: &Trial<'_>,
    instance: &Instance,
    database: &str,
    connection: &mut PgConnection,
    found: &mut Found,
) -> Result<(), Fault> {
    let available: i64 = sqlx::query_scalar(include_str!("sql/amcheck.sql"))
        .fetch_one(connection)
        .await
        .map_err(refused)?;
    if available == 0 {
        let why = "this PostgreSQL has no extension amcheck (package postgresql-contrib)";
        found.saw(not_run("pg_amcheck", why));
        return Ok(());
    }
    let args = ["--heapallindexed", "--install-missing"];
    match tool(trial, instance, "pg_amcheck", &args, database.as_ref()).await {
        Ok(_) => found.saw("pg_amcheck found every row in its indexes"),
        Err(error @ Error::ToolMissing { .. }) => {
            found.saw(not_run("pg_amcheck", &error.to_string()));
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// The statements that a statement writes, each with the name of what it is about.
async fn generated(
    connection: &mut PgConnection,
    statement: &'static str,
) -> Result<Vec<(String, String)>, sqlx::Error> {
    sqlx::query_as(statement).fetch_all(connection).await
}

async fn count(connection: &mut PgConnection, statement: &str) -> Result<u64, Fault> {
    let counted: i64 = sqlx::query_scalar(AssertSqlSafe(statement.to_owned()))
        .fetch_one(connection)
        .await
        .map_err(refused)?;
    Ok(counted.unsigned_abs())
}

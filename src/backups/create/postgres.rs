//! PostgreSQL by `pg_dump` in directory format, several tables at once, of a snapshot that is held here: the
//! rows of each table are counted in the very same one.

use std::collections::BTreeMap;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row};
use windlass::Timestamp;

use super::{Error, Work};
use crate::backups::command::Tool;
use crate::backups::verify::digests;
use crate::backups::{Manifest, PostgresServer};

const SERVER: &str = include_str!("sql/server.sql");
const SYSTEM: &str = include_str!("sql/system.sql");
const SNAPSHOT: &str = include_str!("sql/snapshot.sql");
const EXTENSIONS: &str = include_str!("sql/extensions.sql");
const TABLES: &str = include_str!("sql/postgres_tables.sql");

const PG_BIN: &str = "backups.tools.pg_bin";
/// A repeatable read that nobody's row security makes smaller.
const BEGIN: &str = "begin isolation level repeatable read read only";
const SESSION: [(&str, &str); 5] = [
    ("statement_timeout", "0"),
    ("lock_timeout", "60s"),
    ("idle_in_transaction_session_timeout", "0"),
    ("row_security", "off"),
    ("search_path", "pg_catalog"),
];
/// How long `pg_dump` waits for a table that somebody has locked.
const LOCK_WAIT: &str = "--lock-wait-timeout=60s";

/// Dumps one database, and what all databases of the server share.
pub(super) async fn dump(work: &Work<'_>, manifest: &mut Manifest) -> Result<(), Error> {
    let server = PostgresServer::new(&work.target.url)
        .map_err(|e| Error::setting("backups.targets", format!("url: {e}")))?;
    let away = |e: sqlx::Error| Error::Unavailable {
        what: server.address(),
        reason: e.to_string(),
    };
    let session: PgConnectOptions = server
        .options()
        .options(SESSION)
        .disable_statement_logging();
    let connecting = async { session.connect().await.map_err(away) };
    let mut connection = work.bounded("connecting to PostgreSQL", connecting).await?;
    let version = describe(&mut connection, manifest).await.map_err(away)?;
    manifest.client_version = Some(check_tools(work, "pg_dump", version, manifest).await?);
    check_tools(work, "pg_dumpall", version, manifest).await?;

    let mut held = connection.begin_with(BEGIN).await.map_err(away)?;
    let snapshot = sqlx::raw_sql(SNAPSHOT)
        .fetch_one(&mut *held)
        .await
        .map_err(away)?;
    let name: String = snapshot.try_get("snapshot").map_err(away)?;
    manifest.recovery_point = Timestamp::from_datetime(snapshot.try_get("taken_at").map_err(away)?);
    manifest.start_lsn = snapshot.try_get("lsn").map_err(away)?;
    manifest.snapshot = Some(name.clone());

    let counting = work.bounded("counting rows", async {
        let rows = count(&mut held).await.map_err(away)?;
        let digests = digests(&mut held).await.map_err(away)?;
        Ok((rows, digests))
    });
    let dumping = async {
        dump_directory(work, &server, &name).await?;
        if work.target.sql_gz {
            dump_plain(work, &server, &name, manifest.started).await?;
        }
        dump_globals(work, &server).await
    };
    let ((rows, digests), with_passwords) = tokio::try_join!(counting, dumping)?;
    manifest.rows = rows;
    manifest.details.extend(digests);
    let passwords = if with_passwords {
        "included"
    } else {
        "not readable by this user"
    };
    manifest
        .details
        .insert("role_passwords".to_owned(), passwords.to_owned());
    held.rollback().await.map_err(away)
}

/// Rows of each table, as the transaction sees them.
async fn count(held: &mut PgConnection) -> Result<BTreeMap<String, u64>, sqlx::Error> {
    let mut counted = BTreeMap::new();
    for table in sqlx::raw_sql(TABLES).fetch_all(&mut *held).await? {
        let name: String = table.try_get("table_name")?;
        let statement = AssertSqlSafe(table.try_get::<String, _>("count_statement")?);
        let row = sqlx::raw_sql(statement).fetch_one(&mut *held).await?;
        let rows: i64 = row.try_get("row_count")?;
        counted.insert(name, u64::try_from(rows).unwrap_or(0));
    }
    Ok(counted)
}

/// What the server says of itself; its major version.
async fn describe(
    connection: &mut PgConnection,
    manifest: &mut Manifest,
) -> Result<u32, sqlx::Error> {
    let server = sqlx::raw_sql(SERVER).fetch_one(&mut *connection).await?;
    manifest.server_version = Some(server.try_get("version")?);
    manifest.database = Some(server.try_get("database")?);
    let number: i32 = server.try_get("version_number")?;
    // Not every user may ask for it, and a dump is good without.
    if let Ok(system) = sqlx::raw_sql(SYSTEM).fetch_one(&mut *connection).await {
        manifest.system_identifier = Some(system.try_get("system_identifier")?);
    }
    for extension in sqlx::raw_sql(EXTENSIONS).fetch_all(connection).await? {
        let name: String = extension.try_get("name")?;
        manifest
            .details
            .insert(format!("extension.{name}"), extension.try_get("version")?);
    }
    Ok(u32::try_from(number).unwrap_or(0) / 10_000)
}

/// A tool older than the server would leave out what it does not know.
async fn check_tools(
    work: &Work<'_>,
    tool: &str,
    server: u32,
    manifest: &Manifest,
) -> Result<String, Error> {
    let program = work.backups.options().tools.postgres(tool);
    let told = work
        .run(Tool::new(program, PG_BIN).arg("--version"))
        .await?;
    let told = String::from_utf8_lossy(&told.output).trim().to_owned();
    // Such as `pg_dump (PostgreSQL) 18.1 (Debian 18.1-1)` or `.. 19beta1`.
    let version = told.split_once(") ").map_or("", |(_, version)| version);
    let digits = version
        .split(|c: char| !c.is_ascii_digit())
        .next()
        .unwrap_or_default();
    let major: u32 = digits.parse().map_err(|_| Error::ToolFailed {
        tool: tool.to_owned(),
        status: "told no version".to_owned(),
        message: told.clone(),
    })?;
    if major < server {
        return Err(Error::ToolTooOld {
            tool: tool.to_owned(),
            client: version.to_owned(),
            server: manifest
                .server_version
                .clone()
                .unwrap_or_else(|| server.to_string()),
        });
    }
    Ok(version.to_owned())
}

fn tool(work: &Work<'_>, name: &str, server: &PostgresServer) -> Tool {
    let tool = Tool::new(work.backups.options().tools.postgres(name), PG_BIN)
        .arg("--no-password")
        .arg(format!("--dbname={}", server.for_tools()));
    match server.password() {
        Some(password) => tool.secret("PGPASSWORD", password.clone()),
        None => tool,
    }
}

async fn dump_directory(
    work: &Work<'_>,
    server: &PostgresServer,
    snapshot: &str,
) -> Result<(), Error> {
    let dump = tool(work, "pg_dump", server)
        .arg("--format=directory")
        .arg(format!("--jobs={}", work.target.parallel))
        .arg(format!("--snapshot={snapshot}"))
        .arg(LOCK_WAIT)
        // What lies in a scratch folder need not survive a power cut.
        .arg("--no-sync")
        .arg(format!("--file={}", work.folder.join("dump").display()));
    work.run(dump).await.map(drop)
}

/// As the platform's own script makes them, for whatever reads those.
async fn dump_plain(
    work: &Work<'_>,
    server: &PostgresServer,
    snapshot: &str,
    started: Timestamp,
) -> Result<(), Error> {
    let at = started.to_datetime().format("%Y%m%d_%H%M%S");
    let file = work.folder.join(format!("metachat_backup_{at}.sql.gz"));
    let dump = tool(work, "pg_dump", server)
        .args([
            "--format=plain",
            "--no-owner",
            "--no-acl",
            "--clean",
            "--if-exists",
        ])
        .args(["--compress=gzip", "--no-sync", LOCK_WAIT])
        .arg(format!("--snapshot={snapshot}"))
        .arg(format!("--file={}", file.display()));
    work.run(dump).await.map(drop)
}

/// Roles and tablespaces; whether the roles' passwords are among it. Only a superuser may read those.
async fn dump_globals(work: &Work<'_>, server: &PostgresServer) -> Result<bool, Error> {
    let file = work.folder.join("globals.sql");
    let dump = || {
        tool(work, "pg_dumpall", server)
            .args(["--globals-only", "--no-sync"])
            .arg(format!("--lock-wait-timeout={}", 60_000))
            .arg(format!("--file={}", file.display()))
    };
    match work.run(dump()).await {
        Ok(_) => Ok(true),
        Err(Error::ToolFailed { message, .. }) if message.contains("pg_authid") => {
            work.run(dump().arg("--no-role-passwords")).await?;
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

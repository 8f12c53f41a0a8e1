//! A dump into a new database of the target's server.

use std::path::Path;

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::{AssertSqlSafe, ConnectOptions as _, PgConnection};

use super::{Error, Work};
use crate::backups::command::Tool;
use crate::backups::{PostgresServer, layout};

/// Where databases are made from.
const MAINTENANCE: &str = "template1";

/// What a database's name ends in while it is not whole: a name that nobody can ask for.
const UNFINISHED: &str = ".restoring";

/// A database that is whole, and does not have its name yet.
#[derive(Debug)]
pub(super) struct Fresh {
    server: PostgresServer,
    to: String,
}

impl Fresh {
    fn partial(&self) -> String {
        format!("{}{UNFINISHED}", self.to)
    }

    fn goal(&self) -> PostgresServer {
        self.server.with_database(&self.partial())
    }

    pub(super) fn url(&self) -> SecretString {
        url(&self.goal())
    }

    /// Gives it its name. What had that name is taken away only now.
    pub(super) async fn finish(self) -> Result<(), Error> {
        let mut connection = connect(&self.server.with_database(MAINTENANCE)).await?;
        let partial = self.partial();
        let named = async {
            let drop = include_str!("sql/drop_database.sql");
            execute(&mut connection, drop, &[&self.to]).await?;
            sqlx::query(include_str!("sql/disconnect.sql"))
                .bind(&partial)
                .execute(&mut connection)
                .await?;
            let rename = include_str!("sql/rename_database.sql");
            execute(&mut connection, rename, &[&partial, &self.to]).await
        };
        named.await.map_err(|e| unavailable(&self.server, &e))
    }

    /// Takes it away.
    pub(super) async fn discard(self) -> Result<(), Error> {
        let mut connection = connect(&self.server.with_database(MAINTENANCE)).await?;
        let drop = include_str!("sql/drop_database.sql");
        execute(&mut connection, drop, &[&self.partial()])
            .await
            .map_err(|e| unavailable(&self.server, &e))
    }
}

pub(super) async fn restore(work: &Work<'_>, folder: &Path) -> Result<Fresh, Error> {
    let fresh = Fresh {
        server: work.backups.server(&work.restore.target)?,
        to: work.restore.to.clone(),
    };
    let mut connection = connect(&fresh.server.with_database(MAINTENANCE)).await?;
    let away = |error: sqlx::Error| unavailable(&fresh.server, &error);
    let partial = fresh.partial();
    // Left by a run that was broken off.
    let drop = include_str!("sql/drop_database.sql");
    execute(&mut connection, drop, &[&partial])
        .await
        .map_err(away)?;
    let create = include_str!("sql/create_database.sql");
    execute(&mut connection, create, &[&partial])
        .await
        .map_err(away)?;
    let dump = folder.join(layout::DUMP);
    let restored = match &work.restore.table {
        None => run(work, &fresh.goal(), &[], &dump).await,
        Some(table) => one_table(work, &fresh.goal(), table, &dump).await,
    };
    match restored {
        Ok(()) => Ok(fresh),
        Err(error) => {
            // Half a database is none: it is taken away again.
            fresh.discard().await?;
            Err(error)
        }
    }
}

/// All tables, as their columns may be of types and functions of the others, and the rows of one.
async fn one_table(
    work: &Work<'_>,
    goal: &PostgresServer,
    table: &str,
    dump: &Path,
) -> Result<(), Error> {
    let (schema, name) = table.split_once('.').unwrap_or(("public", table));
    run(work, goal, &["--section=pre-data"], dump).await?;
    let (schema, name) = (format!("--schema={schema}"), format!("--table={name}"));
    run(work, goal, &["--section=data", &schema, &name], dump).await
}

async fn run(
    work: &Work<'_>,
    goal: &PostgresServer,
    args: &[&str],
    dump: &Path,
) -> Result<(), Error> {
    let options = work.backups.options();
    let jobs = work.backups.target(&work.restore.target)?.parallel;
    let tool = Tool::new(options.tools.postgres("pg_restore"), "backups.tools.pg_bin")
        .args(["--exit-on-error", "--no-tablespaces", "--no-password"])
        .arg(format!("--jobs={jobs}"))
        .arg(format!("--dbname={}", goal.for_tools()))
        .args(args)
        .arg(dump);
    let tool = match goal.password() {
        Some(password) => tool.secret("PGPASSWORD", password.clone()),
        None => tool,
    };
    tool.run(options.timeout(), work.transfer.cancelled())
        .await
        .map(drop)
}

pub(super) async fn look_at_the_goal(work: &Work<'_>) -> Result<(), Error> {
    let server = work.backups.server(&work.restore.target)?;
    let to = &work.restore.to;
    let mut connection = connect(&server.with_database(MAINTENANCE)).await?;
    let away = |error: sqlx::Error| unavailable(&server, &error);
    if !exists(&mut connection, to).await.map_err(away)? {
        return Ok(());
    }
    let mut goal = connect(&server.with_database(to)).await?;
    let tables: i64 = sqlx::query_scalar(include_str!("sql/tables.sql"))
        .fetch_one(&mut goal)
        .await
        .map_err(away)?;
    if tables == 0 {
        Ok(())
    } else {
        work.may_replace(to)
    }
}

/// See [`super::fence`].
pub(super) async fn fence(url: &SecretString) -> Result<Option<u64>, Error> {
    let server = PostgresServer::new(url).map_err(|e| Error::setting("url", e.to_string()))?;
    let mut connection = connect(&server).await?;
    let away = |error: sqlx::Error| unavailable(&server, &error);
    let there: bool = sqlx::query_scalar(include_str!("sql/has_queue.sql"))
        .fetch_one(&mut connection)
        .await
        .map_err(away)?;
    if !there {
        return Ok(None);
    }
    let fenced = sqlx::query(include_str!("sql/fence.sql"))
        .execute(&mut connection)
        .await
        .map_err(away)?;
    Ok(Some(fenced.rows_affected()))
}

async fn exists(connection: &mut PgConnection, name: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(include_str!("sql/exists.sql"))
        .bind(name)
        .fetch_one(connection)
        .await
}

/// Runs a statement about databases, whose names cannot be parameters: the server itself writes it.
async fn execute(
    connection: &mut PgConnection,
    statement: &'static str,
    names: &[&str],
) -> Result<(), sqlx::Error> {
    let mut writing = sqlx::query_scalar(statement);
    for name in names {
        writing = writing.bind(*name);
    }
    let written: String = writing.fetch_one(&mut *connection).await?;
    sqlx::raw_sql(AssertSqlSafe(written))
        .execute(connection)
        .await
        .map(drop)
}

async fn connect(server: &PostgresServer) -> Result<PgConnection, Error> {
    let options = server.options();
    let patience = std::time::Duration::from_secs(10);
    tokio::time::timeout(patience, options.connect())
        .await
        .unwrap_or(Err(sqlx::Error::PoolTimedOut))
        .map_err(|error| unavailable(server, &error))
}

fn unavailable(server: &PostgresServer, error: &sqlx::Error) -> Error {
    Error::Unavailable {
        what: server.address(),
        reason: error.to_string(),
    }
}

/// For connections; holds the password.
fn url(server: &PostgresServer) -> SecretString {
    let mut url = url::Url::parse(server.for_tools()).expect("`PostgresServer` has parsed it");
    if let Some(password) = server.password() {
        // A URL that has a host takes a password.
        let _ = url.set_password(Some(password.expose_secret()));
    }
    url.to_string().into()
}

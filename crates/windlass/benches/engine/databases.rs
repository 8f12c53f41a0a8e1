//! A fresh, never analysed database for each figure.

use anyhow::Context as _;
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Postgres,
    Sqlite,
}

/// One that nobody used before, and nobody will after.
#[derive(Debug)]
pub(crate) struct Fresh {
    pub(crate) url: String,
    _folder: Option<TempDir>,
}

/// What a database is for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose {
    /// One figure.
    Figure,
    /// The drains beside a history, which other figures are taken in between.
    History,
}

impl Fresh {
    pub(crate) async fn make(kind: Kind, purpose: Purpose) -> anyhow::Result<Self> {
        match kind {
            Kind::Postgres => Self::postgres(purpose).await,
            Kind::Sqlite => Self::sqlite(),
        }
    }

    async fn postgres(purpose: Purpose) -> anyhow::Result<Self> {
        let (name, create, drop) = match purpose {
            Purpose::Figure => (
                "windlass_bench",
                include_str!("sql/postgres/create_database.sql"),
                include_str!("sql/postgres/drop_database.sql"),
            ),
            Purpose::History => (
                "windlass_bench_history",
                include_str!("sql/postgres/create_history_database.sql"),
                include_str!("sql/postgres/drop_history_database.sql"),
            ),
        };
        let server = server()?;
        let mut connection = PgConnection::connect(&server).await?;
        for statement in [drop, create, include_str!("sql/postgres/checkpoint.sql")] {
            sqlx::query(statement).execute(&mut connection).await?;
        }
        connection.close().await?;
        let (base, _) = server
            .rsplit_once('/')
            .context("TEST_DATABASE_URL names no database")?;
        Ok(Self {
            url: format!("{base}/{name}"),
            _folder: None,
        })
    }

    fn sqlite() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        Ok(Self {
            url: format!("sqlite:{}", folder.path().join("jobs.db").display()),
            _folder: Some(folder),
        })
    }
}

/// The server that all figures of a run share.
#[expect(
    clippy::disallowed_methods,
    reason = "how this repository's tests are told of their servers"
)]
pub(crate) fn server() -> anyhow::Result<String> {
    std::env::var("TEST_DATABASE_URL")
        .context("TEST_DATABASE_URL is not set: eval \"$(scripts/services env)\"")
}

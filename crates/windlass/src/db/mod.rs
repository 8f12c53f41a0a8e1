//! Connections and transactions of both dialects.
//!
//! What this room is for: one transaction can hold a job **and** the caller's own rows. [`Db`] is
//! what an application keeps, [`Tx`] what it passes to `enqueue_in` and `commit`. SQL that the
//! application runs itself goes through [`Tx::postgres`] or [`Tx::sqlite`].

#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;
mod tx;

#[cfg(feature = "postgres")]
pub(crate) use postgres::PgConnector;
#[cfg(feature = "postgres")]
pub use postgres::{Postgres, PostgresOptions, SettingsDelivery};
#[cfg(feature = "sqlite")]
pub use sqlite::{Sqlite, SqliteOptions, Synchronous};
pub use tx::Tx;

/// A database of either dialect.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Db {
    /// PostgreSQL.
    #[cfg(feature = "postgres")]
    Postgres(Postgres),
    /// One SQLite file.
    #[cfg(feature = "sqlite")]
    Sqlite(Sqlite),
}

/// Why the database did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The connection string cannot be used.
    #[error("the database URL cannot be used: {problem}")]
    Url {
        /// What is wrong and what would be right; never the URL itself, which holds a password.
        problem: String,
    },
    /// It said no, or could not be reached.
    #[error(transparent)]
    Sqlx(#[from] sqlx::Error),
    /// It did not answer in time.
    #[error("the database did not answer within {0:?}")]
    Timeout(std::time::Duration),
}

impl Error {
    /// Whether trying again later may help: the database is out of reach, busy or starting, rather
    /// than unwilling.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Timeout(_) => true,
            Self::Sqlx(error) => match error {
                sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::Protocol(_)
                | sqlx::Error::WorkerCrashed => true,
                sqlx::Error::Database(error) => error.code().is_some_and(|code| {
                    // PostgreSQL: connection, resources, operator intervention, rollback classes
                    // and timeouts. SQLite: busy and locked, with their extended codes.
                    ["08", "53", "57", "40", "55"]
                        .iter()
                        .any(|class| code.starts_with(class))
                        || ["5", "6", "261", "262", "517", "773"].contains(&&*code)
                }),
                _ => false,
            },
            Self::Url { .. } => false,
        }
    }
}

impl Db {
    /// Begins a transaction. On SQLite it takes the write lock at once.
    pub async fn begin(&self) -> Result<Tx, Error> {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(db) => db.begin().await,
            #[cfg(feature = "sqlite")]
            Self::Sqlite(db) => db.begin().await,
        }
    }
}

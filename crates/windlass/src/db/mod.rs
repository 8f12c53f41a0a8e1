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
                sqlx::Error::Database(error) => {
                    error.code().is_some_and(|code| match Code::of(&code) {
                        Code::Postgres(code) => may_pass(code),
                        Code::Sqlite(code) => [BUSY, LOCKED].contains(&code),
                    })
                }
                _ => false,
            },
            Self::Url { .. } => false,
        }
    }

    /// Whether what was to be stored is at fault, so that other values would have been taken. Of
    /// everything else (no right to, no such table, a full disk) the values are innocent.
    pub fn is_about_the_data(&self) -> bool {
        match self {
            Self::Sqlx(sqlx::Error::Encode(_)) => true,
            Self::Sqlx(sqlx::Error::Database(error)) => {
                error.code().is_some_and(|code| match Code::of(&code) {
                    // Data exceptions, constraints, program limits such as the width of an index.
                    Code::Postgres(code) => {
                        ["22", "23", "54"].contains(&code.get(..2).unwrap_or_default())
                    }
                    Code::Sqlite(code) => [TOO_BIG, CONSTRAINT, MISMATCH].contains(&code),
                })
            }
            _ => false,
        }
    }
}

const BUSY: u32 = 5;
const LOCKED: u32 = 6;
const TOO_BIG: u32 = 18;
const CONSTRAINT: u32 = 19;
const MISMATCH: u32 = 20;

/// An error's code: PostgreSQL's have five characters, SQLite's are numbers of fewer.
enum Code<'a> {
    Postgres(&'a str),
    /// Without what extends it.
    Sqlite(u32),
}

impl<'a> Code<'a> {
    fn of(code: &'a str) -> Self {
        match code.parse() {
            Ok(number) if code.len() < 5 => {
                let number: u32 = number;
                Self::Sqlite(number & 0xff)
            }
            _ => Self::Postgres(code),
        }
    }
}

/// Connection, resources, operator intervention, rollback and locks; a login that is refused while a
/// password changes; a server that is a replica still, or whose disk fails.
fn may_pass(code: &str) -> bool {
    const READ_ONLY: &str = "25006";
    const IDLE_TOO_LONG: &str = "25P03";
    ["08", "28", "40", "53", "55", "57", "58"].contains(&code.get(..2).unwrap_or_default())
        || [READ_ONLY, IDLE_TOO_LONG].contains(&code)
}

/// How a pool of connections stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolStatus {
    /// Connections there are.
    pub open: u32,
    /// Those that nobody uses.
    pub idle: usize,
    /// The most there may be.
    pub most: u32,
}

impl Db {
    /// How the pool stands; of SQLite's the one for reading.
    pub fn pool_status(&self) -> PoolStatus {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(db) => PoolStatus {
                open: db.pool().size(),
                idle: db.pool().num_idle(),
                most: db.pool().options().get_max_connections(),
            },
            #[cfg(feature = "sqlite")]
            Self::Sqlite(db) => PoolStatus {
                open: db.readers().size(),
                idle: db.readers().num_idle(),
                most: db.readers().options().get_max_connections(),
            },
        }
    }

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

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::fmt;

    use sqlx::error::{DatabaseError, ErrorKind};

    use super::*;

    #[derive(Debug)]
    struct Said(&'static str);

    impl fmt::Display for Said {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl std::error::Error for Said {}

    impl DatabaseError for Said {
        fn message(&self) -> &str {
            self.0
        }

        fn code(&self) -> Option<Cow<'_, str>> {
            Some(self.0.into())
        }

        fn as_error(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
            self
        }

        fn as_error_mut(&mut self) -> &mut (dyn std::error::Error + Send + Sync + 'static) {
            self
        }

        fn into_error(self: Box<Self>) -> Box<dyn std::error::Error + Send + Sync + 'static> {
            self
        }

        fn kind(&self) -> ErrorKind {
            ErrorKind::Other
        }
    }

    #[test]
    fn an_error_says_whether_it_may_pass_and_whether_the_data_is_at_fault() {
        let said = |code| Error::from(sqlx::Error::Database(Box::new(Said(code))));
        for code in [
            "08006", "25006", "25P03", "28P01", "28000", "40001", "53300", "55P03", "57P01",
            "58030", "5", "6", "261", "517",
        ] {
            assert!(said(code).is_transient(), "{code}");
            assert!(!said(code).is_about_the_data(), "{code}");
        }
        for code in [
            "22021", "22P05", "23505", "54000", "18", "19", "20", "2067", "787",
        ] {
            assert!(said(code).is_about_the_data(), "{code}");
            assert!(!said(code).is_transient(), "{code}");
        }
        // The rights, the schema, the disk or the file: nobody's data, and nothing that passes by itself.
        for code in [
            "42501", "42P01", "42703", "25001", "8", "10", "13", "1032", "5386",
        ] {
            assert!(!said(code).is_about_the_data(), "{code}");
            assert!(!said(code).is_transient(), "{code}");
        }
        let encode = sqlx::Error::Encode("a name of 2 GiB".into());
        assert!(Error::from(encode).is_about_the_data());
        assert!(!Error::Timeout(std::time::Duration::ZERO).is_about_the_data());
    }
}

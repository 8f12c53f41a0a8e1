use std::sync::Arc;

use windlass::db;

/// Why the platform's data was not read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The database said no, could not be reached, or did not answer in time.
    #[error(transparent)]
    Database(#[from] db::Error),
    /// The database is not one this program can work on; a person has to change it.
    #[error("the platform's database does not fit: {}", problems.join("; "))]
    Schema {
        /// What is wrong and what to do, one sentence each.
        problems: Vec<String>,
    },
    /// The tables could not be made or brought up to date.
    #[error("the platform's tables could not be made")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// It is not there, or belongs to another tenant.
    #[error("this tenant has no such {what}")]
    NotFound {
        /// What was looked for.
        what: &'static str,
    },
    /// What was given cannot be stored, now or later.
    #[error("cannot be stored: {problem}")]
    Invalid {
        /// What is wrong with it; never the value.
        problem: String,
    },
    /// A row holds what this program cannot read.
    #[error("a stored {what} cannot be read: {problem}")]
    Corrupt {
        /// What was read.
        what: &'static str,
        /// What is wrong with it; never the value.
        problem: String,
    },
    /// Several who wanted the same thing got the same error.
    #[error(transparent)]
    Shared(Arc<Error>),
    /// Too many keys were to be checked at once; later there is room.
    #[error("too many keys are being checked at once")]
    Busy,
    /// The transaction was begun on another kind of database.
    #[error("the transaction belongs to another database")]
    ForeignTransaction,
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

impl Error {
    /// Whether trying again later may help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Database(error) => error.is_transient(),
            Self::Shared(error) => error.is_transient(),
            Self::Busy => true,
            _ => false,
        }
    }
}

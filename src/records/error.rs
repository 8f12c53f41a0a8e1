use windlass::db;

/// Why the product's own tables were not read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The database said no, could not be reached, or did not answer in time.
    #[error(transparent)]
    Database(#[from] db::Error),
    /// The tables could not be made or brought up to date.
    #[error("the product's own tables could not be made")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// A row holds what this program cannot read.
    #[error("a stored {what} cannot be read: {problem}")]
    Corrupt {
        /// What was read.
        what: &'static str,
        /// What is wrong with it; never the value.
        problem: &'static str,
    },
    /// The connections are of a kind of database this room has no statements for.
    #[error("this kind of database is not known here")]
    UnknownDialect,
    /// The transaction is one of another kind of database.
    #[error("the transaction is one of another database")]
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
        matches!(self, Self::Database(error) if error.is_transient())
    }
}

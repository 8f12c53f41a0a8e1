use std::time::Duration;

use crate::db;

/// Why a store did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The database said no, could not be reached, or did not answer in time.
    #[error(transparent)]
    Db(#[from] db::Error),
    /// The schema is missing or from another version.
    #[error("the schema is at version {found} but this program needs {needed}: {remedy}")]
    Schema {
        /// What is there; 0 if nothing.
        found: i64,
        /// What is needed.
        needed: i64,
        /// What to do.
        remedy: &'static str,
    },
    /// Something between the program and its database breaks what sessions are for.
    #[error(
        "a pooler stands between this program and its database and {does}: connect past it, or tell \
         the store of it (`SettingsDelivery::Transaction`)"
    )]
    Pooler {
        /// What it was found to do.
        does: &'static str,
    },
    /// A setting is not at the version that its writer expected: somebody else was faster.
    #[error("setting {setting} is at version {found}, not {expected}: read it again, then decide")]
    Conflict {
        /// Its space, a slash and its name.
        setting: String,
        /// The version that was expected.
        expected: i64,
        /// The version that it is at; 0 if there is no such setting.
        found: i64,
    },
    /// It was to be done under a lease that is lost.
    #[error("the lease was lost: nothing was done")]
    LeaseLost,
    /// This store cannot do it at all; see [`super::Capabilities`].
    #[error("the {store} store cannot {verb}")]
    Unsupported {
        /// Which store.
        store: &'static str,
        /// Cannot what.
        verb: &'static str,
    },
    /// A row holds what this program never wrote.
    #[error("a stored job cannot be read: {0}")]
    Corrupt(String),
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Db(error.into())
    }
}

impl Error {
    /// It did not answer in time.
    pub fn timeout(after: Duration) -> Self {
        Self::Db(db::Error::Timeout(after))
    }

    /// Whether trying again later may help: the store is out of reach, busy or starting, rather
    /// than unwilling.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Db(error) if error.is_transient())
    }

    /// Whether what was to be stored is at fault; see [`db::Error::is_about_the_data`].
    pub fn is_about_the_data(&self) -> bool {
        matches!(self, Self::Db(error) if error.is_about_the_data())
    }
}

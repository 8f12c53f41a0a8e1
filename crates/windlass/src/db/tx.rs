use std::fmt;

use super::Error;

/// An open transaction of either dialect. Dropped without [`Tx::commit`], nothing of it remains.
pub struct Tx {
    inner: Inner,
    after_commit: Vec<Box<dyn FnOnce() + Send>>,
    lines: Vec<(Option<String>, String)>,
}

enum Inner {
    #[cfg(feature = "postgres")]
    Postgres(sqlx::Transaction<'static, sqlx::Postgres>),
    #[cfg(feature = "sqlite")]
    Sqlite(sqlx::Transaction<'static, sqlx::Sqlite>),
}

impl Tx {
    /// Runs something once the transaction is durable; never if it is not. For wake-ups.
    pub fn after_commit(&mut self, hook: impl FnOnce() + Send + 'static) {
        self.after_commit.push(Box::new(hook));
    }

    /// Notes that a job was added to a line (tenant and ordering key): who ends a job in the same
    /// transaction has to lock both lines in one order.
    pub(crate) fn joined_line(&mut self, tenant: Option<String>, ordering_key: String) {
        self.lines.push((tenant, ordering_key));
    }

    /// The lines that jobs were added to.
    pub(crate) fn joined_lines(&self) -> &[(Option<String>, String)] {
        &self.lines
    }

    /// The PostgreSQL connection inside, if it is one.
    #[cfg(feature = "postgres")]
    pub fn postgres(&mut self) -> Option<&mut sqlx::PgConnection> {
        match &mut self.inner {
            Inner::Postgres(tx) => Some(&mut *tx),
            #[cfg(feature = "sqlite")]
            Inner::Sqlite(_) => None,
        }
    }

    /// The SQLite connection inside, if it is one.
    #[cfg(feature = "sqlite")]
    pub fn sqlite(&mut self) -> Option<&mut sqlx::SqliteConnection> {
        match &mut self.inner {
            #[cfg(feature = "postgres")]
            Inner::Postgres(_) => None,
            Inner::Sqlite(tx) => Some(&mut *tx),
        }
    }

    /// Makes it durable.
    pub async fn commit(self) -> Result<(), Error> {
        match self.inner {
            #[cfg(feature = "postgres")]
            Inner::Postgres(tx) => tx.commit().await?,
            #[cfg(feature = "sqlite")]
            Inner::Sqlite(tx) => tx.commit().await?,
        }
        self.after_commit.into_iter().for_each(|hook| hook());
        Ok(())
    }

    /// Undoes it now rather than on drop.
    pub async fn rollback(self) -> Result<(), Error> {
        match self.inner {
            #[cfg(feature = "postgres")]
            Inner::Postgres(tx) => tx.rollback().await?,
            #[cfg(feature = "sqlite")]
            Inner::Sqlite(tx) => tx.rollback().await?,
        }
        Ok(())
    }
}

#[cfg(feature = "postgres")]
impl From<sqlx::Transaction<'static, sqlx::Postgres>> for Tx {
    fn from(tx: sqlx::Transaction<'static, sqlx::Postgres>) -> Self {
        Self {
            inner: Inner::Postgres(tx),
            after_commit: Vec::new(),
            lines: Vec::new(),
        }
    }
}

#[cfg(feature = "sqlite")]
impl From<sqlx::Transaction<'static, sqlx::Sqlite>> for Tx {
    fn from(tx: sqlx::Transaction<'static, sqlx::Sqlite>) -> Self {
        Self {
            inner: Inner::Sqlite(tx),
            after_commit: Vec::new(),
            lines: Vec::new(),
        }
    }
}

impl fmt::Debug for Tx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tx").finish_non_exhaustive()
    }
}

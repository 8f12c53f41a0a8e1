//! Connections for one kind of work.
//!
//! Claims, finishes, leases, enqueues and reads each have a few connections of their own, so that none
//! can starve another. A connection is kept only after work that ended well: one that timed out,
//! failed, or whose caller went away in the middle is closed, and with it whatever it had open. There
//! is no ping on return and none on the way out: a pool's would double the round trips of an enqueue.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::{AssertSqlSafe, Executor, PgConnection};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{Error, Session, pooled};
use crate::db::PgConnector;

#[derive(Debug)]
pub(super) struct Lane {
    connector: PgConnector,
    permits: Semaphore,
    idle: Mutex<Vec<PgConnection>>,
    timeout: Duration,
}

impl Lane {
    pub(super) fn new(connector: PgConnector, connections: usize, timeout: Duration) -> Self {
        Self {
            connector,
            permits: Semaphore::new(connections.max(1)),
            idle: Mutex::default(),
            timeout,
        }
    }

    /// Gives work on a connection the time that a call may take.
    pub(super) async fn bounded<T>(
        &self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let done = tokio::time::timeout(self.timeout, work)
            .await
            .unwrap_or_else(|_| Err(Error::timeout(self.timeout)));
        if let Err(error) = &done
            && error.is_transient()
            && !is_conflict(error)
        {
            // The others are likely as dead as this one was.
            self.idle().clear();
        }
        done.map_err(explained)
    }

    /// A connection, once one is free.
    pub(super) async fn connect(&self) -> Result<Held<'_>, Error> {
        let permit = self
            .permits
            .acquire()
            .await
            .expect("a lane never closes its semaphore");
        let idle = self.idle().pop();
        let connection = match idle {
            Some(idle) => idle,
            None => self.connector.connect().await?,
        };
        Ok(Held {
            lane: self,
            connection,
            _permit: permit,
        })
    }

    fn idle(&self) -> MutexGuard<'_, Vec<PgConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection in use. Closed when dropped, unless it is [kept](Held::keep).
#[derive(Debug)]
pub(super) struct Held<'a> {
    lane: &'a Lane,
    pub(super) connection: PgConnection,
    _permit: SemaphorePermit<'a>,
}

impl Held<'_> {
    /// Begins a call: behind a pooler of transactions, where nothing else keeps to one session of the
    /// server, in a transaction.
    pub(super) async fn open(&mut self) -> Result<Session<'_>, Error> {
        let begin = self.lane.connector.begin();
        if let Some(begin) = begin {
            // Safe: made of settings' names and quoted values, by the connector.
            let begin = sqlx::raw_sql(AssertSqlSafe(begin));
            begin.execute(&mut self.connection).await?;
        }
        Ok(Session::new(&mut self.connection, begin.is_none()))
    }

    /// Ends what [`Held::open`] began, if that needs an end.
    pub(super) async fn close(&mut self) -> Result<(), Error> {
        if self.lane.connector.begin().is_some() {
            self.connection.execute("commit").await?;
        }
        Ok(())
    }

    /// Begins a transaction. It has no other end than [`Held::commit`], or the connection's.
    pub(super) async fn begin(&mut self) -> Result<Session<'_>, Error> {
        if self.lane.connector.begin().is_none() {
            self.connection.execute("begin").await?;
        }
        self.open().await
    }

    pub(super) async fn commit(&mut self) -> Result<(), Error> {
        self.connection.execute("commit").await?;
        Ok(())
    }

    /// Puts it back: whatever it was used for has ended well.
    pub(super) fn keep(self) {
        self.lane.idle().push(self.connection);
    }
}

/// How often a transaction is tried that others got in the way of.
pub(super) const MOST_TRIES: usize = 4;

/// Does something on a connection of a lane: `run!(lane, |connection| work)`. Macros, because the
/// compiler cannot yet tell that the future of an async closure is `Send`.
macro_rules! run {
    ($lane:expr, |$connection:ident| $work:expr) => {{
        let lane = &$lane;
        lane.bounded(async {
            let mut held = lane.connect().await?;
            let $connection = &mut held.open().await?;
            let done: Result<_, $crate::store::Error> = async { $work }.await;
            let done = done?;
            held.close().await?;
            held.keep();
            Ok(done)
        })
        .await
    }};
}

/// The same in a transaction; tried again if another one got in the way.
macro_rules! transaction {
    ($lane:expr, |$connection:ident| $work:expr) => {{
        let lane = &$lane;
        let mut tries = 0;
        loop {
            let done = lane
                .bounded(async {
                    let mut held = lane.connect().await?;
                    let $connection = &mut held.begin().await?;
                    let done: Result<_, $crate::store::Error> = async { $work }.await;
                    let done = done?;
                    held.commit().await?;
                    held.keep();
                    Ok(done)
                })
                .await;
            tries += 1;
            match done {
                Err(error)
                    if tries < $crate::store::postgres::lane::MOST_TRIES
                        && $crate::store::postgres::lane::is_conflict(&error) => {}
                done => break done,
            }
        }
    }};
}

pub(super) use {run, transaction};

/// A deadlock or a serialization failure: nothing happened, and trying again helps.
pub(super) fn is_conflict(error: &Error) -> bool {
    code(error).is_some_and(|code| code == "40P01" || code == "40001")
}

/// Says what to do where the schema is missing, or a pooler stands in the way.
fn explained(error: Error) -> Error {
    if let Some(error) = pooled::betrayed(&error) {
        return error;
    }
    match code(&error).as_deref() {
        // Undefined table, schema, function or column.
        Some("42P01" | "3F000" | "42883" | "42703") => Error::Schema {
            found: 0,
            needed: super::schema::newest(),
            remedy: "run the migration first",
        },
        _ => error,
    }
}

/// The SQLSTATE, if the database said no.
pub(super) fn code(error: &Error) -> Option<String> {
    match error {
        Error::Db(crate::db::Error::Sqlx(sqlx::Error::Database(error))) => {
            error.code().map(Into::into)
        }
        _ => None,
    }
}

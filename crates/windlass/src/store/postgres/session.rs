//! What statements run on: a connection, and whether the server may remember them by name.
//!
//! A statement with a name is planned once and belongs to one session of the server. A pooler of
//! transactions gives each transaction another session, which knows other names: there, statements go
//! without, and are planned each time.

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArguments, PgCopyIn, PgQueryResult, PgRow, PgStatement, PgTypeInfo};
use sqlx::{Either, Execute, Executor, PgConnection, Postgres, SqlStr};

use super::Error;

#[derive(Debug)]
pub(super) struct Session<'c> {
    connection: &'c mut PgConnection,
    named: bool,
}

impl<'c> Session<'c> {
    pub(super) const fn new(connection: &'c mut PgConnection, named: bool) -> Self {
        Self { connection, named }
    }

    pub(super) async fn copy_in(
        &mut self,
        statement: &'static str,
    ) -> Result<PgCopyIn<&mut PgConnection>, Error> {
        Ok(self.connection.copy_in_raw(statement).await?)
    }
}

impl<'s> Executor<'s> for &'s mut Session<'_> {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, Result<Either<PgQueryResult, PgRow>, sqlx::Error>>
    where
        's: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let named = self.named;
        (&mut *self.connection).fetch_many(Named { query, named })
    }

    fn fetch_optional<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxFuture<'e, Result<Option<PgRow>, sqlx::Error>>
    where
        's: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let named = self.named;
        (&mut *self.connection).fetch_optional(Named { query, named })
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, sqlx::Error>>
    where
        's: 'e,
    {
        (&mut *self.connection).prepare_with(sql, parameters)
    }

    fn describe<'e>(
        self,
        sql: SqlStr,
    ) -> BoxFuture<'e, Result<sqlx::Describe<Postgres>, sqlx::Error>>
    where
        's: 'e,
    {
        (&mut *self.connection).describe(sql)
    }
}

/// A statement that has a name only where names last.
struct Named<E> {
    query: E,
    named: bool,
}

impl<'q, E: Execute<'q, Postgres>> Execute<'q, Postgres> for Named<E> {
    fn sql(self) -> SqlStr {
        self.query.sql()
    }

    fn statement(&self) -> Option<&PgStatement> {
        self.query.statement()
    }

    fn take_arguments(&mut self) -> Result<Option<PgArguments>, BoxDynError> {
        self.query.take_arguments()
    }

    fn persistent(&self) -> bool {
        self.named && self.query.persistent()
    }
}

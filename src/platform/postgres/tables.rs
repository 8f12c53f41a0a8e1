use std::time::Duration;

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio_util::sync::CancellationToken;

use super::super::Error;
use super::super::schema::TABLES;
use super::super::tables::{IndexHealth, Reindexed, TableHealth, Tables};
use super::{PostgresRepository, sql};

/// Canceled on our own request, or by an administrator.
const QUERY_CANCELED: &str = "57014";
const LOCK_NOT_AVAILABLE: &str = "55P03";
const INSUFFICIENT_PRIVILEGE: &str = "42501";

#[async_trait]
impl Tables for PostgresRepository {
    async fn table_health(&self) -> Result<Vec<TableHealth>, Error> {
        Ok(sqlx::query_as(sql::TABLE_HEALTH)
            .bind(TABLES)
            .fetch_all(self.db.pool())
            .await?)
    }

    async fn index_health(&self) -> Result<Vec<IndexHealth>, Error> {
        Ok(sqlx::query_as(sql::INDEX_HEALTH)
            .bind(TABLES)
            .fetch_all(self.db.pool())
            .await?)
    }

    async fn oldest_transaction_ms(&self) -> Result<Option<u64>, Error> {
        let open: Option<i64> = sqlx::query_scalar(sql::OLDEST_TRANSACTION)
            .fetch_one(self.db.pool())
            .await?;
        Ok(open.and_then(|open| u64::try_from(open).ok()))
    }

    async fn reindex(
        &self,
        index: &str,
        patience: Duration,
        stop: CancellationToken,
    ) -> Result<Reindexed, Error> {
        // No other statement may inherit this one's settings and its lock: the connection is not given
        // back, and the lock goes with it.
        let mut connection = self.db.pool().acquire().await?.detach();
        let (alone, backend): (bool, i32) = sqlx::query_as(sql::BEGIN_REINDEX)
            .bind(
                i64::try_from(patience.as_millis())
                    .unwrap_or(i64::MAX)
                    .to_string(),
            )
            .fetch_one(&mut connection)
            .await?;
        if !alone {
            return Ok(Reindexed::Busy);
        }
        let work = rebuild(&mut connection, index);
        let done = tokio::select! {
            done = work => done,
            () = stop.cancelled() => {
                // Without its client the server would go on for a while, and for nothing.
                sqlx::query(sql::END_REINDEX).bind(backend).execute(self.db.pool()).await?;
                return Ok(Reindexed::Stopped);
            }
        };
        let ended = match done {
            Ok(ended) => ended,
            Err(error) => refused(&error).ok_or(error)?,
        };
        connection.close().await?;
        Ok(ended)
    }
}

/// Drops what earlier attempts left behind, then makes the index anew. The server itself writes the
/// statements, from its catalogue: no name is ever put into one here.
async fn rebuild(connection: &mut PgConnection, index: &str) -> Result<Reindexed, sqlx::Error> {
    let statement: Option<String> = sqlx::query_scalar(sql::REINDEX)
        .bind(TABLES)
        .bind(index)
        .fetch_optional(&mut *connection)
        .await?;
    let Some(statement) = statement else {
        return Ok(Reindexed::Unknown);
    };
    let leftovers: Vec<(String, String)> = sqlx::query_as(sql::DROP_LEFTOVERS)
        .bind(TABLES)
        .bind(index)
        .fetch_all(&mut *connection)
        .await?;
    let mut dropped = Vec::new();
    for (name, drop) in leftovers {
        run(connection, drop).await?;
        dropped.push(name);
    }
    run(connection, statement).await?;
    Ok(Reindexed::Done { dropped })
}

/// `statement` comes from the server's `format`.
async fn run(connection: &mut PgConnection, statement: String) -> Result<(), sqlx::Error> {
    let done = sqlx::raw_sql(AssertSqlSafe(statement)).execute(connection);
    done.await.map(drop)
}

fn refused(error: &sqlx::Error) -> Option<Reindexed> {
    match error.as_database_error()?.code()?.as_ref() {
        QUERY_CANCELED => Some(Reindexed::Stopped),
        LOCK_NOT_AVAILABLE => Some(Reindexed::TimedOut),
        INSUFFICIENT_PRIVILEGE => Some(Reindexed::Denied),
        _ => None,
    }
}

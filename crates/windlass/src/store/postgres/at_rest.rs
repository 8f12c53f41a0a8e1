//! Values as they are stored.

use async_trait::async_trait;
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::lane::run;
use super::{Error, PgStore, Session, rows, sql};
use crate::model::{JobId, Json};
use crate::store::{AtRest, Rewrite, Values, Walk};

#[async_trait]
impl Values for PgStore {
    async fn walk(&self, walk: Walk) -> Result<Vec<AtRest>, Error> {
        run!(self.shared.reads, |connection| {
            sqlx::query(sql::WALK)
                .bind(walk.after.map_or(Uuid::nil(), JobId::as_uuid))
                .bind(i64::from(walk.limit))
                .bind(walk.finished)
                .fetch_all(connection)
                .await?
                .iter()
                .map(at_rest)
                .collect()
        })
    }

    /// One row at a time: a batch would lock rows in an order that completions do not.
    async fn rewrite(&self, rewrites: &[Rewrite]) -> Result<Vec<bool>, Error> {
        let mut done = Vec::with_capacity(rewrites.len());
        for rewrite in rewrites {
            done.push(run!(self.shared.reads, |connection| {
                rewrite_one(connection, rewrite).await
            })?);
        }
        Ok(done)
    }
}

async fn rewrite_one(connection: &mut Session<'_>, rewrite: &Rewrite) -> Result<bool, Error> {
    // A result is only of a finished job, a checkpoint only of an unfinished one.
    if rewrite.result.is_none()
        && changed(
            connection,
            sql::REWRITE,
            rewrite,
            rewrite.checkpoint.as_ref(),
        )
        .await?
    {
        return Ok(true);
    }
    Ok(rewrite.checkpoint.is_none()
        && changed(
            connection,
            sql::REWRITE_FINISHED,
            rewrite,
            rewrite.result.as_ref(),
        )
        .await?)
}

async fn changed(
    connection: &mut Session<'_>,
    statement: &'static str,
    rewrite: &Rewrite,
    other: Option<&(Json, Json)>,
) -> Result<bool, Error> {
    let mut query = sqlx::query(statement).bind(rewrite.id.as_uuid());
    for change in [rewrite.args.as_ref(), other] {
        let (from, to) = change
            .as_ref()
            .map(|(f, t)| (f.as_str(), t.as_str()))
            .unzip();
        query = query.bind(from).bind(to);
    }
    Ok(query.execute(connection).await?.rows_affected() > 0)
}

/// The columns of `walk.sql`.
fn at_rest(row: &PgRow) -> Result<AtRest, Error> {
    Ok(AtRest {
        id: rows::id(row, 0)?,
        kind: row.try_get(1)?,
        tenant_id: row.try_get(2)?,
        args: rows::json(row, 3)?,
        result: rows::json(row, 4)?,
        checkpoint: rows::json(row, 5)?,
    })
}

use std::time::Duration;

use uuid::Uuid;
use windlass::db::{Sqlite, Tx};

use super::super::Error;
use super::super::access_keys::{NewAccessKey, Row};
use super::{of, sql};

/// Whether its name was free.
pub(in crate::records) async fn insert(
    tx: &mut Tx,
    id: Uuid,
    digest: &[u8],
    new: &NewAccessKey<'_>,
) -> Result<bool, Error> {
    let done = sqlx::query(sql::INSERT_ACCESS_KEY)
        .bind(id)
        .bind(new.name)
        .bind(new.role.as_str())
        .bind(new.tenant)
        .bind(digest)
        .bind(new.by)
        .bind(new.expires_in.map(millis))
        .execute(of(tx)?)
        .await?;
    Ok(done.rows_affected() > 0)
}

pub(in crate::records) async fn all(db: &Sqlite) -> Result<Vec<Row>, Error> {
    Ok(sqlx::query_as(sql::ACCESS_KEYS)
        .fetch_all(db.readers())
        .await?)
}

pub(in crate::records) async fn good(db: &Sqlite, digest: &[u8]) -> Result<Option<Row>, Error> {
    Ok(sqlx::query_as(sql::ACCESS_KEY)
        .bind(digest)
        .fetch_optional(db.readers())
        .await?)
}

pub(in crate::records) async fn any(db: &Sqlite) -> Result<bool, Error> {
    Ok(sqlx::query_scalar(sql::HAS_ACCESS_KEYS)
        .fetch_one(db.readers())
        .await?)
}

pub(in crate::records) async fn touch(db: &Sqlite, id: Uuid) -> Result<(), Error> {
    sqlx::query(sql::TOUCH_ACCESS_KEY)
        .bind(id)
        .execute(db.writer())
        .await?;
    Ok(())
}

/// Its id, if there was one.
pub(in crate::records) async fn revoke(
    tx: &mut Tx,
    id: Option<Uuid>,
    name: &str,
) -> Result<Option<Uuid>, Error> {
    Ok(sqlx::query_scalar(sql::REVOKE_ACCESS_KEY)
        .bind(id)
        .bind(name)
        .fetch_optional(of(tx)?)
        .await?)
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

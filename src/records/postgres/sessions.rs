use std::time::Duration;

use uuid::Uuid;
use windlass::db::{Postgres, Tx};

use super::super::sessions::{LinkRow, NewSession, Row};
use super::super::{Error, Role};
use super::{of, sql};

pub(in crate::records) async fn open(
    tx: &mut Tx,
    id: Uuid,
    digest: &[u8],
    new: &NewSession<'_>,
) -> Result<(), Error> {
    sqlx::query(sql::PRUNE_SESSIONS).execute(of(tx)?).await?;
    sqlx::query(sql::OPEN_SESSION)
        .bind(digest)
        .bind(id)
        .bind(new.kind)
        .bind(new.identity)
        .bind(new.name)
        .bind(new.role.as_str())
        .bind(new.tenant)
        .bind(millis(new.lasts))
        .execute(of(tx)?)
        .await?;
    Ok(())
}

pub(in crate::records) async fn get(
    db: &Postgres,
    digest: &[u8],
    idle: Duration,
) -> Result<Option<Row>, Error> {
    Ok(sqlx::query_as(sql::SESSION)
        .bind(digest)
        .bind(millis(idle))
        .fetch_optional(db.pool())
        .await?)
}

pub(in crate::records) async fn touch(db: &Postgres, digest: &[u8]) -> Result<(), Error> {
    sqlx::query(sql::TOUCH_SESSION)
        .bind(digest)
        .execute(db.pool())
        .await?;
    Ok(())
}

pub(in crate::records) async fn end(tx: &mut Tx, digest: &[u8]) -> Result<bool, Error> {
    let done = sqlx::query(sql::END_SESSION)
        .bind(digest)
        .execute(of(tx)?)
        .await?;
    Ok(done.rows_affected() > 0)
}

pub(in crate::records) async fn end_of(
    tx: &mut Tx,
    kind: &str,
    identity: &str,
) -> Result<(), Error> {
    sqlx::query(sql::END_SESSIONS_OF)
        .bind(kind)
        .bind(identity)
        .execute(of(tx)?)
        .await?;
    Ok(())
}

pub(in crate::records) async fn add_link(
    db: &Postgres,
    digest: &[u8],
    name: &str,
    role: Role,
    lasts: Duration,
) -> Result<(), Error> {
    sqlx::query(sql::ADD_SIGN_IN_LINK)
        .bind(digest)
        .bind(name)
        .bind(role.as_str())
        .bind(millis(lasts))
        .execute(db.pool())
        .await?;
    Ok(())
}

pub(in crate::records) async fn take_link(
    tx: &mut Tx,
    digest: &[u8],
) -> Result<Option<LinkRow>, Error> {
    Ok(sqlx::query_as(sql::TAKE_SIGN_IN_LINK)
        .bind(digest)
        .fetch_optional(of(tx)?)
        .await?)
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

//! Retention, and what else keeps the file in shape. Space is reused, not given back: the file is
//! never rewritten, which would lock everyone out.

use std::time::Duration;

use super::super::{Error, Prune};
use super::rows::micros;
use super::{at, flows, signals};
use crate::db;
use crate::model::Timestamp;

const DROP_BUCKETS: &str = include_str!("sql/drop_buckets.sql");
const PRUNE: &str = include_str!("sql/prune.sql");
const UNIQUE_EXPIRE: &str = include_str!("sql/unique_expire.sql");

/// Every bucket is full again after so long.
const BUCKETS_KEPT: Duration = Duration::from_hours(48);

/// How many expired keys go in one transaction.
const KEYS_AT_ONCE: u32 = 10_000;

pub(super) async fn prune(db: &db::Sqlite, prune: Prune) -> Result<u64, Error> {
    let now = at(prune.now);
    let done = sqlx::query(PRUNE)
        .bind(micros(now.minus(prune.completed)))
        .bind(micros(now.minus(prune.cancelled)))
        .bind(micros(now.minus(prune.dead)))
        .bind(prune.limit)
        .execute(db.writer())
        .await?;
    flows::prune_flows(db, prune, now).await?;
    expire_keys(db, now).await?;
    Ok(done.rows_affected())
}

pub(super) async fn maintain(db: &db::Sqlite, now: Option<Timestamp>) -> Result<(), Error> {
    let now = at(now);
    expire_keys(db, now).await?;
    sqlx::query(DROP_BUCKETS)
        .bind(micros(now.minus(BUCKETS_KEPT)))
        .bind(KEYS_AT_ONCE)
        .execute(db.writer())
        .await?;
    signals::sweep(db).await
}

async fn expire_keys(db: &db::Sqlite, now: Timestamp) -> Result<(), Error> {
    sqlx::query(UNIQUE_EXPIRE)
        .bind(micros(now))
        .bind(KEYS_AT_ONCE)
        .execute(db.writer())
        .await?;
    Ok(())
}

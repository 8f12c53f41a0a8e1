//! Retention, partitions, leftovers.

use std::sync::PoisonError;
use std::time::Duration;

use sqlx::Row;
use uuid::Uuid;

use super::lane::{run, transaction};
use super::rows::Time;
use super::{Error, Session, Shared, lines, rows, sql};
use crate::model::Timestamp;
use crate::store::Prune;

/// Rows looked at by one statement of maintenance.
const BATCH: i64 = 10_000;

/// Every bucket is full again after so long.
const BUCKETS_KEPT: Duration = Duration::from_hours(48);

/// Statements of one kind in one call, so that none goes on for ever.
const MOST_BATCHES: usize = 50;

impl Shared {
    /// Drops the days that are over as a whole, then deletes what is over of the others.
    pub(super) async fn prune(&self, prune: Prune) -> Result<u64, Error> {
        let now = match prune.now {
            Some(now) => now,
            None => self.now().await?,
        };
        let before = |keep: Duration| rows::time(now.minus(keep));
        let shortest = prune.completed.min(prune.cancelled).min(prune.dead);
        let dropped = self.drop_partitions(before(prune.completed)).await?;
        let deleted = run!(self.upkeep, |connection| {
            Ok(sqlx::query(sql::PRUNE)
                .bind(before(prune.completed))
                .bind(before(prune.cancelled))
                .bind(before(prune.dead))
                .bind(i64::from(prune.limit))
                .bind(before(shortest))
                .execute(connection)
                .await?)
        })?;
        self.prune_flows(prune, now).await?;
        Ok(deleted.rows_affected() + dropped)
    }

    async fn drop_partitions(&self, before: Time) -> Result<u64, Error> {
        let mut dropped = 0;
        loop {
            let jobs: Option<i64> = run!(self.upkeep, |connection| {
                Ok(sqlx::query_scalar(sql::DROP_PARTITION)
                    .bind(before)
                    .fetch_one(connection)
                    .await?)
            })
            .or_else(unless_busy)?;
            match jobs {
                Some(jobs) => dropped += u64::try_from(jobs).unwrap_or(0),
                None => return Ok(dropped),
            }
        }
    }

    pub(super) async fn maintain(&self, now: Option<Timestamp>) -> Result<(), Error> {
        self.add_partitions().await?;
        self.expire_keys(now).await?;
        self.sweep_keys().await?;
        self.drop_buckets(now).await?;
        self.sweep_signals().await?;
        self.repair_lines(now).await
    }

    async fn add_partitions(&self) -> Result<(), Error> {
        run!(self.upkeep, |connection| {
            sqlx::query(sql::ADD_PARTITIONS)
                .bind(self.partitions_ahead)
                .execute(connection)
                .await?;
            Ok(())
        })
        .or_else(unless_busy)?;
        Ok(())
    }

    /// Drops keys whose window is over.
    async fn expire_keys(&self, now: Option<Timestamp>) -> Result<(), Error> {
        for _ in 0..MOST_BATCHES {
            let dropped = run!(self.upkeep, |connection| {
                Ok(sqlx::query(sql::UNIQUE_EXPIRE)
                    .bind(now.map(rows::time))
                    .bind(BATCH)
                    .execute(connection)
                    .await?)
            })?;
            if dropped.rows_affected() == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Drops keys without a window that a finish left behind. Goes on where the last call stopped.
    async fn sweep_keys(&self) -> Result<(), Error> {
        let from = self.swept().clone();
        let next = run!(self.upkeep, |connection| {
            let row = sqlx::query(sql::UNIQUE_SWEEP)
                .bind(from)
                .bind(BATCH)
                .fetch_one(connection)
                .await?;
            let whole: i64 = row.try_get(0)?;
            let last: Option<String> = row.try_get(1)?;
            Ok(last.filter(|_| whole == BATCH))
        })?;
        *self.swept() = next.unwrap_or_default();
        Ok(())
    }

    /// Forgets tokens that have come back long ago.
    async fn drop_buckets(&self, now: Option<Timestamp>) -> Result<(), Error> {
        let now = match now {
            Some(now) => now,
            None => self.now().await?,
        };
        run!(self.upkeep, |connection| {
            sqlx::query(sql::DROP_BUCKETS)
                .bind(rows::time(now.minus(BUCKETS_KEPT)))
                .bind(BATCH)
                .execute(connection)
                .await?;
            Ok(())
        })
    }

    /// Deletes signals of jobs that have finished. Goes on where the last call stopped.
    async fn sweep_signals(&self) -> Result<(), Error> {
        let from = *self.swept_signals();
        let next = run!(self.upkeep, |connection| {
            let row = sqlx::query(sql::SWEEP_SIGNALS)
                .bind(from)
                .bind(BATCH)
                .fetch_one(connection)
                .await?;
            let whole: i64 = row.try_get(0)?;
            let last: Option<Uuid> = row.try_get(1)?;
            Ok(last.filter(|_| whole == BATCH))
        })?;
        *self.swept_signals() = next.unwrap_or_default();
        Ok(())
    }

    fn swept_signals(&self) -> std::sync::MutexGuard<'_, Uuid> {
        self.swept_signals
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the head go of every line that has none.
    async fn repair_lines(&self, now: Option<Timestamp>) -> Result<(), Error> {
        let stuck = run!(self.upkeep, |connection| stuck_lines(connection).await)?;
        if stuck.is_empty() {
            return Ok(());
        }
        tracing::warn!(
            lines = stuck.len(),
            "ordering keys stood still; their next jobs go on"
        );
        let freed = transaction!(self.upkeep, |connection| {
            lines::lock_all(connection, &stuck).await?;
            lines::hand_on(connection, &stuck, now.map(rows::time)).await
        })?;
        self.freed(&freed);
        Ok(())
    }

    fn swept(&self) -> std::sync::MutexGuard<'_, String> {
        self.swept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn stuck_lines(connection: &mut Session<'_>) -> Result<Vec<lines::Line>, Error> {
    sqlx::query(sql::STUCK_LINES)
        .bind(BATCH)
        .fetch_all(connection)
        .await?
        .iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect()
}

/// Changing partitions waits for nobody: if someone reads them, there is a next time.
fn unless_busy<T: Default>(error: Error) -> Result<T, Error> {
    let busy = matches!(
        &error,
        Error::Db(crate::db::Error::Sqlx(sqlx::Error::Database(error)))
            if error.code().is_some_and(|code| code == "55P03")
    );
    if busy {
        tracing::debug!("partitions are in use; trying again next time");
        return Ok(T::default());
    }
    Err(error)
}

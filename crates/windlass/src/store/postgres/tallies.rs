//! What happened, counted per step of time.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::lane::run;
use super::{Error, PgStore, rows, sql};
use crate::model::{Counted, CountedAt, Measure, Timestamp};
use crate::store::tallies::seconds;
use crate::store::{Grain, Tallied, Tallies};

#[async_trait]
impl Tallies for PgStore {
    async fn tally(&self, counted: &[Counted], now: Option<Timestamp>) -> Result<(), Error> {
        let queues: Vec<&str> = counted.iter().map(|c| c.queue.as_str()).collect();
        let measures: Vec<i16> = counted.iter().map(|c| c.measure.code()).collect();
        let numbers: Vec<i64> = counted
            .iter()
            .map(|c| i64::try_from(c.n).unwrap_or(i64::MAX))
            .collect();
        run!(self.shared.leases, |connection| {
            sqlx::query(sql::TALLY)
                .bind(&queues)
                .bind(&measures)
                .bind(&numbers)
                .bind(now.map(rows::time))
                .execute(connection)
                .await?;
            Ok(())
        })
    }

    async fn tallied(&self, tallied: Tallied) -> Result<Vec<CountedAt>, Error> {
        run!(self.shared.reads, |connection| {
            sqlx::query(sql::TALLIED)
                .bind(i32::try_from(tallied.grain.seconds()).unwrap_or(i32::MAX))
                .bind(seconds(tallied.range))
                .bind(seconds(tallied.step))
                .bind(tallied.now.map(rows::time))
                .fetch_all(connection)
                .await?
                .iter()
                .filter_map(|row| counted(row).transpose())
                .collect()
        })
    }

    async fn prune_tallies(
        &self,
        grain: Grain,
        keep: Duration,
        now: Option<Timestamp>,
    ) -> Result<(), Error> {
        run!(self.shared.leases, |connection| {
            sqlx::query(sql::PRUNE_TALLIES)
                .bind(i32::try_from(grain.seconds()).unwrap_or(i32::MAX))
                .bind(seconds(keep))
                .bind(now.map(rows::time))
                .execute(connection)
                .await?;
            Ok(())
        })
    }
}

/// `None` for what a later program counts.
fn counted(row: &PgRow) -> Result<Option<CountedAt>, Error> {
    let Some(measure) = Measure::of_code(row.try_get("measure")?) else {
        return Ok(None);
    };
    Ok(Some(CountedAt {
        at: Timestamp::from_micros(row.try_get::<i64, _>("at")? * 1_000_000),
        counted: Counted {
            queue: row.try_get("queue")?,
            measure,
            n: u64::try_from(row.try_get::<i64, _>("n")?).unwrap_or(0),
        },
    }))
}

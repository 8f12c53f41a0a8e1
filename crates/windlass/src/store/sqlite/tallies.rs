//! What happened, counted per step of time.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{SqliteStore, at, rows, timed};
use crate::model::{Counted, CountedAt, Measure, Timestamp};
use crate::store::tallies::{began, seconds};
use crate::store::{Error, Grain, Tallied, Tallies};

const TALLY: &str = include_str!("sql/tally.sql");
const TALLIED: &str = include_str!("sql/tallied.sql");
const PRUNE_TALLIES: &str = include_str!("sql/prune_tallies.sql");

#[async_trait]
impl Tallies for SqliteStore {
    async fn tally(&self, counted: &[Counted], now: Option<Timestamp>) -> Result<(), Error> {
        let added: Vec<_> = counted
            .iter()
            .map(|counted| (&counted.queue, counted.measure.code(), counted.n))
            .collect();
        timed(async {
            sqlx::query(TALLY)
                .bind(began(at(now), 1))
                .bind(rows::encode(&added)?)
                .execute(self.db.writer())
                .await?;
            Ok(())
        })
        .await
    }

    async fn tallied(&self, tallied: Tallied) -> Result<Vec<CountedAt>, Error> {
        let step = seconds(tallied.step);
        timed(async {
            let rows = sqlx::query(TALLIED)
                .bind(tallied.grain.seconds())
                .bind(began(at(tallied.now).minus(tallied.range), step))
                .bind(step)
                .fetch_all(self.db.readers())
                .await?;
            rows.iter()
                .filter_map(|row| counted(row).transpose())
                .collect()
        })
        .await
    }

    async fn prune_tallies(
        &self,
        grain: Grain,
        keep: Duration,
        now: Option<Timestamp>,
    ) -> Result<(), Error> {
        timed(async {
            sqlx::query(PRUNE_TALLIES)
                .bind(grain.seconds())
                .bind(began(at(now).minus(keep), grain.seconds()))
                .execute(self.db.writer())
                .await?;
            Ok(())
        })
        .await
    }
}

/// `None` for what a later program counts.
fn counted(row: &SqliteRow) -> Result<Option<CountedAt>, Error> {
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

//! How the database's tables and indexes stand: which want a vacuum, which indexes are broken or bloated,
//! and making one of them anew.

use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{Error, Platform};

/// Dead rows are normal up to this many times what makes autovacuum begin.
const BEHIND: f64 = 2.0;
/// An index smaller than this is not worth making anew, in bytes.
const WORTH_IT: i64 = 8 << 20;
/// How much of an index may be air.
const BLOATED: f64 = 0.5;

/// A table, as the database counts it.
#[derive(Debug, Clone, PartialEq, Serialize, sqlx::FromRow)]
pub struct TableHealth {
    /// Its name, with its schema.
    pub name: String,
    /// Its size without its indexes, in bytes.
    pub bytes: i64,
    /// Rows that count.
    pub live_rows: i64,
    /// Rows that were deleted or changed, and are still there.
    pub dead_rows: i64,
    /// How many dead rows make the server's autovacuum begin.
    pub vacuum_from: i64,
    /// Transactions since it was last frozen, as a part of how many there may be: from 1 the server insists.
    pub freeze_age: f64,
}

/// An index, as the database's catalogue has it.
#[derive(Debug, Clone, PartialEq, Serialize, sqlx::FromRow)]
pub struct IndexHealth {
    /// Its name, with its schema.
    pub name: String,
    /// Its table's.
    pub table: String,
    /// Such as `btree`.
    pub method: String,
    /// Its size, in bytes.
    pub bytes: i64,
    /// Whether queries may use it.
    pub valid: bool,
    /// Whether it is what a making anew that was broken off left behind.
    pub leftover: bool,
    /// How much of it is air, 0 to 1, by its rows and their width; `None` where that is not known.
    pub bloat: Option<f64>,
}

/// What wants to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Advice {
    /// Autovacuum does not keep up with its dead rows.
    Vacuum,
    /// Its rows are older than the server likes: `vacuum (freeze)`.
    Freeze,
    /// Queries do not use it, and writes still pay for it: make it anew.
    Invalid,
    /// A making anew was broken off: make the index of the same name, without the end, anew, or drop this.
    Leftover,
    /// It is mostly air: make it anew.
    Bloated,
}

/// Something of the report, and what wants to be done about it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Advised<T> {
    /// What.
    #[serde(flatten)]
    pub what: T,
    /// What wants to be done, the most urgent first; nothing if it is well.
    pub advice: Vec<Advice>,
}

/// How the tables and indexes stand. Empty on SQLite, which looks after itself.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct TablesReport {
    /// Tables, by name.
    pub tables: Vec<Advised<TableHealth>>,
    /// Indexes, by name.
    pub indexes: Vec<Advised<IndexHealth>>,
}

/// What became of an index that was to be made anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reindexed {
    /// It is new.
    Done {
        /// What earlier attempts had left behind, and is gone.
        dropped: Vec<String>,
    },
    /// There is no index of that name among the tables of the platform and the engine.
    Unknown,
    /// Another one is being made anew.
    Busy,
    /// It was told to stop. What it had begun is reported as a leftover, and goes with the next attempt.
    Stopped,
    /// It waited as long as it may for others to let go of the table.
    TimedOut,
    /// The database's role may not do it.
    Denied,
}

/// What one dialect does for the upkeep of tables, as [`super::repository::Repository`] does for the rest.
#[async_trait]
pub(super) trait Tables {
    async fn table_health(&self) -> Result<Vec<TableHealth>, Error>;
    async fn index_health(&self) -> Result<Vec<IndexHealth>, Error>;
    async fn oldest_transaction_ms(&self) -> Result<Option<u64>, Error>;
    async fn reindex(
        &self,
        index: &str,
        patience: Duration,
        stop: CancellationToken,
    ) -> Result<Reindexed, Error>;
}

impl TableHealth {
    fn advice(&self) -> Vec<Advice> {
        let mut advice = Vec::new();
        if self.freeze_age >= 1.0 {
            advice.push(Advice::Freeze);
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "counts of rows, compared roughly"
        )]
        let behind = self.dead_rows as f64 > BEHIND * self.vacuum_from as f64;
        if behind {
            advice.push(Advice::Vacuum);
        }
        advice
    }
}

impl IndexHealth {
    fn advice(&self) -> Vec<Advice> {
        let bloated = self.bytes >= WORTH_IT && self.bloat.is_some_and(|bloat| bloat >= BLOATED);
        if self.leftover {
            vec![Advice::Leftover]
        } else if !self.valid {
            vec![Advice::Invalid]
        } else if bloated {
            vec![Advice::Bloated]
        } else {
            Vec::new()
        }
    }
}

impl TablesReport {
    /// Only what wants something to be done.
    #[must_use]
    pub fn advised(mut self) -> Self {
        self.tables.retain(|table| !table.advice.is_empty());
        self.indexes.retain(|index| !index.advice.is_empty());
        self
    }
}

impl Platform {
    /// How the tables of the platform and of the engine stand.
    pub async fn tables_report(&self) -> Result<TablesReport, Error> {
        let tables = self.repository.table_health().await?.into_iter();
        let indexes = self.repository.index_health().await?.into_iter();
        Ok(TablesReport {
            tables: tables
                .map(|what| Advised {
                    advice: what.advice(),
                    what,
                })
                .collect(),
            indexes: indexes
                .map(|what| Advised {
                    advice: what.advice(),
                    what,
                })
                .collect(),
        })
    }

    /// How long the oldest transaction of the database has been open, in milliseconds, as far as the
    /// program's role may see; `None` if there is no other, and on SQLite.
    pub async fn oldest_transaction_ms(&self) -> Result<Option<u64>, Error> {
        self.repository.oldest_transaction_ms().await
    }

    /// Makes an index anew, by the name that the report gives it, while everybody works on. It waits at
    /// most `patience` at a time for others to let go of the table, and ends early when `stop` fires.
    pub async fn reindex(
        &self,
        index: &str,
        patience: Duration,
        stop: CancellationToken,
    ) -> Result<Reindexed, Error> {
        self.repository.reindex(index, patience, stop).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_wants_what_the_server_does_not_get_done() {
        let table = |dead_rows, freeze_age| TableHealth {
            name: "public.events".into(),
            bytes: 1,
            live_rows: 1000,
            dead_rows,
            vacuum_from: 250,
            freeze_age,
        };
        assert_eq!(table(500, 0.9).advice(), []);
        assert_eq!(table(501, 0.9).advice(), [Advice::Vacuum]);
        assert_eq!(table(0, 1.0).advice(), [Advice::Freeze]);
        assert_eq!(table(501, 1.5).advice(), [Advice::Freeze, Advice::Vacuum]);
    }

    #[test]
    fn an_index_wants_one_thing_at_a_time() {
        let index = |valid, leftover, bytes, bloat| IndexHealth {
            name: "public.i".into(),
            table: "public.t".into(),
            method: "btree".into(),
            bytes,
            valid,
            leftover,
            bloat,
        };
        assert_eq!(index(true, false, WORTH_IT, Some(0.49)).advice(), []);
        assert_eq!(index(true, false, WORTH_IT - 1, Some(0.9)).advice(), []);
        assert_eq!(index(true, false, WORTH_IT, None).advice(), []);
        let bloated = index(true, false, WORTH_IT, Some(0.5));
        assert_eq!(bloated.advice(), [Advice::Bloated]);
        let invalid = index(false, false, 1, None);
        assert_eq!(invalid.advice(), [Advice::Invalid]);
        let leftover = index(false, true, WORTH_IT, Some(0.9));
        assert_eq!(leftover.advice(), [Advice::Leftover]);
    }
}

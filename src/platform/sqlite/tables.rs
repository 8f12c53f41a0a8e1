use std::time::Duration;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::super::Error;
use super::super::tables::{IndexHealth, Reindexed, TableHealth, Tables};
use super::SqliteRepository;

/// SQLite has no dead rows, and its indexes cannot be broken without its tables.
#[async_trait]
impl Tables for SqliteRepository {
    async fn table_health(&self) -> Result<Vec<TableHealth>, Error> {
        Ok(Vec::new())
    }

    async fn index_health(&self) -> Result<Vec<IndexHealth>, Error> {
        Ok(Vec::new())
    }

    async fn oldest_transaction_ms(&self) -> Result<Option<u64>, Error> {
        Ok(None)
    }

    async fn reindex(
        &self,
        _index: &str,
        _patience: Duration,
        _stop: CancellationToken,
    ) -> Result<Reindexed, Error> {
        Ok(Reindexed::Unknown)
    }
}

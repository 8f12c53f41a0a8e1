use std::time::Duration;

use async_trait::async_trait;

use super::Service;
use crate::store::{Error, Store};

/// Partitions ahead of time, expired keys, missed hand-offs: whatever the store needs.
pub(super) struct UpkeepService;

#[async_trait]
impl Service for UpkeepService {
    fn interval(&self) -> Duration {
        Duration::from_secs(30)
    }

    async fn run_once(&self, store: &dyn Store) -> Result<(), Error> {
        store.maintain(None).await
    }
}

use std::time::Duration;

use async_trait::async_trait;

use super::Service;
use crate::store::{Error, Store};
use crate::telemetry;

/// Counts the backlog for the metrics, so that no scrape ever counts.
pub(super) struct SampleService;

#[async_trait]
impl Service for SampleService {
    fn interval(&self) -> Duration {
        Duration::from_secs(10)
    }

    async fn run_once(&self, store: &dyn Store) -> Result<(), Error> {
        let queues = store.queues(None).await?;
        telemetry::queues_counted(&queues, store.now().await?);
        Ok(())
    }
}

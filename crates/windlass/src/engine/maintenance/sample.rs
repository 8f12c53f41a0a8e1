use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::Service;
use crate::model::QueueStats;
use crate::store::{Error, Store};
use crate::telemetry;

/// Counts the backlog for the metrics, so that no scrape ever counts.
#[derive(Default)]
pub(super) struct SampleService {
    /// Queues that were told of: once empty, they are told to be.
    seen: Mutex<BTreeSet<String>>,
}

#[async_trait]
impl Service for SampleService {
    fn interval(&self) -> Duration {
        Duration::from_secs(10)
    }

    async fn run_once(&self, store: &dyn Store) -> Result<(), Error> {
        let queues = store.queues(None).await?;
        let now = store.now().await?;
        telemetry::queues_counted(&self.with_emptied(queues), now);
        Ok(())
    }
}

impl SampleService {
    fn with_emptied(&self, mut queues: Vec<QueueStats>) -> Vec<QueueStats> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let emptied: Vec<QueueStats> = seen
            .iter()
            .filter(|name| queues.iter().all(|queue| queue.queue != **name))
            .map(|name| QueueStats {
                queue: name.clone(),
                available: 0,
                scheduled: 0,
                retryable: 0,
                waiting: 0,
                running: 0,
                capped: false,
                oldest_available_at: None,
            })
            .collect();
        seen.extend(queues.iter().map(|queue| queue.queue.clone()));
        queues.extend(emptied);
        queues
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_that_emptied_is_told_to_be_empty() {
        let service = SampleService::default();
        let full = QueueStats {
            queue: "mail".into(),
            available: 5,
            scheduled: 0,
            retryable: 0,
            waiting: 0,
            running: 0,
            capped: false,
            oldest_available_at: None,
        };
        assert_eq!(service.with_emptied(vec![full.clone()]).len(), 1);
        let told = service.with_emptied(Vec::new());
        assert_eq!(
            told,
            [QueueStats {
                available: 0,
                ..full
            }]
        );
    }
}

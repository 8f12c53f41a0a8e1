use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::Service;
use crate::engine::runtime::EngineOptions;
use crate::model::QueueStats;
use crate::store::{Error, Store};
use crate::telemetry;

/// Counts the backlog for the metrics, so that no scrape ever counts.
pub(super) struct SampleService {
    /// Queues to tell of while they are empty, too: those served here, and those that were told of.
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
    pub(super) fn new(options: &EngineOptions) -> Self {
        let served = options.queues.iter().map(|(name, _)| name.clone());
        Self {
            seen: Mutex::new(served.collect()),
        }
    }

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

    fn mail(available: u64) -> QueueStats {
        QueueStats {
            queue: "mail".into(),
            available,
            scheduled: 0,
            retryable: 0,
            waiting: 0,
            running: 0,
            capped: false,
            oldest_available_at: None,
        }
    }

    fn serving(queues: &[&str]) -> SampleService {
        SampleService::new(&EngineOptions {
            queues: queues.iter().map(|name| ((*name).to_owned(), 1)).collect(),
            ..EngineOptions::default()
        })
    }

    #[test]
    fn a_queue_that_never_held_a_job_is_told_to_be_empty() {
        assert_eq!(serving(&["mail"]).with_emptied(Vec::new()), [mail(0)]);
    }

    #[test]
    fn a_queue_that_emptied_is_told_to_be_empty() {
        let service = serving(&[]);
        assert_eq!(service.with_emptied(vec![mail(5)]), [mail(5)]);
        assert_eq!(service.with_emptied(Vec::new()), [mail(0)]);
    }
}

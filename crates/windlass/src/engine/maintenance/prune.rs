use std::time::Duration;

use async_trait::async_trait;

use super::Service;
use crate::engine::tally::{HOURS_KEPT, MINUTES_KEPT};
use crate::store::{Error, Grain, Prune, Store};
use crate::telemetry;

/// Most rows deleted by one statement.
const BATCH: u32 = 5_000;
/// Most statements in one round, so that other upkeep gets its turn.
const ROUNDS: usize = 20;
/// How long ticks of schedules are kept, besides the latest of each.
const TICKS: Duration = Duration::from_hours(24 * 30);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// How long finished jobs, and the record of what operators did, are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Completed ones; 7 days by default.
    pub completed: Duration,
    /// Cancelled ones; 7 days by default.
    pub cancelled: Duration,
    /// Dead ones; 90 days by default.
    pub dead: Duration,
    /// Lines of the audit log; 400 days by default.
    pub audit: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            completed: DAY * 7,
            cancelled: DAY * 7,
            dead: DAY * 90,
            audit: DAY * 400,
        }
    }
}

/// Deletes what has been finished for long enough.
pub(super) struct PruneService {
    retention: Retention,
}

impl PruneService {
    pub(super) const fn new(retention: Retention) -> Self {
        Self { retention }
    }
}

#[async_trait]
impl Service for PruneService {
    fn interval(&self) -> Duration {
        Duration::from_mins(1)
    }

    async fn run_once(&self, store: &dyn Store) -> Result<(), Error> {
        let Retention {
            completed,
            cancelled,
            dead,
            audit,
        } = self.retention;
        store.prune_audit(audit, BATCH, None).await?;
        // Before the jobs: their ticks remember how they ended.
        store.prune_ticks(TICKS, None).await?;
        store
            .prune_tallies(Grain::Minute, MINUTES_KEPT + HOUR, None)
            .await?;
        store.prune_tallies(Grain::Hour, HOURS_KEPT, None).await?;
        for _ in 0..ROUNDS {
            let prune = Prune {
                completed,
                cancelled,
                dead,
                limit: BATCH,
                now: None,
            };
            let pruned = store.prune(prune).await?;
            telemetry::pruned(pruned);
            if pruned < u64::from(BATCH) {
                break;
            }
        }
        Ok(())
    }
}

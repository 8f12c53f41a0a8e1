use std::time::Duration;

use async_trait::async_trait;

use super::Service;
use crate::engine::runtime::EngineOptions;
use crate::engine::tally;
use crate::store::{Error, Rescue, Store};
use crate::telemetry;

/// Most jobs taken back by one statement.
const BATCH: u32 = 500;

/// Takes back jobs whose worker vanished.
///
/// Only an expired lease counts, never age. After an outage of the store every lease has expired
/// though every worker may live: they get a heartbeat's time to say so first.
pub(super) struct RescueService {
    interval: Duration,
    calm: Duration,
    max_crashes: u16,
}

impl RescueService {
    pub(super) fn new(options: &EngineOptions) -> Self {
        Self {
            interval: options.lease / 6,
            calm: options.lease * 2 / 5,
            max_crashes: options.max_crashes,
        }
    }
}

#[async_trait]
impl Service for RescueService {
    fn interval(&self) -> Duration {
        self.interval
    }

    fn calm(&self) -> Duration {
        self.calm
    }

    async fn run_once(&self, store: &dyn Store) -> Result<(), Error> {
        loop {
            let rescue = Rescue {
                limit: BATCH,
                max_crashes: self.max_crashes,
                now: None,
            };
            let rescued = store.rescue(rescue).await?;
            telemetry::rescued(&rescued);
            tally::rescued(store, &rescued).await?;
            if rescued.len() < BATCH as usize {
                return Ok(());
            }
        }
    }
}

use std::time::Duration;

use async_trait::async_trait;

use super::Service;
use crate::engine::control;
use crate::store::{Error, Store};

/// Jobs handed back by one statement.
const AT_ONCE: u32 = 1000;

/// Hands jobs back to free claims that are governed though their queue is not: enqueued by someone
/// who had not heard yet, or left behind by workers that are gone.
pub(super) struct UngovernService;

#[async_trait]
impl Service for UngovernService {
    fn interval(&self) -> Duration {
        Duration::from_secs(10)
    }

    async fn run_once(&self, store: &dyn Store) -> Result<(), Error> {
        let queues = store.governed_queues().await?;
        if queues.is_empty() {
            return Ok(());
        }
        let state = control::read(store).await?;
        for queue in queues {
            if state.rules(&queue).is_none() {
                while store.ungovern(&queue, AT_ONCE).await? > 0 {}
            }
        }
        Ok(())
    }
}

//! What outlives an attempt, and what ties jobs together.

use async_trait::async_trait;

use super::{Data, MemoryStore};
use crate::db;
use crate::model::{Json, Lease, Recorded};
use crate::store::{Error, Flows};

impl Data {
    pub(super) fn checkpoint(&mut self, lease: Lease, checkpoint: &Json) -> Recorded {
        if self.held(lease).is_none() {
            return Recorded::LeaseLost;
        }
        self.checkpoints.insert(lease.job, checkpoint.clone());
        Recorded::Yes
    }
}

#[async_trait]
impl Flows for MemoryStore {
    async fn checkpoint(&self, lease: Lease, checkpoint: &Json) -> Result<Recorded, Error> {
        Ok(self.at(None, |data, _| data.checkpoint(lease, checkpoint)))
    }

    async fn checkpoint_in(
        &self,
        _tx: &mut db::Tx,
        _lease: Lease,
        _checkpoint: &Json,
    ) -> Result<Recorded, Error> {
        Err(Self::unsupported("keep a checkpoint in a transaction"))
    }
}

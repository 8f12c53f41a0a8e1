//! What outlives an attempt, and what ties jobs together.

use async_trait::async_trait;

use super::Error;
use crate::db;
use crate::model::{Json, Lease, Recorded};

/// Checkpoints: a job's own notes of how far it got.
#[async_trait]
pub trait Flows {
    /// Keeps a running job's note, under its lease. It takes the place of the one before, comes with
    /// every later claim however the attempt ended, and is gone once the job has finished.
    async fn checkpoint(&self, lease: Lease, checkpoint: &Json) -> Result<Recorded, Error>;

    /// The same within the caller's transaction: the work done and the note of it happen together.
    async fn checkpoint_in(
        &self,
        tx: &mut db::Tx,
        lease: Lease,
        checkpoint: &Json,
    ) -> Result<Recorded, Error>;
}

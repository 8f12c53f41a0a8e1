//! What has finished, in the order it did: for those who tell others of it.

use async_trait::async_trait;

use super::Error;
use crate::model::{JobId, State, Timestamp};

/// Looks for finished jobs by when they finished, then by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Since {
    /// Those that finished at this time or later;
    pub at: Timestamp,
    /// of those that finished at this very time, the ones after this one.
    pub after: Option<JobId>,
    /// At most so many.
    pub limit: u32,
}

/// A job that has finished, without what it worked on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// Which job.
    pub id: JobId,
    /// What it was.
    pub kind: String,
    /// Where it ran.
    pub queue: String,
    /// How it ended.
    pub state: State,
    /// Attempts used.
    pub attempt: u16,
    /// Whose it was.
    pub tenant_id: Option<String>,
    /// What it belongs to.
    pub correlation_id: Option<String>,
    /// When.
    pub finished_at: Timestamp,
}

/// What has finished.
#[async_trait]
pub trait News {
    /// The next jobs that finished, oldest first. A job's time is taken within the transaction that finishes
    /// it, so one that took long to commit comes late: whoever wants all of them looks back a while.
    async fn finished_since(&self, since: Since) -> Result<Vec<Finished>, Error>;
}

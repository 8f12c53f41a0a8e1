//! Claims from queues that have limits, take turns, or have a kind or tenant paused.
//!
//! A job of such a queue is *governed*: [`Store::claim`](super::Store::claim) and
//! [`Store::next_due`](super::Store::next_due) do not see it, so that what is held back is never in
//! their way, and queues without any of this pay nothing for it. A queue is governed from the first
//! [`Governed::claim_governed`] on, whoever enqueues to it, until [`Governed::ungovern`].

use std::time::Duration;

use async_trait::async_trait;

use super::{Claim, Error};
use crate::model::{Allotter, Bucket, Buckets, ClaimedJob, HeldBy};

/// What a governed claim came to.
#[derive(Debug, Default)]
pub struct Granted {
    /// Leased, in the order in which to run them.
    pub jobs: Vec<ClaimedJob>,
    /// There may be more to take at once.
    pub more: bool,
    /// Otherwise, when there may be something to take, as far as can be told.
    pub again_in: Option<Duration>,
    /// What held jobs back.
    pub held_by: Vec<HeldBy>,
    /// Tokens left in the buckets that were drawn from.
    pub buckets: Buckets,
}

/// The part of the contract for limits and fairness.
#[async_trait]
pub trait Governed {
    /// Leases due jobs as the allotter decides. With limits, such claims of a queue go one at a time,
    /// so that no limit is ever passed, in however many processes.
    async fn claim_governed(
        &self,
        claim: Claim<'_>,
        allotter: &mut Allotter,
    ) -> Result<Granted, Error>;

    /// Hands up to `limit` governed jobs of a queue back to ordinary claims, in which the queue is
    /// from now on; says how many. An enqueue that began before may still add one.
    async fn ungovern(&self, queue: &str, limit: u32) -> Result<u64, Error>;

    /// Queues that are governed or have governed jobs, by name.
    async fn governed_queues(&self) -> Result<Vec<String>, Error>;
}

impl Granted {
    /// The tokens left of the queue and of kinds, by what they belong to; those of single keys, which
    /// may be many, are left out.
    pub fn tokens(&self) -> impl Iterator<Item = (&str, &Bucket)> {
        let named = self
            .buckets
            .iter()
            .map(|(name, bucket)| (name.as_str(), bucket));
        named.filter(|(name, _)| !name.starts_with("key:"))
    }
}

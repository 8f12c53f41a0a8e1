//! What happened, counted per step of time: so that nobody who asks has to count jobs.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;

use super::Error;
use crate::model::{Counted, CountedAt, Timestamp};

/// How long the steps are that a count is kept in, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Grain {
    /// Minutes.
    Minute,
    /// Hours.
    Hour,
}

impl Grain {
    /// Every grain.
    pub const ALL: [Self; 2] = [Self::Minute, Self::Hour];

    /// Its length.
    pub const fn step(self) -> Duration {
        match self {
            Self::Minute => Duration::from_mins(1),
            Self::Hour => Duration::from_hours(1),
        }
    }

    pub(super) const fn seconds(self) -> i64 {
        match self {
            Self::Minute => 60,
            Self::Hour => 3600,
        }
    }
}

/// Which counts.
#[derive(Debug, Clone, Copy)]
pub struct Tallied {
    /// Of which grain.
    pub grain: Grain,
    /// How far back. The step that has begun by then is told whole.
    pub range: Duration,
    /// In steps so long; whole numbers of the grain's.
    pub step: Duration,
    /// The time to take it for.
    pub now: Option<Timestamp>,
}

/// The part of the contract that counts.
#[async_trait]
pub trait Tallies: Debug + Send + Sync {
    /// Adds to what was counted in the minute and the hour that it is. A queue and measure comes once.
    async fn tally(&self, counted: &[Counted], now: Option<Timestamp>) -> Result<(), Error>;

    /// What was counted, oldest first, then by queue and measure.
    async fn tallied(&self, tallied: Tallied) -> Result<Vec<CountedAt>, Error>;

    /// Forgets the steps of a grain that began so long ago.
    async fn prune_tallies(
        &self,
        grain: Grain,
        keep: Duration,
        now: Option<Timestamp>,
    ) -> Result<(), Error>;
}

/// When the step that this time lies in began, in seconds since 1970.
pub(super) fn began(at: Timestamp, step: i64) -> i64 {
    at.as_micros() / 1_000_000 / step * step
}

/// The length of a step in seconds.
pub(super) fn seconds(step: Duration) -> i64 {
    i64::try_from(step.as_secs()).unwrap_or(i64::MAX).max(1)
}

//! The name of an event: by it a client says where it was, to whichever process.

use std::fmt;
use std::str::FromStr;

use windlass::store::Finished;
use windlass::{JobId, Timestamp};

/// When a job finished, in microseconds, and which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EventId {
    pub(super) at: Timestamp,
    pub(super) job: JobId,
}

impl EventId {
    pub(super) const fn of(job: &Finished) -> Self {
        Self {
            at: job.finished_at,
            job: job.id,
        }
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.at.as_micros(), self.job)
    }
}

/// A text that names no event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoEvent;

impl FromStr for EventId {
    type Err = NoEvent;

    fn from_str(text: &str) -> Result<Self, NoEvent> {
        let (at, job) = text.split_once('.').ok_or(NoEvent)?;
        let at: i64 = at.parse().map_err(|_| NoEvent)?;
        Ok(Self {
            // No job finished before 1970, nor will one after 9999.
            at: (0..253_402_300_800_000_000)
                .contains(&at)
                .then(|| Timestamp::from_micros(at))
                .ok_or(NoEvent)?,
            job: job.parse().map_err(|_| NoEvent)?,
        })
    }
}

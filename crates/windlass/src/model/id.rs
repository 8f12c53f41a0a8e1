use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::{ContextV7, Uuid};

/// The name of one job: a UUID of version 7, so ids made later sort later.
///
/// Ids made by one thread never go backwards, even within one millisecond: jobs built in a row keep
/// their order.
///
/// ```
/// let (first, second) = (windlass::JobId::new(), windlass::JobId::new());
/// assert!(first < second);
/// assert_eq!(first.to_string().parse(), Ok(first));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(Uuid);

/// A text that is not a job id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a job id is a UUID such as 0198f2c4-7d6e-7cc1-9d2b-3f1e0a5b6c7d")]
pub struct InvalidId;

impl JobId {
    /// A new id, later than every id this thread has made before.
    #[expect(
        clippy::new_without_default,
        reason = "a default that differs each time would surprise"
    )]
    pub fn new() -> Self {
        thread_local! {
            // Per thread: a shared counter would serialise every enqueue of the process.
            static CONTEXT: ContextV7 = const { ContextV7::new() };
        }
        Self(CONTEXT.with(|context| Uuid::new_v7(uuid::Timestamp::now(context))))
    }

    /// Wraps a UUID made elsewhere.
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// The UUID itself.
    pub const fn as_uuid(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for JobId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        Uuid::parse_str(text).map(Self).map_err(|_| InvalidId)
    }
}

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The name of one flow: a UUID of version 7, so ids made later sort later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FlowId(Uuid);

/// A text that is not a flow's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a flow's id is a UUID such as 0198f2c4-7d6e-7cc1-9d2b-3f1e0a5b6c7d")]
pub struct InvalidFlowId;

impl FlowId {
    /// A new id.
    #[expect(
        clippy::new_without_default,
        reason = "a default that differs each time would surprise"
    )]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
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

impl fmt::Display for FlowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for FlowId {
    type Err = InvalidFlowId;

    fn from_str(text: &str) -> Result<Self, InvalidFlowId> {
        Uuid::parse_str(text).map(Self).map_err(|_| InvalidFlowId)
    }
}

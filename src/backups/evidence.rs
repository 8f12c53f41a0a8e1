//! What is known of a backup from having tried it: lies beside the backup, one file for each try.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use windlass::Timestamp;

use super::BackupId;

/// How deep a backup was looked into. Each level includes those below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum Level {
    /// Every byte is as the manifest says.
    Hashes,
    /// The tool that reads it reads it to the end.
    Structure,
    /// It was restored whole, somewhere else.
    Restored,
    /// What was restored has the contents it must have.
    Contents,
    /// It was brought to a chosen moment.
    PointInTime,
    /// This program started on it and answered.
    Started,
}

impl Level {
    /// 0 to 5.
    pub const fn number(self) -> u8 {
        self as u8
    }
}

impl TryFrom<u8> for Level {
    type Error = String;

    fn try_from(number: u8) -> Result<Self, String> {
        Ok(match number {
            0 => Self::Hashes,
            1 => Self::Structure,
            2 => Self::Restored,
            3 => Self::Contents,
            4 => Self::PointInTime,
            5 => Self::Started,
            _ => return Err(format!("{number} is no level of verification: 0 to 5 are")),
        })
    }
}

impl From<Level> for u8 {
    fn from(level: Level) -> Self {
        level.number()
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "V{}", self.number())
    }
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It holds.
    Passed,
    /// It does not: see the reason.
    Failed,
}

/// One try.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Of which target.
    pub target: String,
    /// Of which backup.
    pub backup: BackupId,
    /// The SHA-256 that the backup's manifest carries: which content it was.
    pub manifest_sha256: String,
    /// How deep it looked.
    pub level: Level,
    /// What came of it.
    pub outcome: Verdict,
    /// Why it failed: names the part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Timestamp,
    /// The job that tried.
    pub job: Uuid,
    /// The version of this program.
    pub program: String,
    /// What was measured, such as `restore_seconds`, `rows` and `bytes`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub figures: BTreeMap<String, f64>,
    /// What was looked at, one sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<String>,
}

impl Evidence {
    /// The figure that says how long a restore took, in seconds.
    pub const RESTORE_SECONDS: &str = "restore_seconds";

    /// The name of its file: sorts by time.
    pub fn file_name(&self) -> String {
        let at = self.finished.to_datetime().format("%Y%m%dT%H%M%S%6fZ");
        format!("{at}-{}.json", self.level.number())
    }

    /// Whether it holds.
    pub fn passed(&self) -> bool {
        self.outcome == Verdict::Passed
    }
}

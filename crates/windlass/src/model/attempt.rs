use serde::{Deserialize, Serialize};

use super::Timestamp;

/// How many attempts of one job are kept: the first and the newest ones.
pub const MAX_ATTEMPT_RECORDS: usize = 25;
const MAX_MESSAGE: usize = 4 * 1024;
const MAX_CHAIN: usize = 8;
const MAX_BACKTRACE: usize = 8 * 1024;

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptOutcome {
    /// Succeeded.
    Completed,
    /// Returned an error.
    Failed,
    /// Panicked.
    Panicked,
    /// Ran longer than its kind allows, or hung.
    TimedOut,
    /// Asked to run later.
    Snoozed,
    /// Cancelled by an operator or by itself.
    Cancelled,
    /// Given up by itself.
    Discarded,
    /// Handed back by a worker that was stopping.
    Released,
    /// Its worker vanished.
    Crashed,
}

impl AttemptOutcome {
    /// The word used in SQL, JSON, logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Panicked => "panicked",
            Self::TimedOut => "timed_out",
            Self::Snoozed => "snoozed",
            Self::Cancelled => "cancelled",
            Self::Discarded => "discarded",
            Self::Released => "released",
            Self::Crashed => "crashed",
        }
    }
}

/// What an attempt said when it failed. Capped in size, so that no error can grow a row for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptError {
    /// The error itself, at most 4 KiB.
    pub message: String,
    /// Its causes, outermost first, at most 8.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<String>,
    /// Where it panicked, at most 8 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backtrace: Option<String>,
}

impl AttemptError {
    /// From a message alone.
    pub fn new(message: impl AsRef<str>) -> Self {
        Self {
            message: clip(message.as_ref(), MAX_MESSAGE),
            chain: Vec::new(),
            backtrace: None,
        }
    }

    /// Adds the causes, outermost first.
    #[must_use]
    pub fn with_chain<T: AsRef<str>>(mut self, chain: impl IntoIterator<Item = T>) -> Self {
        self.chain = chain
            .into_iter()
            .take(MAX_CHAIN)
            .map(|c| clip(c.as_ref(), MAX_MESSAGE))
            .collect();
        self
    }

    /// Adds where it panicked.
    #[must_use]
    pub fn with_backtrace(mut self, backtrace: impl AsRef<str>) -> Self {
        self.backtrace = Some(clip(backtrace.as_ref(), MAX_BACKTRACE));
        self
    }
}

/// Cuts at a character's border and takes out NUL, which PostgreSQL cannot keep in a text.
fn clip(text: &str, most: usize) -> String {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut clipped = text[..end].replace('\0', "\u{fffd}");
    if end < text.len() {
        clipped.push('…');
    }
    clipped
}

/// One attempt of a job: who ran it, when, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptRecord {
    /// Counted from 1. Snoozed, released and crashed attempts are not counted, so the next one
    /// carries the same number; `claim_no` always differs.
    pub attempt: u16,
    /// The fence of this attempt's lease.
    pub claim_no: i64,
    /// The worker that ran it.
    pub worker: String,
    /// When it was claimed.
    pub started_at: Timestamp,
    /// When its end was recorded.
    pub ended_at: Timestamp,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// What went wrong, if anything did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<AttemptError>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_capped_and_hold_no_nul() {
        let error = AttemptError::new("é".repeat(10_000) + "\0")
            .with_chain((0..100).map(|i| format!("cause {i}\0")))
            .with_backtrace("x".repeat(100_000));
        assert!(error.message.len() <= MAX_MESSAGE + '…'.len_utf8());
        assert_eq!(error.chain.len(), MAX_CHAIN);
        assert_eq!(error.chain[0], "cause 0\u{fffd}");
        assert!(error.backtrace.unwrap().len() <= MAX_BACKTRACE + '…'.len_utf8());
    }

    #[test]
    fn outcome_words_match_their_json() {
        for outcome in [
            AttemptOutcome::TimedOut,
            AttemptOutcome::Completed,
            AttemptOutcome::Crashed,
        ] {
            assert_eq!(
                serde_json::to_string(&outcome).unwrap(),
                format!("\"{}\"", outcome.as_str())
            );
        }
    }
}

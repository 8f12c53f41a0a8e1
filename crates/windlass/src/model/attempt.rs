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

    /// What errors of one cause have in common, however they name what they are about: the place of a
    /// panic, or the words of the message and its causes without quotations and anything with a digit.
    /// The same in every process; tells nothing of what the error says.
    pub fn fingerprint(&self) -> String {
        let place = self
            .backtrace
            .as_deref()
            .and_then(|trace| trace.lines().next());
        let texts = place.map_or_else(
            || {
                std::iter::once(&self.message)
                    .chain(&self.chain)
                    .map(String::as_str)
                    .collect()
            },
            |place| vec![place],
        );
        let mut hash = Fnv::new();
        for text in texts {
            if place.is_some() {
                hash.add(text);
                continue;
            }
            // Every second piece stands within quotation marks.
            for unquoted in text.split(['"', '`']).step_by(2) {
                let words = unquoted.split(|c: char| !c.is_alphanumeric() && c != '_');
                words
                    .filter(|word| !word.contains(|c: char| c.is_ascii_digit()))
                    .for_each(|word| hash.add(word));
            }
        }
        format!("{:016x}", hash.0)
    }
}

/// FNV-1a: stable across versions of the compiler, which the standard library's hashes are not.
struct Fnv(u64);

impl Fnv {
    const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn add(&mut self, word: &str) {
        for byte in word.bytes().chain([b'\n']) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
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
    fn errors_of_one_cause_have_one_fingerprint_whatever_they_are_about() {
        let of = |message: &str| AttemptError::new(message).fingerprint();
        let first = of("ollama (10.0.0.7:11434) answered 503 to `what is a lease?`");
        assert_eq!(
            first,
            of("ollama (10.0.0.8:11434) answered 503 to `hunter2`")
        );
        assert_ne!(first, of("ollama (10.0.0.7:11434) was silent"));
        let caused = AttemptError::new("a").with_chain(["b"]);
        assert_ne!(caused.fingerprint(), of("a"));
        let panicked = |words: &str, place: &str| {
            let trace = format!("at {place}\n   0: main");
            AttemptError::new(words).with_backtrace(trace).fingerprint()
        };
        assert_eq!(panicked("one", "a.rs:1:2"), panicked("two", "a.rs:1:2"));
        assert_ne!(panicked("one", "a.rs:1:2"), panicked("one", "a.rs:9:2"));
        assert_eq!(first.len(), 16);
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

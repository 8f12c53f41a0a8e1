//! Classes of errors: which attempts are worth repeating, and when.

use std::fmt;
use std::time::Duration;

/// An error that no repetition will cure: the job is set aside at once.
#[derive(Debug)]
pub struct Permanent(anyhow::Error);

/// An error with its own idea of when to try again, such as an HTTP 429.
#[derive(Debug)]
pub struct RetryAfter {
    /// From now.
    pub after: Duration,
    /// Whether the attempt counts. A dependency that is known to be down should not use up attempts.
    pub uses_attempt: bool,
    source: anyhow::Error,
}

/// Marks an error as permanent.
///
/// ```
/// let error = windlass::permanent(anyhow::anyhow!("no such document"));
/// assert!(windlass::engine::is_permanent(&error));
/// assert_eq!(error.to_string(), "no such document");
/// ```
pub fn permanent(error: impl Into<anyhow::Error>) -> anyhow::Error {
    anyhow::Error::new(Permanent(error.into()))
}

/// Asks for the next attempt after this long rather than by the kind's backoff.
pub fn retry_after(after: Duration, error: impl Into<anyhow::Error>) -> anyhow::Error {
    anyhow::Error::new(RetryAfter {
        after,
        uses_attempt: true,
        source: error.into(),
    })
}

/// The same, without using up the attempt: for a dependency that is down and not the job's fault.
pub fn wait_for(after: Duration, error: impl Into<anyhow::Error>) -> anyhow::Error {
    anyhow::Error::new(RetryAfter {
        after,
        uses_attempt: false,
        source: error.into(),
    })
}

/// Whether an error, or one of its contexts, was marked with [`permanent`].
pub fn is_permanent(error: &anyhow::Error) -> bool {
    error
        .chain()
        .any(<dyn std::error::Error + 'static>::is::<Permanent>)
}

/// When an error asks to be tried again, if it does.
pub(super) fn retry_hint(error: &anyhow::Error) -> Option<&RetryAfter> {
    error.chain().find_map(|cause| cause.downcast_ref())
}

/// The messages of an error and its causes, outermost first, each once.
pub(super) fn messages(error: &anyhow::Error) -> (String, Vec<String>) {
    let mut all: Vec<String> = error.chain().map(ToString::to_string).collect();
    all.dedup();
    let first = all.remove(0);
    (first, all)
}

impl fmt::Display for Permanent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Permanent {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

impl fmt::Display for RetryAfter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

impl std::error::Error for RetryAfter {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.source()
    }
}

#[cfg(test)]
mod tests {
    use anyhow::{Context as _, anyhow};

    use super::*;

    #[test]
    fn a_mark_is_found_under_any_context() {
        let error = Err::<(), _>(permanent(anyhow!("gone")))
            .context("loading")
            .unwrap_err();
        assert!(is_permanent(&error));
        let error = Err::<(), _>(wait_for(Duration::from_secs(3), anyhow!("down")))
            .context("asking the model")
            .unwrap_err();
        assert!(!is_permanent(&error));
        let hint = retry_hint(&error).unwrap();
        assert_eq!(
            (hint.after, hint.uses_attempt),
            (Duration::from_secs(3), false)
        );
    }

    #[test]
    fn messages_are_told_once() {
        let error = permanent(anyhow!("root").context("outer"));
        assert_eq!(
            messages(&error),
            ("outer".to_owned(), vec!["root".to_owned()])
        );
    }
}

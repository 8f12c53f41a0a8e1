use std::time::Duration;

/// Why something outside did not do what was asked.
///
/// Made of our own words, status codes and host names only: never a message's text, a secret, or
/// what the other side wrote into its answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Out of reach, overloaded or broken for now. Wait and ask again; it is not the job's fault.
    #[error("{service} is unavailable: {reason}")]
    Unavailable {
        /// Who, such as `ollama at localhost:11434`.
        service: String,
        /// What happened.
        reason: String,
        /// How long the service, or our circuit breaker for it, wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// It is well, and wants to be asked less, or less often. Wait and ask again.
    #[error("{service} asks for patience: {reason}")]
    Busy {
        /// Who.
        service: String,
        /// What happened.
        reason: String,
        /// How long it wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// It answered, and asking the same again will get the same answer.
    #[error("{service} cannot do it: {reason}; {remedy}")]
    Rejected {
        /// Who.
        service: String,
        /// What happened.
        reason: String,
        /// What an operator can do about it.
        remedy: String,
    },
}

impl Error {
    pub(super) fn unavailable(service: &str, reason: impl Into<String>) -> Self {
        Self::Unavailable {
            service: service.into(),
            reason: reason.into(),
            retry_after: None,
        }
    }

    pub(super) fn rejected(
        service: &str,
        reason: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::Rejected {
            service: service.into(),
            reason: reason.into(),
            remedy: remedy.into(),
        }
    }

    /// Whether waiting may help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Busy { .. })
    }

    /// How long to wait at least, if that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. } | Self::Busy { retry_after, .. } => *retry_after,
            Self::Rejected { .. } => None,
        }
    }
}

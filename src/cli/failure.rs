//! How a command may end, and what is said of it.

use std::io;
use std::process::ExitCode;

use windlass::engine::{EnqueueError, OperatorError};
use windlass::model::InvalidJob;
use windlass::{JobId, store};

use super::Printer;
use crate::config;
use crate::operations::OperationError;

/// What a shell gets to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// It failed; the same command may work later.
    Failed,
    /// It was asked wrongly, and will never work like this.
    Usage,
    /// There is no such job.
    NotFound,
}

/// Why a command was not done: in words that name the remedy.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    /// Empty if all has been said.
    message: String,
}

impl Failure {
    pub(super) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
        }
    }

    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// All has been said on the way.
    pub(super) fn told(exit: Exit) -> Self {
        Self::new(exit, "")
    }

    pub(super) fn job_not_found(id: JobId) -> Self {
        let message = format!(
            "no job {id} (for this tenant): check the id, it may have been deleted by retention"
        );
        Self::new(Exit::NotFound, message)
    }

    pub(super) fn message(self) -> String {
        self.message
    }

    pub(super) fn exit(&self) -> Exit {
        self.exit
    }

    pub(super) fn report(self, printer: &mut Printer) -> Exit {
        if !self.message.is_empty() {
            printer.talk(&format!("error: {}", self.message));
        }
        self.exit
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::NotFound => 3,
        })
    }
}

impl From<config::Error> for Failure {
    fn from(error: config::Error) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Self {
        let remedy = match &error {
            _ if error.is_transient() => {
                ": check that the database runs and that DATABASE_URL names it (`jobctl doctor`)"
            }
            _ => ": `jobctl doctor` may tell why",
        };
        Self::new(Exit::Failed, format!("{error}{remedy}"))
    }
}

impl From<InvalidJob> for Failure {
    fn from(error: InvalidJob) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<EnqueueError> for Failure {
    fn from(error: EnqueueError) -> Self {
        match error {
            EnqueueError::Store(error) => error.into(),
            EnqueueError::Rejected(_) => Self::new(Exit::Failed, error.to_string()),
            other => Self::usage(other.to_string()),
        }
    }
}

impl From<OperatorError> for Failure {
    fn from(error: OperatorError) -> Self {
        match error {
            OperatorError::Invalid(invalid) => invalid.into(),
            OperatorError::Enqueue(error) => error.into(),
            OperatorError::Store(error) => error.into(),
            OperatorError::NotFound { .. } => Self::new(Exit::NotFound, error.to_string()),
            other => Self::new(Exit::Failed, other.to_string()),
        }
    }
}

impl From<OperationError> for Failure {
    fn from(error: OperationError) -> Self {
        match error {
            OperationError::NotFound { .. } => Self::new(Exit::NotFound, error.to_string()),
            OperationError::State { .. } => Self::new(Exit::Failed, error.to_string()),
            OperationError::Records(error) => error.into(),
            OperationError::Backups(error) => error.into(),
            OperationError::Platform(error) => error.into(),
            OperationError::Enqueue(error) => error.into(),
            OperationError::Operator(error) => error.into(),
            OperationError::Store(error) => error.into(),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::new(Exit::Failed, format!("{error:#}"))
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // Whoever read our output has seen enough, as with `jobctl list | head`.
            io::ErrorKind::BrokenPipe => Self::told(Exit::Done),
            _ => Self::new(Exit::Failed, format!("failed to write the output: {error}")),
        }
    }
}

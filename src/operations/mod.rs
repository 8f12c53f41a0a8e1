//! What operators do to the product's own records, whether by the API or by `jobctl`: each act is
//! recorded with who did it and why before it is done, and may be repeated if it was broken off.

pub mod backups;
pub mod correlations;
pub mod outbox;
pub mod webhooks;

use serde_json::Value;
use windlass::engine::{EnqueueError, OperatorError};
use windlass::model::InvalidJob;
use windlass::{Json, store};

use crate::platform;
use crate::records::{self, SendState};

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum OperationError {
    /// There is no such thing, or it is another tenant's.
    #[error("there is no such {what} (for this tenant); it may have been deleted by retention")]
    NotFound {
        /// What was looked for.
        what: &'static str,
    },
    /// The part of a message is not in a state that allows it.
    #[error("a part that is {state} {problem}")]
    State {
        /// Where it stands.
        state: SendState,
        /// Why not, and what to do.
        problem: &'static str,
    },
    /// The records could not be read or written.
    #[error(transparent)]
    Records(#[from] records::Error),
    /// The platform's data could not be read.
    #[error(transparent)]
    Platform(#[from] platform::Error),
    /// The backups could not be read or changed.
    #[error(transparent)]
    Backups(#[from] crate::backups::Error),
    /// The new job was refused.
    #[error(transparent)]
    Enqueue(#[from] EnqueueError),
    /// The engine did not do it.
    #[error(transparent)]
    Operator(#[from] OperatorError),
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] store::Error),
}

fn encode(value: &Value) -> Result<Json, OperationError> {
    let encoded = Json::encode(value).map_err(InvalidJob::from);
    encoded.map_err(|error| OperationError::Enqueue(error.into()))
}

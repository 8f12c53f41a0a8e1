//! Args, results and checkpoints at rest: encrypted and compressed before they reach a store, opened
//! before they reach a handler. Stores, transactions and tools carry them as ordinary JSON.

mod envelope;
mod keyring;
mod reseal;

pub use envelope::{Content, OpenError};
pub use keyring::{InvalidKey, KeyRing};
pub use reseal::KeyWalk;

pub(super) use envelope::{Form, Protection, form, unpack};

/// A kind is to be sealed and there is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "kind {kind} is to be sealed, and there is no key; give the engine and every client a key ring"
)]
pub struct NoKeys {
    /// Which kind.
    pub kind: String,
}

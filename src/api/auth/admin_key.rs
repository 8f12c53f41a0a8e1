//! The key of the settings.

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The digest of the key. Digests have one length, so comparing them tells nothing of the key's.
#[derive(Clone)]
pub(in crate::api) struct AdminKey([u8; 32]);

/// The API was to start without a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "setting security.admin_key: is not set, and nobody else has a key, so that nobody could use the API; \
     make one with `openssl rand -hex 32` and set METACHAT_JOBS__SECURITY__ADMIN_KEY, or make one for \
     yourself with `jobctl keys create NAME --role admin`"
)]
pub struct NoAdminKey;

impl AdminKey {
    pub(in crate::api) fn new(key: &SecretString) -> Result<Self, NoAdminKey> {
        match key.expose_secret() {
            "" => Err(NoAdminKey),
            key => Ok(Self(Sha256::digest(key).into())),
        }
    }

    pub(super) fn opens(&self, given: &[u8]) -> bool {
        let given: [u8; 32] = Sha256::digest(given).into();
        self.0.ct_eq(&given).into()
    }
}

impl std::fmt::Debug for AdminKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AdminKey")
    }
}

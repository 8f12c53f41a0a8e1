use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

/// What is stored of a secret of ours: SHA-256 of it. Ours are 256 random bits, so nothing slower is
/// needed, and to look one up tells nothing of another.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Of what somebody shows.
    pub fn of(shown: &str) -> Self {
        Self(Sha256::digest(shown).into())
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// It stands for a secret in caches.
impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Digest")
    }
}

/// A secret of ours. It is shown once, to whom it is made for.
#[derive(Debug, Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// How a session's begins.
    pub const SESSION: &str = "mjs_";

    /// 256 random bits after a prefix that says what it is.
    pub(super) fn random(prefix: &str) -> Self {
        let bits: [u8; 32] = rand::random();
        Self(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bits)).into())
    }

    /// The secret itself.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    pub(super) fn digest(&self) -> Digest {
        Digest::of(self.expose())
    }
}

//! One key guards everything but health.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{ApiState, Problem};

const HEADER: &str = "x-admin-key";

/// The digest of the key. Digests have one length, so comparing them tells nothing of the key's.
#[derive(Clone)]
pub(super) struct AdminKey([u8; 32]);

/// The API was to start without a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "setting security.admin_key: is not set, and the API does not start without one; make one with \
     `openssl rand -hex 32` and set METACHAT_JOBS__SECURITY__ADMIN_KEY"
)]
pub struct NoAdminKey;

impl AdminKey {
    pub(super) fn new(key: &SecretString) -> Result<Self, NoAdminKey> {
        match key.expose_secret() {
            "" => Err(NoAdminKey),
            key => Ok(Self(Sha256::digest(key).into())),
        }
    }

    fn opens(&self, given: &[u8]) -> bool {
        let given: [u8; 32] = Sha256::digest(given).into();
        self.0.ct_eq(&given).into()
    }
}

impl std::fmt::Debug for AdminKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AdminKey")
    }
}

/// Lets a request pass that carries the key.
pub(super) async fn require_key(
    State(state): State<ApiState>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    match given(request.headers()) {
        Some(key) if state.key.opens(key) => Ok(next.run(request).await),
        _ => Err(Problem::unauthorised()),
    }
}

/// `x-admin-key: <key>`, or `authorization: Bearer <key>`, which is what Prometheus sends.
fn given(headers: &HeaderMap) -> Option<&[u8]> {
    if let Some(key) = headers.get(HEADER) {
        return Some(key.as_bytes());
    }
    let (scheme, key) = headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(key.trim().as_bytes())
}

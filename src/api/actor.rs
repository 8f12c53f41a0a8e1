//! Who acts: as the credential says, and not as the request claims.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use windlass::engine::Operator;

use super::ApiState;

/// A name to go with the credential's, for people who share it.
const HEADER: &str = "x-actor";
/// Whoever holds the one key there is.
pub(super) const ADMIN: &str = "admin";

/// Whoever sent the request.
#[derive(Debug)]
pub(super) struct Actor(String);

impl Actor {
    /// Acts in the sender's name. A reason is the sender's own words.
    pub(super) fn operator(&self, state: &ApiState, reason: Option<&str>) -> Operator {
        state.client.operator(&self.0, reason)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Actor {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let given = parts
            .headers
            .get(HEADER)
            .map(axum::http::HeaderValue::as_bytes);
        let named = given.map(String::from_utf8_lossy).unwrap_or_default();
        let named: String = named
            .chars()
            .filter(|c| !c.is_control())
            .take(100)
            .collect();
        Ok(Self(match named.trim() {
            "" => ADMIN.to_owned(),
            named => format!("{ADMIN} ({named})"),
        }))
    }
}

//! Who acts: as the credential says, and not as the request claims.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use windlass::engine::Operator;

use super::auth::Caller;
use super::{ApiState, Problem};

/// A name to go with the credential's, for people who share it.
const HEADER: &str = "x-actor";

/// Whoever sent the request.
#[derive(Debug)]
pub(super) struct Actor(String);

impl Actor {
    /// Acts in the sender's name. A reason is the sender's own words.
    pub(super) fn operator(&self, state: &ApiState, reason: Option<&str>) -> Operator {
        state.client.operator(&self.0, reason)
    }

    /// As the audit log has it.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Actor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, state).await?;
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
            "" => caller.name,
            named => format!("{} ({named})", caller.name),
        }))
    }
}

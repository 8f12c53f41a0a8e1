//! Who is limited, and by which bucket.
//!
//! Only what was proved counts: before a credential is checked, and where none is needed, a request is its
//! address. Otherwise whoever invents a key with each request would have a new bucket each time.

use std::net::IpAddr;

use axum::http::{HeaderMap, Method, header};
use sha2::{Digest, Sha256};

use super::address;

/// What asks for too much, and is limited apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Makes jobs.
    Enqueue,
    /// Looks.
    Read,
    /// Looks at how things are: health, metrics, the description.
    Status,
    /// Changes something.
    Operate,
    /// Exchanges a credential for a session.
    Login,
}

impl Class {
    /// Of a route's pattern.
    pub(super) fn of(method: &Method, route: &str) -> Self {
        let looks = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
        match route {
            "/metrics" | "/openapi.json" => Self::Status,
            route if route.starts_with("/health") || route.starts_with("/api/health") => {
                Self::Status
            }
            route if !looks && (route.contains("login") || route.contains("session")) => {
                Self::Login
            }
            _ if looks => Self::Read,
            "/v1/jobs" | "/v1/jobs/batch" | "/v1/messages" | "/v1/flows" => Self::Enqueue,
            route if route.starts_with("/v1/integrations/") => Self::Enqueue,
            _ => Self::Operate,
        }
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Enqueue => "enqueue",
            Self::Read => "read",
            Self::Status => "status",
            Self::Operate => "operate",
            Self::Login => "login",
        }
    }
}

/// What orchestrators ask to know whether to restart a process or to send it requests. It costs nothing, and
/// a refusal would be taken for a no.
pub(super) fn is_free(route: &str) -> bool {
    matches!(
        route,
        "/health/live" | "/health/ready" | "/api/health/live" | "/api/health/ready"
    )
}

/// How a request is known that proved nothing; others by what they proved, as its kind is called.
pub(super) const ADDRESS: &str = "ip";

/// The name of what is limited, hashed: buckets lie in Redis, and names of keys are no secret there.
pub(super) fn hashed(kind: &str, id: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(kind);
    hash.update([0]);
    hash.update(id);
    hex::encode(&hash.finalize()[..16])
}

/// An address, and the program that calls from it.
pub(super) fn of_agent(address: IpAddr, headers: &HeaderMap) -> String {
    let mut id = address::shared_by(address).into_bytes();
    id.push(0);
    for agent in headers.get_all(header::USER_AGENT) {
        id.extend_from_slice(agent.as_bytes());
    }
    hashed("ip|ua", &id)
}

pub(super) fn of_address(address: IpAddr) -> String {
    hashed("ip", address::shared_by(address).as_bytes())
}

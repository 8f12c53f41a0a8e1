//! What is told of rate limits.
#![expect(
    clippy::disallowed_macros,
    reason = "the one place that names these metrics"
)]

use metrics::{counter, describe_counter, describe_gauge, gauge};
use tracing::warn;

/// Requests that were refused as one too many, by route and by what was limited.
pub const EXCEEDED: &str = "http_rate_limit_exceeded_total";
/// Whether limits are counted by all processes together.
pub const SHARED: &str = "http_rate_limits_shared";

pub(super) fn describe() {
    describe_counter!(
        EXCEEDED,
        "HTTP requests that were refused as one too many, by route and by what was limited"
    );
    describe_gauge!(
        SHARED,
        "Whether rate limits are counted by all processes together (1) or, while Redis is away, by each (0)"
    );
}

/// One request too many. Whose it was is not told: it may be a credential.
pub fn exceeded(endpoint: &str, identity_type: &'static str) {
    warn!(
        endpoint,
        identityType = identity_type,
        "[RATE_LIMIT] a request was refused as one too many"
    );
    let endpoint = endpoint.to_owned();
    counter!(EXCEEDED, "endpoint" => endpoint, "identity_type" => identity_type).increment(1);
}

/// Whether Redis counted.
pub fn are_shared(shared: bool) {
    gauge!(SHARED).set(f64::from(u8::from(shared)));
}

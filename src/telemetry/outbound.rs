//! What is told of how others are: model servers, the Graph API, tenants' endpoints.
#![expect(
    clippy::disallowed_macros,
    reason = "the one place that names these metrics"
)]

use metrics::{describe_gauge, gauge};
use tracing::{info, warn};

/// Circuits that are open now, by what is behind them: nothing is asked of it for a while.
pub const OPEN: &str = "outbound_circuits_open";
/// How many calls a host gets at once, by service.
pub const LIMIT: &str = "outbound_concurrency_limit";

pub(super) fn describe() {
    describe_gauge!(
        OPEN,
        "Circuits that are open: what failed several times in a row is left alone for a while"
    );
    describe_gauge!(LIMIT, "How many calls a host gets at once");
}

/// It failed several times in a row.
pub fn circuit_opened(service: &str) {
    gauge!(OPEN, "service" => family(service)).increment(1.0);
    warn!(service, "circuit opened: its jobs wait");
}

/// It answered again.
pub fn circuit_closed(service: &str) {
    circuit_forgotten(service);
    info!(service, "circuit closed: it answers again");
}

/// Nobody will ask it any more.
pub fn circuit_forgotten(service: &str) {
    gauge!(OPEN, "service" => family(service)).decrement(1.0);
}

/// A host gets more calls at once now, or fewer.
pub fn limit_changed(service: &str, limit: usize) {
    #[expect(clippy::cast_precision_loss, reason = "a number of connections")]
    gauge!(LIMIT, "service" => family(service)).set(limit as f64);
}

/// `ollama` of `ollama at localhost:11434`: tenants may name addresses of their own, and webhooks are many.
fn family(service: &str) -> String {
    let word = service.split(' ').next().unwrap_or_default();
    word.chars()
        .filter(char::is_ascii_alphanumeric)
        .take(32)
        .collect()
}

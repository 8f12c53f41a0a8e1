//! What is told of the daily figures and of the clean-up.
#![expect(
    clippy::disallowed_macros,
    reason = "the one place that names these metrics"
)]

use std::time::Duration;

use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use tracing::info;
use windlass::Timestamp;

/// How long one tenant's figures took, in seconds.
pub const AGGREGATION: &str = "analytics_aggregation_duration_seconds";
/// Tenants that are enabled, as the last aggregation found them.
pub const TENANTS: &str = "tenant_active_count";
/// When a tenant's figures were made last, in seconds since 1970.
pub const LAST: &str = "analytics_last_success_timestamp_seconds";
/// Message metrics that the clean-up deleted.
pub const PRUNED: &str = "message_metrics_pruned_total";

pub(super) fn describe() {
    describe_histogram!(
        AGGREGATION,
        Unit::Seconds,
        "How long one tenant's figures took"
    );
    describe_gauge!(
        TENANTS,
        "Enabled tenants, as the last aggregation found them"
    );
    describe_gauge!(
        LAST,
        Unit::Seconds,
        "When a tenant's figures were made last, in seconds since 1970"
    );
    describe_counter!(PRUNED, "Message metrics that the clean-up deleted");
}

/// So many tenants are enabled.
#[expect(clippy::cast_precision_loss, reason = "a count of tenants")]
pub fn tenants(enabled: usize) {
    gauge!(TENANTS).set(enabled as f64);
}

/// A tenant's figures were made.
#[expect(clippy::cast_precision_loss, reason = "a time")]
pub fn aggregated(tenant: &str, days: u64, took: Duration, at: Timestamp) {
    histogram!(AGGREGATION).record(took);
    gauge!(LAST).set(at.as_micros() as f64 / 1e6);
    info!(tenantId = tenant, days, "figures made");
}

/// The clean-up is done.
pub fn metrics_pruned(deleted: u64, kept: u64) {
    counter!(PRUNED).increment(deleted);
    info!(deleted, kept, "message metrics pruned");
}

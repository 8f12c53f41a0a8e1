//! What is told of deleting what tenants want kept no longer.
#![expect(
    clippy::disallowed_macros,
    reason = "the one place that names these metrics"
)]

use std::fmt;

use metrics::{Unit, counter, describe_counter};
use tracing::{info, warn};

/// Rows that retention deleted, by table.
pub const PRUNED: &str = "retention_rows_pruned_total";

pub(super) fn describe() {
    describe_counter!(PRUNED, Unit::Count, "Rows that retention deleted, by table");
}

/// Retention by the tenants' own settings is done.
pub fn pruned(messages: u64, api_logs: u64, tenants: u64) {
    counter!(PRUNED, "table" => "messages").increment(messages);
    counter!(PRUNED, "table" => "api_logs").increment(api_logs);
    info!(
        messages,
        apiLogs = api_logs,
        tenants,
        "messages and API logs pruned"
    );
}

/// A tenant could not be looked at; its rows stay.
pub fn not_looked_at(tenant: &str, error: &dyn fmt::Display) {
    warn!(tenantId = tenant, %error, "retention skipped a tenant");
}

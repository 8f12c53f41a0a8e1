//! What is told of this process's connections to its database.
#![expect(
    clippy::disallowed_macros,
    reason = "the one place that names these metrics"
)]

use metrics::{describe_gauge, gauge};

/// Connections of this process to the database, by whether they are in use.
pub const CONNECTIONS: &str = "database_pool_connections";
/// The most there may be.
pub const MOST: &str = "database_pool_connections_max";

pub(super) fn describe() {
    describe_gauge!(
        CONNECTIONS,
        "Connections of this process to the database, in use or idle"
    );
    describe_gauge!(MOST, "The most connections this process may have");
}

/// How the pool stands.
pub fn stands(open: u32, idle: usize, most: u32) {
    let idle = f64::from(u32::try_from(idle).unwrap_or(u32::MAX));
    gauge!(CONNECTIONS, "state" => "idle").set(idle);
    gauge!(CONNECTIONS, "state" => "used").set((f64::from(open) - idle).max(0.0));
    gauge!(MOST).set(f64::from(most));
}

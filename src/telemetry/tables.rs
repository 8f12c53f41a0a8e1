//! What is told of how tables and indexes stand.
#![expect(
    clippy::disallowed_macros,
    reason = "the one place that names these metrics"
)]

use metrics::{describe_gauge, gauge};
use tracing::{info, warn};

/// Tables and indexes that want something to be done, as the last check found them.
pub const ADVISED: &str = "database_upkeep_advised";

pub(super) fn describe() {
    describe_gauge!(
        ADVISED,
        "Tables and indexes that want something to be done, as the last check found them"
    );
}

/// Tables and indexes were looked at.
#[expect(clippy::cast_precision_loss, reason = "counts of tables")]
pub fn checked(tables: usize, indexes: usize) {
    gauge!(ADVISED, "what" => "table").set(tables as f64);
    gauge!(ADVISED, "what" => "index").set(indexes as f64);
    if tables + indexes == 0 {
        info!("tables and indexes are well");
    } else {
        warn!(
            tables,
            indexes, "tables or indexes want upkeep: see jobctl tables"
        );
    }
}

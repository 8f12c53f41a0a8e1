//! What is told of backups.
#![expect(
    clippy::disallowed_macros,
    reason = "the one place that names these metrics"
)]

use std::fmt::Display;
use std::time::Duration;

use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use tracing::{error, info, warn};

/// When the newest backup of a target was finished, in seconds since 1970.
pub const LAST_SUCCESS: &str = "backup_last_success_timestamp_seconds";
/// When a backup of a target was last shown to restore.
pub const LAST_VERIFIED: &str = "backup_last_verified_timestamp_seconds";
/// How much would be lost if the target were lost now, in seconds.
pub const RPO: &str = "backup_rpo_seconds";
/// How large the newest backup is, in bytes.
pub const SIZE: &str = "backup_size_bytes";
/// The highest level at which the newest verified backup held.
pub const LEVEL: &str = "backup_verify_level";
/// How long the last restore took, in seconds.
pub const RESTORE: &str = "backup_restore_seconds";
/// Backups of a target that there are.
pub const COUNT: &str = "backup_count";
/// How long a backup took to make.
pub const DURATION: &str = "backup_duration_seconds";
/// Backups that were made or failed.
pub const MADE: &str = "backups_total";

pub(super) fn describe() {
    describe_gauge!(
        LAST_SUCCESS,
        Unit::Seconds,
        "When the newest backup was finished"
    );
    describe_gauge!(
        LAST_VERIFIED,
        Unit::Seconds,
        "When a backup was last shown to restore"
    );
    describe_gauge!(
        RPO,
        Unit::Seconds,
        "How much would be lost if the target were lost now"
    );
    describe_gauge!(SIZE, Unit::Bytes, "How large the newest backup is");
    describe_gauge!(
        LEVEL,
        "The level at which the last verified backup held, 0 to 5"
    );
    describe_gauge!(RESTORE, Unit::Seconds, "How long the last restore took");
    describe_gauge!(COUNT, "How many backups there are");
    describe_histogram!(DURATION, Unit::Seconds, "How long a backup took");
    describe_counter!(MADE, "Backups that were made, by outcome");
}

/// How a target stands.
#[derive(Debug, Clone, Copy, Default)]
pub struct Standing {
    /// When its newest backup was finished, in seconds since 1970.
    pub last_success: Option<f64>,
    /// When one was last shown to restore.
    pub last_verified: Option<f64>,
    /// What would be lost now, in seconds.
    pub rpo: Option<f64>,
    /// The newest one's bytes.
    pub size: Option<f64>,
    /// The last verified one's level.
    pub level: Option<f64>,
    /// How long the last restore took.
    pub restore: Option<f64>,
    /// How many there are.
    pub count: f64,
}

/// A target was looked at.
pub fn stands(target: &str, standing: &Standing) {
    for (name, value) in [
        (LAST_SUCCESS, standing.last_success),
        (LAST_VERIFIED, standing.last_verified),
        (RPO, standing.rpo),
        (SIZE, standing.size),
        (LEVEL, standing.level),
        (RESTORE, standing.restore),
        (COUNT, Some(standing.count)),
    ] {
        if let Some(value) = value {
            gauge!(name, "target" => target.to_owned()).set(value);
        }
    }
}

/// A backup was made.
pub fn created(target: &str, id: &dyn Display, bytes: u64, took: Duration) {
    counter!(MADE, "target" => target.to_owned(), "outcome" => "made").increment(1);
    histogram!(DURATION, "target" => target.to_owned()).record(took);
    info!(target_name = target, backup = %id, bytes, took_ms = took.as_millis(), "backup made");
}

/// An attempt failed.
pub fn failed(target: &str, reason: &dyn Display) {
    counter!(MADE, "target" => target.to_owned(), "outcome" => "failed").increment(1);
    error!(target_name = target, %reason, "a backup failed");
}

/// Somebody should look at a backup.
pub fn flagged(target: &str, id: &dyn Display, flag: &str) {
    warn!(target_name = target, backup = %id, flag, "look at this backup");
}

/// Files were taken away between the list of them and their copy.
pub fn vanished(target: &str, id: &dyn Display, files: usize) {
    warn!(target_name = target, backup = %id, files, "files vanished while they were backed up");
}

/// What a broken-off backup left is gone.
pub fn swept(target: &str, what: &dyn Display) {
    info!(target_name = target, left = %what, "removed what a broken-off backup left");
}

/// Retention deleted a backup.
pub fn pruned(target: &str, id: &dyn Display, place: &str) {
    info!(target_name = target, backup = %id, place, "backup deleted by retention");
}

/// People could not be told.
pub fn untold(target: &str, reason: &dyn Display) {
    warn!(target_name = target, %reason, "nobody could be told of a backup");
}

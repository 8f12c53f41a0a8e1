//! What is told of backups that were tried, and of the write-ahead log that is archived.
#![expect(
    clippy::disallowed_macros,
    reason = "the one place that names these metrics"
)]

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};
use tracing::{error, info};
use windlass::Timestamp;

/// Verifications, by target and outcome: passed or failed.
pub const VERIFICATIONS: &str = "backup_verifications_total";
/// Restores by jobs, by target and outcome: restored or failed.
pub const RESTORES: &str = "backup_restores_total";
/// How many bytes of its log a server keeps for us, by target.
pub const SLOT: &str = "backup_slot_retained_bytes";
/// When a part of the log was put away last, in seconds since 1970, by target.
pub const ARCHIVED: &str = "backup_wal_archived_timestamp_seconds";

pub(super) fn describe() {
    describe_counter!(VERIFICATIONS, "Verifications of backups, by outcome");
    describe_counter!(RESTORES, "Restores of backups by jobs, by outcome");
    describe_gauge!(
        SLOT,
        Unit::Bytes,
        "Write-ahead log that the server keeps until we have it"
    );
    describe_gauge!(
        ARCHIVED,
        "When write-ahead log was put away last, in seconds since 1970"
    );
}

/// A backup was tried and holds.
pub fn held(target: &str, backup: &str, level: u8, restore: Option<Duration>) {
    counter!(VERIFICATIONS, "target" => target.to_owned(), "outcome" => "passed").increment(1);
    let restore_ms = restore.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
    info!(
        target_name = target,
        backup, level, restore_ms, "the backup holds"
    );
}

/// A backup was tried and does not hold.
pub fn broken(target: &str, backup: &str, level: u8, reason: &str) {
    counter!(VERIFICATIONS, "target" => target.to_owned(), "outcome" => "failed").increment(1);
    error!(
        target_name = target,
        backup, level, reason, "the backup does not hold"
    );
}

/// So many bytes of its log the server keeps for us.
#[expect(clippy::cast_precision_loss, reason = "bytes of a log")]
pub fn slot(target: &str, bytes: i64) {
    gauge!(SLOT, "target" => target.to_owned()).set(bytes as f64);
}

/// A part of the log was put away.
#[expect(clippy::cast_precision_loss, reason = "a time")]
pub fn archived(target: &str, at: Timestamp) {
    gauge!(ARCHIVED, "target" => target.to_owned()).set(at.as_micros() as f64 / 1e6);
}

/// A backup was brought back.
pub fn restored(target: &str, backup: &str, to: &str, took: Duration) {
    counter!(RESTORES, "target" => target.to_owned(), "outcome" => "restored").increment(1);
    info!(
        target_name = target,
        backup,
        to,
        took_ms = took.as_millis(),
        "backup restored"
    );
}

/// It could not be.
pub fn not_restored(target: &str, reason: &dyn std::fmt::Display) {
    counter!(RESTORES, "target" => target.to_owned(), "outcome" => "failed").increment(1);
    error!(target_name = target, %reason, "a restore failed");
}

/// Retention deleted archived log that no kept backup needs.
pub fn log_pruned(target: &str, place: &str, needed_from: &str, segments: usize) {
    info!(
        target_name = target,
        place, needed_from, segments, "archived write-ahead log deleted by retention"
    );
}

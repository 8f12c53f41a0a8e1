//! What an error of another room means for the job that met it: wait, try again, or give up.

use std::time::Duration;

use windlass::{permanent, wait_for};

use crate::{backups, platform, records, services};

/// How long to wait for a database that is away.
const DATABASE: Duration = Duration::from_secs(1);
/// How long to wait for a model server that did not say when to come back.
const MODEL: Duration = Duration::from_secs(10);

/// A database that is away is not the job's fault and uses no attempt; what the data or the tenant
/// make impossible no repetition will cure.
pub(super) fn from_platform(error: platform::Error) -> anyhow::Error {
    match error {
        _ if error.is_transient() => wait_for(DATABASE, error),
        platform::Error::NotFound { .. }
        | platform::Error::Invalid { .. }
        | platform::Error::Corrupt { .. } => permanent(error),
        _ => error.into(),
    }
}

/// The same for the product's own tables.
pub(super) fn from_records(error: records::Error) -> anyhow::Error {
    if error.is_transient() {
        wait_for(DATABASE, error)
    } else {
        error.into()
    }
}

/// A server that is away is not the job's fault and uses no attempt; one that refuses will refuse
/// again.
pub(super) fn from_service(error: services::Error) -> anyhow::Error {
    if error.is_transient() {
        wait_for(error.retry_after().unwrap_or(MODEL), error)
    } else {
        permanent(error)
    }
}

/// What another attempt may do uses one: nobody waits for a backup.
pub(super) fn from_backups(error: backups::Error) -> anyhow::Error {
    if error.is_lasting() {
        permanent(error)
    } else {
        error.into()
    }
}

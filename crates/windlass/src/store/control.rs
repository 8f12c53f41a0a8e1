//! What operators set while everything runs, and the record of what they did.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;

use super::Error;
use crate::model::{Audit, AuditEntry, AuditFilter, Json, Lease, Setting, Timestamp};

/// Changes one setting.
#[derive(Debug, Clone)]
pub struct ChangeSetting<'a> {
    /// Its space.
    pub space: &'a str,
    /// Its name within the space.
    pub name: &'a str,
    /// Its value from now on; `None` deletes it.
    pub value: Option<&'a Json>,
    /// Only if it is at this version now, 0 being that there is none; whatever it is at if `None`.
    pub expected: Option<i64>,
    /// Who does it and why. The store adds how the setting was and is.
    pub audit: &'a Audit,
    /// The time to take it for.
    pub now: Option<Timestamp>,
}

/// What a change came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingChanged {
    /// How it was; `None` if there was none.
    pub before: Option<Setting>,
    /// How it is; `None` if there is none.
    pub after: Option<Setting>,
}

/// Settings and the audit log: the part of the contract that operators use.
#[async_trait]
pub trait Control: Debug + Send + Sync + 'static {
    /// Sets or deletes one setting, and records who did it in the same transaction. To delete what is
    /// not there changes and records nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`] if the setting is at another version than expected: nothing was changed.
    async fn change_setting(&self, change: ChangeSetting<'_>) -> Result<SettingChanged, Error>;

    /// All settings of a space, or of every one, by space and name.
    async fn settings(&self, space: Option<&str>) -> Result<Vec<Setting>, Error>;

    /// Another number as soon as any setting has changed, deletions included; only grows. Cheap
    /// enough to ask several times a second. Read it first and the settings after it: what changes in
    /// between is then seen again, and never missed.
    async fn settings_version(&self) -> Result<i64, Error>;

    /// Leases that a worker holds and whose jobs were asked to stop, up to [`MAX_CANCEL_REQUESTS`].
    /// Cheap enough to ask several times a second: it looks at nothing else.
    async fn cancel_requests(&self, worker: &str) -> Result<Vec<Lease>, Error>;

    /// Adds to the audit log what needs no other change of the store.
    async fn record_audit(&self, audit: &Audit, now: Option<Timestamp>) -> Result<(), Error>;

    /// Up to `limit` (1 to 1000) lines of the audit log, newest first, older than number `before`.
    async fn audit(
        &self,
        filter: &AuditFilter,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, Error>;

    /// Deletes up to `limit` lines that are older than `keep`; says how many.
    async fn prune_audit(
        &self,
        keep: Duration,
        limit: u32,
        now: Option<Timestamp>,
    ) -> Result<u64, Error>;
}

/// How many leases [`Control::cancel_requests`] tells of at once.
pub const MAX_CANCEL_REQUESTS: u32 = 1000;

/// The largest page of the audit log.
pub(super) const MAX_AUDIT_PAGE: u32 = 1000;

impl ChangeSetting<'_> {
    /// Refuses if the setting is not as expected.
    pub(super) fn check(&self, found: Option<&Setting>) -> Result<(), Error> {
        let found = found.map_or(0, |setting| setting.version);
        match self.expected {
            Some(expected) if expected != found => Err(Error::Conflict {
                setting: format!("{}/{}", self.space, self.name),
                expected,
                found,
            }),
            _ => Ok(()),
        }
    }

    /// Its line in the audit log.
    pub(super) fn audited(&self, before: Option<&Setting>) -> Audit {
        Audit {
            before: before.map(|setting| setting.value.clone()),
            after: self.value.cloned(),
            ..self.audit.clone()
        }
    }
}

//! What operators set while everything runs, and the record of what they did.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{Changed, Error};
use crate::db;
use crate::model::{
    Audit, AuditEntry, AuditFilter, Filter, Found, JobId, Json, Lease, Page, Setting, State,
    Timestamp,
};

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

/// What an operator does to jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Stops them, or asks them to stop if they run.
    Cancel,
    /// Sets them aside as dead.
    Discard,
    /// Makes them available now, or at the time that [`Operate::run_at`] says.
    Requeue,
    /// Makes what waits for its time, or for a worker, wait until [`Operate::run_at`]; as it is without one.
    Snooze,
}

/// Does one thing to jobs.
#[derive(Debug, Clone)]
pub struct Operate<'a> {
    /// What.
    pub operation: Operation,
    /// To which.
    pub ids: &'a [JobId],
    /// Only those of this tenant.
    pub tenant: Option<&'a str>,
    /// New args for what is requeued, in the form that the store is to keep.
    pub args: Option<&'a Json>,
    /// When what is requeued or snoozed is due, if not at once.
    pub run_at: Option<Timestamp>,
    /// Who does it and why, if that is to be recorded. The store adds how the job was and is.
    pub audit: Option<&'a Audit>,
    /// Who does it, if a job does, and how far that job has got: see
    /// [`Flows::checkpoint`](super::Flows::checkpoint).
    pub checkpoint: Option<(Lease, &'a Json)>,
    /// The time to take it for.
    pub now: Option<Timestamp>,
}

/// A job that a filter finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matched {
    /// Which.
    pub id: JobId,
    /// What it is.
    pub kind: String,
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

    /// Does one thing to many jobs in one transaction; answers in their order. If anything was changed
    /// it is recorded in the same transaction.
    ///
    /// # Errors
    ///
    /// [`Error::LeaseLost`] if it was to be done under a lease that is lost: nothing was changed.
    async fn operate(&self, operate: Operate<'_>) -> Result<Vec<Changed>, Error>;

    /// The jobs that [`Store::list`](super::Store::list) would tell of, in the same order, without
    /// what they hold. Up to [`MAX_MATCHED`] at once.
    async fn matching(
        &self,
        filter: &Filter,
        page: Page,
        now: Option<Timestamp>,
    ) -> Result<Found<Matched>, Error>;

    /// Adds to the audit log what needs no other change of the store.
    async fn record_audit(&self, audit: &Audit, now: Option<Timestamp>) -> Result<(), Error>;

    /// The same within the caller's transaction, together with what it tells of: both are there, or neither.
    async fn record_audit_in(&self, tx: &mut db::Tx, audit: &Audit) -> Result<(), Error>;

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

/// How many jobs [`Control::matching`] tells of at once.
pub const MAX_MATCHED: u32 = 10_001;

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

/// What was done to one job, and how it was: its state and its tenant, if it was found.
#[derive(Debug)]
pub(super) struct Operated {
    pub(super) changed: Changed,
    pub(super) was: Option<(State, Option<String>)>,
}

impl Operate<'_> {
    /// Its line in the audit log, if anything was done.
    pub(super) fn audited(&self, operated: &[Operated]) -> Option<Audit> {
        let audit = self.audit?;
        let done = |one: &&Operated| matches!(one.changed, Changed::Done | Changed::Asked);
        let changed = operated.iter().filter(done).count();
        if changed == 0 {
            return None;
        }
        let (mut before, mut tenant_id) = (None, audit.tenant_id.clone());
        let mut after = format!(r#"{{"jobs":{changed}}}"#);
        if let [one] = operated {
            after = self.leads_to(one.changed);
            if let Some((state, tenant)) = &one.was {
                before = Some(Json::trusted(format!(r#"{{"state":"{state}"}}"#)));
                tenant_id = tenant_id.or_else(|| tenant.clone());
            }
        }
        Some(Audit {
            tenant_id,
            before: before.or_else(|| audit.before.clone()),
            after: Some(audit.after.clone().unwrap_or_else(|| Json::trusted(after))),
            ..audit.clone()
        })
    }

    /// The time that a job is given, by what gives it one.
    pub(super) fn time(&self, changed: Changed) -> Option<Timestamp> {
        let gives = matches!(self.operation, Operation::Requeue | Operation::Snooze);
        self.run_at.filter(|_| gives && changed == Changed::Done)
    }

    /// How a job is afterwards, as the audit log tells it.
    fn leads_to(&self, changed: Changed) -> String {
        let state = match (changed, self.operation) {
            (Changed::Asked, _) => "asked to stop",
            (_, Operation::Cancel) => "cancelled",
            (_, Operation::Discard) => "dead",
            (_, Operation::Requeue) if self.run_at.is_some() => "scheduled",
            (_, Operation::Requeue) => "available",
            // It stays what it was: only its time is another.
            (_, Operation::Snooze) => "waits",
        };
        match self.time(changed) {
            Some(at) => format!(r#"{{"state":"{state}","run_at":"{at}"}}"#),
            None => format!(r#"{{"state":"{state}"}}"#),
        }
    }
}

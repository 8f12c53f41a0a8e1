//! Settings and the audit log.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;

use super::super::control::{MAX_AUDIT_PAGE, MAX_CANCEL_REQUESTS, MAX_MATCHED, Operated};
use super::super::{
    ChangeSetting, Changed, Control, Error, Matched, Operate, Operation, SettingChanged,
};
use super::{Data, MemoryStore};
use crate::db;
use crate::model::{
    Audit, AuditEntry, AuditFilter, Filter, Found, JobId, JobRecord, Lease, Page, Recorded,
    Setting, Timestamp,
};

#[derive(Debug, Default, Clone)]
pub(super) struct Controls {
    settings: BTreeMap<(String, String), Setting>,
    version: i64,
    audit: BTreeMap<i64, AuditEntry>,
    last_audit: i64,
}

impl Data {
    fn change_setting(
        &mut self,
        change: &ChangeSetting<'_>,
        now: Timestamp,
    ) -> Result<SettingChanged, Error> {
        let controls = &mut self.controls;
        let place = (change.space.to_owned(), change.name.to_owned());
        let before = controls.settings.get(&place).cloned();
        change.check(before.as_ref())?;
        if before.is_none() && change.value.is_none() {
            let after = None;
            return Ok(SettingChanged { before, after });
        }
        controls.version += 1;
        let after = change.value.map(|value| Setting {
            space: change.space.to_owned(),
            name: change.name.to_owned(),
            value: value.clone(),
            version: controls.version,
            updated_at: now,
        });
        match after.clone() {
            Some(setting) => controls.settings.insert(place, setting),
            None => controls.settings.remove(&place),
        };
        self.record_audit(change.audited(before.as_ref()), now);
        Ok(SettingChanged { before, after })
    }

    pub(super) fn record_audit(&mut self, audit: Audit, at: Timestamp) {
        self.controls.last_audit += 1;
        let id = self.controls.last_audit;
        let entry = AuditEntry { id, at, audit };
        self.controls.audit.insert(id, entry);
    }

    fn operate(&mut self, operate: &Operate<'_>, now: Timestamp) -> Result<Vec<Changed>, Error> {
        if let Some((lease, checkpoint)) = operate.checkpoint
            && self.checkpoint(lease, checkpoint) == Recorded::LeaseLost
        {
            return Err(Error::LeaseLost);
        }
        let one = |id: &JobId| {
            let was = self
                .visible(*id, operate.tenant)
                .map(|job| (job.state.at(job.run_at, now), job.tenant_id.clone()));
            let changed = match operate.operation {
                Operation::Cancel => self.cancel(*id, operate.tenant, now),
                Operation::Discard => self.discard(*id, operate.tenant, now),
                Operation::Requeue => self.requeue(*id, operate.tenant, now),
                Operation::Snooze => self.snooze(*id, operate.tenant),
            };
            if let Some(at) = operate.time(changed) {
                self.jobs.set_time(*id, at, now);
            }
            if let (Changed::Done, Some(args)) = (changed, operate.args) {
                self.jobs.change(*id, now, |job| job.args = args.clone());
            }
            Operated { changed, was }
        };
        let operated: Vec<Operated> = operate.ids.iter().map(one).collect();
        if let Some(audit) = operate.audited(&operated) {
            self.record_audit(audit, now);
        }
        Ok(operated.into_iter().map(|one| one.changed).collect())
    }

    fn prune_audit(&mut self, before: Timestamp, limit: u32) -> u64 {
        let audit = &mut self.controls.audit;
        let mut old: Vec<(Timestamp, i64)> = audit
            .values()
            .filter(|entry| entry.at < before)
            .map(|entry| (entry.at, entry.id))
            .collect();
        old.sort_unstable();
        old.truncate(limit as usize);
        for (_, id) in &old {
            audit.remove(id);
        }
        old.len() as u64
    }
}

fn matches(audit: &Audit, filter: &AuditFilter) -> bool {
    let same =
        |wanted: &Option<String>, has: Option<&str>| wanted.is_none() || wanted.as_deref() == has;
    same(&filter.actor, Some(&audit.actor))
        && same(&filter.action, Some(&audit.action))
        && same(&filter.subject, Some(&audit.subject))
        && same(&filter.tenant_id, audit.tenant_id.as_deref())
}

#[async_trait]
impl Control for MemoryStore {
    async fn change_setting(&self, change: ChangeSetting<'_>) -> Result<SettingChanged, Error> {
        self.at(change.now, |data, now| data.change_setting(&change, now))
    }

    async fn settings(&self, space: Option<&str>) -> Result<Vec<Setting>, Error> {
        Ok(self.at(None, |data, _| {
            let settings = data.controls.settings.values();
            let wanted = settings.filter(|setting| space.is_none_or(|s| s == setting.space));
            wanted.cloned().collect()
        }))
    }

    async fn settings_version(&self) -> Result<i64, Error> {
        Ok(self.at(None, |data, _| data.controls.version))
    }

    async fn cancel_requests(&self, worker: &str) -> Result<Vec<Lease>, Error> {
        Ok(self.at(None, |data, _| {
            let asked = |job: &&JobRecord| {
                job.cancel_requested_at.is_some() && job.worker.as_deref() == Some(worker)
            };
            let jobs = data.jobs.iter().filter(asked);
            let lease = |job: &JobRecord| Lease {
                job: job.id,
                claim_no: job.claim_no,
            };
            jobs.map(lease).take(MAX_CANCEL_REQUESTS as usize).collect()
        }))
    }

    async fn operate(&self, operate: Operate<'_>) -> Result<Vec<Changed>, Error> {
        self.at(operate.now, |data, now| data.operate(&operate, now))
    }

    async fn matching(
        &self,
        filter: &Filter,
        page: Page,
        now: Option<Timestamp>,
    ) -> Result<Found<Matched>, Error> {
        Ok(self.at(now, |data, now| {
            let matched = |job: &JobRecord| Matched {
                id: job.id,
                kind: job.kind.clone(),
            };
            let limit = page.limit.clamp(1, MAX_MATCHED);
            let matching = data.matching(filter, page.after, now);
            let jobs = matching.take(limit as usize).map(matched).collect();
            Found::new(jobs, limit, None, |job| job.id)
        }))
    }

    async fn record_audit(&self, audit: &Audit, now: Option<Timestamp>) -> Result<(), Error> {
        self.at(now, |data, now| data.record_audit(audit.clone(), now));
        Ok(())
    }

    async fn record_audit_in(&self, _tx: &mut db::Tx, _audit: &Audit) -> Result<(), Error> {
        Err(Self::unsupported("record an audit in a transaction"))
    }

    async fn audit(
        &self,
        filter: &AuditFilter,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, Error> {
        Ok(self.at(None, |data, _| {
            let older = data.controls.audit.range(..before.unwrap_or(i64::MAX));
            let wanted = older
                .rev()
                .filter(|(_, entry)| matches(&entry.audit, filter));
            wanted
                .take(limit.clamp(1, MAX_AUDIT_PAGE) as usize)
                .map(|(_, entry)| entry.clone())
                .collect()
        }))
    }

    async fn prune_audit(
        &self,
        keep: Duration,
        limit: u32,
        now: Option<Timestamp>,
    ) -> Result<u64, Error> {
        Ok(self.at(now, |data, now| data.prune_audit(now.minus(keep), limit)))
    }
}

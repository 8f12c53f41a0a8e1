//! Which backups are kept: decided first, shown, and only then done.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;
use serde_json::json;
use windlass::Timestamp;

use super::segments::{self, OldLog};
use super::{Backup, BackupId, Backups, Error, Holdings, KeepOptions, Level, Repository};

/// What becomes of one backup, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// Which.
    pub id: BackupId,
    /// When it was made.
    pub started: Timestamp,
    /// How much of the place it takes, in bytes.
    pub stored_bytes: u64,
    /// Why it is kept; it goes if there is no reason.
    pub kept_for: Vec<String>,
}

/// What becomes of the archived log beside a target's backups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Log {
    /// The first segment that a kept backup needs: it and all after it stay.
    pub needed_from: String,
    /// The segments that go, oldest first.
    pub goes: Vec<String>,
    /// What they take of the place, in bytes.
    pub stored_bytes: u64,
}

/// What was deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Deleted {
    /// Backups.
    pub backups: usize,
    /// Segments of archived log.
    pub segments: usize,
}

impl std::ops::AddAssign for Deleted {
    fn add_assign(&mut self, more: Self) {
        self.backups += more.backups;
        self.segments += more.segments;
    }
}

/// What becomes of a target's backups in one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Which target.
    pub target: String,
    /// Where.
    pub place: String,
    /// Why nothing goes for now, whatever is decided.
    pub waits_for: Option<String>,
    /// Oldest first.
    pub decisions: Vec<Decision>,
    /// What becomes of the log, if a kept backup is of a kind that has one.
    pub log: Option<Log>,
}

impl Plan {
    /// What goes.
    pub fn goes(&self) -> impl Iterator<Item = &Decision> {
        let waits = self.waits_for.is_some();
        let goes = move |it: &&Decision| !waits && it.kept_for.is_empty();
        self.decisions.iter().filter(goes)
    }

    /// The log that goes.
    pub fn log_goes(&self) -> &[String] {
        let log = self.log.as_ref().filter(|_| self.waits_for.is_none());
        log.map_or(&[], |log| &log.goes)
    }

    /// What goes, for the audit log.
    pub fn detail(&self) -> serde_json::Value {
        let ids: Vec<&str> = self.goes().map(|it| it.id.as_str()).collect();
        let mut detail = json!({"deleted": ids});
        if let Some(log) = self.log.as_ref().filter(|_| !self.log_goes().is_empty()) {
            detail["log"] = json!({"segments": log.goes.len(), "neededFrom": log.needed_from});
        }
        detail
    }

    /// Whether all stays.
    pub fn is_empty(&self) -> bool {
        self.goes().next().is_none() && self.log_goes().is_empty()
    }
}

/// Decides on every place of a target. Nothing is done yet.
pub async fn plans(backups: &Backups, name: &str, now: Timestamp) -> Result<Vec<Plan>, Error> {
    let target = backups.target(name)?;
    let keep = &backups.options().keep;
    let mut held = Vec::new();
    for repository in backups.repositories(target)? {
        let holdings = repository.holdings(name).await?;
        held.push((repository.place().name().to_owned(), holdings));
    }
    let waits_for = waits_for(&held);
    let mut plans = Vec::with_capacity(held.len());
    for (place, holdings) in held {
        let decisions = decide(&holdings.backups, keep, now);
        let is_kept = |backup: &&Backup| {
            let decided = decisions.iter().find(|it| it.id == backup.manifest.id);
            waits_for.is_some() || decided.is_some_and(|it| !it.kept_for.is_empty())
        };
        let kept = holdings.backups.iter().filter(is_kept);
        let log = match old_log(backups.repository(&place)?, name, &holdings, kept).await? {
            Some((needed_from, old)) => Some(Log {
                needed_from,
                goes: old.segments.into_iter().collect(),
                stored_bytes: old.bytes,
            }),
            None => None,
        };
        plans.push(Plan {
            target: name.to_owned(),
            place,
            waits_for: waits_for.clone(),
            decisions,
            log,
        });
    }
    Ok(plans)
}

/// The first segment of the log that these backups need, and what is archived of before it. Nothing is known
/// if none needs any, or if there is one of which nobody knows what it needs.
async fn old_log(
    repository: &Repository,
    target: &str,
    holdings: &Holdings,
    kept: impl Iterator<Item = &Backup>,
) -> Result<Option<(String, OldLog)>, Error> {
    if !holdings.damaged.is_empty() {
        return Ok(None);
    }
    let Some(first) = segments::first_needed(kept.map(|it| &it.manifest))? else {
        return Ok(None);
    };
    let old = repository.log_before(target, &first).await?;
    Ok(Some((first, old)))
}

/// Does what was decided; what went.
pub async fn apply(backups: &Backups, plan: &Plan) -> Result<Deleted, Error> {
    let repository = backups.repository(&plan.place)?;
    let mut gone = Deleted::default();
    for decision in plan.goes() {
        // Somebody may have pinned it since.
        if repository
            .get(&plan.target, &decision.id)
            .await?
            .pin
            .is_some()
        {
            continue;
        }
        repository.delete(&plan.target, &decision.id).await?;
        crate::telemetry::backups::pruned(&plan.target, &decision.id, &plan.place);
        gone.backups += 1;
    }
    if !plan.log_goes().is_empty() {
        // Of what is there now: what was pinned since needs its log as well.
        let holdings = repository.holdings(&plan.target).await?;
        let kept = holdings.backups.iter();
        if let Some((first, old)) = old_log(repository, &plan.target, &holdings, kept).await? {
            gone.segments = repository.delete_log(&old).await?;
            crate::telemetry::restores::log_pruned(
                &plan.target,
                &plan.place,
                &first,
                gone.segments,
            );
        }
    }
    Ok(gone)
}

/// Nothing goes while the newest backup is not in every place, or may be less than those before it.
fn waits_for(held: &[(String, Holdings)]) -> Option<String> {
    let (_, first) = held.first()?;
    let newest = &first.backups.last()?.manifest;
    if let Some(flag) = newest.flags.first() {
        return Some(format!(
            "somebody to look at the newest backup, {}: {flag}",
            newest.id
        ));
    }
    let lacks = |(_, there): &&(String, Holdings)| {
        there.backups.iter().all(|it| it.manifest.id != newest.id)
    };
    let (place, _) = held.iter().find(lacks)?;
    Some(format!(
        "the newest backup, {}, to be copied to {place}",
        newest.id
    ))
}

/// Decides on backups, oldest first.
fn decide(backups: &[Backup], keep: &KeepOptions, now: Timestamp) -> Vec<Decision> {
    let mut reasons: BTreeMap<&BackupId, Vec<String>> = BTreeMap::new();
    let mut because = |backup: &'_ Backup, why: String| {
        // Borrowed from the slice and not from the closure's argument.
        let id = backups
            .iter()
            .map(|it| &it.manifest.id)
            .find(|id| **id == backup.manifest.id);
        if let Some(id) = id {
            reasons.entry(id).or_default().push(why);
        }
    };
    let days = Duration::from_hours(24 * u64::from(keep.days));
    for backup in backups {
        if now.since(backup.manifest.started) < days {
            because(backup, format!("younger than {} days", keep.days));
        }
        if let Some(pin) = &backup.pin {
            because(backup, format!("pinned by {}", pin.by));
        }
    }
    let last = keep.last.max(keep.floor.get()) as usize;
    for backup in backups.iter().rev().take(last) {
        because(backup, format!("one of the last {last}"));
    }
    for level in [Level::Structure, Level::Restored] {
        if let Some(backup) = backups.iter().rev().find(|it| it.verified(level).is_some()) {
            because(backup, format!("the last one verified at {level} or above"));
        }
    }
    for (word, count, period) in [
        ("day", keep.daily, "%Y-%m-%d"),
        ("week", keep.weekly, "%G-%V"),
        ("month", keep.monthly, "%Y-%m"),
    ] {
        let mut seen = BTreeSet::new();
        for backup in backups.iter().rev() {
            let at = backup.manifest.started.to_datetime();
            if seen.len() < count as usize && seen.insert(at.format(period).to_string()) {
                because(backup, format!("the last one of its {word}"));
            }
        }
    }
    // A kept one is of no use without what it builds on; newest first, so that chains are followed.
    for backup in backups.iter().rev() {
        if reasons.contains_key(&backup.manifest.id)
            && let Some(parent) = &backup.manifest.parent
            && let Some(parent) = backups.iter().find(|it| it.manifest.id == *parent)
        {
            let why = format!("{} builds on it", backup.manifest.id);
            reasons.entry(&parent.manifest.id).or_default().push(why);
        }
    }
    let decision = |backup: &Backup| Decision {
        id: backup.manifest.id.clone(),
        started: backup.manifest.started,
        stored_bytes: backup.manifest.stored_size(),
        kept_for: reasons
            .get(&backup.manifest.id)
            .cloned()
            .unwrap_or_default(),
    };
    backups.iter().map(decision).collect()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::super::manifest::tests::manifest;
    use super::super::{BackupOptions, Evidence, Pin, Verdict};
    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn at(day: u64) -> Timestamp {
        let first: Timestamp = "2026-01-01T02:00:00Z".parse().unwrap();
        first + DAY * u32::try_from(day).unwrap()
    }

    fn backup(day: u64) -> Backup {
        let mut manifest = manifest(Vec::new());
        manifest.started = at(day);
        manifest.id = BackupId::new(at(day), Uuid::from_u128(day.into()));
        Backup {
            manifest,
            pin: None,
            evidence: Vec::new(),
        }
    }

    fn keep() -> KeepOptions {
        KeepOptions {
            days: 0,
            last: 1,
            daily: 0,
            weekly: 0,
            monthly: 0,
            ..BackupOptions::default().keep
        }
    }

    /// The days whose backups are kept, of backups of these days.
    fn kept(backups: &[Backup], keep: &KeepOptions, now: u64) -> Vec<usize> {
        let decided = decide(backups, keep, at(now));
        let kept = decided
            .iter()
            .enumerate()
            .filter(|(_, it)| !it.kept_for.is_empty());
        kept.map(|(at, _)| at).collect()
    }

    #[test]
    fn each_rule_keeps_what_it_says() {
        let all: Vec<Backup> = (0..100).map(backup).collect();
        assert_eq!(kept(&all, &keep(), 100), [97, 98, 99], "the floor");
        let last = KeepOptions { last: 5, ..keep() };
        assert_eq!(kept(&all, &last, 100), [95, 96, 97, 98, 99]);
        let days = KeepOptions { days: 30, ..keep() };
        assert_eq!(kept(&all, &days, 99), (70..100).collect::<Vec<_>>());
        assert_eq!(
            kept(&all, &days, 1000),
            [97, 98, 99],
            "however old, the floor stays"
        );
        // 2026-01-01 is a Thursday: days 3, 10, .. are Sundays, the last of their weeks.
        let weekly = KeepOptions {
            weekly: 3,
            ..keep()
        };
        assert_eq!(kept(&all, &weekly, 100), [87, 94, 97, 98, 99]);
        let monthly = KeepOptions {
            monthly: 4,
            ..keep()
        };
        assert_eq!(kept(&all, &monthly, 100), [30, 58, 89, 97, 98, 99]);
        let daily = KeepOptions { daily: 4, ..keep() };
        assert_eq!(kept(&all, &daily, 100), [96, 97, 98, 99]);
    }

    #[test]
    fn what_is_needed_stays_however_old() {
        let mut all: Vec<Backup> = (0..50).map(backup).collect();
        all[3].pin = Some(Pin {
            by: "ops".into(),
            at: at(3),
            reason: "before the move".into(),
        });
        let passed = Evidence {
            target: "main".into(),
            backup: all[7].manifest.id.clone(),
            manifest_sha256: all[7].manifest.sha256.clone(),
            level: Level::Restored,
            outcome: Verdict::Passed,
            reason: None,
            started: at(7),
            finished: at(7),
            job: Uuid::nil(),
            program: "1.0.0".into(),
            figures: BTreeMap::new(),
            checks: Vec::new(),
        };
        all[7].evidence.push(passed);
        // A chain: 49 builds on 20, and 20 on 10.
        all[49].manifest.parent = Some(all[20].manifest.id.clone());
        all[20].manifest.parent = Some(all[10].manifest.id.clone());
        assert_eq!(kept(&all, &keep(), 60), [3, 7, 10, 20, 47, 48, 49]);
    }

    #[test]
    fn nothing_goes_while_a_copy_is_missing_or_the_newest_is_in_doubt() {
        let all: Vec<Backup> = (0..9).map(backup).collect();
        let held = |place: &str, backups: &[Backup]| {
            let backups = backups.to_vec();
            let held = Holdings {
                backups,
                ..Holdings::default()
            };
            (place.to_owned(), held)
        };
        let here = held("local", &all);
        assert_eq!(waits_for(&[here.clone(), held("offsite", &all)]), None);
        let waits = waits_for(&[here.clone(), held("offsite", &all[..8])]).unwrap();
        assert!(waits.ends_with("to be copied to offsite"), "{waits}");
        let mut doubtful = all;
        doubtful[8].manifest.flags.push("it is smaller".into());
        let waits = waits_for(&[held("local", &doubtful)]).unwrap();
        assert!(
            waits.starts_with("somebody to look at the newest backup"),
            "{waits}"
        );
        let plan = Plan {
            target: "main".into(),
            place: "local".into(),
            waits_for: Some(waits),
            decisions: decide(&here.1.backups, &keep(), at(9)),
            log: Some(Log {
                needed_from: "0000000200000001000000FE".into(),
                goes: vec!["0000000200000001000000FD".into()],
                stored_bytes: 1,
            }),
        };
        assert!(plan.is_empty());
        assert!(plan.log_goes().is_empty());
        let now = Plan {
            waits_for: None,
            ..plan
        };
        assert_eq!(now.goes().count(), 6);
        assert_eq!(now.log_goes().len(), 1);
    }
}

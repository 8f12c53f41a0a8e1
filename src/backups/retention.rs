//! Which backups are kept: decided first, shown, and only then done.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;
use windlass::Timestamp;

use super::{Backup, BackupId, Backups, Error, KeepOptions, Level};

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
}

impl Plan {
    /// What goes.
    pub fn goes(&self) -> impl Iterator<Item = &Decision> {
        let waits = self.waits_for.is_some();
        let goes = move |it: &&Decision| !waits && it.kept_for.is_empty();
        self.decisions.iter().filter(goes)
    }
}

/// Decides on every place of a target. Nothing is done yet.
pub async fn plans(backups: &Backups, name: &str, now: Timestamp) -> Result<Vec<Plan>, Error> {
    let target = backups.target(name)?;
    let keep = &backups.options().keep;
    let mut held = Vec::new();
    for repository in backups.repositories(target)? {
        held.push((
            repository.place().name().to_owned(),
            repository.list(name).await?,
        ));
    }
    let waits_for = waits_for(&held);
    let plan = |(place, backups): (String, Vec<Backup>)| Plan {
        target: name.to_owned(),
        place,
        waits_for: waits_for.clone(),
        decisions: decide(&backups, keep, now),
    };
    Ok(held.into_iter().map(plan).collect())
}

/// Does what was decided; how many went.
pub async fn apply(backups: &Backups, plan: &Plan) -> Result<usize, Error> {
    let repository = backups.repository(&plan.place)?;
    let mut gone = 0;
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
        gone += 1;
    }
    Ok(gone)
}

/// Nothing goes while the newest backup is not in every place, or may be less than those before it.
fn waits_for(held: &[(String, Vec<Backup>)]) -> Option<String> {
    let (_, first) = held.first()?;
    let newest = &first.last()?.manifest;
    if let Some(flag) = newest.flags.first() {
        return Some(format!(
            "somebody to look at the newest backup, {}: {flag}",
            newest.id
        ));
    }
    let lacks =
        |(_, there): &&(String, Vec<Backup>)| there.iter().all(|it| it.manifest.id != newest.id);
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
        let here = ("local".to_owned(), all.clone());
        assert_eq!(
            waits_for(&[here.clone(), ("offsite".to_owned(), all.clone())]),
            None
        );
        let waits = waits_for(&[here.clone(), ("offsite".to_owned(), all[..8].to_vec())]).unwrap();
        assert!(waits.ends_with("to be copied to offsite"), "{waits}");
        let mut doubtful = all;
        doubtful[8].manifest.flags.push("it is smaller".into());
        let waits = waits_for(&[("local".to_owned(), doubtful)]).unwrap();
        assert!(
            waits.starts_with("somebody to look at the newest backup"),
            "{waits}"
        );
        let plan = Plan {
            target: "main".into(),
            place: "local".into(),
            waits_for: Some(waits),
            decisions: decide(&here.1, &keep(), at(9)),
        };
        assert_eq!(plan.goes().count(), 0);
    }
}

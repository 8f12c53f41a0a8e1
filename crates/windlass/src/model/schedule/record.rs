//! What a store knows of schedules and their ticks.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::Schedule;
use crate::model::{JobId, State, Timestamp};

/// A schedule as a store keeps it: the definition, and how it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScheduleRecord {
    /// What and when.
    #[serde(flatten)]
    pub schedule: Schedule,
    /// Every tick up to here has been fired or left out.
    pub decided_until: Timestamp,
    /// When a running program last said that it has this schedule.
    pub declared_at: Timestamp,
    /// Since when no program has had it: it fires no more, its history stays.
    pub retired_at: Option<Timestamp>,
    /// Since when an operator has stopped it.
    pub paused_at: Option<Timestamp>,
    /// And why.
    pub paused_note: Option<String>,
}

impl ScheduleRecord {
    /// The record once a program has declared the schedule. What operators did is kept. A new or
    /// changed timetable counts from now: it owes nothing for the time before.
    #[must_use]
    pub fn declared(known: Option<&Self>, schedule: &Schedule, now: Timestamp) -> Self {
        let goes_on = known.filter(|known| {
            let (old, new) = (&known.schedule, schedule);
            (&old.cron, &old.zone, old.enabled) == (&new.cron, &new.zone, new.enabled)
                && known.retired_at.is_none()
        });
        Self {
            schedule: schedule.clone(),
            decided_until: goes_on.map_or(now, |known| known.decided_until),
            declared_at: now,
            retired_at: None,
            paused_at: known.and_then(|known| known.paused_at),
            paused_note: known.and_then(|known| known.paused_note.clone()),
        }
    }

    /// Whether it fires by itself.
    pub const fn is_active(&self) -> bool {
        self.schedule.enabled && self.retired_at.is_none() && self.paused_at.is_none()
    }

    /// How long its next tick has been due; zero if it is yet to come, or fires no more.
    pub fn late(&self, now: Timestamp) -> Duration {
        if !self.is_active() {
            return Duration::ZERO;
        }
        // What cannot be read was refused when it was declared.
        let cron = self.schedule.cron().ok();
        let next = cron.and_then(|cron| cron.next_after(self.decided_until));
        next.map_or(Duration::ZERO, |next| now.since(next))
    }
}

/// The schedule that is the longest behind, and how long; none if all are up to date.
pub fn lateness(schedules: &[ScheduleRecord], now: Timestamp) -> Option<(&str, Duration)> {
    let late = schedules
        .iter()
        .map(|record| (record.schedule.name.as_str(), record.late(now)));
    late.max_by_key(|(_, late)| *late)
        .filter(|(_, late)| !late.is_zero())
}

/// A time at which a schedule fired, or was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TickRecord {
    /// Of which schedule.
    pub schedule: String,
    /// When it was to fire, by the timetable or the operator.
    pub fire_at: Timestamp,
    /// Why it fired.
    pub origin: Origin,
    /// Whether it did.
    pub outcome: TickOutcome,
    /// When that was decided.
    pub fired_at: Timestamp,
    /// The job that it made, or that stands for it.
    pub job_id: Option<JobId>,
    /// Where that job stands, or how it ended; none if it was deleted before anyone looked.
    pub state: Option<State>,
}

/// Why a tick fired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// Its time had come.
    Scheduled,
    /// Its time had gone by while no scheduler ran.
    CatchUp,
    /// An operator wanted it now.
    RunNow,
    /// An operator wanted the ticks of a time gone by.
    Backfill,
}

/// What became of a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TickOutcome {
    /// It made a job.
    Fired,
    /// It was left out.
    Skipped(Skip),
}

/// Why a tick was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Skip {
    /// Its time went by while no scheduler ran, and the catch-up policy left it out.
    Missed,
    /// The job of an earlier tick was unfinished.
    Overlap,
    /// Another job holds the unique key of its job.
    Duplicate,
}

/// A text that names no origin, or no outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is unknown")]
pub struct UnknownWord(String);

impl Origin {
    const ALL: [Self; 4] = [Self::Scheduled, Self::CatchUp, Self::RunNow, Self::Backfill];

    /// The word used in SQL, JSON and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::CatchUp => "catch_up",
            Self::RunNow => "run_now",
            Self::Backfill => "backfill",
        }
    }

    /// Whether the timetable wanted it, rather than an operator.
    pub const fn is_by_timetable(self) -> bool {
        matches!(self, Self::Scheduled | Self::CatchUp)
    }
}

impl TickOutcome {
    const ALL: [Self; 4] = [
        Self::Fired,
        Self::Skipped(Skip::Missed),
        Self::Skipped(Skip::Overlap),
        Self::Skipped(Skip::Duplicate),
    ];

    /// The word used in SQL, JSON and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fired => "fired",
            Self::Skipped(Skip::Missed) => "skipped_missed",
            Self::Skipped(Skip::Overlap) => "skipped_overlap",
            Self::Skipped(Skip::Duplicate) => "skipped_duplicate",
        }
    }
}

impl FromStr for Origin {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        let found = Self::ALL.into_iter().find(|origin| origin.as_str() == word);
        found.ok_or_else(|| UnknownWord(word.to_owned()))
    }
}

impl FromStr for TickOutcome {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        let found = Self::ALL
            .into_iter()
            .find(|outcome| outcome.as_str() == word);
        found.ok_or_else(|| UnknownWord(word.to_owned()))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for TickOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl Serialize for TickOutcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Json;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn daily() -> Schedule {
        Schedule::new("daily", "0 3 * * *", "work", Json::empty_object())
    }

    #[test]
    fn words_are_read_back() {
        for origin in Origin::ALL {
            assert_eq!(origin.as_str().parse(), Ok(origin));
        }
        for outcome in TickOutcome::ALL {
            assert_eq!(outcome.as_str().parse(), Ok(outcome));
        }
        assert!("done".parse::<Origin>().is_err());
    }

    #[test]
    fn a_restart_changes_nothing_and_a_changed_timetable_counts_from_now() {
        let (before, now) = (at("2026-01-01T00:00:00Z"), at("2026-01-09T00:00:00Z"));
        let mut known = ScheduleRecord::declared(None, &daily(), before);
        assert_eq!(known.decided_until, before);
        known.paused_at = Some(before);
        known.paused_note = Some("flood".into());

        let again = ScheduleRecord::declared(Some(&known), &daily(), now);
        assert_eq!(again.decided_until, before);
        assert_eq!(again.paused_note.as_deref(), Some("flood"));
        assert_eq!(again.declared_at, now);

        let later = Schedule {
            cron: "0 4 * * *".into(),
            ..daily()
        };
        assert_eq!(
            ScheduleRecord::declared(Some(&known), &later, now).decided_until,
            now
        );

        known.retired_at = Some(before);
        let back = ScheduleRecord::declared(Some(&known), &daily(), now);
        assert_eq!((back.decided_until, back.retired_at), (now, None));
    }

    #[test]
    fn late_is_what_is_due_and_active() {
        let mut record = ScheduleRecord::declared(None, &daily(), at("2026-01-01T00:00:00Z"));
        assert_eq!(record.late(at("2026-01-01T03:00:00Z")), Duration::ZERO);
        assert_eq!(
            record.late(at("2026-01-01T03:05:00Z")),
            Duration::from_mins(5)
        );
        let late = [record.clone()];
        let now = at("2026-01-01T03:05:00Z");
        assert_eq!(
            lateness(&late, now),
            Some(("daily", Duration::from_mins(5)))
        );
        assert_eq!(lateness(&late, at("2026-01-01T02:00:00Z")), None);
        record.paused_at = Some(now);
        assert_eq!(record.late(at("2026-02-01T00:00:00Z")), Duration::ZERO);
    }
}

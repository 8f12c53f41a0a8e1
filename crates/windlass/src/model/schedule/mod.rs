//! Work that comes round: what, when, and what becomes of times that were missed or overlap.
//!
//! A [`Schedule`] is a definition; each time it fires is a *tick*, a row unique by schedule and fire
//! time, which is why any number of schedulers fire it once. [`due`] is the whole policy.

mod cron;
mod due;
mod record;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Json, Timestamp};

pub use cron::Cron;
pub use due::{Due, ON_TIME, due, jitter};
pub use record::{Origin, ScheduleRecord, Skip, TickOutcome, TickRecord, UnknownWord, lateness};

/// The longest jitter.
const LONGEST_JITTER: Duration = Duration::from_hours(24);

/// What is to be done, and when.
///
/// ```
/// use std::time::Duration;
/// use windlass::Json;
/// use windlass::model::{CatchUp, Overlap, Schedule};
///
/// let nightly = Schedule {
///     zone: "Europe/Berlin".into(),
///     catch_up: CatchUp::All { within: Duration::from_hours(48) },
///     overlap: Overlap::Queue,
///     ..Schedule::new("nightly_backup", "30 2 * * *", "backup", Json::empty_object())
/// };
/// assert!(nightly.cron().is_ok());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// Its name, unique, for ever: its history hangs on it.
    pub name: String,
    /// When; see [`Cron`].
    pub cron: String,
    /// On whose clocks: an IANA name. `UTC` has neither gaps nor repeated hours.
    pub zone: String,
    /// What kind of job.
    pub kind: String,
    /// With what.
    pub args: Json,
    /// The field of the args that gets the fire time, as RFC 3339, if the job wants to know it: a
    /// backfilled or late tick is about its own time, not about now.
    #[serde(default)]
    pub fire_at_arg: Option<String>,
    /// In another queue than the kind's own.
    #[serde(default)]
    pub queue: Option<String>,
    /// With another priority than the kind's own, 0 first .. 9.
    #[serde(default)]
    pub priority: Option<u8>,
    /// Whose jobs they are, if the kind does not say it.
    #[serde(default)]
    pub tenant_id: Option<String>,
    /// What becomes of ticks that were missed.
    pub catch_up: CatchUp,
    /// What becomes of a tick while the job of an earlier one is unfinished.
    pub overlap: Overlap,
    /// Each job starts up to so much later, by a fixed amount for each tick, so that many programs
    /// with one timetable do not start at one moment.
    #[serde(with = "millis")]
    pub jitter: Duration,
    /// Whether it fires at all.
    pub enabled: bool,
}

/// What becomes of ticks that nobody fired in time, because every scheduler was down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CatchUp {
    /// They are left out.
    None,
    /// The latest is made up for, if nothing newer is due.
    #[default]
    Latest,
    /// All of this age or younger are made up for, oldest first.
    All {
        /// How old.
        #[serde(rename = "within_ms", with = "millis")]
        within: Duration,
    },
}

/// What becomes of a tick while the job of an earlier one is unfinished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// It is left out.
    #[default]
    Skip,
    /// Its job runs after the earlier one.
    Queue,
    /// Its job runs besides the earlier one.
    Allow,
    /// The earlier job is cancelled, and its own runs as soon as that one has ended.
    CancelPrevious,
}

/// Why a schedule cannot be: the field, what is wrong with it, what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct InvalidSchedule {
    /// The field at fault.
    pub field: &'static str,
    /// What is wrong and what would be right.
    pub problem: String,
}

impl InvalidSchedule {
    /// A fault of a field.
    pub fn new(field: &'static str, problem: impl Into<String>) -> Self {
        Self {
            field,
            problem: problem.into(),
        }
    }
}

impl Schedule {
    /// A schedule in UTC that makes up for the latest tick missed and skips what would overlap.
    pub fn new(
        name: impl Into<String>,
        cron: impl Into<String>,
        kind: impl Into<String>,
        args: Json,
    ) -> Self {
        Self {
            name: name.into(),
            cron: cron.into(),
            zone: "UTC".to_owned(),
            kind: kind.into(),
            args,
            fire_at_arg: None,
            queue: None,
            priority: None,
            tenant_id: None,
            catch_up: CatchUp::default(),
            overlap: Overlap::default(),
            jitter: Duration::ZERO,
            enabled: true,
        }
    }

    /// When it fires; or what is wrong with the expression or the zone.
    pub fn cron(&self) -> Result<Cron, InvalidSchedule> {
        Cron::new(&self.cron, &self.zone)
    }

    /// Checks what can be told without knowing the kinds there are; the first fault is named.
    pub fn validate(&self) -> Result<(), InvalidSchedule> {
        let fits = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        if self.name.is_empty() || self.name.len() > 100 || !self.name.chars().all(fits) {
            let problem = "must be 1 to 100 characters out of letters, digits and _ - .";
            return Err(InvalidSchedule::new("name", problem));
        }
        self.cron()?;
        if self.jitter > LONGEST_JITTER {
            return Err(InvalidSchedule::new(
                "jitter",
                "is longer than a day; use less",
            ));
        }
        if let CatchUp::All { within } = self.catch_up
            && within < ON_TIME
        {
            let problem = format!(
                "a window of {within:?} makes up for nothing: ticks up to {ON_TIME:?} late are on time \
                 anyway; use a longer one, or `none`"
            );
            return Err(InvalidSchedule::new("catch_up", problem));
        }
        Ok(())
    }

    /// The args for a tick.
    pub fn args_at(&self, at: Timestamp) -> Result<Json, InvalidSchedule> {
        let Some(field) = &self.fire_at_arg else {
            return Ok(self.args.clone());
        };
        let mut args: serde_json::Map<String, serde_json::Value> =
            self.args.decode().map_err(|_| {
                let problem = "must be an object, so that `fire_at_arg` can be one of its fields";
                InvalidSchedule::new("args", problem)
            })?;
        args.insert(field.clone(), at.to_string().into());
        Json::encode(&args).map_err(|error| InvalidSchedule::new("args", error.to_string()))
    }

    /// The ordering key that lets its jobs run one at a time.
    pub fn ordering_key(&self) -> String {
        format!("schedule:{}", self.name)
    }
}

/// Durations as whole milliseconds.
mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        duration: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}

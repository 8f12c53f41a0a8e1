//! What operators do with schedules.

use super::client::Client;
use super::timetable;
use crate::model::{
    Audit, InvalidSchedule, NewJob, Origin, Overlap, ScheduleRecord, TickOutcome, TickRecord,
    Timestamp,
};
use crate::store::{self, Fire, Fired};
use crate::telemetry;

/// The most ticks that one backfill fires.
pub const MOST_BACKFILLED: usize = 1000;
const PAGE: u32 = 1000;

/// Why an operator's wish about a schedule was not done. Nothing has been changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// There is none of this name.
    #[error("no schedule has this name")]
    NotFound,
    /// It is paused already, or not paused.
    #[error("the schedule is not paused")]
    NotPaused,
    /// A field is at fault; it says which, and what would be right.
    #[error(transparent)]
    Invalid(#[from] InvalidSchedule),
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Who does something, and why.
#[derive(Debug, Clone, Copy)]
pub struct By<'a> {
    /// As the credential says.
    pub actor: &'a str,
    /// In the operator's words.
    pub reason: Option<&'a str>,
}

/// A time gone by whose ticks are wanted after all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// From this fire time on.
    pub from: Timestamp,
    /// Up to this one.
    pub until: Timestamp,
}

/// One tick of a backfill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backfill {
    /// Its fire time.
    pub fire_at: Timestamp,
    /// What became of it when its time came, if anything did. One that was fired is not fired again.
    pub before: Option<TickOutcome>,
    /// What became of it now; none in a preview, and if it was fired before.
    pub fired: Option<Fired>,
}

impl Backfill {
    /// Whether it was fired now, or in a preview would be.
    pub const fn is_wanted(&self) -> bool {
        match self.fired {
            Some(fired) => matches!(fired, Fired::Fired(_)),
            None => !matches!(self.before, Some(TickOutcome::Fired)),
        }
    }
}

impl By<'_> {
    fn audit(self, action: &str, schedule: &str) -> Audit {
        let audit = Audit::new(self.actor, action, format!("schedule/{schedule}"));
        match self.reason {
            Some(reason) => audit.because(reason),
            None => audit,
        }
    }
}

impl Client {
    /// Every schedule and how it stands, by name.
    pub async fn schedules(&self) -> Result<Vec<ScheduleRecord>, store::Error> {
        self.store().schedules().await
    }

    /// One schedule.
    pub async fn schedule(&self, name: &str) -> Result<ScheduleRecord, ScheduleError> {
        let all = self.schedules().await?;
        all.into_iter()
            .find(|record| record.schedule.name == name)
            .ok_or(ScheduleError::NotFound)
    }

    /// Up to `limit` ticks of a schedule before a time, the latest first.
    pub async fn ticks(
        &self,
        schedule: &str,
        before: Option<Timestamp>,
        limit: u32,
    ) -> Result<Vec<TickRecord>, store::Error> {
        self.store().ticks(schedule, before, limit, None).await
    }

    /// Stops a schedule; the note says why. Jobs that it made go on.
    pub async fn pause_schedule(&self, name: &str, by: By<'_>) -> Result<(), ScheduleError> {
        let note = by.reason.map(str::trim).unwrap_or_default();
        if note.is_empty() || note.len() > 1000 || note.chars().any(char::is_control) {
            let problem =
                "say why in 1 to 1000 bytes on one line: whoever finds it paused will ask";
            return Err(InvalidSchedule::new("note", problem).into());
        }
        let audit = by.audit("schedule.pause", name);
        let paused = self
            .store()
            .pause_schedule(name, note, &audit, None)
            .await?;
        if paused {
            Ok(())
        } else {
            Err(ScheduleError::NotFound)
        }
    }

    /// Lets a paused schedule go on from now.
    pub async fn resume_schedule(&self, name: &str, by: By<'_>) -> Result<(), ScheduleError> {
        let audit = by.audit("schedule.resume", name);
        if self.store().resume_schedule(name, &audit, None).await? {
            return Ok(());
        }
        self.schedule(name).await?;
        Err(ScheduleError::NotPaused)
    }

    /// Runs a schedule's job now, besides its timetable; the overlap policy holds. A paused schedule
    /// runs too: somebody wants it to.
    pub async fn run_schedule(&self, name: &str, by: By<'_>) -> Result<Fired, ScheduleError> {
        let record = self.schedule(name).await?;
        let now = self.now().await?;
        let job = timetable::job(&record.schedule, now, Origin::RunNow, self)?;
        let audit = by.audit("schedule.run", name);
        let fire = Fire {
            schedule: name,
            fire_at: now,
            origin: Origin::RunNow,
            overlap: record.schedule.overlap,
            job: &job,
            audit: Some(&audit),
            now: None,
        };
        Ok(self.fire(&record, &job, fire).await?)
    }

    /// What a backfill would fire.
    pub async fn preview_backfill(
        &self,
        name: &str,
        range: Range,
    ) -> Result<Vec<Backfill>, ScheduleError> {
        let record = self.schedule(name).await?;
        self.plan(&record, range).await
    }

    /// Fires the ticks of a time gone by, oldest first, that were not fired then. None is left out for
    /// overlapping: unless the schedule allows that, they run one after another.
    pub async fn backfill(
        &self,
        name: &str,
        range: Range,
        by: By<'_>,
    ) -> Result<Vec<Backfill>, ScheduleError> {
        let record = self.schedule(name).await?;
        let mut plan = self.plan(&record, range).await?;
        let schedule = &record.schedule;
        let jobs = plan
            .iter()
            .map(|tick| timetable::job(schedule, tick.fire_at, Origin::Backfill, self));
        let jobs: Vec<NewJob> = jobs.collect::<Result<_, _>>()?;
        let wanted = format!("{} to {}", range.from, range.until);
        let mut audit = by.audit("schedule.backfill", name);
        let wanted = crate::model::Json::encode(&wanted);
        audit.after = Some(wanted.map_err(|error| store::Error::Corrupt(error.to_string()))?);
        self.store().record_audit(&audit, None).await?;
        for (tick, job) in plan.iter_mut().zip(&jobs) {
            if tick.before == Some(TickOutcome::Fired) {
                continue;
            }
            let fire = Fire {
                schedule: name,
                fire_at: tick.fire_at,
                origin: Origin::Backfill,
                overlap: match schedule.overlap {
                    Overlap::Allow => Overlap::Allow,
                    _ => Overlap::Queue,
                },
                job,
                audit: None,
                now: None,
            };
            tick.fired = Some(self.fire(&record, job, fire).await?);
        }
        Ok(plan)
    }

    async fn fire(
        &self,
        record: &ScheduleRecord,
        job: &NewJob,
        fire: Fire<'_>,
    ) -> Result<Fired, store::Error> {
        let (fire_at, origin) = (fire.fire_at, fire.origin);
        let fired = self.store().fire(fire).await?;
        telemetry::tick_settled(&record.schedule, fire_at, origin, fired, job);
        Ok(fired)
    }

    async fn plan(
        &self,
        record: &ScheduleRecord,
        range: Range,
    ) -> Result<Vec<Backfill>, ScheduleError> {
        let Range { from, until } = range;
        if until < from {
            return Err(InvalidSchedule::new("until", "lies before `from`; swap them").into());
        }
        if until > self.now().await? {
            let problem =
                "lies ahead; a backfill is for times gone by, what comes is fired by itself";
            return Err(InvalidSchedule::new("until", problem).into());
        }
        let cron = record.schedule.cron()?;
        let just_before = from.minus(std::time::Duration::from_micros(1));
        let fires: Vec<Timestamp> = cron
            .after(just_before)
            .take_while(|at| *at <= until)
            .take(MOST_BACKFILLED + 1)
            .collect();
        if fires.len() > MOST_BACKFILLED {
            let problem = format!(
                "there are more than {MOST_BACKFILLED} ticks up to then; backfill a part at a time"
            );
            return Err(InvalidSchedule::new("until", problem).into());
        }
        let known = self.known_ticks(&record.schedule.name, range).await?;
        Ok(fires
            .into_iter()
            .map(|fire_at| Backfill {
                fire_at,
                before: known.get(&fire_at).copied(),
                fired: None,
            })
            .collect())
    }

    async fn known_ticks(
        &self,
        schedule: &str,
        range: Range,
    ) -> Result<std::collections::BTreeMap<Timestamp, TickOutcome>, store::Error> {
        let mut known = std::collections::BTreeMap::new();
        let mut before = range.until + std::time::Duration::from_micros(1);
        loop {
            let page = self.ticks(schedule, Some(before), PAGE).await?;
            let Some(oldest) = page.last().map(|tick| tick.fire_at) else {
                return Ok(known);
            };
            known.extend(page.iter().map(|tick| (tick.fire_at, tick.outcome)));
            if oldest <= range.from {
                return Ok(known);
            }
            before = oldest;
        }
    }
}

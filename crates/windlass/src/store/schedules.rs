//! Schedules and their ticks.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;

use super::Error;
use crate::model::{
    Audit, JobId, NewJob, Origin, Overlap, Schedule, ScheduleRecord, Skip, TickOutcome, TickRecord,
    Timestamp,
};

/// One tick to be fired, with its job.
#[derive(Debug, Clone)]
pub struct Fire<'a> {
    /// Of which schedule.
    pub schedule: &'a str,
    /// Its fire time.
    pub fire_at: Timestamp,
    /// Why it fires.
    pub origin: Origin,
    /// What becomes of it while the job of an earlier tick is unfinished.
    pub overlap: Overlap,
    /// The job that it makes.
    pub job: &'a NewJob,
    /// Who wanted it, if an operator did; recorded in the same transaction.
    pub audit: Option<&'a Audit>,
    /// The time to take it for.
    pub now: Option<Timestamp>,
}

/// What became of a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fired {
    /// It made this job.
    Fired(JobId),
    /// It was left out, and that is recorded.
    Skipped(Skip),
    /// It was fired or left out before; nothing has been done.
    Already,
    /// There is no such schedule, or it is paused, retired or disabled and its own time is no reason
    /// to fire it; nothing has been done.
    Off,
}

impl Fired {
    /// The word for the history.
    pub(super) const fn outcome(self) -> TickOutcome {
        match self {
            Self::Skipped(skip) => TickOutcome::Skipped(skip),
            Self::Fired(_) | Self::Already | Self::Off => TickOutcome::Fired,
        }
    }
}

/// Schedules: the part of the contract that the timetable uses.
///
/// A tick is a row, unique by schedule and fire time, that is made in the same transaction as its job.
/// So any number of schedulers may fire it, and it fires once. `decided_until` only grows: what lies
/// before it is not fired again by the timetable, even if its row is long gone.
#[async_trait]
pub trait Schedules: Debug + Send + Sync + 'static {
    /// Writes down definitions, all or none, as [`ScheduleRecord::declared`] says.
    async fn declare_schedules(
        &self,
        schedules: &[Schedule],
        now: Option<Timestamp>,
    ) -> Result<(), Error>;

    /// Says that a running program still has these schedules, and retires those that none has had for
    /// this long; answers which.
    async fn keep_schedules(
        &self,
        names: &[String],
        retire_after: Duration,
        now: Option<Timestamp>,
    ) -> Result<Vec<String>, Error>;

    /// All schedules, retired ones too, by name.
    async fn schedules(&self) -> Result<Vec<ScheduleRecord>, Error>;

    /// Stops a schedule, and records who did it; `false` if there is none of this name. A paused one
    /// gets the new note.
    async fn pause_schedule(
        &self,
        name: &str,
        note: &str,
        audit: &Audit,
        now: Option<Timestamp>,
    ) -> Result<bool, Error>;

    /// Lets a paused schedule go on from now: what it would have fired meanwhile is not made up for.
    /// Records who did it; `false` if there is none of this name that is paused.
    async fn resume_schedule(
        &self,
        name: &str,
        audit: &Audit,
        now: Option<Timestamp>,
    ) -> Result<bool, Error>;

    /// Fires one tick: makes its row and its job, or neither.
    ///
    /// By the timetable, only what lies after `decided_until`, which it advances. A backfill also fires
    /// what was left out before. [`Overlap::Skip`] is judged by whether any job of the schedule's ticks
    /// is unfinished; [`Overlap::CancelPrevious`] cancels those jobs.
    async fn fire(&self, fire: Fire<'_>) -> Result<Fired, Error>;

    /// Leaves ticks out that were missed: records them, oldest first, and decides everything up to the
    /// last of them.
    async fn pass_over(
        &self,
        schedule: &str,
        missed: &[Timestamp],
        now: Option<Timestamp>,
    ) -> Result<(), Error>;

    /// Up to `limit` (1 to 1000) ticks of a schedule before a time, the latest fire time first.
    async fn ticks(
        &self,
        schedule: &str,
        before: Option<Timestamp>,
        limit: u32,
        now: Option<Timestamp>,
    ) -> Result<Vec<TickRecord>, Error>;

    /// Notes how the jobs of ticks ended, before retention deletes the jobs, and deletes the ticks that
    /// are older than `keep` except the latest hundred of each schedule; says how many.
    async fn prune_ticks(&self, keep: Duration, now: Option<Timestamp>) -> Result<u64, Error>;
}

/// The largest page of ticks.
pub(super) const MAX_TICKS: u32 = 1000;
/// So many ticks of each schedule are kept, however old.
pub(super) const TICKS_KEPT: u32 = 100;
/// How many rows one call of [`Schedules::prune_ticks`] looks at or deletes.
pub(super) const TICKS_AT_ONCE: u32 = 10_000;

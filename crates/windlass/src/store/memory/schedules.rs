//! Schedules and their ticks.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::Duration;

use async_trait::async_trait;

use super::super::schedules::{MAX_TICKS, TICKS_KEPT};
use super::super::{Changed, Error, Fire, Fired, Schedules};
use super::{Data, MemoryStore};
use crate::model::{
    Audit, Enqueued, JobId, Origin, Overlap, Schedule, ScheduleRecord, Skip, State, TickOutcome,
    TickRecord, Timestamp,
};

#[derive(Debug, Default, Clone)]
pub(super) struct Timetable {
    pub(super) schedules: BTreeMap<String, ScheduleRecord>,
    /// By schedule and fire time. The state of a tick is the one its job had when it was last settled.
    pub(super) ticks: BTreeMap<(String, Timestamp), TickRecord>,
}

impl Data {
    pub(super) fn declare_schedules(&mut self, schedules: &[Schedule], now: Timestamp) {
        let known = &mut self.timetable.schedules;
        for schedule in schedules {
            let record = ScheduleRecord::declared(known.get(&schedule.name), schedule, now);
            known.insert(schedule.name.clone(), record);
        }
    }

    fn keep_schedules(
        &mut self,
        names: &[String],
        retire_after: Duration,
        now: Timestamp,
    ) -> Vec<String> {
        let mut retired = Vec::new();
        for (name, record) in &mut self.timetable.schedules {
            if names.contains(name) {
                record.declared_at = now;
            } else if record.retired_at.is_none() && record.declared_at < now.minus(retire_after) {
                record.retired_at = Some(now);
                retired.push(name.clone());
            }
        }
        retired
    }

    pub(super) fn pause_schedule(
        &mut self,
        name: &str,
        note: &str,
        audit: &Audit,
        now: Timestamp,
    ) -> bool {
        let Some(record) = self.timetable.schedules.get_mut(name) else {
            return false;
        };
        record.paused_at.get_or_insert(now);
        record.paused_note = Some(note.to_owned());
        self.record_audit(audit.clone(), now);
        true
    }

    pub(super) fn resume_schedule(&mut self, name: &str, audit: &Audit, now: Timestamp) -> bool {
        let paused = self.timetable.schedules.get_mut(name);
        let Some(record) = paused.filter(|record| record.paused_at.is_some()) else {
            return false;
        };
        record.paused_at = None;
        record.paused_note = None;
        record.decided_until = record.decided_until.max(now);
        self.record_audit(audit.clone(), now);
        true
    }

    pub(super) fn fire(&mut self, fire: &Fire<'_>, now: Timestamp) -> Fired {
        let Some(record) = self.timetable.schedules.get_mut(fire.schedule) else {
            return Fired::Off;
        };
        if fire.origin.is_by_timetable() {
            if !record.is_active() {
                return Fired::Off;
            }
            if fire.fire_at <= record.decided_until {
                return Fired::Already;
            }
            record.decided_until = fire.fire_at;
        }
        let place = (fire.schedule.to_owned(), fire.fire_at);
        let there = self.timetable.ticks.get(&place);
        let was_left_out = |tick: &TickRecord| tick.outcome != TickOutcome::Fired;
        if there.is_some_and(|tick| fire.origin != Origin::Backfill || !was_left_out(tick)) {
            return Fired::Already;
        }
        let unfinished = self.unfinished(fire.schedule);
        let (fired, job_id) = if fire.overlap == Overlap::Skip && !unfinished.is_empty() {
            (Fired::Skipped(Skip::Overlap), None)
        } else {
            match self.enqueue(fire.job, now) {
                Enqueued::Inserted(id) | Enqueued::Replaced(id) => (Fired::Fired(id), Some(id)),
                other => (Fired::Skipped(Skip::Duplicate), Some(other.id())),
            }
        };
        if let (Overlap::CancelPrevious, Fired::Fired(_)) = (fire.overlap, fired) {
            for id in unfinished {
                let _: Changed = self.cancel(id, None, now);
            }
        }
        let tick = TickRecord {
            schedule: fire.schedule.to_owned(),
            fire_at: fire.fire_at,
            origin: fire.origin,
            outcome: fired.outcome(),
            fired_at: now,
            job_id,
            state: None,
        };
        self.timetable.ticks.insert(place, tick);
        if let Some(audit) = fire.audit {
            self.record_audit(audit.clone(), now);
        }
        fired
    }

    /// The unfinished jobs that ticks of a schedule made.
    fn unfinished(&self, schedule: &str) -> Vec<JobId> {
        let jobs = self.ticks_of(schedule).filter_map(|tick| tick.job_id);
        jobs.filter(|id| {
            self.jobs
                .get(*id)
                .is_some_and(|job| !job.state.is_finished())
        })
        .collect()
    }

    pub(super) fn ticks_of(&self, schedule: &str) -> impl DoubleEndedIterator<Item = &TickRecord> {
        let from = (schedule.to_owned(), Timestamp::EPOCH);
        let to = (schedule.to_owned(), Timestamp::MAX);
        let range = (Bound::Included(from), Bound::Included(to));
        self.timetable.ticks.range(range).map(|(_, tick)| tick)
    }

    pub(super) fn pass_over(&mut self, schedule: &str, missed: &[Timestamp], now: Timestamp) {
        let (Some(last), Some(record)) =
            (missed.last(), self.timetable.schedules.get_mut(schedule))
        else {
            return;
        };
        let decided_until = record.decided_until;
        record.decided_until = decided_until.max(*last);
        for fire_at in missed.iter().filter(|at| **at > decided_until) {
            let place = (schedule.to_owned(), *fire_at);
            self.timetable.ticks.entry(place).or_insert(TickRecord {
                schedule: schedule.to_owned(),
                fire_at: *fire_at,
                origin: Origin::Scheduled,
                outcome: TickOutcome::Skipped(Skip::Missed),
                fired_at: now,
                job_id: None,
                state: None,
            });
        }
    }

    fn ticks(
        &self,
        schedule: &str,
        before: Option<Timestamp>,
        limit: u32,
        now: Timestamp,
    ) -> Vec<TickRecord> {
        let older = self.ticks_of(schedule).rev();
        older
            .filter(|tick| before.is_none_or(|before| tick.fire_at < before))
            .take(limit.clamp(1, MAX_TICKS) as usize)
            .map(|tick| TickRecord {
                state: tick
                    .job_id
                    .and_then(|id| self.jobs.get(id))
                    .map(|job| job.state.at(job.run_at, now))
                    .or(tick.state),
                ..tick.clone()
            })
            .collect()
    }

    fn prune_ticks(&mut self, before: Timestamp) -> u64 {
        let jobs = &self.jobs;
        let ended =
            |id: JobId| Some(jobs.get(id)?.state).filter(|state: &State| state.is_finished());
        for tick in self.timetable.ticks.values_mut() {
            if tick.state.is_none() {
                tick.state = tick.job_id.and_then(ended);
            }
        }
        let is_open = |tick: &TickRecord| {
            tick.job_id
                .is_some_and(|id| jobs.get(id).is_some_and(|job| !job.state.is_finished()))
        };
        let names: Vec<String> = self.timetable.schedules.keys().cloned().collect();
        let old: Vec<_> = names
            .iter()
            .flat_map(|name| {
                let ticks = self.ticks_of(name).rev().skip(TICKS_KEPT as usize);
                ticks.filter(|tick| tick.fired_at < before && !is_open(tick))
            })
            .map(|tick| (tick.schedule.clone(), tick.fire_at))
            .collect();
        for place in &old {
            self.timetable.ticks.remove(place);
        }
        old.len() as u64
    }
}

#[async_trait]
impl Schedules for MemoryStore {
    async fn declare_schedules(
        &self,
        schedules: &[Schedule],
        now: Option<Timestamp>,
    ) -> Result<(), Error> {
        self.at(now, |data, now| data.declare_schedules(schedules, now));
        Ok(())
    }

    async fn keep_schedules(
        &self,
        names: &[String],
        retire_after: Duration,
        now: Option<Timestamp>,
    ) -> Result<Vec<String>, Error> {
        Ok(self.at(now, |data, now| {
            data.keep_schedules(names, retire_after, now)
        }))
    }

    async fn schedules(&self) -> Result<Vec<ScheduleRecord>, Error> {
        Ok(self.at(None, |data, _| {
            data.timetable.schedules.values().cloned().collect()
        }))
    }

    async fn pause_schedule(
        &self,
        name: &str,
        note: &str,
        audit: &Audit,
        now: Option<Timestamp>,
    ) -> Result<bool, Error> {
        Ok(self.at(now, |data, now| data.pause_schedule(name, note, audit, now)))
    }

    async fn resume_schedule(
        &self,
        name: &str,
        audit: &Audit,
        now: Option<Timestamp>,
    ) -> Result<bool, Error> {
        Ok(self.at(now, |data, now| data.resume_schedule(name, audit, now)))
    }

    async fn fire(&self, fire: Fire<'_>) -> Result<Fired, Error> {
        Ok(self.at(fire.now, |data, now| data.fire(&fire, now)))
    }

    async fn pass_over(
        &self,
        schedule: &str,
        missed: &[Timestamp],
        now: Option<Timestamp>,
    ) -> Result<(), Error> {
        self.at(now, |data, now| data.pass_over(schedule, missed, now));
        Ok(())
    }

    async fn ticks(
        &self,
        schedule: &str,
        before: Option<Timestamp>,
        limit: u32,
        now: Option<Timestamp>,
    ) -> Result<Vec<TickRecord>, Error> {
        Ok(self.at(now, |data, now| data.ticks(schedule, before, limit, now)))
    }

    async fn prune_ticks(&self, keep: Duration, now: Option<Timestamp>) -> Result<u64, Error> {
        Ok(self.at(now, |data, now| data.prune_ticks(now.minus(keep))))
    }
}

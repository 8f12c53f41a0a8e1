//! What operators and retention do to jobs.

use std::time::Duration;

use super::attempts::end;
use super::enqueue::key_of;
use super::{Changed, Data, Prune};
use crate::model::{Event, JobId, JobRecord, State, Timestamp, Transition};

impl Data {
    pub(super) fn cancel(&mut self, id: JobId, tenant: Option<&str>, now: Timestamp) -> Changed {
        let Some(job) = self.visible(id, tenant) else {
            return Changed::NotFound;
        };
        match job.state.on(Event::Cancel) {
            Transition::Refused => Changed::Refused(job.state),
            Transition::Ask => {
                self.jobs.change(id, now, |job| {
                    job.cancel_requested_at.get_or_insert(now);
                });
                Changed::Asked
            }
            Transition::To(state) => {
                self.jobs.change(id, now, |job| end(job, state, now));
                self.steps_ended([id], now);
                Changed::Done
            }
        }
    }

    pub(super) fn discard(&mut self, id: JobId, tenant: Option<&str>, now: Timestamp) -> Changed {
        let Some(job) = self.visible(id, tenant) else {
            return Changed::NotFound;
        };
        match job.state.on(Event::Discard) {
            Transition::To(state) if job.state != State::Running => {
                self.jobs.change(id, now, |job| end(job, state, now));
                self.steps_ended([id], now);
                Changed::Done
            }
            // Only a running job itself may ask to be set aside.
            _ => Changed::Refused(job.state),
        }
    }

    pub(super) fn requeue(&mut self, id: JobId, tenant: Option<&str>, now: Timestamp) -> Changed {
        let Some(job) = self.visible(id, tenant) else {
            return Changed::NotFound;
        };
        let Transition::To(state) = job.state.on(Event::Requeue) else {
            return Changed::Refused(job.state);
        };
        let job_state = job.state;
        if job_state.is_finished() {
            return match self.flows.place_of(id) {
                Some((flow, name)) => self.retry_step(flow, &name, job_state, now),
                None => self.revive(id, now),
            };
        }
        self.jobs.change(id, now, |job| {
            job.state = state;
            job.run_at = now;
        });
        Changed::Done
    }

    /// Whether it waits for nothing but a time or a worker, and may be given another time.
    pub(super) fn snooze(&self, id: JobId, tenant: Option<&str>) -> Changed {
        match self.visible(id, tenant) {
            None => Changed::NotFound,
            Some(job) if job.state.is_claimable() => Changed::Done,
            Some(job) => Changed::Refused(job.state),
        }
    }

    pub(super) fn prune(&mut self, prune: Prune, now: Timestamp) -> u64 {
        let mut over: Vec<(Timestamp, JobId)> = self
            .jobs
            .iter()
            .filter_map(|job| Some((job.finished_at?, job.id, kept_for(job.state, &prune)?)))
            .filter(|(finished_at, _, keep)| *finished_at < now.minus(*keep))
            .map(|(finished_at, id, _)| (finished_at, id))
            .collect();
        over.sort_unstable();
        over.truncate(prune.limit as usize);
        for (_, id) in &over {
            self.jobs.remove(*id);
            self.checkpoints.remove(id);
            self.signals.retain(|(job, _), _| job != id);
        }
        self.prune_flows(prune, now);
        self.drop_expired_keys(now);
        over.len() as u64
    }

    /// Gives a finished job all its attempts again, its key if that is free, and its place among
    /// the jobs of its ordering key.
    fn revive(&mut self, id: JobId, now: Timestamp) -> Changed {
        let Some(job) = self.jobs.get(id) else {
            return Changed::NotFound;
        };
        let blocked = self.jobs.is_blocked(job);
        if let Some(key) = key_of(job) {
            match self.holder(&key, now) {
                Some(holder) if holder != id => return Changed::Held(holder),
                _ => self.retake(key, id),
            }
        }
        self.jobs.change(id, now, |job| {
            job.state = if blocked {
                State::Waiting
            } else {
                State::Available
            };
            job.run_at = now;
            job.attempt = 0;
            job.crashes = 0;
            job.finished_at = None;
            job.result = None;
            job.progress = None;
        });
        self.forget_notes(id);
        Changed::Done
    }

    /// The job, unless it is another tenant's.
    pub(super) fn visible(&self, id: JobId, tenant: Option<&str>) -> Option<&JobRecord> {
        let job = self.jobs.get(id)?;
        (tenant.is_none() || job.tenant_id.as_deref() == tenant).then_some(job)
    }
}

/// How long a finished job is kept.
const fn kept_for(state: State, prune: &Prune) -> Option<Duration> {
    match state {
        State::Completed => Some(prune.completed),
        State::Cancelled => Some(prune.cancelled),
        State::Dead => Some(prune.dead),
        _ => None,
    }
}

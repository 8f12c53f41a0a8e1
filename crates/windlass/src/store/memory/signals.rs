//! Messages that a job may wait for.

use super::{Changed, Data};
use crate::model::{JobId, Json, State, Timestamp};

impl Data {
    /// Forgets signals of jobs that have finished.
    pub(super) fn sweep_signals(&mut self) {
        let unfinished = |id: &JobId| {
            let job = self.jobs.get(*id);
            job.is_some_and(|job| !job.state.is_finished())
        };
        self.signals.retain(|(job, _), _| unfinished(job));
    }

    /// A job that has just been put back waits for a signal, unless that came before.
    pub(super) fn await_signal(&mut self, id: JobId, name: &str, until: Timestamp, now: Timestamp) {
        let signal = self.signals.entry((id, name.to_owned())).or_default();
        signal.awaited_until = Some(until);
        if signal.payload.is_some() {
            self.wake(id, now);
        }
    }

    fn wake(&mut self, id: JobId, now: Timestamp) {
        self.jobs.change(id, now, |job| {
            job.state = State::Available;
            job.run_at = now;
        });
    }

    pub(super) fn signal(
        &mut self,
        id: JobId,
        tenant: Option<&str>,
        name: &str,
        payload: &Json,
        now: Timestamp,
    ) -> Changed {
        let Some(job) = self.visible(id, tenant) else {
            return Changed::NotFound;
        };
        let (state, run_at) = (job.state, job.run_at);
        if state.is_finished() {
            return Changed::Refused(state);
        }
        let signal = self.signals.entry((id, name.to_owned())).or_default();
        signal.payload = Some(payload.clone());
        if state == State::Scheduled && signal.awaited_until == Some(run_at) {
            self.wake(id, now);
        }
        Changed::Done
    }
}

//! Claims and how they end. Whoever writes names a lease: the job must run, and under that
//! `claim_no`. A lease that has expired still counts until somebody takes the job back.

use super::Data;
use super::{Beat, Claim, Rescue, Rescued};
use crate::model::{
    AttemptError, AttemptOutcome, AttemptRecord, ClaimedJob, Finish, JobId, JobRecord, Json, Lease,
    MAX_ATTEMPT_RECORDS, Recorded, State, Timestamp, Verdict,
};

impl Data {
    pub(super) fn claim(&mut self, claim: &Claim<'_>, now: Timestamp) -> Vec<ClaimedJob> {
        let due = self.jobs.due(claim.queue, now);
        let taken: Vec<JobId> = due.take(claim.limit as usize).collect();
        let lease = |id| self.lease(id, claim, now);
        taken.into_iter().filter_map(lease).collect()
    }

    /// Leases one job.
    pub(super) fn lease(
        &mut self,
        id: JobId,
        claim: &Claim<'_>,
        now: Timestamp,
    ) -> Option<ClaimedJob> {
        self.jobs.change(id, now, |job| {
            job.state = State::Running;
            job.attempt += 1;
            job.claim_no += 1;
            job.worker = Some(claim.worker.to_owned());
            job.claimed_at = Some(now);
            job.lease_expires_at = Some(now + claim.lease);
            job.cancel_requested_at = None;
        });
        let checkpoint = self.checkpoints.get(&id).cloned();
        self.jobs.get(id).map(|job| claimed(job, checkpoint, now))
    }

    pub(super) fn heartbeat(
        &mut self,
        leases: &[Lease],
        until: Timestamp,
        now: Timestamp,
    ) -> Vec<Beat> {
        let beat = |lease: &Lease| {
            let Some(job) = self.held(*lease) else {
                return Some(Beat::Lost(*lease));
            };
            let asked_to_stop = job.cancel_requested_at.is_some();
            self.jobs
                .change(lease.job, now, |job| job.lease_expires_at = Some(until));
            asked_to_stop.then_some(Beat::CancelRequested(*lease))
        };
        leases.iter().filter_map(beat).collect()
    }

    pub(super) fn progress(&mut self, lease: Lease, progress: &Json, now: Timestamp) -> Recorded {
        if self.held(lease).is_none() {
            return Recorded::LeaseLost;
        }
        self.jobs
            .change(lease.job, now, |job| job.progress = Some(progress.clone()));
        Recorded::Yes
    }

    pub(super) fn finish_all(&mut self, finishes: &[Finish], now: Timestamp) -> Vec<Recorded> {
        let recorded = finishes.iter().map(|f| self.finish(f, now)).collect();
        self.steps_ended(finishes.iter().map(|finish| finish.lease.job), now);
        recorded
    }

    fn finish(&mut self, finish: &Finish, now: Timestamp) -> Recorded {
        if self.held(finish.lease).is_none() {
            return Recorded::LeaseLost;
        }
        self.jobs.change(finish.lease.job, now, |job| {
            if !matches!(finish.verdict, Verdict::Complete { .. }) {
                append_attempt(job, finish.outcome, finish.error.clone(), now);
            }
            let asked_to_stop = job.cancel_requested_at.is_some();
            end_lease(job);
            apply(job, &finish.verdict, asked_to_stop, now);
        });
        let waits = self.jobs.get(finish.lease.job).map(|job| job.state) == Some(State::Scheduled);
        if let (true, Verdict::Await { signal, until }) = (waits, &finish.verdict) {
            self.await_signal(finish.lease.job, signal, *until, now);
        }
        Recorded::Yes
    }

    pub(super) fn rescue(&mut self, rescue: Rescue, now: Timestamp) -> Vec<Rescued> {
        let expired = self.jobs.expired(now);
        let lost: Vec<JobId> = expired.take(rescue.limit as usize).collect();
        let rescued = lost
            .iter()
            .filter_map(|id| {
                let id = *id;
                self.jobs
                    .change(id, now, |job| take_back(job, rescue.max_crashes, now));
                self.jobs.get(id).map(rescued)
            })
            .collect();
        self.steps_ended(lost, now);
        rescued
    }

    pub(super) fn held(&self, lease: Lease) -> Option<&JobRecord> {
        let job = self.jobs.get(lease.job)?;
        (job.state == State::Running && job.claim_no == lease.claim_no).then_some(job)
    }
}

/// Ends a job for good.
pub(super) fn end(job: &mut JobRecord, state: State, now: Timestamp) {
    job.state = state;
    job.finished_at = Some(now);
}

/// A job that was asked to stop does not come back: it is cancelled instead.
fn apply(job: &mut JobRecord, verdict: &Verdict, asked_to_stop: bool, now: Timestamp) {
    if matches!(
        verdict,
        Verdict::Snooze { .. } | Verdict::Await { .. } | Verdict::Release
    ) {
        job.attempt -= 1;
    }
    match verdict {
        Verdict::Retry { .. }
        | Verdict::Snooze { .. }
        | Verdict::Await { .. }
        | Verdict::Release
            if asked_to_stop =>
        {
            end(job, State::Cancelled, now);
        }
        Verdict::Complete { result } => {
            job.result.clone_from(result);
            end(job, State::Completed, now);
        }
        Verdict::Retry { at } => {
            job.state = State::Retryable;
            job.run_at = *at;
        }
        Verdict::Snooze { until } | Verdict::Await { until, .. } => {
            job.state = State::Scheduled;
            job.run_at = *until;
        }
        Verdict::Release => job.state = State::Available,
        Verdict::Cancel => end(job, State::Cancelled, now),
        Verdict::Dead => end(job, State::Dead, now),
    }
}

/// What becomes of a job whose worker vanished. A wish to cancel it is granted first.
fn take_back(job: &mut JobRecord, max_crashes: u16, now: Timestamp) {
    let cancelled = job.cancel_requested_at.is_some();
    let error = AttemptError::new("its worker vanished");
    append_attempt(job, AttemptOutcome::Crashed, Some(error), now);
    end_lease(job);
    job.attempt -= 1;
    job.crashes += 1;
    if cancelled {
        end(job, State::Cancelled, now);
    } else if job.crashes >= max_crashes {
        end(job, State::Dead, now);
    } else {
        job.state = State::Available;
        job.run_at = now;
    }
}

fn end_lease(job: &mut JobRecord) {
    job.lease_expires_at = None;
    job.cancel_requested_at = None;
}

/// Keeps the first attempt and the newest ones.
fn append_attempt(
    job: &mut JobRecord,
    outcome: AttemptOutcome,
    error: Option<AttemptError>,
    now: Timestamp,
) {
    job.attempts.push(AttemptRecord {
        attempt: job.attempt,
        claim_no: job.claim_no,
        worker: job.worker.clone().unwrap_or_default(),
        started_at: job.claimed_at.unwrap_or(now),
        ended_at: now,
        outcome,
        error,
    });
    if job.attempts.len() > MAX_ATTEMPT_RECORDS {
        job.attempts.remove(1);
    }
}

fn claimed(job: &JobRecord, checkpoint: Option<Json>, now: Timestamp) -> ClaimedJob {
    ClaimedJob {
        id: job.id,
        kind: job.kind.clone(),
        args: job.args.clone(),
        queue: job.queue.clone(),
        priority: job.priority,
        run_at: job.run_at,
        attempt: job.attempt,
        max_attempts: job.max_attempts,
        crashes: job.crashes,
        claim_no: job.claim_no,
        tenant_id: job.tenant_id.clone(),
        correlation_id: job.correlation_id.clone(),
        trace_parent: job.trace_parent.clone(),
        ordering_key: job.ordering_key.clone(),
        enqueued_at: job.enqueued_at,
        claimed_at: now,
        checkpoint,
    }
}

fn rescued(job: &JobRecord) -> Rescued {
    Rescued {
        id: job.id,
        kind: job.kind.clone(),
        queue: job.queue.clone(),
        worker: job.worker.clone().unwrap_or_default(),
        crashes: job.crashes,
        dead: job.state == State::Dead,
    }
}

//! What operators see: one function per event, which writes the log line and the metric together.
//!
//! No call site names a metric or words a message; every name is a constant here. Labels are kind,
//! queue and outcome, never an id. Nothing here ever gets to see args, results or error texts of
//! jobs: those may hold message bodies.
#![expect(clippy::disallowed_macros, reason = "the one place that names metrics")]

mod cause;
mod labels;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use tracing::{debug, error, info, warn};

use crate::model::{
    AttemptError, AttemptOutcome, ClaimedJob, Enqueued, Finish, FlowId, JobId, NewFlow, NewJob,
    Origin, QueueStats, Schedule, Skip, TickOutcome, Timestamp, Verdict,
};
use crate::store::{Changed, Fired, FlowChanged, Granted, Rescued, Started};

pub use cause::{Cause, Traces, is_traced, set_off, trace_by, trace_id};

/// Jobs made durable, by kind and queue.
pub const ENQUEUED: &str = "jobs_enqueued_total";
/// Flows started.
pub const FLOWS: &str = "jobs_flows_started_total";
/// Attempts that ended, by kind, queue and outcome.
pub const ATTEMPTS: &str = "jobs_attempts_total";
/// How long attempts ran, by kind and queue, in seconds.
pub const RUN: &str = "jobs_run_duration_seconds";
/// How long jobs waited past their time before they started, by queue, in seconds.
pub const WAIT: &str = "jobs_wait_duration_seconds";
/// Unfinished jobs, by queue and state, as last counted.
pub const QUEUE_JOBS: &str = "jobs_queue_jobs";
/// Age of the oldest available job, by queue, in seconds, as last counted.
pub const OLDEST: &str = "jobs_oldest_available_age_seconds";
/// Leases that were lost while their job ran.
pub const LEASES_LOST: &str = "jobs_leases_lost_total";
/// Outcomes that were refused because the lease was lost.
pub const OUTCOMES_REFUSED: &str = "jobs_outcomes_refused_total";
/// Jobs taken back from workers that vanished, by kind.
pub const RESCUED: &str = "jobs_rescued_total";
/// Jobs set aside as dead letters, by kind and queue.
pub const DEAD: &str = "jobs_dead_total";
/// How long claims took, in seconds.
pub const CLAIM: &str = "jobs_claim_duration_seconds";
/// Jobs per claim that found any.
pub const CLAIM_BATCH: &str = "jobs_claim_batch_size";
/// How long it took to record a batch of outcomes, in seconds.
pub const RECORD: &str = "jobs_record_duration_seconds";
/// Claims from which a limit, or a pause, held jobs back, by queue and limit.
pub const HELD_BACK: &str = "jobs_held_back_total";
/// Tokens left of a rate when it was last drawn from, by queue and what it limits.
pub const TOKENS: &str = "jobs_rate_tokens";
/// Finished jobs deleted by retention.
pub const PRUNED: &str = "jobs_pruned_total";
/// Ticks of schedules, by kind, origin and outcome.
pub const TICKS: &str = "jobs_schedule_ticks_total";
/// How long the tick that is the longest behind has been due, in seconds, as last seen.
pub const SCHEDULE_LATE: &str = "jobs_schedule_late_seconds";
/// 1 while a loop cannot reach the store, by loop.
pub const OUTAGE: &str = "jobs_store_outage";

/// The label of jobs of a kind that this program does not know.
pub const UNKNOWN_KIND: &str = "unknown";

/// The names of events (`tracing::Metadata::name`) that a program may report elsewhere: to Sentry, say.
pub mod events {
    /// An attempt ended, with `job.kind`, `outcome` and, if it failed, `fingerprint`.
    pub const ATTEMPT_ENDED: &str = "windlass.attempt_ended";
    /// A job is set aside as a dead letter; its fields are those of [`ATTEMPT_ENDED`].
    pub const JOB_DEAD: &str = "windlass.job_dead";
    /// A tick of a schedule was fired, with `schedule` and `correlationId`, which its job carries.
    pub const TICK_FIRED: &str = "windlass.tick_fired";
    /// A schedule cannot be fired, with `schedule`.
    pub const SCHEDULE_FAILED: &str = "windlass.schedule_failed";
}

/// Tells the exporter what each metric means. Call once, after it is installed.
pub fn describe() {
    describe_counter!(ENQUEUED, "Jobs made durable");
    describe_counter!(FLOWS, "Flows started");
    describe_counter!(ATTEMPTS, "Attempts that ended");
    describe_histogram!(RUN, Unit::Seconds, "How long attempts ran");
    describe_histogram!(
        WAIT,
        Unit::Seconds,
        "How long due jobs waited before they started"
    );
    describe_gauge!(
        QUEUE_JOBS,
        "Unfinished jobs by state, as last counted; 0 for an empty queue"
    );
    describe_gauge!(
        OLDEST,
        Unit::Seconds,
        "Age of the oldest available job, as last counted; 0 if there is none"
    );
    describe_counter!(LEASES_LOST, "Leases lost while their job ran");
    describe_counter!(
        OUTCOMES_REFUSED,
        "Outcomes refused because the lease was lost"
    );
    describe_counter!(RESCUED, "Jobs taken back from workers that vanished");
    describe_counter!(DEAD, "Jobs set aside as dead letters");
    describe_histogram!(CLAIM, Unit::Seconds, "How long claims took");
    describe_histogram!(CLAIM_BATCH, "Jobs per claim that found any");
    describe_histogram!(
        RECORD,
        Unit::Seconds,
        "How long recording a batch of outcomes took"
    );
    describe_counter!(
        HELD_BACK,
        "Claims from which a limit or a pause held jobs back"
    );
    describe_gauge!(TOKENS, "Tokens left of a rate when it was last drawn from");
    describe_counter!(PRUNED, "Finished jobs deleted by retention");
    describe_counter!(TICKS, "Ticks of schedules, fired or left out");
    describe_gauge!(
        SCHEDULE_LATE,
        Unit::Seconds,
        "How long the tick that is the longest behind has been due"
    );
    describe_gauge!(OUTAGE, "1 while a loop cannot reach the store");
}

pub(crate) fn enqueued(jobs: &[NewJob], answers: &[Enqueued]) {
    for (job, answer) in jobs.iter().zip(answers) {
        if answer.is_inserted() {
            let queue = labels::of_queue(&job.queue);
            counter!(ENQUEUED, "kind" => job.kind.clone(), "queue" => queue).increment(1);
            debug!(job.id = %job.id, job.kind = job.kind, queue.name = job.queue,
                correlationId = job.correlation_id, tenantId = job.tenant_id, "job enqueued");
        } else {
            debug!(job.id = %answer.id(), job.kind = job.kind, "enqueue met an existing job");
        }
    }
}

pub(crate) fn claimed(queue: &str, jobs: usize, took: Duration) {
    histogram!(CLAIM).record(took);
    if jobs > 0 {
        #[expect(clippy::cast_precision_loss, reason = "a batch is far below 2^52")]
        histogram!(CLAIM_BATCH).record(jobs as f64);
    }
    debug!(
        queue.name = queue,
        jobs,
        duration_ms = millis(took),
        "claimed"
    );
}

/// What limits did to a claim.
pub(crate) fn held_back(queue: &str, granted: &Granted) {
    for held_by in &granted.held_by {
        counter!(HELD_BACK, "queue" => queue.to_owned(), "limit" => held_by.as_str()).increment(1);
    }
    for (name, bucket) in granted.tokens() {
        let limit = if name.is_empty() { "queue" } else { name };
        gauge!(TOKENS, "queue" => queue.to_owned(), "limit" => limit.to_owned()).set(bucket.tokens);
    }
}

/// Around everything an attempt logs: whose work it is, and what it belongs to.
pub(crate) fn attempt_span(job: &ClaimedJob) -> tracing::Span {
    // Of the highest level, so that no setting takes the ids from a line that is written.
    let span = tracing::error_span!("attempt", job.id = %job.id, job.kind = job.kind,
        job.attempt = job.attempt, queue.name = job.queue, correlationId = job.correlation_id,
        tenantId = job.tenant_id, traceId = tracing::field::Empty, otel.kind = tracing::field::Empty);
    set_off(&span, "consumer", job.trace_parent.as_deref());
    span
}

/// Around the enqueueing of jobs. Whoever set them off elsewhere is linked: the jobs name this span instead.
pub(crate) fn enqueue_span(jobs: &[NewJob]) -> tracing::Span {
    let kind = jobs.first().map(|job| job.kind.as_str());
    let (count, here) = (jobs.len(), Cause::current().trace_parent);
    let span = tracing::debug_span!(
        "enqueue",
        otel.kind = "producer",
        job.kind = kind,
        jobs = count
    );
    let given = jobs.iter().filter_map(|job| job.trace_parent.as_deref());
    cause::link(&span, given.filter(|given| Some(*given) != here.as_deref()));
    span
}

/// What the attempt's work belongs to.
pub(crate) fn cause(job: &ClaimedJob) -> Cause {
    Cause {
        correlation_id: job.correlation_id.clone(),
        trace_parent: job.trace_parent.clone(),
    }
}

/// Around everything a handler logs that does many jobs at once.
pub(crate) fn batch_span(kind: &str, jobs: usize) -> tracing::Span {
    tracing::error_span!("batch", job.kind = kind, jobs)
}

pub(crate) fn attempt_ended(
    job: &ClaimedJob,
    known: bool,
    finish: Option<&Finish>,
    waited: Duration,
    ran: Duration,
) {
    let outcome = finish.map_or(AttemptOutcome::Completed, |finish| finish.outcome);
    let dead = finish.is_some_and(|finish| finish.verdict == Verdict::Dead);
    let error = finish.and_then(|finish| finish.error.as_ref());
    let fingerprint = error.map(AttemptError::fingerprint);
    // A database may hold kinds that nobody ever wrote: a metric must not have a label for each.
    let kind = if known {
        job.kind.as_str()
    } else {
        UNKNOWN_KIND
    };
    counter!(ATTEMPTS, "kind" => kind.to_owned(), "queue" => job.queue.clone(),
        "outcome" => outcome.as_str())
    .increment(1);
    histogram!(RUN, "kind" => kind.to_owned(), "queue" => job.queue.clone()).record(ran);
    histogram!(WAIT, "queue" => job.queue.clone()).record(waited);
    let duration_ms = millis(ran);
    match outcome {
        _ if dead => {
            counter!(DEAD, "kind" => kind.to_owned(), "queue" => job.queue.clone()).increment(1);
            error!(name: events::JOB_DEAD, outcome = outcome.as_str(), job.id = %job.id,
                job.kind = job.kind, job.attempt = job.attempt, queue.name = job.queue,
                duration_ms, fingerprint, correlationId = job.correlation_id, tenantId = job.tenant_id, "job is dead");
        }
        AttemptOutcome::Failed | AttemptOutcome::Panicked | AttemptOutcome::TimedOut => {
            warn!(name: events::ATTEMPT_ENDED, outcome = outcome.as_str(), job.id = %job.id,
                job.kind = job.kind, job.attempt = job.attempt, queue.name = job.queue,
                duration_ms, fingerprint, correlationId = job.correlation_id, tenantId = job.tenant_id, "attempt failed");
        }
        _ => {
            debug!(name: events::ATTEMPT_ENDED, outcome = outcome.as_str(), job.id = %job.id,
                job.kind = job.kind, job.attempt = job.attempt, queue.name = job.queue,
                duration_ms, correlationId = job.correlation_id, tenantId = job.tenant_id, "attempt ended");
        }
    }
}

pub(crate) fn recorded(outcomes: usize, took: Duration) {
    histogram!(RECORD).record(took);
    debug!(outcomes, duration_ms = millis(took), "outcomes recorded");
}

pub(crate) fn lease_lost(id: JobId) {
    counter!(LEASES_LOST).increment(1);
    warn!(job.id = %id, "lease lost: the attempt goes on elsewhere and this one is stopped");
}

pub(crate) fn outcome_refused(id: JobId, claim_no: i64) {
    counter!(OUTCOMES_REFUSED).increment(1);
    warn!(job.id = %id, claim_no, "outcome refused: the lease was lost before it was recorded");
}

pub(crate) fn outcome_rejected(id: JobId, error: &crate::store::Error) {
    error!(job.id = %id, %error, "the store refuses this outcome; the attempt counts as failed");
}

pub(crate) fn rescued(rescued: &[Rescued]) {
    for job in rescued {
        counter!(RESCUED, "kind" => job.kind.clone()).increment(1);
        if job.dead {
            let queue = labels::of_queue(&job.queue);
            counter!(DEAD, "kind" => job.kind.clone(), "queue" => queue).increment(1);
            error!(name: events::JOB_DEAD, outcome = "crashed", job.id = %job.id,
                job.kind = job.kind, queue.name = job.queue, worker.id = job.worker, crashes = job.crashes, "job is dead: it took its process down too often");
        } else {
            warn!(job.id = %job.id, job.kind = job.kind, worker.id = job.worker,
                crashes = job.crashes, "job rescued: its worker vanished");
        }
    }
}

pub(crate) fn pruned(jobs: u64) {
    if jobs > 0 {
        counter!(PRUNED).increment(jobs);
        info!(jobs, "finished jobs deleted by retention");
    }
}

/// A flow was started, or was there already.
pub(crate) fn flow_started(flow: &NewFlow, started: Started) {
    if started == Started::Started {
        counter!(FLOWS).increment(1);
    }
    let steps = flow.steps.len();
    info!(flow = %flow.id, name = flow.name, steps, ?started, "flow");
}

/// An operator wished something of a flow.
pub(crate) fn flow_operated(wish: &'static str, flow: FlowId, changed: &FlowChanged) {
    info!(%flow, wish, ?changed, "operator");
}

pub(crate) fn operated(verb: &'static str, id: JobId, changed: Changed) {
    info!(job.id = %id, verb, outcome = ?changed, "operator changed a job");
}

pub(crate) fn setting_changed(action: &str, name: &str) {
    info!(action, setting = name, "operator changed a setting");
}

pub(crate) fn setting_unreadable(setting: &str, problem: &str) {
    error!(
        setting,
        problem, "a setting cannot be read and counts as not set; set it anew"
    );
}

pub(crate) fn control_changed(version: i64) {
    debug!(version, "settings read");
}

pub(crate) fn led(role: &str, leads: bool) {
    info!(
        role,
        leads,
        "{}",
        if leads {
            "now leading"
        } else {
            "no longer leading"
        }
    );
}

pub(crate) fn worker_started(id: &str, queues: &[String]) {
    info!(worker.id = id, ?queues, "worker started");
}

pub(crate) fn worker_stopping(id: &str, grace: Duration) {
    info!(
        worker.id = id,
        grace_ms = millis(grace),
        "worker stopping: no new jobs"
    );
}

pub(crate) fn worker_stopped(id: &str, handed_back: usize) {
    info!(worker.id = id, handed_back, "worker stopped");
}

pub(crate) fn handler_hung(id: JobId, kind: &str) {
    error!(job.id = %id, job.kind = kind,
        "handler does not yield: it was aborted and may still hold a thread");
}

pub(crate) fn tick_settled(
    schedule: &Schedule,
    fire_at: Timestamp,
    origin: Origin,
    fired: Fired,
    job: &NewJob,
) {
    let outcome = match fired {
        Fired::Fired(_) => TickOutcome::Fired,
        Fired::Skipped(skip) => TickOutcome::Skipped(skip),
        Fired::Already | Fired::Off => return,
    };
    counter!(TICKS, "kind" => schedule.kind.clone(), "origin" => origin.as_str(),
        "outcome" => outcome.as_str())
    .increment(1);
    info!(name: events::TICK_FIRED, schedule = schedule.name, %fire_at, origin = origin.as_str(), outcome = outcome.as_str(),
        job.kind = schedule.kind, correlationId = job.correlation_id, "schedule fired");
    if let Fired::Fired(id) = fired {
        enqueued(std::slice::from_ref(job), &[Enqueued::Inserted(id)]);
    }
}

pub(crate) fn ticks_missed(schedule: &Schedule, recorded: usize) {
    counter!(TICKS, "kind" => schedule.kind.clone(), "origin" => Origin::Scheduled.as_str(),
        "outcome" => TickOutcome::Skipped(Skip::Missed).as_str())
    .increment(recorded as u64);
    warn!(
        schedule = schedule.name,
        recorded, "ticks were missed and are left out, as the schedule says"
    );
}

pub(crate) fn schedules_late(late: Option<(&str, Duration)>) {
    let (name, late) = late.unwrap_or_default();
    gauge!(SCHEDULE_LATE).set(late.as_secs_f64());
    if !name.is_empty() {
        debug!(schedule = name, late_ms = millis(late), "a tick is due");
    }
}

pub(crate) fn schedules_retired(names: &[String]) {
    if !names.is_empty() {
        warn!(schedules = ?names, "retired: no running program has these schedules any more");
    }
}

pub(crate) fn schedule_failed(schedule: &str, error: &dyn std::error::Error) {
    error!(
        name: events::SCHEDULE_FAILED,
        schedule,
        %error, "this program cannot fire the schedule; another version may, or none"
    );
}

/// Publishes what was counted.
pub fn queues_counted(queues: &[QueueStats], now: Timestamp) {
    let mut by_label: BTreeMap<String, ([u64; 5], Duration)> = BTreeMap::new();
    for q in queues {
        let (counts, oldest) = by_label.entry(labels::of_queue(&q.queue)).or_default();
        let found = [q.available, q.scheduled, q.retryable, q.waiting, q.running];
        for (count, found) in counts.iter_mut().zip(found) {
            *count += found;
        }
        let age = q.oldest_available_at.map(|since| now.since(since));
        *oldest = (*oldest).max(age.unwrap_or_default());
    }
    let states = ["available", "scheduled", "retryable", "waiting", "running"];
    for (queue, (counts, oldest)) in by_label {
        for (state, count) in states.into_iter().zip(counts) {
            #[expect(
                clippy::cast_precision_loss,
                reason = "counts are bounded far below 2^52"
            )]
            gauge!(QUEUE_JOBS, "queue" => queue.clone(), "state" => state).set(count as f64);
        }
        gauge!(OLDEST, "queue" => queue).set(oldest.as_secs_f64());
    }
}

fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// Tells of the loss of the store once, and of its return once, however often a loop tries.
#[derive(Debug)]
pub(crate) struct Outage {
    name: &'static str,
    since: Option<Instant>,
}

impl Outage {
    pub(crate) const fn new(name: &'static str) -> Self {
        Self { name, since: None }
    }

    pub(crate) fn failed(&mut self, error: &crate::store::Error) {
        if self.since.is_none() {
            self.since = Some(Instant::now());
            gauge!(OUTAGE, "loop" => self.name).set(1.0);
            error!(r#loop = self.name, %error, "the store is out of reach; waiting for it");
        }
    }

    pub(crate) fn worked(&mut self) {
        if let Some(since) = self.since.take() {
            gauge!(OUTAGE, "loop" => self.name).set(0.0);
            info!(
                r#loop = self.name,
                after_ms = millis(since.elapsed()),
                "the store is back"
            );
        }
    }
}

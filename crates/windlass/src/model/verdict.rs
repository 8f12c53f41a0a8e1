use super::{AttemptError, AttemptOutcome, JobId, Json, Timestamp};

/// The right to say how a job's attempt ended.
///
/// `claim_no` only ever grows, and every write names it: once the lease is lost to a later claim,
/// nothing its old holder says is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The job.
    pub job: JobId,
    /// The fence.
    pub claim_no: i64,
}

/// What becomes of a job after an attempt. The policy has been applied: a store only writes it down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Done; keep the result if there is one.
    Complete {
        /// What the job recorded.
        result: Option<Json>,
    },
    /// Run again at this time; the attempt is used.
    Retry {
        /// When.
        at: Timestamp,
    },
    /// Run again at this time; the attempt is given back.
    Snooze {
        /// When.
        until: Timestamp,
    },
    /// Run again when a signal has come, or else at this time; the attempt is given back.
    Await {
        /// Which signal.
        signal: String,
        /// When at the latest.
        until: Timestamp,
    },
    /// Hand the job back, available at once and in its old place; the attempt is given back.
    Release,
    /// Stop for good.
    Cancel,
    /// Set aside as a dead letter.
    Dead,
}

/// The end of one attempt, to be written down under its lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finish {
    /// Whose end it is.
    pub lease: Lease,
    /// What becomes of the job.
    pub verdict: Verdict,
    /// How the attempt ended. For [`Verdict::Complete`] this is implied and kept in the row's own
    /// columns; every other end is appended to the job's attempts.
    pub outcome: AttemptOutcome,
    /// What went wrong.
    pub error: Option<AttemptError>,
}

impl Finish {
    /// A success.
    pub fn complete(lease: Lease, result: Option<Json>) -> Self {
        Self {
            lease,
            verdict: Verdict::Complete { result },
            outcome: AttemptOutcome::Completed,
            error: None,
        }
    }

    /// Hands the job back unused.
    pub fn release(lease: Lease) -> Self {
        Self {
            lease,
            verdict: Verdict::Release,
            outcome: AttemptOutcome::Released,
            error: None,
        }
    }
}

/// What a job knows of a signal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signal {
    /// What came with it; `None` if it has not come.
    pub payload: Option<Json>,
    /// Until when the job has waited, or waits, for it; `None` if it never has.
    pub awaited_until: Option<Timestamp>,
}

/// Whether an outcome was written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Recorded {
    /// It was, exactly once.
    Yes,
    /// The lease was no longer held; nothing was changed. Normal after a rescue.
    LeaseLost,
}

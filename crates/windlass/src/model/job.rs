use serde::Serialize;

use super::{AttemptOutcome, AttemptRecord, JobId, Json, Lease, State, Timestamp};

/// A job as it was claimed: what a worker needs to run it, and no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedJob {
    /// Its name.
    pub id: JobId,
    /// What is to be done.
    pub kind: String,
    /// With what.
    pub args: Json,
    /// Where it was waiting.
    pub queue: String,
    /// 0 first .. 9.
    pub priority: u8,
    /// When it was due.
    pub run_at: Timestamp,
    /// This attempt, counted from 1.
    pub attempt: u16,
    /// How many it may have.
    pub max_attempts: u16,
    /// How often its worker vanished.
    pub crashes: u16,
    /// The fence.
    pub claim_no: i64,
    /// Whose it is.
    pub tenant_id: Option<String>,
    /// What it belongs to, across services.
    pub correlation_id: Option<String>,
    /// W3C trace context of whoever enqueued it.
    pub trace_parent: Option<String>,
    /// The key it is ordered by.
    pub ordering_key: Option<String>,
    /// When it was enqueued.
    pub enqueued_at: Timestamp,
    /// When it was claimed, by the store's clock.
    pub claimed_at: Timestamp,
    /// How far an earlier attempt said it got.
    pub checkpoint: Option<Json>,
}

impl ClaimedJob {
    /// The lease this claim gave.
    pub const fn lease(&self) -> Lease {
        Lease {
            job: self.id,
            claim_no: self.claim_no,
        }
    }
}

/// Everything a store knows about a job, finished or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JobRecord {
    /// Its name.
    pub id: JobId,
    /// What is to be done.
    pub kind: String,
    /// With what.
    pub args: Json,
    /// Where it waits or waited.
    pub queue: String,
    /// 0 first .. 9.
    pub priority: u8,
    /// Where it stands, as seen when it was read.
    pub state: State,
    /// When it is, or was last, due.
    pub run_at: Timestamp,
    /// Attempts used.
    pub attempt: u16,
    /// Attempts it may have.
    pub max_attempts: u16,
    /// How often its worker vanished.
    pub crashes: u16,
    /// Leases ever given.
    pub claim_no: i64,
    /// Free words to find it by.
    pub tags: Vec<String>,
    /// Whose it is.
    pub tenant_id: Option<String>,
    /// What it belongs to, across services.
    pub correlation_id: Option<String>,
    /// W3C trace context of whoever enqueued it.
    pub trace_parent: Option<String>,
    /// What it is unique by.
    pub unique_key: Option<String>,
    /// What it is ordered by.
    pub ordering_key: Option<String>,
    /// When it was enqueued.
    pub enqueued_at: Timestamp,
    /// When it was last claimed.
    pub claimed_at: Option<Timestamp>,
    /// Who claimed it last.
    pub worker: Option<String>,
    /// Until when it is leased, while it runs.
    pub lease_expires_at: Option<Timestamp>,
    /// When someone asked a running job to stop.
    pub cancel_requested_at: Option<Timestamp>,
    /// The last progress it reported.
    pub progress: Option<Json>,
    /// What it recorded.
    pub result: Option<Json>,
    /// When it finished.
    pub finished_at: Option<Timestamp>,
    /// Ended attempts that are kept, oldest first. A completed one is not among them: see
    /// [`JobRecord::all_attempts`].
    pub attempts: Vec<AttemptRecord>,
}

impl JobRecord {
    /// Every ended attempt that is kept, the successful one included.
    pub fn all_attempts(&self) -> Vec<AttemptRecord> {
        let mut all = self.attempts.clone();
        if let (State::Completed, Some(ended_at)) = (self.state, self.finished_at) {
            all.push(AttemptRecord {
                attempt: self.attempt,
                claim_no: self.claim_no,
                worker: self.worker.clone().unwrap_or_default(),
                started_at: self.claimed_at.unwrap_or(ended_at),
                ended_at,
                outcome: AttemptOutcome::Completed,
                error: None,
            });
        }
        all
    }
}

/// How one queue stands. Exact up to a bound, so that asking never scans a large table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QueueStats {
    /// The queue.
    pub queue: String,
    /// Due and unclaimed.
    pub available: u64,
    /// Waiting for a time.
    pub scheduled: u64,
    /// Waiting for a time after a failure.
    pub retryable: u64,
    /// Waiting for its turn or its parents.
    pub waiting: u64,
    /// Leased.
    pub running: u64,
    /// Whether counting stopped at the bound: the numbers are then "at least".
    pub capped: bool,
    /// When the oldest available job became due.
    pub oldest_available_at: Option<Timestamp>,
}

/// A process that runs jobs, as it last reported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WorkerRecord {
    /// Unique for each start of a process.
    pub id: String,
    /// The machine.
    pub host: String,
    /// The process.
    pub pid: u32,
    /// The program's version.
    pub version: String,
    /// The queues it serves.
    pub queues: Vec<String>,
    /// Jobs it may run at once.
    pub slots: u32,
    /// Jobs it runs now.
    pub running: u32,
    /// When it started.
    pub started_at: Timestamp,
    /// When it last reported.
    pub beat_at: Timestamp,
    /// Whether it has stopped claiming.
    pub draining: bool,
}

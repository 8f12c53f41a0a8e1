//! Vocabulary: pure data and pure functions.
//!
//! Nothing here knows a clock, a runtime or a database. What a job is, which states it may be in,
//! what may happen to it next and what one attempt left behind are all said here, once; the stores
//! write it down and the engine decides by it.

mod allot;
mod attempt;
mod control;
mod enqueue;
mod filter;
mod flow;
mod id;
mod job;
mod json;
mod orders;
mod policy;
mod schedule;
mod state;
mod tally;
mod time;
mod verdict;

pub use allot::{
    Allotter, Bucket, Buckets, Cell, Ended, Head, HeldBy, Look, Paused, Round, Rules, Running,
    Sweep,
};
pub use attempt::{AttemptError, AttemptOutcome, AttemptRecord, MAX_ATTEMPT_RECORDS};
pub use control::{Audit, AuditEntry, AuditFilter, Setting};
pub(crate) use enqueue::validate_signal;
pub use enqueue::{
    Conflict, Enqueued, Idempotency, InvalidJob, Limits, MAX_ENQUEUE, NewJob, RunAt, Unique,
};
pub use filter::{Cursor, Filter, Found, InvalidCursor, Page};
pub use flow::{
    After, Cause, Edge, End, FlowFilter, FlowId, FlowRecord, FlowState, InvalidFlow, InvalidFlowId,
    Link, MAX_EDGES, MAX_STEPS, NewFlow, NewStep, Parent, Retried, RetryRefused, Settled,
    StepRecord, StepState, retry, settle,
};
pub use id::{InvalidId, JobId};
pub use job::{ClaimedJob, JobRecord, QueueStats, WorkerRecord};
pub use json::{InvalidJson, Json, MAX_DEPTH};
pub use orders::{Drain, MAX_SLOTS, Mute, Pause, Slots};
pub use policy::{Fair, InvalidPolicy, Limit, QueuePolicy, Rate};
pub use schedule::{
    CatchUp, Cron, Due, InvalidSchedule, ON_TIME, Origin, Overlap, Schedule, ScheduleRecord, Skip,
    TickOutcome, TickRecord, UnknownWord, due, jitter, lateness,
};
pub use state::{Event, State, Transition, UnknownState};
pub use tally::{Counted, CountedAt, Measure, WAIT_BOUNDS_MS};
pub use time::{InvalidTimestamp, Timestamp};
pub use verdict::{Finish, Lease, Recorded, Signal, Verdict};

//! Policy and runtime: what jobs are, who runs them, and what becomes of them.
//!
//! An [`Engine`] is a handful of tasks that share nothing but channels, so that a slow handler can
//! stop none of them:
//!
//! - a *fetcher* per queue claims jobs and keeps a small buffer full;
//! - an apalis *worker* per queue runs them through its tower layers (`backend.rs` is the seam);
//! - the *completer* writes outcomes in batches;
//! - the *lease keeper* extends the leases of everything claimed and not yet recorded, and stops
//!   what has lost its lease or was cancelled;
//! - the *scheduler* fires what the timetable says;
//! - *maintenance* runs on whichever process leads: rescue, retention, upkeep.
//!
//! Each survives the loss of the store for any time, says so once, and goes on by itself.

pub mod apalis;
mod backend;
mod backoff;
mod bulk;
mod bulk_job;
mod checkpoint;
mod client;
mod completer;
mod context;
mod control;
mod executor;
mod failure;
mod fetcher;
mod flow;
mod governor;
mod inline;
mod job;
mod leader;
mod leases;
mod maintenance;
mod operate_flows;
mod operator;
mod policies;
mod redact;
mod registry;
mod runtime;
mod scheduler;
mod schedules;
mod sealing;
mod tally;
mod timetable;

pub use backoff::Backoff;
pub use bulk_job::{BulkJob, BulkWindow};
pub use client::{Client, EnqueueError};
pub use context::{Context, ContextError};
pub use executor::judge;
pub use failure::{Permanent, RetryAfter, is_permanent, permanent, retry_after, wait_for};
pub use flow::{Awaited, Parents, SignalError, StartError};
pub(crate) use inline::attempt;
pub use job::{Committed, Job, JobOptions, Outcome};
pub use maintenance::Retention;
pub use operator::{Operator, OperatorError, PauseOf, Preview};
pub use policies::{PolicyError, StoredPolicy};
pub use redact::{REDACTED, Shown, redact};
pub use registry::{Catalogue, KindInfo, Registry};
pub use runtime::{Engine, EngineOptions, InvalidOptions};
pub use scheduler::{Round, Scheduler};
pub use schedules::{Backfill, By, MOST_BACKFILLED, Range, ScheduleError};
pub use sealing::{Content, InvalidKey, KeyRing, KeyWalk, NoKeys, OpenError};
pub use timetable::InvalidTimetable;

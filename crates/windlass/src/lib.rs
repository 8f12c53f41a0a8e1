#![doc = include_str!("../README.md")]

/// The guide's snippets are run with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guides/writing-jobs.md")]
struct WritingJobs;
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guides/testing.md")]
struct Testing;
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guides/data-at-rest.md")]
struct DataAtRest;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/guides/schedules.md")]
struct SchedulesGuide;
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guides/limits.md")]
struct LimitsGuide;
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guides/bulk-jobs.md")]
struct BulkJobsGuide;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/guides/apalis.md")]
struct ComingFromApalis;

pub mod db;
pub mod engine;
pub mod model;
pub mod store;
pub mod telemetry;
pub mod testing;

pub use engine::apalis;
pub use engine::{
    Awaited, Backoff, Client, Context, Engine, EngineOptions, EnqueueError, Job, JobOptions,
    Outcome, Registry, permanent, retry_after, wait_for,
};
pub use model::{JobId, JobRecord, Json, NewJob, State, Timestamp};
pub use store::Store;

//! How the program tells what it does: log lines, metrics, and the product's own events.
//!
//! One function per event writes the log line and the metric together; every metric's name is a
//! constant of this room (the engine's are in `windlass::telemetry`). Message bodies, args and
//! secrets never get here.

pub mod analytics;
pub mod backups;
pub mod broker;
pub mod correlation;
pub mod delivery;
pub mod documents;
pub mod http;
pub mod limits;
mod log;
pub mod messages;
mod metrics;
pub mod models;
mod options;
mod outage;
pub mod outbound;
pub mod pools;
pub mod restores;
pub mod retention;
mod sentry;
mod start;
pub mod tables;
mod traces;

pub use log::{InvalidLevel, LogFormat, LogOptions, level_filter, subscriber};
pub use metrics::{describe, install, recorder, upkeep};
pub use options::{Monitor, Monitors, TelemetryOptions};
pub use outage::Outage;
pub use start::{Telemetry, init};

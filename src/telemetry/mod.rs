//! How the program tells what it does: log lines, metrics, and the product's own events.
//!
//! One function per event writes the log line and the metric together; every metric's name is a
//! constant of this room (the engine's are in `windlass::telemetry`). Message bodies, args and
//! secrets never get here.

pub mod analytics;
pub mod backups;
pub mod broker;
pub mod delivery;
pub mod documents;
pub mod http;
pub mod limits;
mod log;
pub mod messages;
mod metrics;
pub mod models;
mod outage;
pub mod restores;
pub mod retention;
pub mod tables;

pub use log::{InvalidLevel, LogFormat, LogOptions, init, level_filter, subscriber};
pub use metrics::{install, recorder, upkeep};
pub use outage::Outage;

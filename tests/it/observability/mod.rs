//! What operators see: correlation, logs, metrics, traces, errors, boards and alerts.

mod alerts;
mod away;
mod boards;
mod correlation;
mod files;
mod follow;
mod metrics;
mod world;

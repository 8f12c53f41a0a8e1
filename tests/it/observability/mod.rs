//! What operators see: correlation, logs, metrics, traces, errors, boards and alerts.

mod alerts;
mod boards;
mod correlation;
mod files;
mod metrics;

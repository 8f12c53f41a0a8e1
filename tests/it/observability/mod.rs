//! What operators see: correlation, logs, metrics, traces, errors, boards and alerts.

mod correlation;

use std::io;
use std::time::Duration;

use super::log::{LogOptions, subscriber, subscriber_beside};
use super::options::{Monitors, TelemetryOptions};
use super::sentry::Reports;
use super::traces::Exporter;

/// How long the end of the program waits for each of what is still to be sent.
const PATIENCE: Duration = Duration::from_secs(2);

/// What sends traces and errors. Keep it until the program ends: then it sends what waits.
#[derive(Debug)]
pub struct Telemetry {
    traces: Option<Exporter>,
    reports: Option<Reports>,
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(traces) = &self.traces {
            traces.end(PATIENCE);
        }
        if let Some(reports) = &self.reports {
            reports.end(PATIENCE);
        }
    }
}

/// Installs the program's log, and traces and reports of errors if they are wanted. Call once, first.
pub fn init(
    log: &LogOptions,
    options: &TelemetryOptions,
    monitors: Monitors,
) -> anyhow::Result<Telemetry> {
    let traces = Exporter::new(options)?;
    let reports = Reports::new(options, monitors)?;
    let others: Vec<_> = [
        traces.as_ref().map(Exporter::layer),
        reports.as_ref().map(Reports::layer),
    ]
    .into_iter()
    .flatten()
    .collect();
    let subscriber = if others.is_empty() {
        subscriber(log, io::stdout)?
    } else {
        subscriber_beside(log, io::stdout, others)?
    };
    tracing::subscriber::set_global_default(subscriber)?;
    if let Some(reports) = &reports {
        reports.report_panics();
    }
    Ok(Telemetry { traces, reports })
}

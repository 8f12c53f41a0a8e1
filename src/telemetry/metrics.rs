//! Metrics, as Prometheus reads them.

use std::time::Duration;

use anyhow::Context;
use metrics_exporter_prometheus::{
    Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};
use metrics_process::Collector;
use tokio_util::sync::CancellationToken;

/// Bounds of durations, in seconds: from an engine's millisecond to a model's minutes.
const SECONDS: [f64; 17] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0,
    60.0, 300.0,
];
/// Bounds of counts.
const SIZES: [f64; 9] = [1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 1000.0];
/// How often what was measured is folded away when nobody scrapes.
const UPKEEP: Duration = Duration::from_secs(5);

/// Installs the program's metrics. Call once, before anything counts.
pub fn install() -> anyhow::Result<PrometheusHandle> {
    let recorder = recorder()?;
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).context("failed to install the metrics recorder")?;
    describe();
    Ok(handle)
}

/// What counts, without installing it.
pub fn recorder() -> anyhow::Result<PrometheusRecorder> {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_size".to_owned()), &SIZES)?;
    Ok(builder.build_recorder())
}

/// Measures the process, and keeps memory flat when nobody scrapes. Runs until the program stops.
pub async fn upkeep(handle: PrometheusHandle, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(UPKEEP);
    let process = Collector::default();
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        process.collect();
        handle.run_upkeep();
    }
}

/// Tells the exporter what each metric means.
pub fn describe() {
    Collector::default().describe();
    windlass::telemetry::describe();
    super::analytics::describe();
    super::backups::describe();
    super::broker::describe();
    super::documents::describe();
    super::delivery::describe();
    super::http::describe();
    super::limits::describe();
    super::messages::describe();
    super::models::describe();
    super::outbound::describe();
    super::pools::describe();
    super::retention::describe();
    super::tables::describe();
    super::restores::describe();
}

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use sentry::types::Dsn;
use serde::Deserialize;

/// Where traces and errors are sent to.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TelemetryOptions {
    /// The address of a collector that speaks OTLP over HTTP; empty traces nothing.
    pub otlp_endpoint: String,
    /// The share of traces that are kept, 0 to 1.
    pub trace_sample_rate: f64,
    /// Where errors go; empty is nowhere. It holds a key.
    pub sentry_dsn: SecretString,
    /// What Sentry calls this installation.
    pub sentry_environment: String,
}

impl TelemetryOptions {
    /// The key at fault and what would be right. A DSN holds a key and is not repeated.
    pub fn check(&self) -> Result<(), (&'static str, &'static str)> {
        let endpoint = self.otlp_endpoint.as_str();
        let is_url = |url: &str| {
            url::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
        };
        if !endpoint.is_empty() && !is_url(endpoint) {
            let problem = "must be the address of a collector, such as http://localhost:4318";
            return Err(("telemetry.otlp_endpoint", problem));
        }
        if !(0.0..=1.0).contains(&self.trace_sample_rate) {
            return Err(("telemetry.trace_sample_rate", "must be from 0 to 1"));
        }
        let dsn = self.sentry_dsn.expose_secret();
        if !dsn.is_empty() && dsn.parse::<Dsn>().is_err() {
            let problem = "must be of the form https://key@host/project";
            return Err(("telemetry.sentry_dsn", problem));
        }
        Ok(())
    }
}

/// A schedule as Sentry watches over it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Monitor {
    /// The kind of its jobs.
    pub kind: String,
    /// When, as cron says it.
    pub cron: String,
    /// In which time zone.
    pub zone: String,
}

/// Schedules by their names.
pub type Monitors = BTreeMap<String, Monitor>;

use std::fmt::Display;
use std::time::{Duration, Instant};

use tracing::{error, info};

/// Tells of the loss of something once, and of its return once, however often a loop tries.
#[derive(Debug)]
pub struct Outage {
    name: String,
    since: Option<Instant>,
}

impl Outage {
    /// Of something that is there as far as is known.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            since: None,
        }
    }

    /// It did not work.
    pub fn failed(&mut self, reason: &dyn Display) {
        if self.since.is_none() {
            self.since = Some(Instant::now());
            error!(service = self.name, %reason, "out of reach; waiting for it");
        }
    }

    /// It worked.
    pub fn worked(&mut self) {
        if let Some(since) = self.since.take() {
            let after = Duration::as_millis(&since.elapsed());
            info!(service = self.name, after_ms = after, "it is back");
        }
    }
}

//! Log lines, kept.

use std::io::Write;
use std::sync::{Arc, Mutex, OnceLock};

use metachat_jobs::telemetry::{self, LogFormat, LogOptions};
use serde_json::Value;
use tracing::Dispatch;
use tracing::subscriber::NoSubscriber;

#[derive(Debug, Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    /// A JSON log that writes here; make it the default of the test's thread.
    pub(crate) fn log(&self, level: &str) -> Dispatch {
        // While there is but one log, tracing asks only the current thread's whether an event is
        // wanted, and keeps the answer for all threads. A second one makes it ask each.
        static SECOND: OnceLock<Dispatch> = OnceLock::new();
        SECOND.get_or_init(|| Dispatch::new(NoSubscriber::new()));

        let options = LogOptions {
            level: level.to_owned(),
            format: LogFormat::Json,
        };
        let writer = self.clone();
        Dispatch::new(telemetry::subscriber(&options, move || writer.clone()).unwrap())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    pub(crate) fn objects(&self) -> Vec<Value> {
        let lines = self.text();
        let parsed = lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        parsed.collect()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

use std::num::NonZeroU32;
use std::time::Duration;

use anyhow::bail;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::Instant;
use windlass::{Context, Job, JobOptions, Outcome, Timestamp};

use super::Services;
use super::failure::from_platform;
use crate::platform::MetricCursor;
use crate::telemetry;

/// Metrics looked at by one step, which is a transaction of some milliseconds.
const STEP: u32 = 2_000;
/// How long it works before it lets go of its slot, so that a pause is heeded and others get a turn.
const SPELL: Duration = Duration::from_secs(20);
/// How often it notes how far it is.
const NOTE: Duration = Duration::from_secs(1);

/// Deletes message metrics that are old enough, of days whose figures have been made.
///
/// It works in small steps and notes how far it is: stopped, crashed or paused, it goes on from there.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PruneMessageMetrics {
    /// How many days metrics are kept; 90.
    #[serde(default = "PruneMessageMetrics::kept")]
    pub older_than_days: NonZeroU32,
}

impl Default for PruneMessageMetrics {
    fn default() -> Self {
        Self {
            older_than_days: Self::kept(),
        }
    }
}

/// How far it is.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Done {
    /// The time, in microseconds since 1970, and the id of the last metric it looked at.
    after: (i64, i64),
    deleted: u64,
    kept: u64,
}

impl Job for PruneMessageMetrics {
    const KIND: &'static str = "prune_message_metrics";
    type Services = Services;

    fn options() -> JobOptions {
        JobOptions {
            queue: "maintenance",
            timeout: Duration::from_mins(2),
            ..JobOptions::default()
        }
    }

    async fn run(self, cx: Context<Services>) -> anyhow::Result<Outcome> {
        let began = Instant::now();
        let mut noted = began;
        let mut done: Done = cx.resume()?.unwrap_or_default();
        let days = u64::from(self.older_than_days.get());
        let before = cx.now().minus(Duration::from_hours(24 * days));
        loop {
            let after = MetricCursor {
                at: Timestamp::from_micros(done.after.0),
                id: done.after.1,
            };
            let platform = &cx.services().platform;
            let step = platform.prune_metrics(before, after, STEP).await;
            let step = step.map_err(from_platform)?;
            done.after = (step.next.at.as_micros(), step.next.id);
            done.deleted += step.deleted;
            done.kept += step.seen - step.deleted;
            if step.seen < u64::from(STEP) {
                telemetry::analytics::metrics_pruned(done.deleted, done.kept);
                let result = json!({"deleted": done.deleted, "kept": done.kept});
                return Ok(Outcome::complete_with(&result)?);
            }
            if cx.cancelled().is_cancelled() {
                cx.checkpoint(&done).await?;
                bail!("told to stop");
            }
            if noted.elapsed() >= NOTE {
                noted = Instant::now();
                cx.checkpoint(&done).await?;
                cx.progress(&json!({"deleted": done.deleted, "kept": done.kept}))
                    .await?;
            }
            if began.elapsed() >= SPELL {
                cx.checkpoint(&done).await?;
                return Ok(Outcome::snooze(Duration::ZERO));
            }
        }
    }
}

impl PruneMessageMetrics {
    const fn kept() -> NonZeroU32 {
        NonZeroU32::new(90).expect("90 is not 0")
    }
}

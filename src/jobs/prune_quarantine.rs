use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::Instant;
use windlass::{Context, Job, JobOptions, Outcome};

use super::Services;
use super::failure::from_records;

/// Messages deleted by one step; each may hold a body of a mebibyte.
const STEP: u32 = 200;
/// How long it works before it lets go of its slot, so that a pause is heeded and others get a turn.
const SPELL: Duration = Duration::from_secs(20);

/// Deletes messages that nobody took out of quarantine for a long time: they hold what people wrote.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PruneQuarantine {
    /// How many days a message is kept.
    pub older_than_days: NonZeroU32,
}

impl Default for PruneQuarantine {
    fn default() -> Self {
        Self {
            older_than_days: const { NonZeroU32::new(90).expect("90 is not 0") },
        }
    }
}

impl Job for PruneQuarantine {
    const KIND: &'static str = "prune_quarantine";
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
        let mut deleted: u64 = cx.resume()?.unwrap_or_default();
        let days = u64::from(self.older_than_days.get());
        let before = cx.now().minus(Duration::from_hours(24 * days));
        loop {
            let gone = cx.services().records.prune_quarantine(before, STEP).await;
            let gone = gone.map_err(from_records)?;
            deleted += gone;
            if gone < u64::from(STEP) {
                return Ok(Outcome::complete_with(&json!({"deleted": deleted}))?);
            }
            if began.elapsed() >= SPELL || cx.cancelled().is_cancelled() {
                cx.checkpoint(&deleted).await?;
                return Ok(Outcome::snooze(Duration::ZERO));
            }
        }
    }
}

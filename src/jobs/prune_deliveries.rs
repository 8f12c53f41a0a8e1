use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::Instant;
use windlass::{Context, Job, JobOptions, Outcome};

use super::Services;
use super::failure::from_records;

/// Rows deleted by one step.
const STEP: u32 = 1_000;
/// How long it works before it lets go of its slot, so that a pause is heeded and others get a turn.
const SPELL: Duration = Duration::from_secs(20);

/// Deletes what is remembered of messages that were sent and of webhooks that were told, once it is old.
/// A message that is not sent, or may not be, stays until somebody decides.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PruneDeliveries {
    /// How many days a part that was sent is kept; no less than its job may be run again.
    pub sent_days: NonZeroU32,
    /// How many days the delivery log of webhooks is kept.
    pub log_days: NonZeroU32,
}

impl Default for PruneDeliveries {
    fn default() -> Self {
        Self {
            sent_days: const { NonZeroU32::new(120).expect("120 is not 0") },
            log_days: const { NonZeroU32::new(30).expect("30 is not 0") },
        }
    }
}

impl Job for PruneDeliveries {
    const KIND: &'static str = "prune_deliveries";
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
        let records = &cx.services().records;
        let before = |days: NonZeroU32| {
            let days = u64::from(days.get());
            cx.now().minus(Duration::from_hours(24 * days))
        };
        loop {
            let sent = records.prune_outbox(before(self.sent_days), STEP).await;
            let told = records.prune_deliveries(before(self.log_days), STEP).await;
            let (sent, told) = (sent.map_err(from_records)?, told.map_err(from_records)?);
            deleted += sent + told;
            if sent.max(told) < u64::from(STEP) {
                return Ok(Outcome::complete_with(&json!({"deleted": deleted}))?);
            }
            if began.elapsed() >= SPELL || cx.cancelled().is_cancelled() {
                cx.checkpoint(&deleted).await?;
                return Ok(Outcome::snooze(Duration::ZERO));
            }
        }
    }
}

use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::Instant;
use windlass::{Context, Job, JobOptions, Outcome};

use super::Services;
use super::failure::from_records;

/// Vectors forgotten by one step: some megabytes.
const STEP: u32 = 1_000;
/// How long it works before it lets go of its slot, so that a pause is heeded and others get a turn.
const SPELL: Duration = Duration::from_secs(20);

/// Forgets vectors that no document used for a while, and the longest unused of too many. A vector that
/// is forgotten and needed again is made again.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PruneEmbeddings {
    /// How many days an unused one is kept.
    pub unused_days: NonZeroU32,
    /// How many are kept at most; each takes about 4 KiB.
    pub most: u32,
}

impl Default for PruneEmbeddings {
    fn default() -> Self {
        Self {
            unused_days: const { NonZeroU32::new(30).expect("30 is not 0") },
            most: 200_000,
        }
    }
}

impl Job for PruneEmbeddings {
    const KIND: &'static str = "prune_embeddings";
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
        let mut forgotten: u64 = cx.resume()?.unwrap_or_default();
        let records = &cx.services().records;
        let days = u64::from(self.unused_days.get());
        let unused = cx.now().minus(Duration::from_hours(24 * days));
        let beyond = records.embeddings_beyond(self.most).await;
        let until = beyond
            .map_err(from_records)?
            .map_or(unused, |at| at.max(unused));
        loop {
            let gone = records.forget_embeddings(until, STEP).await;
            let gone = gone.map_err(from_records)?;
            forgotten += gone;
            if gone < u64::from(STEP) {
                return Ok(Outcome::complete_with(&json!({"forgotten": forgotten}))?);
            }
            if began.elapsed() >= SPELL || cx.cancelled().is_cancelled() {
                cx.checkpoint(&forgotten).await?;
                return Ok(Outcome::snooze(Duration::ZERO));
            }
        }
    }
}

use std::num::NonZeroU32;
use std::time::Duration;

use anyhow::{anyhow, bail};
use serde::{Deserialize, Serialize};
use serde_json::json;
use windlass::{Context, Job, JobOptions, Outcome, permanent, wait_for};

use super::Services;
use super::failure::from_platform;
use crate::platform::Reindexed;

/// How soon it looks again while another index is being made anew.
const BUSY: Duration = Duration::from_secs(30);

/// Makes an index anew while everybody works on: one that the report of `check_tables` or `jobctl tables`
/// knows, by the name it has there. What an attempt that was broken off left behind goes first.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Reindex {
    /// Which, such as `public.chunks_embedding_ivfflat_idx`.
    pub index: String,
    /// How long it waits at a time for others to let go of the table; 60 s.
    #[serde(default = "Reindex::patience")]
    pub lock_timeout_seconds: NonZeroU32,
}

impl Job for Reindex {
    const KIND: &'static str = "reindex";
    type Services = Services;

    fn options() -> JobOptions {
        JobOptions {
            queue: "maintenance",
            max_attempts: 3,
            // An index of vectors takes its time.
            timeout: Duration::from_hours(12),
            ..JobOptions::default()
        }
    }

    async fn run(self, cx: Context<Services>) -> anyhow::Result<Outcome> {
        let platform = &cx.services().platform;
        let patience = Duration::from_secs(self.lock_timeout_seconds.get().into());
        let done = platform.reindex(&self.index, patience, cx.cancelled().clone());
        match done.await.map_err(from_platform)? {
            Reindexed::Done { dropped } => {
                tracing::info!(
                    index = self.index,
                    leftovers = dropped.len(),
                    "index made anew"
                );
                let result = json!({"index": self.index, "dropped": dropped});
                Ok(Outcome::complete_with(&result)?)
            }
            Reindexed::Unknown => Err(permanent(anyhow!(
                "index: there is none of this name among the platform's and the engine's tables; \
                 `jobctl tables` lists them as they are to be written"
            ))),
            Reindexed::Busy => Err(wait_for(
                BUSY,
                anyhow!("another index is being made anew; it goes on after that one"),
            )),
            Reindexed::Denied => Err(permanent(anyhow!(
                "the database's role may not do it: it must own the table, or be granted `maintain` \
                 on it (PostgreSQL 17)"
            ))),
            Reindexed::TimedOut => bail!(
                "others held on to the table for longer than {patience:?}; look for transactions that \
                 are open for long (pg_stat_activity)"
            ),
            Reindexed::Stopped => bail!("told to stop"),
        }
    }
}

impl Reindex {
    const fn patience() -> NonZeroU32 {
        NonZeroU32::new(60).expect("60 is not 0")
    }
}

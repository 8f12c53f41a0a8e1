use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use windlass::{Context, Job, JobOptions, Outcome};

use super::Services;
use super::failure::from_platform;

/// Months made ahead: longer than anybody takes to notice that this job fails.
const AHEAD: u32 = 3;

/// Keeps the months of partitioned tables ahead of the calendar, so that no insert ever finds its month
/// missing. A platform whose tables are not partitioned has nothing to do.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaintainPartitions {}

impl Job for MaintainPartitions {
    const KIND: &'static str = "maintain_partitions";
    type Services = Services;

    fn options() -> JobOptions {
        JobOptions {
            queue: "maintenance",
            timeout: Duration::from_mins(5),
            ..JobOptions::default()
        }
    }

    async fn run(self, cx: Context<Services>) -> anyhow::Result<Outcome> {
        let today = cx.now().to_datetime().date_naive();
        let made = cx.services().platform.add_months(today, AHEAD).await;
        let made = made.map_err(from_platform)?;
        tracing::info!(months = made.len(), "partitions are ahead of the calendar");
        Ok(Outcome::complete_with(&json!({"made": made}))?)
    }
}

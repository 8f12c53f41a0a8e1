use std::time::Duration;

use anyhow::{Context as _, ensure};
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use serde_json::json;
use windlass::model::MAX_ENQUEUE;
use windlass::{Context, Job, JobOptions, NewJob, Outcome, permanent};

use super::failure::from_platform;
use super::{AggregateTenant, Services};
use crate::telemetry;

/// The daily figures of every tenant: one job for each, so that one that fails holds no other up.
///
/// Without days it makes yesterday's and the day before's again, as those change for a day more, and
/// what was missed since a tenant's last figures.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AggregateAnalytics {
    /// The first UTC day, such as `2026-01-31`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<NaiveDate>,
    /// The last one; the same day if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through: Option<NaiveDate>,
}

impl Job for AggregateAnalytics {
    const KIND: &'static str = "aggregate_analytics";
    type Services = Services;

    fn options() -> JobOptions {
        JobOptions {
            queue: "analytics",
            timeout: Duration::from_mins(5),
            ..JobOptions::default()
        }
    }

    async fn run(self, cx: Context<Services>) -> anyhow::Result<Outcome> {
        self.check().map_err(permanent)?;
        let platform = &cx.services().platform;
        let tenants = platform.known_tenants().await.map_err(from_platform)?;
        telemetry::analytics::tenants(tenants.iter().filter(|tenant| tenant.enabled).count());
        let jobs = tenants
            .into_iter()
            .map(|tenant| {
                cx.follow_up(&AggregateTenant {
                    tenant_id: tenant.id,
                    from: self.from,
                    through: self.through.or(self.from),
                })
            })
            .collect::<Result<Vec<NewJob>, _>>()?;
        // Repeated after a crash, it finds the jobs that are still there, and the others' figures are
        // made once more and come out the same.
        for jobs in jobs.chunks(MAX_ENQUEUE) {
            cx.client()
                .insert_many(jobs)
                .await
                .context("failed to enqueue the tenants' jobs")?;
        }
        Ok(Outcome::complete_with(&json!({"tenants": jobs.len()}))?)
    }
}

impl AggregateAnalytics {
    fn check(&self) -> anyhow::Result<()> {
        match (self.from, self.through) {
            (None, Some(_)) => anyhow::bail!("through: needs a `from` before it"),
            (Some(from), Some(through)) => {
                ensure!(
                    from <= through,
                    "through: {through} lies before `from`, {from}"
                );
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

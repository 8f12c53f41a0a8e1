use std::time::Duration;

use serde::{Deserialize, Serialize};
use windlass::{Context, Job, JobOptions, Outcome};

use super::Services;
use super::failure::from_platform;
use crate::telemetry;

/// Looks which tables want a vacuum and which indexes are broken, left over or bloated; its result says
/// so. It changes nothing: `reindex` makes an index anew, and a vacuum is the server's affair, or its
/// administrator's.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckTables {}

impl Job for CheckTables {
    const KIND: &'static str = "check_tables";
    type Services = Services;

    fn options() -> JobOptions {
        JobOptions {
            queue: "maintenance",
            timeout: Duration::from_mins(5),
            ..JobOptions::default()
        }
    }

    async fn run(self, cx: Context<Services>) -> anyhow::Result<Outcome> {
        let report = cx.services().platform.tables_report().await;
        let report = report.map_err(from_platform)?.advised();
        telemetry::tables::checked(report.tables.len(), report.indexes.len());
        Ok(Outcome::complete_with(&report)?)
    }
}

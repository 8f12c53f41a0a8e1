use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use windlass::{Context, Job, JobOptions, Json, Outcome};

use super::Services;
use super::failure::from_backups;
use crate::backups::retention::{self, Deleted};

/// Deletes backups that no rule keeps, and archived log that no kept one needs, in every place of every
/// target. What it deletes is in the audit log before it is gone.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PruneBackups {
    /// Only of this target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

impl Job for PruneBackups {
    const KIND: &'static str = "prune_backups";
    type Services = Services;

    fn options() -> JobOptions {
        JobOptions {
            queue: "backups",
            timeout: Duration::from_hours(1),
            ..JobOptions::default()
        }
    }

    /// One at a time: two plans of the same backups would each count on what the other deletes.
    fn ordering_key(&self) -> Option<String> {
        Some("prune_backups".to_owned())
    }

    async fn run(self, cx: Context<Services>) -> anyhow::Result<Outcome> {
        let backups = &cx.services().backups;
        let operator = cx.client().operator(Self::KIND, Some("retention"));
        let all = backups.options().targets.keys();
        let targets: Vec<&String> = match &self.target {
            Some(one) => vec![one],
            None => all.collect(),
        };
        let (mut deleted, mut waits) = (Deleted::default(), Vec::new());
        for target in targets {
            for plan in retention::plans(backups, target, cx.now())
                .await
                .map_err(from_backups)?
            {
                waits.extend(plan.waits_for.clone());
                if plan.is_empty() || cx.cancelled().is_cancelled() {
                    continue;
                }
                let detail = Json::encode(&plan.detail())?;
                let what = format!("backups/{target}@{}", plan.place);
                operator
                    .record("backups.prune", what, None, Some(detail))
                    .await?;
                deleted += retention::apply(backups, &plan)
                    .await
                    .map_err(from_backups)?;
            }
        }
        waits.dedup();
        Ok(Outcome::complete_with(&json!({
            "deleted": deleted.backups,
            "deletedSegments": deleted.segments,
            "waitsFor": waits,
        }))?)
    }
}

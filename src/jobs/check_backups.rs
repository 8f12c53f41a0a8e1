use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use windlass::{Context, Job, JobOptions, Outcome};

use super::Services;
use super::failure::{from_backups, from_service};
use crate::backups::Standing;
use crate::services::notifier::Notice;

/// Tells people of targets whose newest backup, or newest verified one, is older than it may be.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CheckBackups {}

impl Job for CheckBackups {
    const KIND: &'static str = "check_backups";
    type Services = Services;

    fn options() -> JobOptions {
        JobOptions {
            queue: "maintenance",
            timeout: Duration::from_mins(10),
            ..JobOptions::default()
        }
    }

    async fn run(self, cx: Context<Services>) -> anyhow::Result<Outcome> {
        let Services {
            backups, notifier, ..
        } = cx.services();
        let mut lines = Vec::new();
        for target in backups.options().targets.keys() {
            let standing = backups
                .standing(target, cx.now())
                .await
                .map_err(from_backups)?;
            lines.extend(worries(&standing));
        }
        if !lines.is_empty() {
            let notice = Notice {
                subject: "metachat-jobs: backups need to be looked at".to_owned(),
                message: lines.join("\n"),
            };
            notifier.tell(&notice).await.map_err(from_service)?;
        }
        Ok(Outcome::complete_with(&json!({"worries": lines}))?)
    }
}

fn worries(standing: &Standing) -> Vec<String> {
    let target = &standing.target;
    let since = |at: Option<windlass::Timestamp>| {
        at.map_or_else(|| "never".to_owned(), |at| at.to_string())
    };
    let mut worries = Vec::new();
    if standing.late {
        let last = since(standing.last_success_at);
        worries.push(format!("{target}: no backup in time; the last one: {last}"));
    } else if standing.unverified {
        // Without a backup there is nothing to verify.
        let last = since(standing.last_verified_at);
        worries.push(format!(
            "{target}: no backup was shown to restore in time; the last one: {last}"
        ));
    }
    worries.extend(
        standing
            .flags
            .iter()
            .map(|flag| format!("{target}: the newest backup: {flag}")),
    );
    worries
}

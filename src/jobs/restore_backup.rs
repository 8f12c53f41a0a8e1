use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use windlass::model::{Conflict, Unique};
use windlass::{Context, Job, JobOptions, Outcome, permanent};

use super::Services;
use super::failure::from_backups;
use crate::backups::restore::{Report, Restore};
use crate::backups::{Error, Transfer};
use crate::telemetry;

/// How often progress is reported.
const REPORT: Duration = Duration::from_secs(2);
/// How long it may take; a step of it no longer than `backups.timeout_ms`.
const LONGEST: Duration = Duration::from_hours(12);

/// Brings a backup back beside what is live, with its queue fenced and held.
///
/// What is brought back gets its name only once it is whole: broken off before that, it is begun anew by the
/// next attempt, and nobody takes half of it for the whole. Broken off after that and before its success is on
/// record, its next attempt finds the name taken, writes over nothing and says so.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RestoreBackup(pub Restore);

impl Job for RestoreBackup {
    const KIND: &'static str = "restore_backup";
    type Services = Services;

    fn options() -> JobOptions {
        JobOptions {
            queue: "backups",
            max_attempts: 3,
            timeout: LONGEST,
            ..JobOptions::default()
        }
    }

    /// One at a time to one goal: each would take away what the other has not finished.
    fn ordering_key(&self) -> Option<String> {
        Some(format!("restore/{}", self.0.to))
    }

    fn unique(&self) -> Option<Unique> {
        Some(Unique {
            key: format!("{}:{}", self.0.target, self.0.to),
            window: None,
            conflict: Conflict::ReturnExisting,
        })
    }

    async fn run(self, cx: Context<Services>) -> anyhow::Result<Outcome> {
        let target = self.0.target.clone();
        match Box::pin(self.bring_back(&cx)).await {
            Ok(report) => {
                let took = Duration::from_secs_f64(report.seconds.max(0.0));
                telemetry::restores::restored(&target, report.backup.as_str(), &report.to, took);
                Ok(Outcome::complete_with(&report)?)
            }
            Err(error) => {
                telemetry::restores::not_restored(&target, &error);
                Err(match error {
                    // Somebody has to decide what becomes of what is there.
                    Error::Suspect(_) | Error::Damaged { .. } | Error::Sealed { .. } => {
                        permanent(error)
                    }
                    other => from_backups(other),
                })
            }
        }
    }
}

impl RestoreBackup {
    async fn bring_back(&self, cx: &Context<Services>) -> Result<Report, Error> {
        let Self(restore) = self;
        let backups = &cx.services().backups;
        let manifest = restore.manifest(backups).await?;
        let of = manifest.stored_size();
        let stop: CancellationToken = cx.cancelled().child_token();
        let transfer = Transfer::new(stop.clone(), 0);
        // A program that runs is ended with what asked for it.
        let _ended = stop.drop_guard();
        let mut doing = Box::pin(restore.bring_back(backups, manifest, Self::KIND, &transfer));
        let mut ticks = tokio::time::interval(REPORT);
        loop {
            tokio::select! {
                done = &mut doing => return done,
                _ = ticks.tick() => {
                    let bytes = transfer.passed();
                    let phase = if bytes < of { "fetching" } else { "restoring" };
                    let progress = json!({"step": phase, "bytes": bytes, "of": of});
                    if let Err(error) = cx.progress(&progress).await {
                        // A lost lease fires the token; another failure is the database's and passes.
                        tracing::debug!(%error, "progress was not recorded");
                    }
                }
            }
        }
    }
}

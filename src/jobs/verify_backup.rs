use std::time::Duration;

use anyhow::anyhow;
use rand::Rng as _;
use serde::{Deserialize, Serialize};
use windlass::model::{Conflict, Unique};
use windlass::{Context, Job, JobOptions, Outcome, Timestamp, permanent};

use super::Services;
use super::failure::from_backups;
use crate::backups::verify::{Canaries, Moment, Verification};
use crate::backups::{BackupId, Evidence, Kind, Level, wal};
use crate::services::notifier::Notice;
use crate::telemetry;

/// How long it may take; a step of it no longer than `backups.timeout_ms`.
const LONGEST: Duration = Duration::from_hours(12);
/// How far back canaries are counted.
const CANARIES: Duration = Duration::from_hours(24);

/// Tries out a backup, and writes down what came of it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VerifyBackup {
    /// Of which target, by its name in the settings.
    pub target: String,
    /// Which backup; the newest if none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<BackupId>,
    /// In which place; the target's first if none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// How deep: 0 to 5.
    pub level: Level,
}

impl VerifyBackup {
    /// The newest backup of a target, so deep.
    pub fn newest(target: &str, level: Level) -> Self {
        Self {
            target: target.to_owned(),
            backup: None,
            place: None,
            level,
        }
    }
}

impl Job for VerifyBackup {
    const KIND: &'static str = "verify_backup";
    type Services = Services;

    fn options() -> JobOptions {
        JobOptions {
            queue: "backups",
            max_attempts: 3,
            timeout: LONGEST,
            ..JobOptions::default()
        }
    }

    fn unique(&self) -> Option<Unique> {
        let backup = self.backup.as_ref().map_or("newest", BackupId::as_str);
        let place = self.place.as_deref().unwrap_or_default();
        Some(Unique {
            key: format!("{}:{backup}:{place}:{}", self.target, self.level),
            window: None,
            conflict: Conflict::ReturnExisting,
        })
    }

    async fn run(self, cx: Context<Services>) -> anyhow::Result<Outcome> {
        let target = self.target.clone();
        let evidence = match self.evidence(&cx).await {
            Ok(evidence) => evidence,
            Err(error) => {
                if cx.is_last_attempt() && !cx.cancelled().is_cancelled() {
                    let subject =
                        format!("metachat-jobs: no backup of {target} could be tried out");
                    say(&cx, &target, subject, format!("{error:#}")).await;
                }
                return Err(error);
            }
        };
        tell(&evidence);
        let Some(reason) = &evidence.reason else {
            return Ok(Outcome::complete_with(&evidence)?);
        };
        let message = format!(
            "backup {target}/{} does not hold at {}: {reason}",
            evidence.backup, evidence.level
        );
        let subject = format!("metachat-jobs: a backup of {target} does not hold");
        say(&cx, &target, subject, message.clone()).await;
        // Trying again would find the same.
        Err(permanent(anyhow!(message)))
    }
}

impl VerifyBackup {
    async fn evidence(self, cx: &Context<Services>) -> anyhow::Result<Evidence> {
        let verification = Verification {
            moment: self.moment(cx).await?,
            target: self.target,
            backup: self.backup,
            place: self.place,
            level: self.level,
            job: cx.job().id.as_uuid(),
        };
        verification
            .run(&cx.services().backups, || cx.now(), cx.cancelled())
            .await
            .map_err(from_backups)
    }

    /// A random moment since the backup that the log covers.
    async fn moment(&self, cx: &Context<Services>) -> anyhow::Result<Option<Moment>> {
        let target = self.target.as_str();
        let backups = &cx.services().backups;
        let settings = backups.target(target).map_err(from_backups)?;
        let archives = settings.kind == Kind::PostgresPhysical && settings.wal.is_some();
        if self.level < Level::PointInTime || !archives {
            return Ok(None);
        }
        let repository = backups.repositories(settings).map_err(from_backups)?[0];
        let manifest = match &self.backup {
            Some(id) => {
                repository
                    .get(target, id)
                    .await
                    .map_err(from_backups)?
                    .manifest
            }
            None => match repository.list(target).await.map_err(from_backups)?.pop() {
                Some(newest) => newest.manifest,
                None => return Ok(None),
            },
        };
        let Some(until) = repository
            .archived_until(target)
            .await
            .map_err(from_backups)?
        else {
            return Ok(None);
        };
        let server = backups.server(target).map_err(from_backups)?;
        let since = manifest.finished.minus(CANARIES);
        let planted = wal::canaries(&server, since).await.map_err(from_backups)?;
        let Some(planted) = planted else {
            return Ok(None);
        };
        Ok(choose(&planted, manifest.finished, until))
    }
}

/// A moment between two canaries that are both in the log: the later one shows that it was stopped in time.
fn choose(planted: &[Timestamp], finished: Timestamp, archived: Timestamp) -> Option<Moment> {
    // What was written just before a file was put away may not have come.
    let archived = archived.minus(Duration::from_secs(5));
    let pairs: Vec<(Timestamp, Timestamp)> = planted
        .windows(2)
        .map(|pair| (pair[0], pair[1]))
        .filter(|(before, after)| *before > finished && *after < archived)
        .collect();
    if pairs.is_empty() {
        return None;
    }
    let (before, after) = pairs[rand::rng().random_range(0..pairs.len())];
    let to = before + after.since(before) / 2;
    let since = to.minus(CANARIES);
    let count = planted
        .iter()
        .filter(|at| **at >= since && **at <= to)
        .count();
    Some(Moment {
        to,
        canaries: Some(Canaries {
            since,
            count: count as u64,
        }),
    })
}

/// Tells people. That they could not be told changes nothing of what was found.
async fn say(cx: &Context<Services>, target: &str, subject: String, message: String) {
    let notice = Notice { subject, message };
    if let Err(untold) = cx.services().notifier.tell(&notice).await {
        telemetry::backups::untold(target, &untold);
    }
}

fn tell(evidence: &Evidence) {
    let level = evidence.level.number();
    let backup = evidence.backup.as_str();
    match &evidence.reason {
        Some(reason) => telemetry::restores::broken(&evidence.target, backup, level, reason),
        None => {
            let took = evidence.figures.get(Evidence::RESTORE_SECONDS);
            let took = took.map(|seconds| Duration::from_secs_f64(seconds.max(0.0)));
            telemetry::restores::held(&evidence.target, backup, level, took);
        }
    }
}

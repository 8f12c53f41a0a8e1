use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use windlass::model::{Conflict, Unique};
use windlass::{Backoff, Context, Job, JobOptions, Outcome, permanent};

use super::{Services, VerifyBackup};
use crate::backups::create::{Work, create};
use crate::backups::{
    Backup, Error, Level, Manifest, Repository, Scratch, TargetOptions, Transfer, size_of,
};
use crate::services::notifier::Notice;
use crate::telemetry::backups as told;

/// How often progress is reported.
const REPORT: Duration = Duration::from_secs(2);
/// Longer than any setting is meant to be; `backups.timeout_ms` ends it before.
const LONGEST: Duration = Duration::from_hours(72);

/// Backs up one target: copies it, puts the copy into its place and from there into the others.
///
/// Broken off at any moment it leaves nothing that is listed, and what it does leave the next run removes.
/// A further attempt goes on with the copies of a backup that is made already.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateBackup {
    /// Its name in the settings.
    pub target: String,
}

impl Job for CreateBackup {
    const KIND: &'static str = "create_backup";
    type Services = Services;

    fn options() -> JobOptions {
        JobOptions {
            queue: "backups",
            max_attempts: 4,
            timeout: LONGEST,
            backoff: Backoff {
                base: Duration::from_secs(30),
                cap: Duration::from_mins(30),
                ..Backoff::default()
            },
            ..JobOptions::default()
        }
    }

    fn ordering_key(&self) -> Option<String> {
        Some(format!("backup/{}", self.target))
    }

    fn unique(&self) -> Option<Unique> {
        Some(Unique {
            key: self.target.clone(),
            window: None,
            conflict: Conflict::ReturnExisting,
        })
    }

    async fn run(self, cx: Context<Services>) -> anyhow::Result<Outcome> {
        let began = Instant::now();
        let run = Run::new(&self.target, &cx)?;
        let done = Box::pin(run.all()).await;
        match done {
            Ok((manifest, places)) => {
                told::created(
                    &self.target,
                    &manifest.id,
                    manifest.stored_size(),
                    began.elapsed(),
                );
                let verify = VerifyBackup {
                    backup: Some(manifest.id.clone()),
                    ..VerifyBackup::newest(&self.target, Level::Structure)
                };
                cx.client().insert(cx.follow_up(&verify)?).await?;
                if let Err(error) = cx.services().notifier.ping(&self.target).await {
                    told::untold(&self.target, &error);
                }
                Ok(Outcome::complete_with(&json!({
                    "backup": manifest.id,
                    "places": places,
                    "files": manifest.files.len(),
                    "bytes": manifest.size(),
                    "storedBytes": manifest.stored_size(),
                    "rows": manifest.rows.values().sum::<u64>(),
                    "flags": manifest.flags,
                    "seconds": began.elapsed().as_secs_f64(),
                }))?)
            }
            Err(error) => Err(run.failed(error).await),
        }
    }
}

/// One attempt.
struct Run<'a> {
    cx: &'a Context<Services>,
    name: &'a str,
    target: &'a TargetOptions,
    /// The first one makes the backup, the others get copies.
    repositories: Vec<&'a Repository>,
    deadline: Instant,
    transfer: Transfer,
    stop: CancellationToken,
}

impl<'a> Run<'a> {
    fn new(name: &'a str, cx: &'a Context<Services>) -> anyhow::Result<Self> {
        let backups = &cx.services().backups;
        let target = backups.target(name).map_err(permanent)?;
        let stop = cx.cancelled().child_token();
        Ok(Self {
            cx,
            name,
            target,
            repositories: backups.repositories(target).map_err(permanent)?,
            deadline: Instant::now() + backups.options().timeout(),
            transfer: Transfer::new(stop.clone(), backups.options().bandwidth_bytes),
            stop,
        })
    }

    /// Everything there is to do: the backup, and where it then is.
    async fn all(&self) -> Result<(Manifest, Vec<&str>), Error> {
        self.sweep().await?;
        let job = self.cx.job().id.as_uuid();
        let first = self.repositories[0];
        let before = first.list(self.name).await?;
        let made = before.iter().find(|backup| backup.manifest.job == job);
        let manifest = match made {
            Some(backup) => backup.manifest.clone(),
            None => Box::pin(self.make(job, before.last())).await?,
        };
        for &copy in &self.repositories[1..] {
            self.copy(first, copy, &manifest).await?;
        }
        let shrunk = manifest.flags.iter().find(|flag| flag.starts_with(SHRUNK));
        if let Some(flag) = shrunk {
            let id = &manifest.id;
            return Err(Error::Suspect(format!(
                "backup {id} is kept, but {flag}: look whether something is missing"
            )));
        }
        let places = self
            .repositories
            .iter()
            .map(|it| it.place().name())
            .collect();
        Ok((manifest, places))
    }

    /// Removes what broken-off runs left: folders here, and half backups in the first place.
    async fn sweep(&self) -> Result<(), Error> {
        let root = self.cx.services().backups.options().scratch();
        for folder in Scratch::sweep(&root)? {
            told::swept(self.name, &folder.display());
        }
        self.sweep_place(self.repositories[0]).await
    }

    async fn sweep_place(&self, repository: &Repository) -> Result<(), Error> {
        for left in repository.sweep(self.name).await? {
            told::swept(
                self.name,
                &format!("{}/{}", repository.place().name(), left.id),
            );
        }
        Ok(())
    }

    async fn make(&self, job: Uuid, before: Option<&Backup>) -> Result<Manifest, Error> {
        let backups = &self.cx.services().backups;
        let scratch = Scratch::new(&backups.options().scratch())?;
        let mut manifest = Manifest::begin(self.name, self.target.kind, job, self.cx.now());
        let expected = before.map(|it| it.manifest.stored_size());
        let work = Work {
            backups,
            target: self.target,
            folder: scratch.path(),
            cancel: &self.stop,
            deadline: self.deadline,
        };
        let copying = Box::pin(create(&work, &mut manifest));
        let folder = self
            .reporting("copying", expected, || size_of(scratch.path()), copying)
            .await?;
        manifest.finished = self.cx.now();

        let repository = self.repositories[0];
        let whole = size_of(&folder);
        let from = self.transfer.passed();
        let passed = || self.transfer.passed() - from;
        let publishing = Box::pin(async {
            repository
                .upload(&mut manifest, &folder, &self.transfer)
                .await?;
            self.guard(&mut manifest, before)?;
            // Read back in full before the manifest says that it is there.
            repository.publish(&manifest, &self.transfer).await
        });
        self.reporting("publishing", Some(2 * whole), passed, publishing)
            .await
    }

    async fn copy(
        &self,
        from: &Repository,
        to: &Repository,
        manifest: &Manifest,
    ) -> Result<(), Error> {
        match to.get(self.name, &manifest.id).await {
            Ok(there) if there.manifest == *manifest => return Ok(()),
            Ok(_) => {
                let part = format!("{}/{}", to.place().name(), manifest.id);
                return Err(Error::damaged(
                    part,
                    "it is another backup than the one to be copied",
                ));
            }
            Err(Error::NotFound { .. }) => {}
            Err(other) => return Err(other),
        }
        self.sweep_place(to).await?;
        let step = format!("copying to {}", to.place().name());
        let before = self.transfer.passed();
        let passed = || self.transfer.passed() - before;
        let copying = Box::pin(from.copy_to(to, manifest, &self.transfer));
        self.reporting(&step, Some(2 * manifest.stored_size()), passed, copying)
            .await
    }

    /// Refuses what is too small to be a backup, and flags what differs much from the last one.
    fn guard(&self, manifest: &mut Manifest, before: Option<&Backup>) -> Result<(), Error> {
        let size = manifest.size();
        let least = self.target.minimum_bytes;
        if manifest.files.is_empty() || size < least {
            let target = self.name;
            return Err(Error::Suspect(format!(
                "the backup of {target} has {size} bytes and must have {least}: it was not kept"
            )));
        }
        let percent = self.cx.services().backups.options().size_change_percent;
        // An incremental one is as large as what changed.
        let comparable =
            before.filter(|it| it.manifest.parent.is_none() && manifest.parent.is_none());
        if let Some(flag) = comparable.and_then(|it| change(it.manifest.size(), size, percent)) {
            told::flagged(self.name, &manifest.id, &flag);
            manifest.flags.push(flag);
        }
        Ok(())
    }

    /// Does something within the time there is, and tells how far it is.
    async fn reporting<T>(
        &self,
        step: &str,
        of: Option<u64>,
        bytes: impl Fn() -> u64,
        mut doing: impl Future<Output = Result<T, Error>> + Unpin,
    ) -> Result<T, Error> {
        let began = Instant::now();
        let mut ticks = tokio::time::interval(REPORT);
        let after = self.deadline.saturating_duration_since(began);
        loop {
            tokio::select! {
                done = &mut doing => return done,
                () = tokio::time::sleep_until(self.deadline) => {
                    self.stop.cancel();
                    return Err(Error::TimedOut { what: step.to_owned(), after });
                }
                _ = ticks.tick() => {
                    let progress = progress(step, bytes(), of, began.elapsed());
                    if let Err(error) = self.cx.progress(&progress).await {
                        // A lost lease fires the token; another failure is the database's and passes.
                        tracing::debug!(%error, "progress was not recorded");
                    }
                }
            }
        }
    }

    /// What the error means for the job; people are told if nothing more will be tried.
    async fn failed(&self, error: Error) -> anyhow::Error {
        let lasting =
            error.is_lasting() || matches!(error, Error::Suspect(_) | Error::ToolTooOld { .. });
        if self.cx.cancelled().is_cancelled() {
            return error.into();
        }
        told::failed(self.name, &error);
        if lasting || self.cx.is_last_attempt() {
            let notice = Notice {
                subject: format!("metachat-jobs: the backup of {} failed", self.name),
                message: error.to_string(),
            };
            if let Err(untold) = self.cx.services().notifier.tell(&notice).await {
                told::untold(self.name, &untold);
            }
        }
        if lasting {
            permanent(error)
        } else {
            error.into()
        }
    }
}

/// How the flag begins that makes a job fail.
const SHRUNK: &str = "it is smaller";

/// What to say of a size that differs by more than so many percent.
fn change(before: u64, now: u64, percent: u32) -> Option<String> {
    let (before, now) = (u128::from(before), u128::from(now));
    let allowed = before * u128::from(percent) / 100;
    let (word, differs) = if now < before {
        (SHRUNK, before - now)
    } else {
        ("it is larger", now - before)
    };
    (differs > allowed).then(|| {
        format!("{word} than the last one by more than {percent} %: {now} bytes after {before}")
    })
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate"
)]
fn progress(step: &str, bytes: u64, of: Option<u64>, took: Duration) -> serde_json::Value {
    let rate = bytes as f64 / took.as_secs_f64().max(0.001);
    let left = of.map(|of| of.saturating_sub(bytes) as f64 / rate.max(1.0));
    json!({
        "step": step,
        "bytes": bytes,
        "of": of,
        "bytesPerSecond": rate as u64,
        "secondsLeft": left.filter(|_| bytes > 0).map(|left| left as u64),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_unlike_the_last_one_is_told() {
        assert_eq!(change(1000, 1400, 40), None);
        assert_eq!(change(1000, 600, 40), None);
        assert!(change(1000, 599, 40).unwrap().starts_with(SHRUNK));
        assert!(change(1000, 1401, 40).unwrap().starts_with("it is larger"));
        assert_eq!(change(0, 0, 40), None);
    }

    #[test]
    fn progress_has_a_rate_and_an_estimate() {
        let told = progress("copying", 50, Some(150), Duration::from_secs(5));
        let expected = json!({
            "step": "copying", "bytes": 50, "of": 150, "bytesPerSecond": 10, "secondsLeft": 10,
        });
        assert_eq!(told, expected);
    }
}

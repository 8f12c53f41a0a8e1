//! A verification from beginning to end: fetches a backup, tries it, and writes down what came of it.

use std::path::PathBuf;

use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use windlass::Timestamp;

use super::{Archived, Found, Moment, Trial};
use crate::backups::throwaway::ScratchFolder;
use crate::backups::{
    BackupId, Backups, Error, Evidence, Level, Manifest, Repository, Transfer, Verdict,
};

/// Which backup is tried, how deep, and by whom.
#[derive(Debug, Clone)]
pub struct Verification {
    /// Of which target.
    pub target: String,
    /// Which; the newest if none is named.
    pub backup: Option<BackupId>,
    /// In which place; the target's first if none is named.
    pub place: Option<String>,
    /// How deep.
    pub level: Level,
    /// By which job.
    pub job: Uuid,
    /// To which moment a physical one is brought.
    pub moment: Option<Moment>,
}

impl Verification {
    /// Does it. A backup that does not hold is evidence that says so; an error means that nothing is known.
    pub async fn run(
        &self,
        backups: &Backups,
        now: impl Fn() -> Timestamp,
        cancelled: &CancellationToken,
    ) -> Result<Evidence, Error> {
        let target = backups.target(&self.target)?;
        let repository = match &self.place {
            Some(place) => backups.repository(place)?,
            None => backups.repository(&target.place)?,
        };
        let started = now();
        let id = match &self.backup {
            Some(id) => id.clone(),
            None => newest(repository, &self.target).await?,
        };
        let mut found = Found::default();
        let mut sha256 = String::new();
        let tried = self.tried(backups, repository, &id, &mut found, &mut sha256, cancelled);
        match tried.await {
            Ok(()) => {}
            Err(error @ (Error::Damaged { .. } | Error::Sealed { .. })) => {
                found.failed = Some((Level::Hashes, error.to_string()));
            }
            Err(error) => return Err(error),
        }
        let (level, outcome, reason) = match found.failed {
            Some((level, reason)) => (level, Verdict::Failed, Some(reason)),
            None => (found.held.unwrap_or(Level::Hashes), Verdict::Passed, None),
        };
        let evidence = Evidence {
            target: self.target.clone(),
            backup: id,
            manifest_sha256: sha256,
            level,
            outcome,
            reason,
            started,
            finished: now(),
            job: self.job,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            figures: found.figures,
            checks: found.checks,
        };
        repository.record(&evidence).await?;
        Ok(evidence)
    }

    async fn tried(
        &self,
        backups: &Backups,
        repository: &Repository,
        id: &BackupId,
        found: &mut Found,
        sha256: &mut String,
        cancelled: &CancellationToken,
    ) -> Result<(), Error> {
        let manifest = repository.get(&self.target, id).await?.manifest;
        sha256.clone_from(&manifest.sha256);
        let options = backups.options();
        let transfer = Transfer::new(cancelled.clone(), 0);
        if self.level == Level::Hashes {
            repository.check(&manifest, &transfer).await?;
            found.held = Some(Level::Hashes);
            found.saw("every stored file has the SHA-256 that the manifest names");
            return Ok(());
        }
        let throwaway = options.throwaway();
        let work = ScratchFolder::create(&throwaway.folder, throwaway.run_as)?;
        let folder = work.path().join("backup");
        repository
            .fetch(&self.target, id, &folder, &transfer)
            .await?;
        let chain = chain(repository, &manifest, &work, &transfer).await?;
        found.held = Some(Level::Hashes);
        found.saw("every file has the SHA-256 that the manifest names");
        let archived = match self.moment {
            Some(moment) if self.level >= Level::PointInTime => {
                Some(archived(repository, &manifest, &work, moment, &transfer, found).await?)
            }
            _ => None,
        };
        let trial = Trial {
            manifest: &manifest,
            folder: &folder,
            chain: &chain,
            wal: archived.as_ref(),
            options,
            probe: backups.probe(),
            cancelled,
        };
        trial.climb(self.level, found).await
    }
}

/// The newest backup of a target.
async fn newest(repository: &Repository, target: &str) -> Result<BackupId, Error> {
    let newest = repository.list(target).await?.pop();
    let newest = newest.ok_or_else(|| Error::NotFound {
        place: repository.place().name().to_owned(),
        target: target.to_owned(),
        id: "(any)".to_owned(),
    })?;
    Ok(newest.manifest.id)
}

/// Fetches the backups that this one builds on, the full one first.
pub(in crate::backups) async fn chain(
    repository: &Repository,
    manifest: &Manifest,
    work: &ScratchFolder,
    transfer: &Transfer,
) -> Result<Vec<(Manifest, PathBuf)>, Error> {
    let mut links = Vec::new();
    let mut parent = manifest.parent.clone();
    while let Some(id) = parent.take() {
        let folder = work.path().join(format!("parent-{}", links.len()));
        let fetched = repository
            .fetch(&manifest.target, &id, &folder, transfer)
            .await;
        let fetched = fetched.map_err(|error| match error {
            Error::NotFound { .. } => {
                Error::damaged("manifest.json", format!("its parent {id} is not there"))
            }
            other => other,
        })?;
        parent.clone_from(&fetched.parent);
        links.push((fetched, folder));
    }
    links.reverse();
    Ok(links)
}

async fn archived(
    repository: &Repository,
    manifest: &Manifest,
    work: &ScratchFolder,
    moment: Moment,
    transfer: &Transfer,
    found: &mut Found,
) -> Result<Archived, Error> {
    let folder = work
        .make("wal")
        .map_err(Error::io("making a folder for the log"))?;
    let (files, _) = repository
        .fetch_segments(manifest, &folder, transfer)
        .await?;
    work.own_all(&folder)
        .map_err(Error::io("giving the log to its reader"))?;
    found.count("segments", files);
    Ok(Archived { folder, moment })
}

//! The backups in one place.
//!
//! `<target>/<id>/` holds the files, `SHA256SUMS` and `manifest.json`, which is written last and deleted
//! first; beside them `pin.json` and `verifications/<time>-<level>.json`.

use std::path::{Path as FilePath, PathBuf};

use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use windlass::Timestamp;

use super::place::{Opened, Place};
use super::stream::{self, Keys, Transfer};
use super::{BackupId, Encryption, Error, Evidence, File, Kind, Level, Manifest, Stored};

const MANIFEST: &str = "manifest.json";
const SUMS: &str = "SHA256SUMS";
const PIN: &str = "pin.json";
const VERIFICATIONS: &str = "verifications";
const FILES: &str = "files";
/// The detail of a manifest that tells of files that were gone before they could be copied.
const VANISHED: &str = "vanished";

/// The backups in one place. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Repository {
    pub(super) place: Place,
    pub(super) keys: Keys,
}

/// A backup, and what is known of it.
#[derive(Debug, Clone)]
pub struct Backup {
    /// What it says of itself.
    pub manifest: Manifest,
    /// Why it is to be kept, if somebody said so.
    pub pin: Option<Pin>,
    /// How often it was tried, oldest first.
    pub evidence: Vec<Evidence>,
}

impl Backup {
    /// The last time that it held, at this level or above.
    pub fn verified(&self, level: Level) -> Option<&Evidence> {
        let same = |it: &&Evidence| it.manifest_sha256 == self.manifest.sha256;
        let held = self.evidence.iter().filter(same).rev();
        held.filter(|it| it.passed()).find(|it| it.level >= level)
    }

    /// The highest level at which it held the last time that level was tried.
    pub fn level(&self) -> Option<Level> {
        self.evidence
            .iter()
            .filter(|it| it.passed())
            .map(|it| it.level)
            .max()
    }
}

/// A wish that a backup stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// Whose.
    pub by: String,
    /// Since when.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}

/// A folder without a manifest: a backup that is being made, or never was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// Of which target.
    pub target: String,
    /// Under which id.
    pub id: BackupId,
}

/// What a place holds of one target.
#[derive(Debug, Clone, Default)]
pub struct Holdings {
    /// The backups, oldest first.
    pub backups: Vec<Backup>,
    /// What has no manifest.
    pub leftovers: Vec<Leftover>,
    /// What has one that cannot be right, and why. Kept for somebody to look at.
    pub damaged: Vec<(BackupId, String)>,
}

impl Repository {
    pub(super) const fn new(place: Place, keys: Keys) -> Self {
        Self { place, keys }
    }

    /// Which place it is.
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// Everything of a target.
    pub async fn holdings(&self, target: &str) -> Result<Holdings, Error> {
        let opened = self.place.store()?;
        let mut holdings = Holdings::default();
        for id in self.ids(&opened, target).await? {
            match self.read_manifest(&opened, target, &id).await {
                Ok(manifest) => holdings
                    .backups
                    .push(self.describe(&opened, manifest).await?),
                Err(Error::NotFound { .. }) => holdings.leftovers.push(Leftover {
                    target: target.to_owned(),
                    id,
                }),
                Err(Error::Damaged { reason, .. }) => holdings.damaged.push((id, reason)),
                Err(other) => return Err(other),
            }
        }
        // Ids of the same second say nothing of which was first.
        holdings
            .backups
            .sort_by_key(|backup| backup.manifest.started);
        Ok(holdings)
    }

    /// The backups of a target, oldest first.
    pub async fn list(&self, target: &str) -> Result<Vec<Backup>, Error> {
        Ok(self.holdings(target).await?.backups)
    }

    /// One backup.
    pub async fn get(&self, target: &str, id: &BackupId) -> Result<Backup, Error> {
        let opened = self.place.store()?;
        let manifest = self.read_manifest(&opened, target, id).await?;
        self.describe(&opened, manifest).await
    }

    /// Sends all files of a local folder; `manifest.files` is what was sent. They are no backup yet.
    pub async fn upload(
        &self,
        manifest: &mut Manifest,
        folder: &FilePath,
        transfer: &Transfer,
    ) -> Result<(), Error> {
        let opened = self.place.store()?;
        let home = home(&opened, &manifest.target, &manifest.id);
        manifest.encryption = self.encryption();
        manifest.files.clear();
        let mut vanished = Vec::new();
        for path in files_of(folder)? {
            let stored = stored_name(&path, !self.keys.is_empty());
            let to = join(&home, &stored);
            let from = folder.join(&path);
            let sent = stream::upload(&self.place, &to, from, &self.keys, transfer).await;
            let (size, sha256, parts, stored_size, stored_sha256) = match sent {
                Ok(sent) => sent,
                // Others work in it meanwhile: what they took away is no longer to be copied.
                Err(Error::Io { source, .. })
                    if manifest.kind == Kind::Folder
                        && source.kind() == std::io::ErrorKind::NotFound =>
                {
                    vanished.push(path);
                    continue;
                }
                Err(error) => return Err(error),
            };
            manifest.files.push(File {
                path,
                size,
                sha256,
                parts,
                stored: Stored {
                    path: stored,
                    size: stored_size,
                    sha256: stored_sha256,
                },
            });
        }
        if let Some(first) = vanished.first() {
            let (files, target) = (vanished.len(), &manifest.target);
            crate::telemetry::backups::vanished(target, &manifest.id, files);
            let told = format!("{files} files, such as {first}, were taken away meanwhile");
            manifest.details.insert(VANISHED.to_owned(), told);
        }
        Ok(())
    }

    /// Makes it a backup: reads every file back, and writes the manifest last.
    pub async fn publish(
        &self,
        manifest: &Manifest,
        transfer: &Transfer,
    ) -> Result<Manifest, Error> {
        self.check(manifest, transfer).await?;
        let opened = self.place.store()?;
        let home = home(&opened, &manifest.target, &manifest.id);
        let sums = manifest.sha256sums();
        self.put(&opened, &home.clone().join(SUMS), sums.into_bytes())
            .await?;
        let text = manifest
            .to_json()
            .map_err(|e| Error::damaged(MANIFEST, e.to_string()))?;
        self.put(&opened, &home.join(MANIFEST), text).await?;
        self.read_manifest(&opened, &manifest.target, &manifest.id)
            .await
    }

    /// Reads every stored file and compares it with the manifest. Needs no key.
    pub async fn check(&self, manifest: &Manifest, transfer: &Transfer) -> Result<(), Error> {
        let home = home(&self.place.store()?, &manifest.target, &manifest.id);
        for file in &manifest.files {
            let at = join(&home, &file.stored.path);
            stream::check(&self.place, &at, &file.stored, transfer).await?;
        }
        Ok(())
    }

    /// Copies a backup as it lies here to another place, where it is then checked.
    pub async fn copy_to(
        &self,
        other: &Self,
        manifest: &Manifest,
        transfer: &Transfer,
    ) -> Result<(), Error> {
        let here = home(&self.place.store()?, &manifest.target, &manifest.id);
        let there = home(&other.place.store()?, &manifest.target, &manifest.id);
        for file in &manifest.files {
            let from = join(&here, &file.stored.path);
            let to = join(&there, &file.stored.path);
            stream::copy(
                (&self.place, &from),
                (&other.place, &to),
                &file.stored,
                transfer,
            )
            .await?;
        }
        other.publish(manifest, transfer).await.map(drop)
    }

    /// Gets a backup: `folder`, which must be empty or missing, then holds its files, decrypted and checked.
    pub async fn fetch(
        &self,
        target: &str,
        id: &BackupId,
        folder: &FilePath,
        transfer: &Transfer,
    ) -> Result<Manifest, Error> {
        let opened = self.place.store()?;
        let manifest = self.read_manifest(&opened, target, id).await?;
        let home = home(&opened, target, id);
        let keys = manifest.encryption.is_some().then_some(&self.keys);
        super::place::private_folder(folder)?;
        for file in &manifest.files {
            let to = local_path(folder, &file.path)?;
            if let Some(parent) = to.parent() {
                super::place::private_folder(parent)?;
            }
            let from = join(&home, &file.stored.path);
            stream::download(&self.place, &from, file, to, keys, transfer).await?;
        }
        Ok(manifest)
    }

    /// Deletes a backup: its manifest first, so that no half of one is ever listed.
    pub async fn delete(&self, target: &str, id: &BackupId) -> Result<(), Error> {
        let opened = self.place.store()?;
        let home = home(&opened, target, id);
        self.remove(&opened, &home.clone().join(MANIFEST)).await?;
        self.clear(&opened, &home, target, id).await
    }

    /// Deletes what has no manifest, and says what it was. To be called by whoever alone makes backups of
    /// this target.
    pub async fn sweep(&self, target: &str) -> Result<Vec<Leftover>, Error> {
        let opened = self.place.store()?;
        let leftovers = self.holdings(target).await?.leftovers;
        for left in &leftovers {
            let home = home(&opened, target, &left.id);
            self.clear(&opened, &home, target, &left.id).await?;
        }
        Ok(leftovers)
    }

    /// Writes down that a backup was tried.
    pub async fn record(&self, evidence: &Evidence) -> Result<(), Error> {
        let opened = self.place.store()?;
        let at = home(&opened, &evidence.target, &evidence.backup)
            .join(VERIFICATIONS)
            .join(evidence.file_name());
        let text = serde_json::to_vec_pretty(evidence)
            .map_err(|e| Error::damaged(at.to_string(), e.to_string()))?;
        self.put(&opened, &at, text).await
    }

    /// Says that a backup is to stay, and why.
    pub async fn pin(&self, target: &str, id: &BackupId, pin: &Pin) -> Result<(), Error> {
        let opened = self.place.store()?;
        self.read_manifest(&opened, target, id).await?;
        let at = home(&opened, target, id).join(PIN);
        let text =
            serde_json::to_vec_pretty(pin).map_err(|e| Error::damaged(PIN, e.to_string()))?;
        self.put(&opened, &at, text).await
    }

    /// Takes that back; whether there was anything to take back.
    pub async fn unpin(&self, target: &str, id: &BackupId) -> Result<bool, Error> {
        let opened = self.place.store()?;
        let pinned = self.get(target, id).await?.pin.is_some();
        if pinned {
            self.remove(&opened, &home(&opened, target, id).join(PIN))
                .await?;
        }
        Ok(pinned)
    }

    fn encryption(&self) -> Option<Encryption> {
        (!self.keys.is_empty()).then(|| Encryption {
            format: "age".to_owned(),
            keys: self.keys.iter().map(ToString::to_string).collect(),
        })
    }

    async fn ids(&self, opened: &Opened, target: &str) -> Result<Vec<BackupId>, Error> {
        let folder = opened.prefix.clone().join(target);
        let listed = opened.store.list_with_delimiter(Some(&folder)).await;
        let listed = listed.map_err(|e| self.place.failed(&format!("listing {folder}"), &e))?;
        let names = listed.common_prefixes.iter().filter_map(Path::filename);
        let mut ids: Vec<BackupId> = names.filter_map(|name| name.parse().ok()).collect();
        ids.sort();
        Ok(ids)
    }

    async fn read_manifest(
        &self,
        opened: &Opened,
        target: &str,
        id: &BackupId,
    ) -> Result<Manifest, Error> {
        let at = home(opened, target, id).join(MANIFEST);
        let text = self
            .read(opened, &at)
            .await?
            .ok_or_else(|| Error::NotFound {
                place: self.place.name().to_owned(),
                target: target.to_owned(),
                id: id.to_string(),
            })?;
        let manifest = Manifest::from_json(&text)
            .map_err(|e| Error::damaged(at.to_string(), e.to_string()))?;
        if manifest.target != target || manifest.id != *id {
            let reason = format!("it is the manifest of {}/{}", manifest.target, manifest.id);
            return Err(Error::damaged(at.to_string(), reason));
        }
        Ok(manifest)
    }

    async fn describe(&self, opened: &Opened, manifest: Manifest) -> Result<Backup, Error> {
        let home = home(opened, &manifest.target, &manifest.id);
        let pin = match self.read(opened, &home.clone().join(PIN)).await? {
            Some(text) => Some(parse(&home, PIN, &text)?),
            None => None,
        };
        let folder = home.clone().join(VERIFICATIONS);
        let listed = opened.store.list_with_delimiter(Some(&folder)).await;
        let listed = listed.map_err(|e| self.place.failed(&format!("listing {folder}"), &e))?;
        let mut at: Vec<Path> = listed.objects.into_iter().map(|it| it.location).collect();
        at.sort();
        let mut evidence = Vec::with_capacity(at.len());
        for at in at {
            if let Some(text) = self.read(opened, &at).await? {
                evidence.push(parse(&home, VERIFICATIONS, &text)?);
            }
        }
        Ok(Backup {
            manifest,
            pin,
            evidence,
        })
    }

    pub(super) async fn read(
        &self,
        opened: &Opened,
        at: &Path,
    ) -> Result<Option<bytes::Bytes>, Error> {
        let failed = |e: &object_store::Error| self.place.failed(&format!("reading {at}"), e);
        match opened.store.get(at).await {
            Ok(found) => found.bytes().await.map(Some).map_err(|e| failed(&e)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(&error)),
        }
    }

    /// Writes a small file, and reads it again.
    pub(super) async fn put(&self, opened: &Opened, at: &Path, text: Vec<u8>) -> Result<(), Error> {
        let written = hex::encode(Sha256::digest(&text));
        let put = opened.store.put(at, PutPayload::from(text)).await;
        put.map_err(|e| self.place.failed(&format!("writing {at}"), &e))?;
        let read = self.read(opened, at).await?.unwrap_or_default();
        if hex::encode(Sha256::digest(&read)) != written {
            return Err(Error::damaged(
                at.to_string(),
                "it is not what was just written",
            ));
        }
        Ok(())
    }

    pub(super) async fn remove(&self, opened: &Opened, at: &Path) -> Result<(), Error> {
        match opened.store.delete(at).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.place.failed(&format!("deleting {at}"), &error)),
        }
    }

    /// Deletes whatever is left under an id.
    async fn clear(
        &self,
        opened: &Opened,
        home: &Path,
        target: &str,
        id: &BackupId,
    ) -> Result<(), Error> {
        // On a disk also what was half written and has no name yet.
        if let Some(root) = self.place.folder() {
            let folder = root.join(target).join(id.as_str());
            let gone = tokio::fs::remove_dir_all(&folder).await;
            return match gone {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    Err(Error::io(format!("deleting {}", folder.display()))(e))
                }
                _ => Ok(()),
            };
        }
        let mut folders = vec![home.clone()];
        while let Some(folder) = folders.pop() {
            let listed = opened.store.list_with_delimiter(Some(&folder)).await;
            let listed = listed.map_err(|e| self.place.failed(&format!("listing {folder}"), &e))?;
            for object in listed.objects {
                self.remove(opened, &object.location).await?;
            }
            folders.extend(listed.common_prefixes);
        }
        Ok(())
    }
}

fn parse<T: serde::de::DeserializeOwned>(home: &Path, name: &str, text: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(text)
        .map_err(|e| Error::damaged(format!("{home}/{name}"), e.to_string()))
}

fn home(opened: &Opened, target: &str, id: &BackupId) -> Path {
    opened.prefix.clone().join(target).join(id.as_str())
}

/// A path below, segment by segment.
fn join(home: &Path, below: &str) -> Path {
    below.split('/').fold(home.clone(), Path::join)
}

/// The name that a file gets in a place. Names that some place may not bear are replaced; the manifest knows.
fn stored_name(path: &str, sealed: bool) -> String {
    let plain = |b: u8| {
        b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'/' | b'+' | b',' | b'=')
    };
    let fits = path.split('/').all(|segment| segment.len() <= 200) && path.len() <= 700;
    let ending = if sealed { ".age" } else { "" };
    if fits && path.bytes().all(plain) {
        return format!("{FILES}/{path}{ending}");
    }
    let hash = hex::encode(Sha256::digest(path.as_bytes()));
    format!("{FILES}/odd-name-{hash}{ending}")
}

/// Where a file of a manifest lies in a folder: never outside of it.
fn local_path(folder: &FilePath, path: &str) -> Result<PathBuf, Error> {
    let inside = path
        .split('/')
        .all(|segment| !matches!(segment, "" | "." | ".."));
    if !inside || path.contains('\0') {
        return Err(Error::damaged(
            MANIFEST,
            format!("it names a file {path:?}, which lies nowhere"),
        ));
    }
    Ok(folder.join(path))
}

/// The files of a folder and of all below, relative and sorted.
fn files_of(folder: &FilePath) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    let mut open = vec![PathBuf::new()];
    while let Some(relative) = open.pop() {
        let here = folder.join(&relative);
        let reading = || format!("reading the folder {}", here.display());
        for entry in std::fs::read_dir(&here).map_err(|e| Error::io(reading())(e))? {
            let entry = entry.map_err(|e| Error::io(reading())(e))?;
            let kind = entry.file_type().map_err(|e| Error::io(reading())(e))?;
            let path = relative.join(entry.file_name());
            if kind.is_dir() {
                open.push(path);
            } else if kind.is_file() {
                let name = path.to_str().ok_or_else(|| {
                    let problem = std::io::Error::new(
                        std::io::ErrorKind::InvalidData,
                        "its name is not UTF-8",
                    );
                    Error::io(format!("reading {}", path.display()))(problem)
                })?;
                found.push(name.to_owned());
            }
        }
    }
    found.sort();
    Ok(found)
}

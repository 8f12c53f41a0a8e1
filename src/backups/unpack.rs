//! A physical backup becomes a data folder.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::command::Tool;
use super::{BackupOptions, Error, layout};

/// What `pg_basebackup` says of the log that its files need.
#[derive(Debug, Deserialize)]
pub(super) struct BackupManifest {
    #[serde(rename = "WAL-Ranges")]
    pub(super) ranges: Vec<Range>,
    #[serde(rename = "System-Identifier", default)]
    pub(super) system_identifier: Option<u64>,
}

/// A stretch of the log.
#[derive(Debug, Deserialize)]
pub(super) struct Range {
    #[serde(rename = "Timeline")]
    pub(super) timeline: u32,
    #[serde(rename = "Start-LSN")]
    pub(super) start: String,
    #[serde(rename = "End-LSN")]
    pub(super) end: String,
}

impl BackupManifest {
    pub(super) fn read(folder: &Path) -> Result<Self, Error> {
        let file = folder.join(layout::BACKUP_MANIFEST);
        let text = std::fs::read(file)
            .map_err(|e| Error::damaged(layout::BACKUP_MANIFEST, e.to_string()))?;
        serde_json::from_slice(&text)
            .map_err(|e| Error::damaged(layout::BACKUP_MANIFEST, e.to_string()))
    }
}

/// What unpacks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unpacker<'a> {
    pub(super) options: &'a BackupOptions,
    pub(super) cancelled: &'a CancellationToken,
}

impl Unpacker<'_> {
    /// Makes `work/data` of the files of backups: the full one first, each with those that build on it.
    pub(super) async fn data(&self, links: &[&Path], work: &Path) -> Result<PathBuf, Error> {
        let data = work.join("data");
        let [first, further @ ..] = links else {
            return Err(Error::Suspect("there is no backup to unpack".to_owned()));
        };
        if further.is_empty() {
            self.link(first, &data).await?;
        } else {
            let mut unpacked = Vec::new();
            for (number, link) in links.iter().enumerate() {
                let folder = work.join(format!("link-{number}"));
                self.link(link, &folder).await?;
                unpacked.push(folder);
            }
            let combine = self.postgres("pg_combinebackup").args(&unpacked);
            self.run(combine.arg("--output").arg(&data)).await?;
            for folder in unpacked {
                tokio::fs::remove_dir_all(&folder)
                    .await
                    .map_err(Error::io("deleting what was combined"))?;
            }
        }
        let last = links.last().unwrap_or(first);
        let wal = data.join("pg_wal");
        make(&wal).await?;
        self.untar(&last.join(layout::WAL), &wal).await?;
        Ok(data)
    }

    /// One backup, with what it says of itself, as the tools want it.
    async fn link(&self, from: &Path, to: &Path) -> Result<(), Error> {
        make(to).await?;
        self.untar(&from.join(layout::BASE), to).await?;
        if tablespaces(to).await? {
            return Err(Error::Suspect(
                "it has tablespaces, which are restored by hand: see `tablespace_map` in base.tar"
                    .to_owned(),
            ));
        }
        tokio::fs::copy(
            from.join(layout::BACKUP_MANIFEST),
            to.join(layout::BACKUP_MANIFEST),
        )
        .await
        .map(drop)
        .map_err(Error::io("copying backup_manifest"))
    }

    /// Unpacks an archive.
    pub(super) async fn untar(&self, archive: &Path, into: &Path) -> Result<(), Error> {
        let tar = Tool::new("tar", "PATH").nice(self.options.nice);
        let tar = tar.arg("--extract").arg("--file").arg(archive);
        self.run(tar.arg("--directory").arg(into)).await
    }

    pub(super) fn postgres(&self, name: &str) -> Tool {
        Tool::new(self.options.tools.postgres(name), "backups.tools.pg_bin").nice(self.options.nice)
    }

    pub(super) async fn run(&self, tool: Tool) -> Result<(), Error> {
        let patience: Duration = self.options.timeout();
        tool.run(patience, self.cancelled).await.map(drop)
    }
}

async fn make(folder: &Path) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt as _;
    let made = async {
        tokio::fs::create_dir_all(folder).await?;
        tokio::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).await
    };
    made.await
        .map_err(Error::io(format!("making {}", folder.display())))
}

async fn tablespaces(data: &Path) -> Result<bool, Error> {
    match tokio::fs::read_to_string(data.join("tablespace_map")).await {
        Ok(text) => Ok(!text.trim().is_empty()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::io("reading tablespace_map")(error)),
    }
}

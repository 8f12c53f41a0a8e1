//! A physical backup, and the archived log, become a data folder that a server can be started on.

use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::{Error, Work, beside, put_in_place};
use crate::backups::Repository;
use crate::backups::create::SUPERUSER;
use crate::backups::throwaway::{Instance, ScratchFolder};
use crate::backups::unpack::Unpacker;
use crate::backups::verify::recovery;

/// A server that has recovered, on the data folder that is to be.
#[derive(Debug)]
pub(super) struct Running {
    instance: Instance,
    database: Option<String>,
    to: PathBuf,
}

impl Running {
    pub(super) fn url(&self) -> Option<SecretString> {
        Some(self.instance.url(self.database.as_deref()?).into())
    }

    /// Stops it in order, and puts the data folder where it is to be, as it belongs to a server of its own.
    pub(super) async fn finish(self) -> Result<(), Error> {
        let (folder, data) = self.instance.shut_down().await?;
        let partial = beside(&self.to);
        if partial.exists() {
            std::fs::remove_dir_all(&partial).map_err(Error::io("deleting an earlier attempt"))?;
        }
        if std::fs::rename(&data, &partial).is_err() {
            // On another disk.
            copy(&data, &partial)?;
        }
        put_in_place(&partial, &self.to)?;
        drop(folder);
        Ok(())
    }
}

pub(super) async fn restore(
    work: &Work<'_>,
    repository: &Repository,
    links: &[PathBuf],
) -> Result<Running, Error> {
    let options = work.backups.options();
    let throwaway = options.throwaway();
    let folder = ScratchFolder::create(&throwaway.folder, throwaway.run_as)?;
    let unpacker = Unpacker {
        options,
        cancelled: work.transfer.cancelled(),
    };
    let links: Vec<&Path> = links.iter().map(PathBuf::as_path).collect();
    let data = unpacker.data(&links, folder.path()).await?;
    let wal = folder
        .make("wal")
        .map_err(Error::io("making a folder for the log"))?;
    let (archived, newest) = repository
        .fetch_segments(work.manifest, &wal, work.transfer)
        .await?;
    folder
        .own_all(&wal)
        .map_err(Error::io("giving the log to its reader"))?;
    if let (Some(to), true) = (work.restore.to_time, newest.is_none()) {
        let problem = format!("no write-ahead log is archived: {to} cannot be reached");
        return Err(Error::setting("--to-time", problem));
    }
    let settings = if archived > 0 {
        folder.write(&data.join("recovery.signal"), "")?;
        recovery(&wal, work.restore.to_time)
    } else {
        Vec::new()
    };
    folder
        .own_all(&data)
        .map_err(Error::io("giving the data folder to its owner"))?;
    let superuser = work.manifest.details.get(SUPERUSER);
    let superuser = superuser.map_or("postgres", String::as_str);
    let patience = options.timeout();
    let started =
        Instance::recovered(&throwaway, folder, data, superuser, &settings, patience).await?;
    Ok(Running {
        instance: started,
        database: work.manifest.database.clone(),
        to: PathBuf::from(&work.restore.to),
    })
}

/// With owners and modes, which PostgreSQL looks at.
fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    let told = std::process::Command::new("cp")
        .args(["--archive", "--"])
        .args([from, to])
        .output()
        .map_err(Error::io("copying the data folder"))?;
    if told.status.success() {
        return Ok(());
    }
    Err(Error::ToolFailed {
        tool: "cp".to_owned(),
        status: told.status.to_string(),
        message: String::from_utf8_lossy(&told.stderr).trim().to_owned(),
    })
}

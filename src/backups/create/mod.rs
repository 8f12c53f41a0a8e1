//! Copies a target into files: one kind, one file.

mod append_only;
mod configuration;
mod physical;
mod postgres;
mod rabbitmq;
mod redis;
mod sqlite;

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub(super) use physical::SUPERUSER;

use super::command::{Told, Tool};
use super::{Backups, Error, Kind, Manifest, TargetOptions};

/// What a copy is made of and with.
#[derive(Debug)]
pub struct Work<'a> {
    /// The settings.
    pub backups: &'a Backups,
    /// What is copied.
    pub target: &'a TargetOptions,
    /// An empty folder for the files.
    pub folder: &'a Path,
    /// Ends it.
    pub cancel: &'a CancellationToken,
    /// When it must be done.
    pub deadline: Instant,
}

impl Work<'_> {
    /// The time that is left.
    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Runs a program with the priority of the settings, in the time that is left.
    async fn run(&self, tool: Tool) -> Result<Told, Error> {
        let nice = self.backups.options().nice;
        tool.nice(nice).run(self.left(), self.cancel).await
    }

    /// Runs something else in the time that is left.
    async fn bounded<T>(
        &self,
        what: &str,
        doing: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let after = self.left();
        let what = || what.to_owned();
        tokio::select! {
            done = doing => done,
            () = self.cancel.cancelled() => Err(Error::Cancelled { what: what() }),
            () = tokio::time::sleep(after) => Err(Error::TimedOut { what: what(), after }),
        }
    }

    /// Writes a small file.
    async fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> Result<(), Error> {
        let file = self.folder.join(name);
        let shown = file.display().to_string();
        tokio::fs::write(file, contents)
            .await
            .map_err(Error::io(format!("writing {shown}")))
    }
}

/// Copies the target; the manifest then says what it was. Returns the folder whose files are the copy.
pub async fn create(work: &Work<'_>, manifest: &mut Manifest) -> Result<PathBuf, Error> {
    match work.target.kind {
        Kind::PostgresLogical => postgres::dump(work, manifest).await?,
        Kind::Sqlite => sqlite::copy(work, manifest).await?,
        Kind::Redis => redis::copy(work, manifest).await?,
        Kind::Rabbitmq => rabbitmq::export(work, manifest).await?,
        Kind::Configuration => configuration::write(work).await?,
        // Sent as it lies there: no second copy of all documents is needed.
        Kind::Folder => return Ok(work.target.path.clone()),
        Kind::PostgresPhysical => physical::copy(work, manifest).await?,
    }
    Ok(work.folder.to_owned())
}

//! Brings a backup back, beside what is live: a new database, file or folder. What is there and is not empty
//! is only replaced by whoever types its name.

mod keep;
mod physical;
mod plan;
mod postgres;
mod sqlite;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use windlass::Timestamp;

use super::throwaway::ScratchFolder;
use super::verify::chain;
use super::{BackupId, Backups, Error, Kind, Manifest, Repository, Transfer};

pub use keep::{Again, Held, Keeper, Report};
pub use plan::Plan;

/// What is brought back, and where to.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Restore {
    /// Of which target.
    pub target: String,
    /// Which backup; the newest if none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<BackupId>,
    /// From which place; the target's first if none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// The new database's name; for other kinds the new file or folder.
    pub to: String,
    /// Only the rows of this table, `schema.table`; a logical backup's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// To this moment; a physical backup's. To the end of the archived log if none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_time: Option<Timestamp>,
    /// The name of what may be replaced, typed once more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overwrite: Option<String>,
}

/// What was brought back.
#[derive(Debug)]
pub struct Restored {
    /// From which backup.
    pub manifest: Manifest,
    /// Where it will be.
    pub to: String,
    /// How long it took.
    pub took: Duration,
    /// The URL of the database in it, if it holds one: for whoever looks after its queue before it is used.
    pub database: Option<secrecy::SecretString>,
    unfinished: Unfinished,
}

/// What is whole and does not have its name yet.
#[derive(Debug)]
enum Unfinished {
    Database(Box<postgres::Fresh>),
    Cluster(Box<physical::Running>),
    File(sqlite::Fresh),
    /// Nobody has to look after it first: it has its name.
    Nothing,
}

impl Restored {
    /// Puts it where it is to be: until then nobody takes it for what it is not, and a run that was broken off
    /// is begun anew.
    pub async fn finish(self) -> Result<(), Error> {
        match self.unfinished {
            Unfinished::Database(fresh) => fresh.finish().await,
            Unfinished::Cluster(running) => running.finish().await,
            Unfinished::File(fresh) => fresh.finish().await,
            Unfinished::Nothing => Ok(()),
        }
    }

    /// Takes it away again, where a new run would not do so.
    pub async fn discard(self) -> Result<(), Error> {
        match self.unfinished {
            Unfinished::Database(fresh) => fresh.discard().await,
            Unfinished::Cluster(_) | Unfinished::File(_) | Unfinished::Nothing => Ok(()),
        }
    }
}

/// What a restore works with.
struct Work<'a> {
    restore: &'a Restore,
    backups: &'a Backups,
    manifest: &'a Manifest,
    transfer: &'a Transfer,
}

impl Restore {
    /// Which backup it is.
    pub async fn manifest(&self, backups: &Backups) -> Result<Manifest, Error> {
        let repository = self.repository(backups)?;
        let manifest = match &self.backup {
            Some(id) => repository.get(&self.target, id).await?.manifest,
            None => self.newest(repository).await?,
        };
        self.check(&manifest)?;
        Ok(manifest)
    }

    /// The newest; for a moment, the newest that was finished before it.
    async fn newest(&self, repository: &Repository) -> Result<Manifest, Error> {
        let backups = repository.list(&self.target).await?;
        let manifests = backups.into_iter().map(|backup| backup.manifest);
        let mut fitting = manifests.filter(|it| self.to_time.is_none_or(|to| it.finished <= to));
        fitting.next_back().ok_or_else(|| Error::NotFound {
            place: repository.place().name().to_owned(),
            target: self.target.clone(),
            id: match self.to_time {
                Some(to) => format!("(any that was finished before {to})"),
                None => "(any)".to_owned(),
            },
        })
    }

    fn repository<'a>(&self, backups: &'a Backups) -> Result<&'a Repository, Error> {
        match &self.place {
            Some(place) => backups.repository(place),
            None => backups.repository(&backups.target(&self.target)?.place),
        }
    }

    /// Refuses what cannot be asked of a backup of this kind.
    fn check(&self, manifest: &Manifest) -> Result<(), Error> {
        let kind = manifest.kind;
        if self.table.is_some() && kind != Kind::PostgresLogical {
            let problem =
                format!("one table can be taken out of a postgres_logical backup, not of {kind}");
            return Err(Error::setting("--table", problem));
        }
        if self.to_time.is_some() && kind != Kind::PostgresPhysical {
            let problem =
                format!("only a postgres_physical backup can be brought to a moment, not {kind}");
            return Err(Error::setting("--to-time", problem));
        }
        if let Some(table) = &self.table
            && !manifest.rows.contains_key(table)
        {
            let known: Vec<&str> = manifest.rows.keys().map(String::as_str).collect();
            let problem = format!(
                "{table:?} is not in the backup; known are: {}",
                known.join(", ")
            );
            return Err(Error::setting("--table", problem));
        }
        let is_database = kind == Kind::PostgresLogical;
        if !is_database && !Path::new(&self.to).is_absolute() {
            return Err(Error::setting(
                "--to",
                "must be the absolute path of a new file or folder",
            ));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if is_database && (self.to.is_empty() || self.to.len() > 50 || !self.to.chars().all(plain))
        {
            let problem = "a database's name is here 1 to 50 letters, digits, - and _";
            return Err(Error::setting("--to", problem));
        }
        Ok(())
    }

    /// Does it.
    pub async fn run(
        &self,
        backups: &Backups,
        manifest: Manifest,
        transfer: &Transfer,
    ) -> Result<Restored, Error> {
        let began = Instant::now();
        let work = Work {
            restore: self,
            backups,
            manifest: &manifest,
            transfer,
        };
        // Refused before anything is fetched.
        work.look_at_the_goal().await?;
        let options = backups.options().throwaway();
        let scratch = ScratchFolder::create(&options.folder, options.run_as)?;
        let folder = scratch.path().join("backup");
        let repository = self.repository(backups)?;
        repository
            .fetch(&self.target, &manifest.id, &folder, transfer)
            .await?;
        let (database, unfinished) = match manifest.kind {
            Kind::PostgresLogical => {
                let fresh = postgres::restore(&work, &folder).await?;
                (Some(fresh.url()), Unfinished::Database(Box::new(fresh)))
            }
            Kind::PostgresPhysical => {
                let parents = chain(repository, &manifest, &scratch, transfer).await?;
                let mut links: Vec<PathBuf> =
                    parents.into_iter().map(|(_, folder)| folder).collect();
                links.push(folder);
                let server = physical::restore(&work, repository, &links).await?;
                (server.url(), Unfinished::Cluster(Box::new(server)))
            }
            Kind::Sqlite => {
                let fresh = sqlite::restore(&work, &folder).await?;
                (Some(fresh.url()), Unfinished::File(fresh))
            }
            Kind::Redis | Kind::Rabbitmq | Kind::Folder | Kind::Configuration => {
                copy_all(&folder, Path::new(&self.to)).await?;
                (None, Unfinished::Nothing)
            }
        };
        Ok(Restored {
            to: self.to.clone(),
            took: began.elapsed(),
            database,
            unfinished,
            manifest,
        })
    }
}

impl Work<'_> {
    /// Refuses to write over what is there, unless its name was typed.
    async fn look_at_the_goal(&self) -> Result<(), Error> {
        if self.manifest.kind == Kind::PostgresLogical {
            return postgres::look_at_the_goal(self).await;
        }
        let path = Path::new(&self.restore.to);
        if !is_empty(path)? {
            self.may_replace(&path.display().to_string())?;
        }
        Ok(())
    }

    fn may_replace(&self, name: &str) -> Result<(), Error> {
        if self.restore.overwrite.as_deref() == Some(name) {
            return Ok(());
        }
        Err(Error::Suspect(format!(
            "{name} is there and is not empty: restore beside it under another name, or replace it with \
             --overwrite {name}"
        )))
    }
}

/// Whether nothing would be lost there.
fn is_empty(path: &Path) -> Result<bool, Error> {
    let failed = || format!("looking at {}", path.display());
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            let mut entries = std::fs::read_dir(path).map_err(|e| Error::io(failed())(e))?;
            Ok(entries.next().is_none())
        }
        Ok(metadata) => Ok(metadata.len() == 0),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(Error::io(failed())(error)),
    }
}

/// Makes room: what may be replaced is set aside only once all that replaces it is there.
fn put_in_place(from: &Path, to: &Path) -> Result<(), Error> {
    let failed = || format!("putting what was restored to {}", to.display());
    let mut aside = to.as_os_str().to_owned();
    aside.push(".replaced");
    let aside = PathBuf::from(aside);
    let placed = || {
        if to.exists() {
            std::fs::rename(to, &aside)?;
        }
        std::fs::rename(from, to)?;
        match std::fs::symlink_metadata(&aside) {
            Ok(metadata) if metadata.is_dir() => std::fs::remove_dir_all(&aside),
            Ok(_) => std::fs::remove_file(&aside),
            Err(_) => Ok(()),
        }
    };
    placed().map_err(|e| Error::io(failed())(e))
}

/// The name under which something grows beside the place it is for.
fn beside(to: &Path) -> PathBuf {
    let mut name = to.as_os_str().to_owned();
    name.push(".partial");
    PathBuf::from(name)
}

async fn copy_all(from: &Path, to: &Path) -> Result<(), Error> {
    let (from, to) = (from.to_owned(), to.to_owned());
    let copying = tokio::task::spawn_blocking(move || {
        let partial = beside(&to);
        let failed = || format!("copying to {}", partial.display());
        if partial.exists() {
            std::fs::remove_dir_all(&partial).map_err(|e| Error::io(failed())(e))?;
        }
        copy_folder(&from, &partial).map_err(|e| Error::io(failed())(e))?;
        put_in_place(&partial, &to)
    });
    copying
        .await
        .unwrap_or_else(|e| Err(Error::io("copying")(std::io::Error::other(e))))
}

fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let there = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &there)?;
        } else {
            std::fs::copy(entry.path(), &there)?;
        }
    }
    Ok(())
}

/// Keeps whatever an old worker still holds from counting: in a restored queue every fence is higher than any
/// that was given out after the backup. How many unfinished jobs there are; none if there is no queue.
pub async fn fence(url: &secrecy::SecretString) -> Result<Option<u64>, Error> {
    use secrecy::ExposeSecret as _;
    match url.expose_secret().strip_prefix("sqlite:") {
        Some(file) => sqlite::fence(Path::new(file)).await,
        None => postgres::fence(url).await,
    }
}

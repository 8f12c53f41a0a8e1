//! Folders for a while: locked by whoever uses them, swept by the next one when he is gone.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal, geteuid, kill_process};
use serde::Deserialize;

use super::ScratchError;

/// What the names of our folders begin with; short, for they hold sockets.
const PREFIX: &str = "s-";
/// How long a server that was left behind may take to end.
const STOP: Duration = Duration::from_secs(10);

/// Who runs PostgreSQL when this process is root: `uid:gid`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct RunAs {
    /// The user's number.
    pub uid: u32,
    /// The group's.
    pub gid: u32,
}

impl Default for RunAs {
    /// `nobody`, on most systems.
    fn default() -> Self {
        Self {
            uid: 65_534,
            gid: 65_534,
        }
    }
}

impl TryFrom<String> for RunAs {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        const FORM: &str = "must be the numbers uid:gid of an account other than root, such as \
                            65534:65534 (`id -u postgres`, `id -g postgres`)";
        let (uid, gid) = text.split_once(':').ok_or(FORM)?;
        let (uid, gid) = (
            uid.parse().map_err(|_| FORM)?,
            gid.parse().map_err(|_| FORM)?,
        );
        if uid == 0 {
            return Err(FORM);
        }
        Ok(Self { uid, gid })
    }
}

impl RunAs {
    /// The account to change to; none if this process is not root, and runs it as itself.
    pub fn needed(self) -> Option<Self> {
        geteuid().is_root().then_some(self)
    }
}

/// A folder of mode 700 that is deleted when it is dropped.
#[derive(Debug)]
pub struct ScratchFolder {
    path: PathBuf,
    owner: Option<RunAs>,
    /// Held for as long as this lives: whoever can take it sees that nobody uses the folder.
    _lock: File,
}

impl ScratchFolder {
    /// Makes one, and sweeps away those that nobody uses any more.
    pub fn create(root: &Path, run_as: RunAs) -> Result<Self, ScratchError> {
        let refused = |problem: String| ScratchError::Folder {
            path: root.to_owned(),
            problem,
        };
        let made = Self::try_create(root, run_as.needed());
        made.map_err(|error| {
            refused(format!(
                "{error}; setting backups.scratch must name a folder that this program may make and write to"
            ))
        })
        .and_then(|folder| {
            folder.reachable().map_err(refused)?;
            Ok(folder)
        })
    }

    fn try_create(root: &Path, owner: Option<RunAs>) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        // Another account must pass through it, and may not look into it.
        let mode = if owner.is_some() { 0o711 } else { 0o700 };
        fs::set_permissions(root, fs::Permissions::from_mode(mode))?;
        let root = root.canonicalize()?;
        // One at a time, so that no folder is swept between its making and its lock.
        let turn = lock_file(&root.join("lock"))?;
        turn.lock()?;
        sweep(&root)?;
        let name = uuid::Uuid::new_v4().simple().to_string();
        let path = root.join(format!("{PREFIX}{}", &name[..12]));
        DirBuilder::new().mode(0o700).create(&path)?;
        let lock = lock_file(&path.join("lock"))?;
        lock.lock()?;
        let folder = Self {
            path,
            owner,
            _lock: lock,
        };
        folder.own(&folder.path)?;
        Ok(folder)
    }

    /// Whether the account that runs PostgreSQL can get to it.
    fn reachable(&self) -> Result<(), String> {
        if self.owner.is_none() {
            return Ok(());
        }
        let closed = self.path.ancestors().skip(1).find(|folder| {
            fs::metadata(folder).is_ok_and(|metadata| metadata.permissions().mode() & 0o001 == 0)
        });
        match closed {
            None => Ok(()),
            Some(folder) => Err(format!(
                "lies in {}, which others may not pass: this program runs as root and PostgreSQL then as the \
                 account of backups.run_as; set backups.scratch to a folder that account can reach",
                folder.display()
            )),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a folder in it that PostgreSQL's account owns.
    pub fn make(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.path.join(name);
        DirBuilder::new().mode(0o700).create(&path)?;
        self.own(&path)?;
        Ok(path)
    }

    /// Writes a file that PostgreSQL's account owns.
    pub fn write(&self, path: &Path, text: &str) -> Result<(), ScratchError> {
        fs::write(path, text)
            .and_then(|()| self.own(path))
            .map_err(|error| ScratchError::Folder {
                path: path.to_owned(),
                problem: error.to_string(),
            })
    }

    /// Gives a file or folder, and all that is in it, to PostgreSQL's account.
    pub fn own_all(&self, path: &Path) -> io::Result<()> {
        if self.owner.is_none() {
            return Ok(());
        }
        self.own(path)?;
        if fs::symlink_metadata(path)?.is_dir() {
            for entry in fs::read_dir(path)? {
                self.own_all(&entry?.path())?;
            }
        }
        Ok(())
    }

    fn own(&self, path: &Path) -> io::Result<()> {
        match self.owner {
            Some(owner) => std::os::unix::fs::lchown(path, Some(owner.uid), Some(owner.gid)),
            None => chown(path, None, None),
        }
    }
}

impl Drop for ScratchFolder {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.path) {
            tracing::warn!(%error, "a scratch folder could not be deleted; the next run tries again");
        }
    }
}

fn lock_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
}

/// Deletes the folders that nobody uses, and ends what still runs in them.
fn sweep(root: &Path) -> io::Result<()> {
    for entry in fs::read_dir(root)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !name.starts_with(PREFIX) || !path.is_dir() {
            continue;
        }
        match File::open(path.join("lock")).map(|lock| lock.try_lock().map(|()| lock)) {
            Ok(Ok(_held)) => {
                end_server(&path.join("data"));
                remove(&path)?;
                tracing::info!(folder = %path.display(), "swept what an earlier run left behind");
            }
            Ok(Err(TryLockError::WouldBlock)) => {}
            Ok(Err(TryLockError::Error(error))) => return Err(error),
            // Its owner is just deleting it, or died when it was about to make the lock.
            Err(error) if error.kind() == io::ErrorKind::NotFound => remove(&path)?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Deletes a folder that somebody else may be deleting too.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Ends the server of a data folder, if one is left: its guard should have done so already.
fn end_server(data: &Path) {
    let Some(pid) = server_of(data) else {
        return;
    };
    let began = std::time::Instant::now();
    while server_of(data) == Some(pid) && began.elapsed() < STOP {
        // It may end between the look and the signal.
        let _ = kill_process(pid, Signal::QUIT);
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The server that runs in a data folder; a number that somebody else has now is nobody's.
fn server_of(data: &Path) -> Option<Pid> {
    let mut text = String::new();
    File::open(data.join("postmaster.pid"))
        .and_then(|mut file| file.read_to_string(&mut text))
        .ok()?;
    let pid: i32 = text.lines().next()?.trim().parse().ok()?;
    let works_in = fs::read_link(format!("/proc/{pid}/cwd")).ok()?;
    (works_in == data).then(|| Pid::from_raw(pid)).flatten()
}

//! Folders for what is only needed for a while. Each is held by a lock that ends with its process, so that
//! whatever a killed one left behind is known to be nobody's.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::Error;
use super::place::private_folder;

/// How their names begin.
const PREFIX: &str = "metachat-jobs-scratch-";
const LOCK: &str = "lock";

/// A folder of one's own, gone with this value.
#[derive(Debug)]
pub struct Scratch {
    folder: PathBuf,
    lock: PathBuf,
    /// Locked for as long as it is open.
    held: File,
}

impl Scratch {
    /// A new and empty one, which only its owner may enter.
    pub fn new(root: &Path) -> Result<Self, Error> {
        let failed = |e| Error::io(format!("making a scratch folder in {}", root.display()))(e);
        std::fs::create_dir_all(root).map_err(failed)?;
        let folder = root.join(format!("{PREFIX}{}", Uuid::now_v7().simple()));
        let lock = folder.with_extension(LOCK);
        let unnamed = folder.with_extension("new");
        // Locked before it has the name by which it would be swept.
        let held = File::create_new(&unnamed).map_err(failed)?;
        held.lock().map_err(failed)?;
        std::fs::rename(&unnamed, &lock).map_err(failed)?;
        private_folder(&folder)?;
        Ok(Self { folder, lock, held })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// Deletes the folders of processes that are gone, and says which.
    pub fn sweep(root: &Path) -> Result<Vec<PathBuf>, Error> {
        let failed = |e| Error::io(format!("sweeping {}", root.display()))(e);
        let entries = match std::fs::read_dir(root) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(failed(e)),
        };
        let mut swept = Vec::new();
        for entry in entries {
            let lock = entry.map_err(failed)?.path();
            let name = lock
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            if !name.starts_with(PREFIX) || lock.extension().is_none_or(|it| it != LOCK) {
                continue;
            }
            // Otherwise its owner has just ended, or it is another user's.
            let Ok(held) = File::open(&lock) else {
                continue;
            };
            match held.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => continue,
                Err(TryLockError::Error(e)) => return Err(failed(e)),
            }
            let folder = lock.with_extension("");
            remove(&folder).map_err(failed)?;
            match std::fs::remove_file(&lock) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(failed(e)),
                _ => swept.push(folder),
            }
        }
        Ok(swept)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let removed = remove(&self.folder)
            .and_then(|()| std::fs::remove_file(&self.lock))
            .and_then(|()| self.held.unlock());
        if let Err(error) = removed {
            tracing::warn!(folder = %self.folder.display(), %error, "a scratch folder stays until the next sweep");
        }
    }
}

fn remove(folder: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// How many bytes lie in a folder and below; what vanishes meanwhile counts nothing.
pub fn size_of(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(it) if it.is_dir() => size_of(&entry.path()),
        Ok(it) if it.is_file() => it.len(),
        _ => 0,
    };
    entries.flatten().map(size).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_holds_is_swept_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let mine = Scratch::new(root.path()).unwrap();
        std::fs::write(mine.path().join("file"), "kept").unwrap();
        let other = Scratch::new(root.path()).unwrap();
        std::fs::write(other.path().join("file"), "lost").unwrap();
        // What a killed process leaves: its lock is free.
        let (left, lock) = (other.folder.clone(), other.lock.clone());
        other.held.unlock().unwrap();
        std::fs::create_dir(root.path().join("somebody-elses")).unwrap();
        let swept = Scratch::sweep(root.path()).unwrap();
        assert_eq!(swept.iter().collect::<Vec<_>>(), [&left]);
        assert!(!left.exists() && !lock.exists());
        assert_eq!(size_of(mine.path()), 4);
        drop(mine);
        drop(other);
        let names: Vec<_> = std::fs::read_dir(root.path()).unwrap().flatten().collect();
        assert_eq!(names.len(), 1, "{names:?}");
    }
}

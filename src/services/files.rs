//! Uploaded files in the platform's document storage, a folder that its API writes and we read.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

/// How long the storage may take; it may be on another machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// Folders under the storage's root that hold one folder for each tenant.
const HOMES: [&str; 2] = ["documents", "tenants"];

/// The storage. Says of nobody's path where on the machine it lies.
#[derive(Debug, Clone)]
pub struct DocumentFiles {
    root: PathBuf,
    max_bytes: u64,
}

/// Why a document's file was not read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The path leads out of the tenant's folder.
    #[error("path: leads out of the tenant's folder in the document storage; upload it again")]
    Escapes,
    /// There is no such file.
    #[error(
        "path: there is no such file in the document storage; upload it again, or check that \
         documents.storage (STORAGE_PATH) is the folder that the API writes to"
    )]
    Missing,
    /// It is a folder, a device or the like.
    #[error("path: is not a file; upload it again")]
    NotAFile,
    /// This program may not read it, while it may read others.
    #[error(
        "path: this program may not read the file in the document storage; give its user the right to, or \
         upload it again"
    )]
    Forbidden,
    /// It is larger than allowed.
    #[error(
        "the file is larger than {limit} bytes; upload it in parts, or raise documents.max_file_bytes"
    )]
    TooLarge {
        /// What is allowed.
        limit: u64,
    },
    /// It is not what was uploaded.
    #[error("checksum: the file is not the one that was uploaded; upload it again")]
    Changed,
    /// The storage did not do it, or is not there; it may later.
    #[error("the document storage cannot be read: {0}")]
    Storage(ErrorKind),
}

impl FileError {
    /// Whether trying again later may help.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Storage(_))
    }
}

impl DocumentFiles {
    /// Files under this folder, of at most this many bytes.
    pub fn new(root: PathBuf, max_bytes: u64) -> Self {
        Self { root, max_bytes }
    }

    /// The content of a tenant's file, by the path that its document has, and its checksum (SHA-256 in
    /// hex) if that is known.
    ///
    /// # Errors
    /// [`FileError`]; only [`FileError::Storage`] may pass.
    pub async fn read(
        &self,
        tenant: &str,
        path: &str,
        checksum: Option<&str>,
    ) -> Result<Vec<u8>, FileError> {
        let bytes = timeout(PATIENCE, self.read_now(tenant, path))
            .await
            .unwrap_or(Err(FileError::Storage(ErrorKind::TimedOut)))?;
        let is =
            |checksum: &str| hex::encode(Sha256::digest(&bytes)).eq_ignore_ascii_case(checksum);
        match checksum {
            Some(checksum) if !is(checksum) => Err(FileError::Changed),
            _ => Ok(bytes),
        }
    }

    async fn read_now(&self, tenant: &str, path: &str) -> Result<Vec<u8>, FileError> {
        let file = self.resolve(tenant, path).await?;
        let about = tokio::fs::metadata(&file).await.map_err(missing)?;
        if !about.is_file() {
            return Err(FileError::NotAFile);
        }
        let limit = self.max_bytes;
        let mut bytes = Vec::new();
        let open = tokio::fs::File::open(&file).await.map_err(missing)?;
        // It may grow while it is read.
        open.take(limit + 1)
            .read_to_end(&mut bytes)
            .await
            .map_err(missing)?;
        if bytes.len() as u64 > limit {
            return Err(FileError::TooLarge { limit });
        }
        Ok(bytes)
    }

    /// Where the file really is, links followed: within the tenant's own folder, or not at all.
    async fn resolve(&self, tenant: &str, path: &str) -> Result<PathBuf, FileError> {
        let plain = |part: Component<'_>| matches!(part, Component::Normal(_));
        let asked = self.below_root(Path::new(path));
        if path.contains('\0') || !asked.components().all(plain) || !is_of(tenant, &asked) {
            return Err(FileError::Escapes);
        }
        // What is wrong with the root is no file's fault.
        let root = tokio::fs::canonicalize(&self.root)
            .await
            .map_err(|error| FileError::Storage(error.kind()))?;
        let found = match tokio::fs::canonicalize(root.join(&asked)).await {
            Ok(found) => found,
            Err(error) => {
                return Err(match missing(error) {
                    FileError::Missing if is_empty(&root).await? => {
                        FileError::Storage(ErrorKind::NotFound)
                    }
                    error => error,
                });
            }
        };
        match found.strip_prefix(&root) {
            Ok(inside) if is_of(tenant, inside) => Ok(found),
            _ => Err(FileError::Escapes),
        }
    }

    /// The path below the root, which some writers of documents put before it.
    fn below_root(&self, path: &Path) -> PathBuf {
        let bare = |path: &Path| {
            let part = |part: &Component<'_>| *part != Component::CurDir;
            path.components().filter(part).collect::<PathBuf>()
        };
        let (path, root) = (bare(path), bare(&self.root));
        match path.strip_prefix(&root) {
            Ok(below) if !root.as_os_str().is_empty() => below.to_owned(),
            _ => path,
        }
    }
}

/// `<tenant>/..`, or the same in one of the folders that hold tenants' folders.
fn is_of(tenant: &str, path: &Path) -> bool {
    let mut parts = path.components().map(Component::as_os_str);
    let first = parts.next();
    let home = |part: &OsStr| HOMES.iter().any(|home| part == *home);
    match first {
        Some(part) if part == tenant => true,
        Some(part) if home(part) => parts.next().is_some_and(|part| part == tenant),
        _ => false,
    }
}

/// A storage without anything in it is one that is not mounted: somebody uploaded a file to it.
async fn is_empty(root: &Path) -> Result<bool, FileError> {
    let away = |error: std::io::Error| FileError::Storage(error.kind());
    let mut entries = tokio::fs::read_dir(root).await.map_err(away)?;
    Ok(entries.next_entry().await.map_err(away)?.is_none())
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "it stands in `map_err`, which gives the error away"
)]
fn missing(error: std::io::Error) -> FileError {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::InvalidInput => {
            FileError::Missing
        }
        ErrorKind::PermissionDenied => FileError::Forbidden,
        kind => FileError::Storage(kind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(files: &DocumentFiles, path: &str) -> String {
        match files.read("acme", path, None).await {
            Ok(bytes) => String::from_utf8(bytes).unwrap(),
            Err(error) => format!("{error:?}"),
        }
    }

    #[tokio::test]
    async fn a_tenant_reads_its_own_files_and_no_others() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "secret").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("storage");
        for file in ["acme/d/v1/a.txt", "documents/acme/1-a.txt", "other/b.txt"] {
            let file = root.join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, "hello").unwrap();
        }
        std::os::unix::fs::symlink(outside.path(), root.join("acme/link")).unwrap();
        std::os::unix::fs::symlink(root.join("other"), root.join("acme/theirs")).unwrap();
        let files = DocumentFiles::new(root.clone(), 5);
        let absolute = root.join("acme/d/v1/a.txt");
        for path in [
            "acme/d/v1/a.txt",
            "./acme/d/v1/a.txt",
            "documents/acme/1-a.txt",
            absolute.to_str().unwrap(),
        ] {
            assert_eq!(read(&files, path).await, "hello", "{path}");
        }
        let secret = outside.path().join("secret");
        for path in [
            "../secret",
            "acme/../other/b.txt",
            "acme/../../secret",
            "other/b.txt",
            "documents/other/b.txt",
            "acme/link/secret",
            "acme/theirs/b.txt",
            "acme\0/d",
            "",
            "/etc/hostname",
            secret.to_str().unwrap(),
        ] {
            assert_eq!(read(&files, path).await, "Escapes", "{path}");
        }
        assert_eq!(read(&files, "acme/none.txt").await, "Missing");
        assert_eq!(read(&files, "acme/d").await, "NotAFile");
        let sum = hex::encode(Sha256::digest("hello"));
        let same = files.read("acme", "acme/d/v1/a.txt", Some(&sum)).await;
        assert_eq!(same.unwrap(), b"hello");
        let other = files.read("acme", "acme/d/v1/a.txt", Some("00")).await;
        assert!(matches!(other, Err(FileError::Changed)));
        let small = DocumentFiles::new(root, 4);
        let refused = small
            .read("acme", "acme/d/v1/a.txt", None)
            .await
            .unwrap_err();
        assert!(matches!(refused, FileError::TooLarge { limit: 4 }));
        let gone = DocumentFiles::new(folder.path().join("nowhere"), 5);
        assert_eq!(read(&gone, "acme/d/v1/a.txt").await, "Storage(NotFound)");
    }

    #[tokio::test]
    async fn a_storage_that_is_not_mounted_is_no_files_fault() {
        let folder = tempfile::tempdir().unwrap();
        let files = DocumentFiles::new(folder.path().to_owned(), 5);
        let path = "acme/d/v1/a.txt";
        let error = files.read("acme", path, None).await.unwrap_err();
        assert!(matches!(error, FileError::Storage(_)), "empty: {error}");
        std::fs::write(folder.path().join("other"), "").unwrap();
        assert_eq!(read(&files, path).await, "Missing");
        let kind = ErrorKind::PermissionDenied;
        let error = missing(kind.into());
        assert!(matches!(error, FileError::Forbidden) && !error.is_transient());
    }
}

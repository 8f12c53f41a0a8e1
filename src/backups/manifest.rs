//! What a backup says of itself: plain JSON, to be read without this program.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;
use windlass::Timestamp;

/// The form of manifests that this program writes.
pub const VERSION: u32 = 1;
/// How much of a file one [`Part`] is, in bytes.
pub const PART: u64 = 64 * 1024 * 1024;

/// A backup's name within its target: when it began and whose job made it. Ids sort by time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BackupId(String);

/// A text that names no backup.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a backup's id is of the form 20260131T020000Z-0a1b2c3d")]
pub struct InvalidId;

impl BackupId {
    /// The id of a backup that this job begins now.
    pub fn new(started: Timestamp, job: Uuid) -> Self {
        let at = started.to_datetime().format("%Y%m%dT%H%M%SZ");
        // The last digits: the first ones of an id that sorts by time are the time again.
        let job = job.simple().to_string();
        Self(format!("{at}-{}", &job[job.len() - 8..]))
    }

    /// As it stands in paths.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BackupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for BackupId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let (at, job) = text.split_once('-').ok_or(InvalidId)?;
        let time = chrono::NaiveDateTime::parse_from_str(at, "%Y%m%dT%H%M%SZ");
        let hex = job.len() == 8 && job.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        (time.is_ok() && at.len() == 16 && hex)
            .then(|| Self(text.to_owned()))
            .ok_or(InvalidId)
    }
}

impl TryFrom<String> for BackupId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<BackupId> for String {
    fn from(id: BackupId) -> Self {
        id.0
    }
}

/// What kind of thing was copied, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// `pg_dump` in directory format, and `pg_dumpall --globals-only`.
    PostgresLogical,
    /// `pg_basebackup`, and the write-ahead log.
    PostgresPhysical,
    /// A SQLite file.
    Sqlite,
    /// Redis: its RDB file and, if it keeps one, its append-only set.
    Redis,
    /// RabbitMQ's definitions: vhosts, users, queues, exchanges, bindings and policies; no messages.
    Rabbitmq,
    /// A folder, as it is.
    Folder,
    /// This program's settings without secrets, and the ids of its keys.
    Configuration,
}

impl Kind {
    /// As it stands in manifests and settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PostgresLogical => "postgres_logical",
            Self::PostgresPhysical => "postgres_physical",
            Self::Sqlite => "sqlite",
            Self::Redis => "redis",
            Self::Rabbitmq => "rabbitmq",
            Self::Folder => "folder",
            Self::Configuration => "configuration",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a backup says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The form of this manifest: [`VERSION`].
    pub version: u32,
    /// Its name within the target.
    pub id: BackupId,
    /// What is backed up, by its name in the settings.
    pub target: String,
    /// What kind of thing that is.
    pub kind: Kind,
    /// The job that made it: its further attempts go on with it.
    pub job: Uuid,
    /// The version of this program.
    pub program: String,
    /// When it began.
    pub started: Timestamp,
    /// When its last file was written.
    pub finished: Timestamp,
    /// The moment whose data it holds: nothing committed before is missing.
    pub recovery_point: Timestamp,
    /// The version of the server, as it says itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_version: Option<String>,
    /// The version of the tool that copied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_version: Option<String>,
    /// The database's name, or the file's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// PostgreSQL's `system_identifier`: which cluster it was, whatever its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_identifier: Option<String>,
    /// PostgreSQL's snapshot that was dumped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// Where in the write-ahead log it begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_lsn: Option<String>,
    /// And from where on it is consistent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_lsn: Option<String>,
    /// On which timeline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeline: Option<u32>,
    /// The backup that this one builds on; it is of no use without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<BackupId>,
    /// How its files are encrypted; none are if this is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
    /// Rows of each table (`schema.table`), counted in the very snapshot that was dumped.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rows: BTreeMap<String, u64>,
    /// What else is worth knowing of this kind, such as extensions and settings; texts only.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, String>,
    /// Why somebody should look at it, such as a size unlike the last one's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
    /// Its files, sorted by path.
    pub files: Vec<File>,
    /// SHA-256 of this manifest as compact JSON with this field empty.
    pub sha256: String,
}

/// How files are encrypted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Encryption {
    /// `age`: any program of that format opens them.
    pub format: String,
    /// The public keys it is encrypted to, which are also the keys' ids: any one secret key opens it.
    pub keys: Vec<String>,
}

/// One file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Relative, with `/` between folders.
    pub path: String,
    /// In bytes.
    pub size: u64,
    /// Of the whole file, in hex.
    pub sha256: String,
    /// Of each [`PART`] bytes, so that damage is told by its place.
    pub parts: Vec<Part>,
    /// What lies in the place: encrypted, if the backup is.
    pub stored: Stored,
}

/// A piece of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// In bytes.
    pub size: u64,
    /// In hex.
    pub sha256: String,
}

/// A file as it lies in the place: can be checked without a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// Relative to the backup's folder.
    pub path: String,
    /// In bytes.
    pub size: u64,
    /// In hex.
    pub sha256: String,
}

/// Why a text is no manifest.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It is not JSON of this form.
    #[error("manifest.json cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    /// It was written by a later program.
    #[error("manifest.json has version {0}; this program reads up to {VERSION}: use a newer one")]
    Version(u32),
    /// It was changed since.
    #[error("manifest.json was changed after it was written: its own checksum does not match")]
    Changed,
}

impl Manifest {
    /// Of a backup that begins now: nothing is known of it yet.
    pub fn begin(target: &str, kind: Kind, job: Uuid, started: Timestamp) -> Self {
        Self {
            version: VERSION,
            id: BackupId::new(started, job),
            target: target.to_owned(),
            kind,
            job,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            started,
            finished: started,
            recovery_point: started,
            server_version: None,
            client_version: None,
            database: None,
            system_identifier: None,
            snapshot: None,
            start_lsn: None,
            end_lsn: None,
            timeline: None,
            parent: None,
            encryption: None,
            rows: BTreeMap::new(),
            details: BTreeMap::new(),
            flags: Vec::new(),
            files: Vec::new(),
            sha256: String::new(),
        }
    }

    /// The bytes of all files.
    pub fn size(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    /// The bytes that lie in the place.
    pub fn stored_size(&self) -> u64 {
        self.files.iter().map(|file| file.stored.size).sum()
    }

    /// As it is written, with its checksum.
    pub fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut sealed = self.clone();
        sealed.sha256 = self.checksum()?;
        let mut text = serde_json::to_vec_pretty(&sealed)?;
        text.push(b'\n');
        Ok(text)
    }

    /// Reads and checks one.
    pub fn from_json(text: &[u8]) -> Result<Self, ManifestError> {
        #[derive(Deserialize)]
        struct Form {
            version: u32,
        }
        let Form { version } = serde_json::from_slice(text)?;
        if version > VERSION {
            return Err(ManifestError::Version(version));
        }
        let manifest: Self = serde_json::from_slice(text)?;
        if manifest.checksum()? != manifest.sha256 {
            return Err(ManifestError::Changed);
        }
        Ok(manifest)
    }

    /// What `sha256sum --check` reads, for people without this program: of the files as they lie in the
    /// place.
    pub fn sha256sums(&self) -> String {
        let line = |file: &File| format!("{}  {}\n", file.stored.sha256, file.stored.path);
        self.files.iter().map(line).collect()
    }

    fn checksum(&self) -> Result<String, serde_json::Error> {
        let mut bare = self.clone();
        bare.sha256.clear();
        Ok(hex::encode(Sha256::digest(serde_json::to_vec(&bare)?)))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::backups) fn manifest(files: Vec<File>) -> Manifest {
        let started = "2026-01-31T02:00:00Z".parse().unwrap();
        let job = Uuid::from_u128(0x0a1b_2c3d);
        Manifest {
            rows: BTreeMap::from([("public.messages".into(), 12)]),
            files,
            ..Manifest::begin("main", Kind::Folder, job, started)
        }
    }

    #[test]
    fn an_id_says_when_and_whose() {
        let id = manifest(Vec::new()).id;
        assert_eq!(id.as_str(), "20260131T020000Z-0a1b2c3d");
        assert_eq!(id.as_str().parse(), Ok(id));
        for wrong in [
            "",
            "..",
            "20260131T020000Z",
            "20260131T020000Z-../../x",
            "20261331T020000Z-0a1b2c3d",
        ] {
            assert_eq!(wrong.parse::<BackupId>(), Err(InvalidId), "{wrong}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_an_id_that_stays_in_its_folder_or_none(
            text in "\\PC{0,30}|[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}|[0-9T]{15}Z-[./0-9a-f]{8}",
        ) {
            if let Ok(id) = text.parse::<BackupId>() {
                proptest::prop_assert_eq!(id.as_str(), text);
                proptest::prop_assert!(id.as_str().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
            }
        }

        #[test]
        fn any_bytes_are_a_manifest_or_refused(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            proptest::prop_assert!(Manifest::from_json(&bytes).is_err());
        }
    }

    #[test]
    fn a_manifest_that_was_changed_is_refused() {
        let written = manifest(Vec::new()).to_json().unwrap();
        let read = Manifest::from_json(&written).unwrap();
        assert_eq!(read.rows["public.messages"], 12);
        let text = String::from_utf8(written).unwrap();
        let changed = text.replace("\"public.messages\": 12", "\"public.messages\": 13");
        assert_ne!(changed, text);
        let refused = Manifest::from_json(changed.as_bytes()).unwrap_err();
        assert!(matches!(refused, ManifestError::Changed), "{refused}");
        let later = text.replace("\"version\": 1", "\"version\": 9");
        let refused = Manifest::from_json(later.as_bytes()).unwrap_err();
        assert!(matches!(refused, ManifestError::Version(9)), "{refused}");
    }
}

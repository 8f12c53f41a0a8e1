//! The settings of backups. `config/default.toml` says what each is for.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::stream::Keys;
use super::throwaway::{RunAs, ScratchOptions};
use super::{Error, Kind, PostgresServer};
use crate::services::mailer::{Mail, Mailer};

/// All of them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupOptions {
    /// Where files lie while a backup is made, fetched or tried; empty for the system's own folder.
    pub scratch: PathBuf,
    /// Who runs a throwaway PostgreSQL when this program is root.
    pub run_as: RunAs,
    /// How long one backup may take.
    pub timeout_ms: u64,
    /// How low the priority of tools is: 0 is none lower, 19 the lowest.
    pub nice: u8,
    /// The most bytes a second that go to a place; 0 is no limit.
    pub bandwidth_bytes: u64,
    /// By how many percent a backup's size may differ from the last one's.
    pub size_change_percent: u32,
    /// The public age keys that backups are encrypted to; empty leaves them readable.
    #[serde(deserialize_with = "words")]
    pub recipients: Vec<String>,
    /// The file of secret age keys, which only those need who verify and restore.
    pub identity_file: PathBuf,
    /// Where tools are.
    pub tools: ToolOptions,
    /// How long backups are kept.
    pub keep: KeepOptions,
    /// Who is told.
    pub notify: NotifyOptions,
    /// Where backups are put, by name.
    #[serde(default)]
    pub places: BTreeMap<String, PlaceOptions>,
    /// What is backed up, by name.
    #[serde(default)]
    pub targets: BTreeMap<String, TargetOptions>,
}

/// Where tools are; an empty folder means `PATH`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolOptions {
    /// The folder of `pg_dump` and its like.
    pub pg_bin: PathBuf,
    /// The folder of `redis-cli` and its like.
    pub redis_bin: PathBuf,
    /// The folder of `rabbitmqctl`.
    pub rabbitmq_bin: PathBuf,
}

/// How long backups are kept: whatever any rule wants stays.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeepOptions {
    /// All that are younger.
    pub days: u32,
    /// The last ones.
    pub last: u32,
    /// The last one of each of so many days.
    pub daily: u32,
    /// And weeks.
    pub weekly: u32,
    /// And months.
    pub monthly: u32,
    /// However old, so many stay.
    pub floor: NonZeroU32,
}

/// Who is told.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotifyOptions {
    /// Is told of failures, by a POST of JSON; empty tells nobody. Its address may be a secret.
    pub webhook_url: SecretString,
    /// Who is told of the same by e-mail; empty tells nobody.
    #[serde(deserialize_with = "words")]
    pub email_to: Vec<String>,
    /// In whose name.
    pub email_from: String,
    /// Through which server; its address may hold a password.
    pub smtp_url: SecretString,
    /// Is called after each success, and tells people when that does not come; `{target}` is replaced.
    pub ping_url: SecretString,
    /// How long a call may take.
    pub timeout_ms: u64,
    /// How old the newest backup may be.
    pub late_hours: NonZeroU32,
    /// How old the newest verified backup may be.
    pub unverified_days: NonZeroU32,
}

/// A place.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum PlaceOptions {
    /// A folder of this machine, or one that is mounted.
    Folder {
        /// Absolute.
        path: PathBuf,
    },
    /// Anything that speaks S3.
    S3 {
        /// The bucket, which is there.
        bucket: String,
        /// What stands before each key.
        #[serde(default)]
        prefix: String,
        /// Its region.
        #[serde(default = "us_east_1")]
        region: String,
        /// The address, if it is not Amazon's.
        #[serde(default)]
        endpoint: String,
        /// Whether that may be plain HTTP.
        #[serde(default)]
        allow_http: bool,
        /// Empty for the machine's own role.
        #[serde(default)]
        access_key_id: String,
        /// Belongs to the id.
        #[serde(default)]
        secret_access_key: SecretString,
    },
}

/// What is backed up. An empty `url` means the program's own.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetOptions {
    /// What it is.
    pub kind: Kind,
    /// The place it goes to.
    pub place: String,
    /// The places it is then copied to.
    #[serde(default)]
    pub copies: Vec<String>,
    /// Where the server is; may hold a password. Empty for the one of the program's settings.
    #[serde(default)]
    pub url: SecretString,
    /// The folder, or the SQLite file; empty for the one of the program's settings. Of `redis` the folder of its
    /// append-only set, on this machine; empty leaves that out.
    #[serde(default)]
    pub path: PathBuf,
    /// How many tables are dumped at once.
    #[serde(default = "two")]
    pub parallel: NonZeroU32,
    /// Whether there is also to be a `metachat_backup_<time>.sql.gz` as the platform's script makes them.
    #[serde(default)]
    pub sql_gz: bool,
    /// How the write-ahead log of a `postgres_physical` target is archived all the time; not at all without it.
    #[serde(default)]
    pub wal: Option<WalOptions>,
    /// How many backups of a `postgres_physical` target hold only what changed, before the next full one.
    #[serde(default)]
    pub incremental: u32,
    /// Smaller than this, in bytes, it is no backup.
    #[serde(default = "hundred")]
    pub minimum_bytes: u64,
}

impl Default for BackupOptions {
    /// Nothing is backed up; the rest as `config/default.toml` has it.
    fn default() -> Self {
        const THREE: NonZeroU32 = NonZeroU32::new(3).expect("3 is not 0");
        Self {
            scratch: PathBuf::new(),
            run_as: RunAs::default(),
            timeout_ms: 6 * 3_600_000,
            nice: 10,
            bandwidth_bytes: 0,
            size_change_percent: 40,
            recipients: Vec::new(),
            identity_file: PathBuf::new(),
            tools: ToolOptions::default(),
            keep: KeepOptions {
                days: 30,
                last: 3,
                daily: 7,
                weekly: 5,
                monthly: 12,
                floor: THREE,
            },
            notify: NotifyOptions {
                webhook_url: SecretString::default(),
                email_to: Vec::new(),
                email_from: String::new(),
                smtp_url: SecretString::default(),
                ping_url: SecretString::default(),
                timeout_ms: 10_000,
                late_hours: const { NonZeroU32::new(26).expect("26 is not 0") },
                unverified_days: const { NonZeroU32::new(8).expect("8 is not 0") },
            },
            places: BTreeMap::new(),
            targets: BTreeMap::new(),
        }
    }
}

/// How the write-ahead log is archived.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WalOptions {
    /// Where it is written as it comes; absolute, of this target alone.
    pub folder: PathBuf,
    /// The replication slot that keeps what has not come; made if it is not there.
    #[serde(default = "slot")]
    pub slot: String,
    /// How often the file that is still being written is put away as it is.
    #[serde(default = "half_a_minute")]
    pub partial_ms: u64,
}

fn slot() -> String {
    "metachat_jobs".to_owned()
}

const fn half_a_minute() -> u64 {
    30_000
}

fn us_east_1() -> String {
    "us-east-1".to_owned()
}

const fn two() -> NonZeroU32 {
    const { NonZeroU32::new(2).expect("2 is not 0") }
}

const fn hundred() -> u64 {
    100
}

/// A list, or a text with commas between.
fn words<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Words {
        Text(String),
        List(Vec<String>),
    }
    let list = match Words::deserialize(deserializer)? {
        Words::Text(text) => text.split(',').map(str::to_owned).collect(),
        Words::List(list) => list,
    };
    let trimmed = list.iter().map(|word| word.trim().to_owned());
    Ok(trimmed.filter(|word| !word.is_empty()).collect())
}

impl BackupOptions {
    /// How long one backup may take.
    pub const fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    /// Where files may lie for a while.
    pub fn scratch(&self) -> PathBuf {
        if self.scratch.as_os_str().is_empty() {
            std::env::temp_dir()
        } else {
            self.scratch.clone()
        }
    }

    /// How a throwaway PostgreSQL is run.
    pub fn throwaway(&self) -> ScratchOptions {
        let bin = &self.tools.pg_bin;
        ScratchOptions {
            bin: (!bin.as_os_str().is_empty()).then(|| bin.clone()),
            // A folder of its own: it is closed to others, and what is left in it is swept.
            folder: self.scratch().join("metachat-jobs-trials"),
            run_as: self.run_as,
        }
    }

    /// What encrypts, and what decrypts.
    pub(super) fn keys(&self) -> Result<Keys, Error> {
        let parsed = self.recipients.iter().map(|key| {
            age::x25519::Recipient::from_str(key).map_err(|problem| {
                let problem =
                    format!("{key:?} is no age public key ({problem}): `age-keygen` makes one");
                Error::setting("backups.recipients", problem)
            })
        });
        Ok(Keys {
            recipients: parsed.collect::<Result<Vec<_>, _>>()?.into(),
            identity_file: (!self.identity_file.as_os_str().is_empty())
                .then(|| self.identity_file.clone().into()),
        })
    }

    /// Whether the settings can be.
    pub fn check(&self) -> Result<(), Error> {
        self.keys()?;
        if self.nice > 19 {
            return Err(Error::setting(
                "backups.nice",
                "is more than 19, the lowest priority there is",
            ));
        }
        for (key, number) in [
            ("backups.timeout_ms", self.timeout_ms),
            ("backups.notify.timeout_ms", self.notify.timeout_ms),
        ] {
            if number == 0 {
                return Err(Error::setting(key, "is 0; use at least 1"));
            }
        }
        for (key, url) in [
            ("backups.notify.webhook_url", &self.notify.webhook_url),
            ("backups.notify.ping_url", &self.notify.ping_url),
        ] {
            check_address(key, url.expose_secret())?;
        }
        let timeout = Duration::from_millis(self.notify.timeout_ms);
        Mailer::new(&self.notify.mail(), timeout)
            .map_err(|e| Error::setting("backups.notify", e.to_string()))?;
        for (name, place) in &self.places {
            check_name("backups.places", name)?;
            place.check(name)?;
        }
        for (name, target) in &self.targets {
            check_name("backups.targets", name)?;
            self.check_target(name, target)?;
        }
        Ok(())
    }

    fn check_target(&self, name: &str, target: &TargetOptions) -> Result<(), Error> {
        let key = |field: &str| format!("backups.targets.{name}.{field}");
        let mut seen = vec![];
        for place in std::iter::once(&target.place).chain(&target.copies) {
            if !self.places.contains_key(place) {
                let known: Vec<&str> = self.places.keys().map(String::as_str).collect();
                let known = known.join(", ");
                let problem = format!("{place:?} is not in backups.places; known are: {known}");
                return Err(Error::setting(key("place or copies"), problem));
            }
            if seen.contains(&place) {
                let problem = format!("{place:?} is named twice; a copy belongs somewhere else");
                return Err(Error::setting(key("copies"), problem));
            }
            seen.push(place);
        }
        let url = target.url.expose_secret();
        let postgres = matches!(target.kind, Kind::PostgresLogical | Kind::PostgresPhysical);
        if postgres && !url.is_empty() {
            PostgresServer::new(&target.url)
                .map_err(|e| Error::setting(key("url"), e.to_string()))?;
        }
        if let Some(wal) = &target.wal {
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
            if target.kind != Kind::PostgresPhysical {
                let problem =
                    "belongs to targets of the kind postgres_physical: a dump cannot be continued";
                return Err(Error::setting(key("wal"), problem));
            }
            if !wal.folder.is_absolute() {
                return Err(Error::setting(
                    key("wal.folder"),
                    "must be an absolute path of a folder",
                ));
            }
            if wal.slot.is_empty() || wal.slot.len() > 63 || !wal.slot.bytes().all(plain) {
                let problem = "a slot's name is 1 to 63 of a-z, 0-9 and _";
                return Err(Error::setting(key("wal.slot"), problem));
            }
            if wal.partial_ms == 0 {
                return Err(Error::setting(
                    key("wal.partial_ms"),
                    "is 0; use at least 1",
                ));
            }
        }
        if target.incremental > 0 && target.kind != Kind::PostgresPhysical {
            let problem = "belongs to targets of the kind postgres_physical; use 0";
            return Err(Error::setting(key("incremental"), problem));
        }
        let wants_path = target.kind == Kind::Folder || !target.path.as_os_str().is_empty();
        if wants_path && !target.path.is_absolute() && target.kind != Kind::Sqlite {
            return Err(Error::setting(
                key("path"),
                "must be an absolute path of a folder",
            ));
        }
        Ok(())
    }
}

impl NotifyOptions {
    /// Who is told by e-mail.
    pub fn mail(&self) -> Mail {
        Mail {
            server: self.smtp_url.clone(),
            from: self.email_from.clone(),
            to: self.email_to.clone(),
        }
    }
}

impl PlaceOptions {
    fn check(&self, name: &str) -> Result<(), Error> {
        let key = |field: &str| format!("backups.places.{name}.{field}");
        match self {
            Self::Folder { path } if !path.is_absolute() => {
                Err(Error::setting(key("path"), "must be an absolute path"))
            }
            Self::S3 { bucket, .. } if bucket.is_empty() => {
                Err(Error::setting(key("bucket"), "is empty; name the bucket"))
            }
            Self::S3 { endpoint, .. } => check_address(&key("endpoint"), endpoint),
            Self::Folder { .. } => Ok(()),
        }
    }
}

impl ToolOptions {
    /// A program of PostgreSQL.
    pub fn postgres(&self, tool: &str) -> PathBuf {
        within(&self.pg_bin, tool)
    }

    /// A program of Redis.
    pub fn redis(&self, tool: &str) -> PathBuf {
        within(&self.redis_bin, tool)
    }

    /// A program of RabbitMQ.
    pub fn rabbitmq(&self, tool: &str) -> PathBuf {
        within(&self.rabbitmq_bin, tool)
    }
}

fn within(folder: &Path, tool: &str) -> PathBuf {
    // Joined to an empty path it stays a bare name, which is looked for in `PATH`.
    folder.join(tool)
}

fn check_address(key: &str, address: &str) -> Result<(), Error> {
    let is_http = |url: url::Url| matches!(url.scheme(), "http" | "https") && url.has_host();
    if address.is_empty() || url::Url::parse(address).is_ok_and(is_http) {
        return Ok(());
    }
    Err(Error::setting(key, "is not an http URL with a host"))
}

/// A name becomes a folder, a label of metrics and a part of URLs.
fn check_name(table: &str, name: &str) -> Result<(), Error> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
    if !name.is_empty() && name.len() <= 63 && name.bytes().all(plain) {
        return Ok(());
    }
    let problem = "a name is 1 to 63 of a-z, 0-9, - and _";
    Err(Error::setting(format!("{table}.{name}"), problem))
}

//! Configuration: composes each room's options from defaults < file < environment < flags.
//!
//! `config/default.toml` is part of the program and names every key there is; that is what makes an
//! unknown key an error wherever it comes from. This is the only room that reads the environment.

mod backups;
mod error;
mod layers;
mod rabbitmq;
mod sealing;
mod settings;
mod unknown;
mod validate;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::api::{RateLimitOptions, SecurityOptions, ServerOptions};
use crate::backups::BackupOptions;
use crate::jobs::MessageOptions;
use crate::jobs::schedules::ScheduleOptions;
use crate::platform::{InvalidSecretKey, SecretKeys};
use crate::services::chunking::ChunkOptions;
use crate::services::documents::DocumentOptions;
use crate::services::graph::GraphOptions;
use crate::services::models::ModelOptions;
use crate::services::webhooks::WebhookOptions;
use crate::telemetry::{LogOptions, TelemetryOptions};

pub use error::Error;
pub use rabbitmq::{RabbitmqOptions, RedisOptions};
pub use settings::Setting;

/// Every setting of the program. `Debug` shows no secret.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the API listens, and its bounds.
    pub server: ServerOptions,
    /// Who may use it.
    pub security: SecurityOptions,
    /// How often whom may ask for what.
    pub rate_limits: RateLimitOptions,
    /// Where the data is.
    pub database: DatabaseOptions,
    /// How jobs are run.
    pub engine: EngineOptions,
    /// How long finished jobs are kept.
    pub retention: RetentionOptions,
    /// What is changed of the timetable, by the schedule's name.
    #[serde(default)]
    pub schedules: BTreeMap<String, ScheduleOptions>,
    /// Encryption at rest.
    pub sealing: SealingOptions,
    /// What channels are recognised and reached with.
    pub channels: ChannelOptions,
    /// How messages are answered.
    pub messages: MessageOptions,
    /// The broker, and what is taken in from it.
    pub rabbitmq: RabbitmqOptions,
    /// The platform's Redis.
    pub redis: RedisOptions,
    /// How tenants' endpoints are told of events.
    pub webhooks: WebhookOptions,
    /// Which models answer and embed.
    pub models: ModelOptions,
    /// Where documents' files are, and what they may cost.
    pub documents: DocumentOptions,
    /// How documents are cut.
    pub chunking: ChunkOptions,
    /// What is backed up, where to, and for how long.
    pub backups: BackupOptions,
    /// What is logged.
    pub log: LogOptions,
    /// Where traces and errors are sent to.
    pub telemetry: TelemetryOptions,
    /// All of it as an operator may see it.
    #[serde(skip)]
    pub settings: Vec<Setting>,
}

/// Where the data is.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseOptions {
    /// `sqlite:<file>` or `postgres://..`; holds a password.
    pub url: SecretString,
    /// The most connections.
    pub max_connections: u32,
    /// How long one statement may take.
    pub statement_timeout_ms: u64,
    /// Whether a process brings the tables to its version when it starts.
    pub migrate: bool,
}

/// Which database a URL means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseKind {
    /// A server.
    Postgres,
    /// One file.
    Sqlite(PathBuf),
}

/// A URL that means no database. The URL itself is not repeated: it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be sqlite:<file> or postgres://user:password@host:5432/name")]
pub struct InvalidUrl;

/// How jobs are run.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EngineOptions {
    /// The queues this process serves, and how many of each one's jobs it runs at once.
    pub queues: BTreeMap<String, u32>,
    /// How long a lease lasts.
    pub lease_ms: u64,
    /// How long running jobs may go on after SIGTERM.
    pub grace_ms: u64,
    /// The longest time between two looks at an idle queue.
    pub poll_ms: u64,
    /// After how many crashes of its process a job is set aside.
    pub max_crashes: u16,
    /// How far behind schedules may be before health says so.
    pub schedules_late_ms: u64,
}

/// How long finished jobs are kept.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionOptions {
    /// Completed ones.
    pub completed_days: NonZeroU32,
    /// Cancelled ones.
    pub cancelled_days: NonZeroU32,
    /// Dead ones.
    pub dead_days: NonZeroU32,
    /// The record of what operators did.
    pub audit_days: NonZeroU32,
}

/// Encryption at rest.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealingOptions {
    /// `id:key` each, the newest first; in a variable separated by commas.
    #[serde(deserialize_with = "sealing::keys")]
    pub keys: Vec<SecretString>,
    /// The kinds whose args and results are sealed, if there is a key.
    #[serde(deserialize_with = "sealing::words")]
    pub kinds: Vec<String>,
}

/// What channels are recognised and reached with.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelOptions {
    /// The id of the key that opens channels' secrets; empty if there is none.
    pub secret_key_id: String,
    /// That key.
    pub secret_encryption_key: SecretString,
    /// Further ones, `id:key` each.
    #[serde(deserialize_with = "sealing::keys")]
    pub older_secret_keys: Vec<SecretString>,
    /// What Meta must show for a WhatsApp channel without a verify token.
    pub whatsapp_verify_token: SecretString,
    /// The same for Messenger.
    pub messenger_verify_token: SecretString,
    /// Where WhatsApp and Messenger messages are sent.
    pub graph: GraphOptions,
}

impl ChannelOptions {
    /// The keys that open channels' secrets.
    pub fn keys(&self) -> Result<SecretKeys, InvalidSecretKey> {
        let newest = self.secret_encryption_key.expose_secret();
        let newest = (!newest.is_empty()).then_some((self.secret_key_id.as_str(), newest));
        let older = self.older_secret_keys.iter().map(|key| {
            let key = key.expose_secret();
            key.split_once(':').unwrap_or(("", key))
        });
        SecretKeys::new(newest.into_iter().chain(older))
    }
}

/// Where settings come from, besides the defaults.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// A file; if none, what `METACHAT_JOBS_CONFIG` names.
    pub file: Option<PathBuf>,
    /// The environment.
    pub environment: BTreeMap<String, String>,
    /// Flags: key and value, such as `("server.port", "3011")`.
    pub flags: Vec<(String, String)>,
}

impl Sources {
    /// The environment of this process; values that are not text are left out.
    pub fn from_process() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self {
            environment: std::env::vars_os().filter_map(text).collect(),
            ..Self::default()
        }
    }
}

impl Config {
    /// Reads every layer and checks the whole.
    pub fn load(sources: &Sources) -> Result<Self, Error> {
        let tree = layers::read(sources)?;
        let settings = settings::list(&tree);
        let mut config: Self = layers::decode(tree)?;
        validate::check(&config)?;
        config.settings = settings;
        Ok(config)
    }
}

impl DatabaseOptions {
    /// Which database the URL means.
    pub fn kind(&self) -> Result<DatabaseKind, InvalidUrl> {
        let url = self.url.expose_secret();
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Ok(DatabaseKind::Postgres);
        }
        let file = url.strip_prefix("sqlite:").ok_or(InvalidUrl)?;
        let file = file.strip_prefix("//").unwrap_or(file);
        if file.is_empty() || file.contains('?') {
            return Err(InvalidUrl);
        }
        Ok(DatabaseKind::Sqlite(PathBuf::from(file)))
    }
}

//! Reads the layers, one over the other, and says which of them is at fault.

use std::collections::BTreeMap;
use std::path::Path;

use config::{Environment, File, FileFormat, Map, Source, Value};
use serde::de::DeserializeOwned;

use super::{Error, Sources, unknown};

const DEFAULTS: &str = include_str!("../../config/default.toml");
const PREFIX: &str = "METACHAT_JOBS";
const FILE_VARIABLE: &str = "METACHAT_JOBS_CONFIG";

/// The names the platform has used for years, and the keys they mean.
const PLATFORM_NAMES: &[(&str, &str)] = &[
    ("ADMIN_JWT_AUDIENCE", "security.platform.admin_jwt_audience"),
    ("ADMIN_JWT_ISSUER", "security.platform.admin_jwt_issuer"),
    ("ADMIN_JWT_SECRET", "security.platform.jwt_secret"),
    ("ADMIN_KEY_PEPPER", "security.platform.admin_key_pepper"),
    ("DATABASE_URL", "database.url"),
    ("LOG_LEVEL", "log.level"),
    ("ENABLE_CONFIDENCE_ESCALATION", "messages.escalation"),
    ("OLLAMA_BASE_URL", "models.ollama.base_url"),
    ("OLLAMA_MODEL", "models.ollama.chat_model"),
    ("STORAGE_PATH", "documents.storage"),
    ("OPENAI_API_KEY", "models.openai.api_key"),
    ("DEEPSEEK_API_KEY", "models.deepseek.api_key"),
    ("ANTHROPIC_API_KEY", "models.anthropic.api_key"),
    ("SECRET_KEY_ID", "channels.secret_key_id"),
    ("SECRET_ENCRYPTION_KEY", "channels.secret_encryption_key"),
    ("WHATSAPP_VERIFY_TOKEN", "channels.whatsapp_verify_token"),
    ("MESSENGER_VERIFY_TOKEN", "channels.messenger_verify_token"),
    ("RABBITMQ_URL", "rabbitmq.url"),
    ("RABBITMQ_EXCHANGE", "rabbitmq.exchange"),
    ("RABBITMQ_RECONNECT_DELAY_MS", "rabbitmq.reconnect_max_ms"),
    ("REDIS_URL", "redis.url"),
    ("DB_BACKUP_RETENTION_DAYS", "backups.keep.days"),
    ("BACKUP_ALERT_WEBHOOK", "backups.notify.webhook_url"),
    ("WEBHOOK_TIMEOUT", "webhooks.timeout_ms"),
    ("WEBHOOK_TIMEOUT_MS", "webhooks.timeout_ms"),
    ("WEBHOOK_RETRY_MAX_ATTEMPTS", "webhooks.max_attempts"),
    ("WEBHOOK_RETRY_INITIAL_DELAY_MS", "webhooks.backoff_ms"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "telemetry.otlp_endpoint"),
    ("SENTRY_DSN", "telemetry.sentry_dsn"),
    ("SENTRY_ENVIRONMENT", "telemetry.sentry_environment"),
    ("SENTRY_TRACES_SAMPLE_RATE", "telemetry.trace_sample_rate"),
];

/// What the `config` crate calls it.
const ENVIRONMENT: &str = "the environment";
const FLAGS: &str = "--set";

pub(super) type Layer = Map<String, Value>;

/// The whole, as a tree whose values know where they come from.
pub(super) fn read(sources: &Sources) -> Result<Layer, Error> {
    let defaults = nested(File::from_str(DEFAULTS, FileFormat::Toml), None)?;
    let layers = [
        file(sources)?,
        platform_names(&sources.environment)?,
        environment(&sources.environment)?,
        flags(&sources.flags)?,
    ];
    let mut whole = config::Config::builder().add_source(Collected(defaults.clone()));
    for layer in layers {
        unknown::refuse(&layer, &defaults)?;
        whole = whole.add_source(Collected(layer));
    }
    collect(whole, None)
}

pub(super) fn decode<T: DeserializeOwned>(tree: Layer) -> Result<T, Error> {
    config::Config::builder()
        .add_source(Collected(tree))
        .build()
        .and_then(config::Config::try_deserialize)
        .map_err(|error| Error::from_config(&error, None))
}

/// Names the very variable rather than the whole environment.
pub(super) fn whose(key: &str, origin: &str) -> String {
    if origin == ENVIRONMENT {
        variable(key)
    } else {
        origin.to_owned()
    }
}

/// The variable that sets a key.
fn variable(key: &str) -> String {
    format!("{PREFIX}__{}", key.replace('.', "__").to_uppercase())
}

fn file(sources: &Sources) -> Result<Layer, Error> {
    let named = sources
        .environment
        .get(FILE_VARIABLE)
        .filter(|path| !path.is_empty())
        .map(Path::new);
    let Some(path) = sources.file.as_deref().or(named) else {
        return Ok(Layer::new());
    };
    let text = std::fs::read_to_string(path).map_err(|source| Error::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    let origin = path.display().to_string();
    let layer = nested(File::from_str(&text, FileFormat::Toml), Some(path))?;
    Ok(named_origin(layer, &origin))
}

fn platform_names(environment: &BTreeMap<String, String>) -> Result<Layer, Error> {
    let mut layer = config::Config::builder();
    for &(name, key) in PLATFORM_NAMES {
        if let Some(value) = environment.get(name).filter(|value| !value.is_empty()) {
            let value = Value::new(Some(&name.to_owned()), value.clone());
            layer = layer
                .set_override(key, value)
                .map_err(|error| Error::from_config(&error, None))?;
        }
    }
    collect(layer, None)
}

fn environment(environment: &BTreeMap<String, String>) -> Result<Layer, Error> {
    // With one underscore too few a variable would be read by nobody.
    let ours = |name: &&String| name.starts_with("METACHAT_JOBS_");
    let read = |name: &String| name.starts_with("METACHAT_JOBS__") || name == FILE_VARIABLE;
    if let Some(name) = environment.keys().filter(ours).find(|name| !read(name)) {
        let near = vec![variable("section.key")];
        return Err(Error::unknown(name.clone(), "", near));
    }
    let variables = environment
        .iter()
        .map(|(name, value)| (name.clone(), value.clone()));
    let source = Environment::with_prefix(PREFIX)
        .prefix_separator("__")
        .separator("__")
        .source(Some(variables.collect()));
    nested(source, None)
}

fn flags(flags: &[(String, String)]) -> Result<Layer, Error> {
    let mut layer = config::Config::builder();
    for (key, value) in flags {
        let value = Value::new(Some(&FLAGS.to_owned()), value.clone());
        layer = layer
            .set_override(key, value)
            .map_err(|_| Error::unknown(key.clone(), FLAGS, Vec::new()))?;
    }
    collect(layer, None)
}

/// One layer alone, as a tree.
fn nested<S: Source + Send + Sync + 'static>(
    source: S,
    path: Option<&Path>,
) -> Result<Layer, Error> {
    collect(config::Config::builder().add_source(source), path)
}

fn collect(
    layer: config::ConfigBuilder<config::builder::DefaultState>,
    path: Option<&Path>,
) -> Result<Layer, Error> {
    layer
        .build()
        .and_then(|layer| layer.collect())
        .map_err(|error| Error::from_config(&error, path))
}

/// Text that was read by us carries no origin; its values do from here on.
fn named_origin(layer: Layer, origin: &str) -> Layer {
    let named = |(key, value): (String, Value)| {
        let kind = match value.kind {
            config::ValueKind::Table(inner) => {
                config::ValueKind::Table(named_origin(inner, origin))
            }
            other => other,
        };
        (key, Value::new(Some(&origin.to_owned()), kind))
    };
    layer.into_iter().map(named).collect()
}

/// A layer that was read and checked already.
#[derive(Debug, Clone)]
struct Collected(Layer);

impl Source for Collected {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Layer, config::ConfigError> {
        Ok(self.0.clone())
    }
}

//! What types alone cannot say of the settings.

use secrecy::ExposeSecret;

use super::{Config, Error};
use crate::telemetry::level_filter;

/// Below this a key can be guessed.
const SHORTEST_KEY: usize = 16;

pub(super) fn check(config: &Config) -> Result<(), Error> {
    at_least_one(&[
        (
            "server.request_body_limit_bytes",
            config.server.request_body_limit_bytes as u64,
        ),
        (
            "server.request_timeout_ms",
            config.server.request_timeout_ms,
        ),
        ("server.header_timeout_ms", config.server.header_timeout_ms),
        (
            "server.max_connections",
            config.server.max_connections as u64,
        ),
        (
            "server.max_concurrent_requests",
            config.server.max_concurrent_requests as u64,
        ),
        (
            "server.events.max_clients",
            config.server.events.max_clients as u64,
        ),
        ("server.events.poll_ms", config.server.events.poll_ms),
        (
            "server.events.heartbeat_ms",
            config.server.events.heartbeat_ms,
        ),
        ("rate_limits.window_ms", config.rate_limits.window_ms),
        (
            "rate_limits.redis_timeout_ms",
            config.rate_limits.redis_timeout_ms,
        ),
        ("rate_limits.enqueue", config.rate_limits.enqueue.into()),
        ("rate_limits.read", config.rate_limits.read.into()),
        ("rate_limits.status", config.rate_limits.status.into()),
        ("rate_limits.operate", config.rate_limits.operate.into()),
        ("rate_limits.login", config.rate_limits.login.into()),
        ("rate_limits.failures", config.rate_limits.failures.into()),
        (
            "rate_limits.agents_per_address",
            config.rate_limits.agents_per_address.into(),
        ),
        (
            "database.max_connections",
            u64::from(config.database.max_connections),
        ),
        (
            "database.statement_timeout_ms",
            config.database.statement_timeout_ms,
        ),
        (
            "models.ollama.embed_batch",
            config.models.ollama.embed_batch as u64,
        ),
        (
            "models.ollama.embed_parallel",
            config.models.ollama.embed_parallel as u64,
        ),
        ("documents.max_file_bytes", config.documents.max_file_bytes),
        (
            "documents.extract.max_text_bytes",
            config.documents.extract.max_text_bytes as u64,
        ),
        (
            "documents.extract.timeout_ms",
            config.documents.extract.timeout_ms,
        ),
        (
            "documents.extract.parsers",
            config.documents.extract.parsers as u64,
        ),
        ("engine.poll_ms", config.engine.poll_ms),
        ("engine.max_crashes", u64::from(config.engine.max_crashes)),
        (
            "channels.graph.connect_timeout_ms",
            config.channels.graph.connect_timeout_ms,
        ),
        (
            "channels.graph.timeout_ms",
            config.channels.graph.timeout_ms,
        ),
        (
            "webhooks.connect_timeout_ms",
            config.webhooks.connect_timeout_ms,
        ),
        ("webhooks.timeout_ms", config.webhooks.timeout_ms),
        (
            "webhooks.max_attempts",
            u64::from(config.webhooks.max_attempts),
        ),
    ])?;
    admin_key(config)?;
    jwt_secret(config)?;
    database_url(config)?;
    at_most_a_minute(&[
        (
            "channels.graph.timeout_ms",
            config.channels.graph.timeout_ms,
        ),
        ("webhooks.timeout_ms", config.webhooks.timeout_ms),
    ])?;
    let telemetry = config.telemetry.check();
    telemetry.map_err(|(key, problem)| Error::invalid(key, problem))?;
    engine(config)?;
    at_most_a_day("rate_limits.window_ms", config.rate_limits.window_ms)?;
    config.rabbitmq.check()?;
    config.redis.check()?;
    config.backups()?;
    config
        .sealing
        .ring()
        .map_err(|error| Error::invalid("sealing.keys", error.to_string()))?;
    config
        .channels
        .keys()
        .map_err(|error| Error::invalid("channels.secret_encryption_key", error.to_string()))?;
    level_filter(&config.log.level)
        .map(drop)
        .map_err(|error| Error::invalid("log.level", error.to_string()))
}

fn at_least_one(numbers: &[(&str, u64)]) -> Result<(), Error> {
    match numbers.iter().find(|(_, number)| *number == 0) {
        Some((key, _)) => Err(Error::invalid(key, "is 0; use at least 1")),
        None => Ok(()),
    }
}

/// The jobs that make these requests end after a few minutes.
fn at_most_a_minute(millis: &[(&str, u64)]) -> Result<(), Error> {
    match millis.iter().find(|(_, millis)| *millis > 60_000) {
        Some((key, _)) => Err(Error::invalid(
            key,
            "is more than a minute; use at most 60000",
        )),
        None => Ok(()),
    }
}

/// Longer ones are quotas, which must outlive a restart.
fn at_most_a_day(key: &str, millis: u64) -> Result<(), Error> {
    if millis > 86_400_000 {
        return Err(Error::invalid(
            key,
            "is more than a day; use at most 86400000",
        ));
    }
    Ok(())
}

fn admin_key(config: &Config) -> Result<(), Error> {
    let key = config.security.admin_key.expose_secret();
    if key.is_empty() || (key.len() >= SHORTEST_KEY && key.bytes().all(|b| b.is_ascii_graphic())) {
        return Ok(());
    }
    let problem = format!(
        "must be at least {SHORTEST_KEY} printable ASCII characters without spaces; make one with \
         `openssl rand -hex 32`"
    );
    Err(Error::invalid("security.admin_key", problem))
}

/// A short one can be found by trying, and whoever has it makes tokens for anyone.
fn jwt_secret(config: &Config) -> Result<(), Error> {
    let secret = config.security.platform.jwt_secret.expose_secret();
    if secret.is_empty() || secret.len() >= SHORTEST_KEY {
        return Ok(());
    }
    let problem = format!(
        "has fewer than {SHORTEST_KEY} characters; give the platform and this program a longer one \
         (ADMIN_JWT_SECRET)"
    );
    Err(Error::invalid("security.platform.jwt_secret", problem))
}

fn database_url(config: &Config) -> Result<(), Error> {
    config
        .database
        .kind()
        .map(drop)
        .map_err(|error| Error::invalid("database.url", error.to_string()))
}

fn engine(config: &Config) -> Result<(), Error> {
    let engine = &config.engine;
    if engine.lease_ms < 1000 {
        let problem =
            "is shorter than a second; leases are renewed at a third of it, use 1000 or more";
        return Err(Error::invalid("engine.lease_ms", problem));
    }
    for (queue, slots) in &engine.queues {
        let fits = |c: char| c.is_ascii_alphanumeric() || "_-.:/".contains(c);
        let key = format!("engine.queues.{queue}");
        if queue.is_empty() || queue.len() > 128 || !queue.chars().all(fits) {
            let problem = "a queue's name is 1 to 128 letters, digits and _ - . : /";
            return Err(Error::invalid(&key, problem));
        }
        if *slots > 10_000 {
            return Err(Error::invalid(
                &key,
                "is more than 10000 jobs at once; use fewer",
            ));
        }
    }
    Ok(())
}

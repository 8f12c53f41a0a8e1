use std::str::FromStr;
use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::{Error, Tx};

/// A pool of connections to PostgreSQL.
#[derive(Debug, Clone)]
pub struct Postgres {
    pool: PgPool,
}

/// How to connect. Settings are sent as session settings of each connection.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// `application_name`, so that a DBA sees whose connection it is.
    pub application_name: String,
    /// The most connections.
    pub max_connections: u32,
    /// How long one statement may take on the server.
    pub statement_timeout: Duration,
    /// How long to wait for a connection.
    pub acquire_timeout: Duration,
    /// Further session settings, such as `("jit", "off")`.
    pub settings: Vec<(String, String)>,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            application_name: "windlass".to_owned(),
            max_connections: 8,
            statement_timeout: Duration::from_secs(30),
            acquire_timeout: Duration::from_secs(10),
            settings: Vec::new(),
        }
    }
}

/// Parameters that Prisma puts into a URL and PostgreSQL does not know.
const PRISMA_ONLY: [&str; 7] = [
    "schema",
    "connection_limit",
    "pool_timeout",
    "connect_timeout",
    "pgbouncer",
    "socket_timeout",
    "sslaccept",
];

impl Postgres {
    /// Prepares a pool without connecting: a database that is down now may be up when it is needed.
    pub fn new(url: &str, options: &PostgresOptions) -> Result<Self, Error> {
        let pool = PgPoolOptions::new()
            .max_connections(options.max_connections)
            .acquire_timeout(options.acquire_timeout)
            .test_before_acquire(false)
            .connect_lazy_with(connect_options(url, options)?);
        Ok(Self { pool })
    }

    /// The pool.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Begins a transaction.
    pub async fn begin(&self) -> Result<Tx, Error> {
        Ok(self.pool.begin().await?.into())
    }
}

/// Connection options with session settings, without what only Prisma understands.
pub(crate) fn connect_options(
    url: &str,
    options: &PostgresOptions,
) -> Result<PgConnectOptions, Error> {
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let pairs = || query.split('&').filter_map(|pair| pair.split_once('='));
    let kept: Vec<String> = pairs()
        .filter(|(key, _)| !PRISMA_ONLY.contains(key))
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let parsed =
        PgConnectOptions::from_str(&format!("{base}?{}", kept.join("&"))).map_err(|_| {
            Error::Url {
                problem: URL_FORM.to_owned(),
            }
        })?;
    let millis = options.statement_timeout.as_millis().to_string();
    let mut settings = vec![
        ("timezone".to_owned(), "UTC".to_owned()),
        ("statement_timeout".to_owned(), millis.clone()),
        ("idle_in_transaction_session_timeout".to_owned(), millis),
    ];
    settings.extend(
        pairs()
            .filter(|(k, _)| *k == "schema")
            .map(|(_, schema)| ("search_path".to_owned(), schema.to_owned())),
    );
    settings.extend(options.settings.iter().cloned());
    Ok(parsed
        .application_name(&options.application_name)
        .options(settings))
}

const URL_FORM: &str = "expected postgres://user:password@host:5432/database, with special \
                        characters in the password percent-encoded";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn understands_what_prisma_writes() {
        let url =
            "postgresql://u:p%40ss@db:6543/chat?schema=app&connection_limit=5&sslmode=disable";
        let options = connect_options(url, &PostgresOptions::default()).unwrap();
        assert_eq!((options.get_host(), options.get_port()), ("db", 6543));
        assert_eq!(options.get_database(), Some("chat"));
        assert!(
            options
                .get_options()
                .unwrap_or_default()
                .contains("search_path=app")
        );
    }

    #[test]
    fn a_bad_url_is_named_without_its_password() {
        let error =
            connect_options("mysql//root:hunter2@x", &PostgresOptions::default()).unwrap_err();
        assert!(error.to_string().contains("postgres://user:password@host"));
        assert!(!format!("{error:?}").contains("hunter2"));
    }
}

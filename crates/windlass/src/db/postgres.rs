use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, PgConnection, PgPool};

use super::{Error, Tx};

/// A pool of connections to PostgreSQL.
#[derive(Debug, Clone)]
pub struct Postgres {
    pool: PgPool,
}

/// How to connect.
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
    /// How session settings reach the server.
    pub delivery: SettingsDelivery,
}

/// How session settings reach the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SettingsDelivery {
    /// With the connection's first packet: no round trip.
    #[default]
    Startup,
    /// By statements once connected, for a pooler that refuses startup options. It must pool
    /// sessions.
    Session,
    /// Not at all: they are set for the role (`alter role .. set ..`). For a pooler of transactions.
    Role,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            application_name: "windlass".to_owned(),
            max_connections: 8,
            statement_timeout: Duration::from_secs(30),
            acquire_timeout: Duration::from_secs(10),
            settings: Vec::new(),
            delivery: SettingsDelivery::default(),
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
        Ok(PgConnector::new(url, options)?.pool(options.max_connections, options.acquire_timeout))
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

/// Makes connections with their session settings.
#[derive(Debug, Clone)]
pub(crate) struct PgConnector {
    options: PgConnectOptions,
    after_connect: Vec<(String, String)>,
}

impl PgConnector {
    pub(crate) fn new(url: &str, options: &PostgresOptions) -> Result<Self, Error> {
        let (url, schema) = without_prisma(url);
        let connect = PgConnectOptions::from_str(&url)
            .map_err(|_| Error::Url {
                problem: URL_FORM.to_owned(),
            })?
            .application_name(&options.application_name);
        let settings = settings(options, schema);
        Ok(match options.delivery {
            SettingsDelivery::Startup => Self {
                options: connect.options(settings),
                after_connect: Vec::new(),
            },
            SettingsDelivery::Session => Self {
                options: connect,
                after_connect: settings,
            },
            SettingsDelivery::Role => Self {
                options: connect,
                after_connect: Vec::new(),
            },
        })
    }

    /// Connects now.
    pub(crate) async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        let mut connection = self.options.connect().await?;
        apply(&mut connection, &self.after_connect).await?;
        Ok(connection)
    }

    /// A pool that connects when it must.
    pub(crate) fn pool(self, connections: u32, acquire_timeout: Duration) -> Postgres {
        let settings = std::sync::Arc::new(self.after_connect);
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(acquire_timeout)
            .test_before_acquire(false)
            .after_connect(move |connection, _| {
                let settings = settings.clone();
                Box::pin(async move { apply(connection, &settings).await })
            })
            .connect_lazy_with(self.options);
        Postgres { pool }
    }
}

async fn apply(
    connection: &mut PgConnection,
    settings: &[(String, String)],
) -> Result<(), sqlx::Error> {
    for (name, value) in settings {
        sqlx::query(include_str!("sql/set_config.sql"))
            .bind(name)
            .bind(value)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// The URL without what only Prisma understands, and the schema that Prisma put into it.
fn without_prisma(url: &str) -> (String, Option<String>) {
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let pairs = || query.split('&').filter_map(|pair| pair.split_once('='));
    let kept: Vec<String> = pairs()
        .filter(|(key, _)| !PRISMA_ONLY.contains(key))
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let schema = pairs().find(|(key, _)| *key == "schema");
    (
        format!("{base}?{}", kept.join("&")),
        schema.map(|(_, schema)| schema.to_owned()),
    )
}

fn settings(options: &PostgresOptions, schema: Option<String>) -> Vec<(String, String)> {
    let millis = options.statement_timeout.as_millis().to_string();
    let mut settings = vec![
        ("timezone".to_owned(), "UTC".to_owned()),
        ("statement_timeout".to_owned(), millis.clone()),
        ("idle_in_transaction_session_timeout".to_owned(), millis),
    ];
    settings.extend(schema.map(|schema| ("search_path".to_owned(), schema)));
    settings.extend(options.settings.iter().cloned());
    settings
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
        let options = PgConnector::new(url, &PostgresOptions::default())
            .unwrap()
            .options;
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
            PgConnector::new("mysql//root:hunter2@x", &PostgresOptions::default()).unwrap_err();
        assert!(error.to_string().contains("postgres://user:password@host"));
        assert!(!format!("{error:?}").contains("hunter2"));
    }
}

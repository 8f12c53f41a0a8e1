use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection, PgPool};

use super::{Error, Tx};

/// A pool of connections to PostgreSQL.
#[derive(Debug, Clone)]
pub struct Postgres {
    pool: PgPool,
    begin: Option<Arc<str>>,
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
    /// Not at all: they are set for the role (`alter role .. set ..`).
    Role,
    /// With each transaction, for a pooler of transactions such as PgBouncer's `pool_mode =
    /// transaction`: what a session remembers there belongs to whoever comes next. The engine then runs
    /// every statement in a transaction, and gives none of them a name; on a pool's connections that
    /// is up to who uses them.
    Transaction,
}

impl SettingsDelivery {
    /// Whether statements may have names, which belong to a session of the server.
    pub(crate) fn names_statements(self) -> bool {
        self != Self::Transaction
    }
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
        Ok(match &self.begin {
            None => self.pool.begin().await?.into(),
            // Safe: made of settings' names and quoted values, by `beginning`.
            Some(begin) => self.pool.begin_with(AssertSqlSafe(&**begin)).await?.into(),
        })
    }
}

/// Makes connections with their session settings.
#[derive(Debug, Clone)]
pub(crate) struct PgConnector {
    options: PgConnectOptions,
    after_connect: Vec<(String, String)>,
    /// Statements that begin each transaction, and each call, where settings last no longer.
    begin: Option<String>,
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
        let mut connector = Self {
            options: connect,
            after_connect: Vec::new(),
            begin: None,
        };
        match options.delivery {
            SettingsDelivery::Startup => connector.options = connector.options.options(settings),
            SettingsDelivery::Session => connector.after_connect = settings,
            SettingsDelivery::Role => {}
            SettingsDelivery::Transaction => {
                connector.begin = Some(beginning(&settings)?);
                // Poolers refuse start-up parameters that they do not know. What this one asks for is
                // the server's default since PostgreSQL 12.
                connector.options = connector
                    .options
                    .extra_float_digits(None)
                    .statement_cache_capacity(0);
            }
        }
        Ok(connector)
    }

    /// What begins a call on these connections, if calls must be transactions.
    pub(crate) fn begin(&self) -> Option<&str> {
        self.begin.as_deref()
    }

    /// Connects now.
    pub(crate) async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        let mut connection = self.options.connect().await?;
        apply(&mut connection, &self.after_connect).await?;
        Ok(connection)
    }

    /// A pool that connects when it must.
    pub(crate) fn pool(self, connections: u32, acquire_timeout: Duration) -> Postgres {
        let settings = Arc::new(self.after_connect);
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(acquire_timeout)
            .test_before_acquire(false)
            .after_connect(move |connection, _| {
                let settings = settings.clone();
                Box::pin(async move { apply(connection, &settings).await })
            })
            .connect_lazy_with(self.options);
        Postgres {
            pool,
            begin: self.begin.map(Into::into),
        }
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

/// Begins a transaction with these settings, in one round trip: several statements at once take no
/// parameters, so the settings are written into it.
fn beginning(settings: &[(String, String)]) -> Result<String, Error> {
    let mut sql = "begin isolation level read committed".to_owned();
    let mut next = "; select";
    for (name, value) in settings {
        let is_name = |c: char| c.is_ascii_lowercase() || c == '_' || c == '.';
        // A backslash may or may not mean itself in a quoted text: that is a setting, too.
        if !name.chars().all(is_name) || value.contains(['\\', '\0']) {
            return Err(Error::Url {
                problem: format!("the setting {name:?} cannot be had with each transaction"),
            });
        }
        let value = value.replace('\'', "''");
        sql += &[next, " set_config('", name, "', '", &value, "', true)"].concat();
        next = ",";
    }
    Ok(sql)
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
    fn settings_of_a_transaction_are_quoted() {
        let of = |name: &str, value: &str| beginning(&[(name.to_owned(), value.to_owned())]);
        let begin = of("search_path", "a,'; drop table jobs; --").unwrap();
        assert_eq!(
            begin,
            "begin isolation level read committed; \
             select set_config('search_path', 'a,''; drop table jobs; --', true)"
        );
        assert!(of("search_path", "\\'; drop table jobs; --").is_err());
        assert!(of("search_path', '', true); drop table jobs; --", "").is_err());
    }

    #[test]
    fn a_bad_url_is_named_without_its_password() {
        let error =
            PgConnector::new("mysql//root:hunter2@x", &PostgresOptions::default()).unwrap_err();
        assert!(error.to_string().contains("postgres://user:password@host"));
        assert!(!format!("{error:?}").contains("hunter2"));
    }
}

//! A PostgreSQL server as its URL names it: for sqlx, and for PostgreSQL's own tools without the password.

use std::str::FromStr;

use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::PgConnectOptions;
use url::Url;

/// Parameters that only Prisma knows; others would refuse them.
const PRISMA: [&str; 7] = [
    "schema",
    "connection_limit",
    "pool_timeout",
    "pgbouncer",
    "connect_timeout",
    "socket_timeout",
    "statement_cache_size",
];

/// A server and a database on it.
#[derive(Debug, Clone)]
pub struct PostgresServer {
    /// Without a password.
    url: Url,
    /// The same, read.
    options: PgConnectOptions,
    password: Option<SecretString>,
}

/// A URL that names no PostgreSQL server. It is not repeated: it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be postgres://user:password@host:5432/name, with special characters of the password percent-encoded"
)]
pub struct InvalidServer;

impl PostgresServer {
    /// Of a URL as the settings have it.
    pub fn new(url: &SecretString) -> Result<Self, InvalidServer> {
        let mut url = Url::parse(url.expose_secret()).map_err(|_| InvalidServer)?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(InvalidServer);
        }
        let password = match url.password() {
            Some(encoded) => Some(decode(encoded)?),
            None => None,
        };
        url.set_password(None).map_err(|()| InvalidServer)?;
        let mut password = password;
        let mut kept = Vec::new();
        for (name, value) in url.query_pairs() {
            match &*name {
                "password" => password = Some(value.into_owned().into()),
                prisma if PRISMA.contains(&prisma) => {}
                _ => kept.push((name.into_owned(), value.into_owned())),
            }
        }
        url.set_query(None);
        if !kept.is_empty() {
            url.query_pairs_mut().extend_pairs(kept);
        }
        let options = PgConnectOptions::from_str(url.as_str()).map_err(|_| InvalidServer)?;
        Ok(Self {
            options: options.application_name("metachat-jobs backup"),
            url,
            password,
        })
    }

    /// For sqlx.
    pub fn options(&self) -> PgConnectOptions {
        let options = self.options.clone();
        match &self.password {
            Some(password) => options.password(password.expose_secret()),
            None => options,
        }
    }

    /// For `--dbname` of PostgreSQL's tools: holds no password, which goes by `PGPASSWORD`.
    pub fn for_tools(&self) -> &str {
        self.url.as_str()
    }

    /// The password, if there is one.
    pub const fn password(&self) -> Option<&SecretString> {
        self.password.as_ref()
    }

    /// The database's name.
    pub fn database(&self) -> Option<String> {
        self.options.get_database().map(str::to_owned)
    }

    /// The same server, another database.
    #[must_use]
    pub fn with_database(&self, name: &str) -> Self {
        let mut other = self.clone();
        other.url.set_path(name);
        other.options = other.options.database(name);
        other
    }

    /// Host and port, for people.
    pub fn address(&self) -> String {
        let options = &self.options;
        format!(
            "PostgreSQL at {}:{}",
            options.get_host(),
            options.get_port()
        )
    }
}

/// What was percent-encoded.
pub(super) fn decode(encoded: &str) -> Result<SecretString, InvalidServer> {
    // The one decoder of percent-encoding that is at hand is the one of forms, to which `+` is a blank.
    let form = format!("p={}", encoded.replace('+', "%2B").replace('&', "%26"));
    let mut pairs = url::form_urlencoded::parse(form.as_bytes());
    let (_, value) = pairs.next().ok_or(InvalidServer)?;
    Ok(value.into_owned().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_parsed_and_not_cut() {
        let url = "postgresql://jo%40n:p%2F%3A%40+w&=d@db/chat?schema=public&connection_limit=5&sslmode=disable";
        let server = PostgresServer::new(&url.into()).unwrap();
        assert_eq!(
            server.for_tools(),
            "postgresql://jo%40n@db/chat?sslmode=disable"
        );
        assert_eq!(server.password().unwrap().expose_secret(), "p/:@+w&=d");
        let options = server.options();
        assert_eq!(
            (
                options.get_username(),
                options.get_host(),
                options.get_port()
            ),
            ("jo@n", "db", 5432)
        );
        assert_eq!(server.database().unwrap(), "chat");
        assert_eq!(server.with_database("other").database().unwrap(), "other");
        assert!(!format!("{server:?}").contains("p/:"));
    }

    #[test]
    fn a_socket_folder_can_be_named() {
        let url = "postgres://u:secret@/chat?host=/run/postgresql&port=5433";
        let server = PostgresServer::new(&url.into());
        // A URL has no user without a host; libpq and sqlx read the host from its parameter.
        let url = "postgres://u:secret@localhost/chat?host=/run/postgresql&port=5433";
        let named = PostgresServer::new(&url.into()).unwrap();
        assert_eq!(
            named.options().get_socket().unwrap().to_str(),
            Some("/run/postgresql")
        );
        assert!(server.is_err() || server.unwrap().password().is_some());
    }

    #[test]
    fn another_url_is_refused_without_repeating_it() {
        for url in ["mysql://u:secret@h/d", "secret", "redis://h"] {
            let refused = PostgresServer::new(&url.into()).unwrap_err();
            assert!(!refused.to_string().contains("secret"));
        }
    }
}

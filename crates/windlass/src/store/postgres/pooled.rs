//! Poolers between the store and its database.
//!
//! One that pools transactions gives each transaction whichever session of the server is free. Settings,
//! named statements and `LISTEN` belong to a session: behind such a pooler, and without
//! [`SettingsDelivery::Transaction`], statements would be planned badly, meet others' names and wait for
//! wake-ups that never come. So the store looks for one before it is used.

use sqlx::{AssertSqlSafe, Row};

use super::{Error, PgStoreOptions, SESSION_SETTINGS, sql};
use crate::db::{PgConnector, PostgresOptions, SettingsDelivery};

/// Connects to where sessions are the server's own, if that is known.
pub(super) fn past_poolers(
    url: &str,
    options: &PgStoreOptions,
    postgres: PostgresOptions,
) -> Result<PgConnector, Error> {
    let (url, delivery) = match &options.direct_url {
        Some(direct) => (direct.as_str(), SettingsDelivery::Startup),
        None => (url, options.settings),
    };
    let postgres = PostgresOptions {
        delivery,
        ..postgres
    };
    Ok(PgConnector::new(url, &postgres)?)
}

/// Refuses connections that are not what the options say they are. By simple statements: a named one
/// might be the first that fails.
pub(super) async fn check(
    connector: &PgConnector,
    delivery: SettingsDelivery,
) -> Result<(), Error> {
    if delivery == SettingsDelivery::Transaction {
        return Ok(());
    }
    let mut one = connector.connect().await?;
    if delivery != SettingsDelivery::Role {
        let (name, wanted) = SESSION_SETTINGS[0];
        // Safe: a name of ours.
        let show = sqlx::raw_sql(AssertSqlSafe(format!("show {name}")));
        let found: String = show.fetch_one(&mut one).await?.try_get(0)?;
        if found != wanted {
            return Err(Error::Pooler {
                does: "drops the settings of sessions",
            });
        }
    }
    // Two clients at once have two backends, unless one of them is lent out between transactions.
    let backend: i32 = sqlx::raw_sql(sql::BACKEND)
        .fetch_one(&mut one)
        .await?
        .try_get(0)?;
    let mut other = connector.connect().await?;
    let others: i32 = sqlx::raw_sql(sql::BACKEND)
        .fetch_one(&mut other)
        .await?
        .try_get(0)?;
    if others == backend {
        return Err(Error::Pooler {
            does: "gives one session to several clients",
        });
    }
    Ok(())
}

/// What an error says of a pooler, if anything.
pub(super) fn betrayed(error: &Error) -> Option<Error> {
    let does = match error {
        Error::Db(crate::db::Error::Sqlx(sqlx::Error::Database(error))) => {
            let refused = error.message().starts_with("unsupported startup parameter");
            match error.code().as_deref() {
                // A statement's name is taken, or nobody knows it: another client's session.
                Some("42P05" | "26000") => "gives one session to several clients",
                _ if refused => "refuses start-up settings",
                _ => return None,
            }
        }
        // Another client's `LISTEN` was heard here.
        Error::Db(crate::db::Error::Sqlx(sqlx::Error::Protocol(said)))
            if said.contains("NotificationResponse") =>
        {
            "gives one session to several clients"
        }
        _ => return None,
    };
    Some(Error::Pooler { does })
}

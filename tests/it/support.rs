//! A fresh database for each test, gone when it ends, however it ends.

use std::panic::resume_unwind;

use metachat_jobs::platform::{Platform, Prepared};
use sqlx::migrate::MigrateDatabase;
use windlass::db::{Db, Postgres, PostgresOptions, Sqlite, SqliteOptions};

/// Runs a test on a new and empty PostgreSQL database, given by its URL.
pub(crate) async fn with_postgres<F>(test: impl FnOnce(String) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let url = fresh_url();
    sqlx::Postgres::create_database(&url).await.unwrap();
    let outcome = tokio::spawn(test(url.clone())).await;
    sqlx::Postgres::force_drop_database(&url).await.unwrap();
    if let Err(failure) = outcome {
        resume_unwind(failure.into_panic());
    }
}

/// Runs a test on a PostgreSQL database that holds the platform's empty tables.
pub(crate) async fn on_postgres<F>(test: impl FnOnce(Platform) -> F + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    with_postgres(async move |url| {
        let platform = Platform::new(postgres(&url, &[]));
        assert_eq!(platform.prepare().await.unwrap(), Prepared::Ours);
        test(platform).await;
    })
    .await;
}

/// Runs a test on a SQLite file that holds the platform's empty tables.
pub(crate) async fn on_sqlite<F>(test: impl FnOnce(Platform) -> F)
where
    F: Future<Output = ()>,
{
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::new(sqlite(folder.path()));
    assert_eq!(platform.prepare().await.unwrap(), Prepared::Ours);
    test(platform).await;
}

/// A pool with further session settings.
pub(crate) fn postgres(url: &str, settings: &[(&str, &str)]) -> Db {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let options = PostgresOptions {
        max_connections: 10,
        settings: settings.iter().map(own).collect(),
        ..PostgresOptions::default()
    };
    Db::Postgres(Postgres::new(url, &options).unwrap())
}

/// A new file in a folder.
pub(crate) fn sqlite(folder: &std::path::Path) -> Db {
    let file = folder.join("platform.db");
    Db::Sqlite(Sqlite::new(file, &SqliteOptions::default()))
}

/// The test server's URL with the name of a database that does not exist yet.
fn fresh_url() -> String {
    #[expect(
        clippy::disallowed_methods,
        reason = "tests have no config to read it from"
    )]
    let server = std::env::var("TEST_DATABASE_URL")
        .expect("TEST_DATABASE_URL is not set: run scripts/services up, eval its env");
    let (server, parameters) = server.split_once('?').unwrap_or((&server, ""));
    let (server, _) = server.rsplit_once('/').expect("a database URL has a path");
    format!("{server}/it_{}?{parameters}", uuid::Uuid::new_v4().simple())
}

/// How many due jobs of the default queue may start, at one of each key.
pub(crate) async fn startable_at_one_per_key(store: &dyn windlass::Store) -> usize {
    let policy = r#"{"per_key":{"concurrency":1}}"#;
    let mut allotter = windlass::model::Allotter::new(windlass::model::Rules {
        policy: serde_json::from_str(policy).unwrap(),
        ..Default::default()
    });
    let mut jobs = 0;
    loop {
        let claim = windlass::store::Claim {
            queue: windlass::NewJob::DEFAULT_QUEUE,
            worker: "test",
            limit: 100,
            lease: std::time::Duration::from_secs(30),
            now: None,
        };
        let granted = store.claim_governed(claim, &mut allotter).await.unwrap();
        jobs += granted.jobs.len();
        if !granted.more {
            return jobs;
        }
    }
}

//! A database for one case, shared by all its processes.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use uuid::Uuid;
use windlass::db::{Db, Postgres, PostgresOptions, Sqlite, SqliteOptions};
use windlass::store::postgres::{PgStore, PgStoreOptions};
use windlass::store::sqlite::SqliteStore;
use windlass::{Client, Store};

/// What every process of a case opens.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    pub(crate) url: String,
    pub(crate) db: Db,
    pub(crate) store: Arc<dyn Store>,
}

impl Database {
    pub(crate) fn open(url: &str) -> Self {
        Self::with(url, &PostgresOptions::default(), &PgStoreOptions::default())
    }

    /// The same for short leases: gives a call up before they end, not long after.
    pub(crate) fn impatient(url: &str) -> Self {
        let patience = crate::storm::PATIENCE_OF_A_CALL;
        let postgres = PostgresOptions {
            statement_timeout: patience,
            acquire_timeout: patience,
            ..PostgresOptions::default()
        };
        let store = PgStoreOptions {
            call_timeout: patience,
            ..PgStoreOptions::default()
        };
        Self::with(url, &postgres, &store)
    }

    fn with(url: &str, postgres: &PostgresOptions, options: &PgStoreOptions) -> Self {
        let (db, store): (Db, Arc<dyn Store>) = if let Some(file) = url.strip_prefix("sqlite:") {
            let sqlite = Sqlite::new(file, &SqliteOptions::default());
            (
                Db::Sqlite(sqlite.clone()),
                Arc::new(SqliteStore::new(sqlite)),
            )
        } else {
            (
                Db::Postgres(Postgres::new(url, postgres).unwrap()),
                Arc::new(PgStore::connect(url, options).unwrap()),
            )
        };
        Self {
            url: url.to_owned(),
            db,
            store,
        }
    }

    /// A new database on the tests' server, with the engine's tables.
    pub(crate) async fn postgres() -> Self {
        let server = server();
        let name = format!("windlass_chaos_{}", Uuid::now_v7().simple());
        let mut connection = PgConnection::connect(&server).await.unwrap();
        // Safe: the name is made of letters and hexadecimal digits.
        let create = AssertSqlSafe(format!("create database {name} template template0"));
        connection.execute(create).await.unwrap();
        let (base, _) = server.rsplit_once('/').unwrap();
        let database = Self::open(&format!("{base}/{name}"));
        database.store.migrate().await.unwrap();
        database
    }

    /// A new file, with the engine's tables.
    pub(crate) async fn sqlite(folder: &std::path::Path) -> Self {
        let database = Self::open(&format!("sqlite:{}", folder.join("chaos.db").display()));
        database.store.migrate().await.unwrap();
        database
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(Arc::clone(&self.store))
    }

    /// Runs statements of the case's own, which are the same in both dialects.
    pub(crate) async fn execute(&self, statement: &'static str) {
        match &self.db {
            Db::Postgres(db) => drop(sqlx::query(statement).execute(db.pool()).await.unwrap()),
            Db::Sqlite(db) => drop(sqlx::query(statement).execute(db.writer()).await.unwrap()),
            _ => unreachable!("two dialects"),
        }
    }

    /// The one number that a query of the case's own answers with.
    pub(crate) async fn number(&self, query: &'static str) -> i64 {
        match &self.db {
            Db::Postgres(db) => sqlx::query_scalar(query).fetch_one(db.pool()).await,
            Db::Sqlite(db) => sqlx::query_scalar(query).fetch_one(db.readers()).await,
            _ => unreachable!("two dialects"),
        }
        .unwrap()
    }

    /// Waits until no job is unfinished, looking often.
    pub(crate) async fn until_idle(&self, patience: Duration) {
        let mut pulse = tokio::time::interval(Duration::from_millis(50));
        let idle = async {
            loop {
                pulse.tick().await;
                let queues = self.store.queues(None).await.unwrap();
                let left = queues.iter().any(|queue| {
                    queue.available
                        + queue.scheduled
                        + queue.retryable
                        + queue.waiting
                        + queue.running
                        > 0
                });
                if !left {
                    return;
                }
            }
        };
        if tokio::time::timeout(patience, idle).await.is_err() {
            let queues = self.store.queues(None).await.unwrap();
            panic!("jobs are left after {patience:?}: {queues:?}");
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests have no config to read it from"
)]
fn server() -> String {
    std::env::var("TEST_DATABASE_URL")
        .expect("TEST_DATABASE_URL is not set: run eval \"$(scripts/services env)\"")
}

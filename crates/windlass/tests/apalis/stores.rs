//! A fresh store of each sort.

use std::sync::Arc;
use std::time::Duration;

use apalis_core::backend::{TaskResult, WaitForCompletion};
use apalis_core::task::task_id::TaskId;
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use uuid::Uuid;
use windlass::apalis::{BackendOptions, WindlassBackend};
use windlass::model::{Filter, Page};
use windlass::store::memory::MemoryStore;
use windlass::store::postgres::{PgStore, PgStoreOptions};
use windlass::store::sqlite::SqliteStore;
use windlass::{Backoff, State, Store, db};

/// Longest wait for an event before a test is wrong.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Where a store is, so that another process can open it too.
pub(crate) enum Place {
    Memory(Arc<MemoryStore>),
    Sqlite(tempfile::TempDir),
    Postgres { server: String, database: String },
}

impl Place {
    pub(crate) fn memory() -> Self {
        Self::Memory(Arc::default())
    }

    pub(crate) async fn sqlite() -> Self {
        let place = Self::Sqlite(tempfile::tempdir().unwrap());
        place.open().migrate().await.unwrap();
        place
    }

    pub(crate) async fn postgres() -> Self {
        let server = server();
        let database = format!("windlass_apalis_{}", Uuid::new_v4().simple());
        // Safe: the name is made of letters and hexadecimal digits.
        run(&server, &format!("create database {database}")).await;
        let place = Self::Postgres { server, database };
        place.open().migrate().await.unwrap();
        place
    }

    /// Connections of their own, as another process would have them.
    pub(crate) fn open(&self) -> Arc<dyn Store> {
        match self {
            Self::Memory(store) => Arc::clone(store) as Arc<dyn Store>,
            Self::Sqlite(folder) => {
                let path = folder.path().join("jobs.db");
                let file = db::Sqlite::new(path, &db::SqliteOptions::default());
                Arc::new(SqliteStore::new(file))
            }
            Self::Postgres { server, database } => {
                let url = url(server, database);
                Arc::new(PgStore::connect(&url, &PgStoreOptions::default()).unwrap())
            }
        }
    }

    pub(crate) async fn close(self) {
        if let Self::Postgres { server, database } = self {
            run(&server, &format!("drop database {database} with (force)")).await;
        }
    }
}

/// One statement on the server itself.
pub(crate) async fn run(server: &str, statement: &str) {
    let mut connection = PgConnection::connect(server).await.unwrap();
    connection.execute(AssertSqlSafe(statement)).await.unwrap();
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests are told where their server is"
)]
fn server() -> String {
    std::env::var("TEST_DATABASE_URL")
        .expect("TEST_DATABASE_URL is not set: run eval \"$(scripts/services env)\"")
}

fn url(server: &str, name: &str) -> String {
    let (base, query) = server.split_once('?').unwrap_or((server, ""));
    let (server, _) = base.rsplit_once('/').unwrap();
    format!("{server}/{name}?{query}")
}

/// One test for each sort of store.
macro_rules! on_every_store {
    ($($case:ident),+ $(,)?) => {
        mod memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
            async fn $case() { super::$case(&crate::stores::Place::memory()).await; })+
        }
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
            async fn $case() { super::$case(&crate::stores::Place::sqlite().await).await; })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
            async fn $case() {
                let place = crate::stores::Place::postgres().await;
                super::$case(&place).await;
                place.close().await;
            })+
        }
    };
}
pub(crate) use on_every_store;

/// Quick to retry, with leases that a test can outlive.
pub(crate) fn quick(queue: &str) -> BackendOptions {
    BackendOptions {
        lease: Duration::from_millis(600),
        poll: Duration::from_millis(100),
        backoff: Backoff::constant(Duration::from_millis(10)),
        deferred: Duration::from_millis(10),
        max_attempts: 3,
        ..BackendOptions::new(queue)
    }
}

pub(crate) fn backend<Args>(place: &Place, options: BackendOptions) -> WindlassBackend<Args> {
    WindlassBackend::with_options(place.open(), options).unwrap()
}

/// A new id, and the task that it names.
pub(crate) fn task<Args>(args: Args) -> (TaskId, apalis_core::task::Task<Args>) {
    let id = TaskId::Uuid(windlass::JobId::new().as_uuid());
    let builder = apalis_core::task::builder::TaskBuilder::new(args);
    (id.clone(), builder.task_id(id).build())
}

/// How a task ends.
pub(crate) async fn ended<Args, Output>(
    backend: &WindlassBackend<Args>,
    id: &TaskId,
) -> TaskResult<Output>
where
    Output: DeserializeOwned + Send + 'static,
{
    let mut results = backend.clone().wait_for_single(id.clone());
    let result = tokio::time::timeout(PATIENCE, results.next()).await;
    result.expect("the task did not end").unwrap().unwrap()
}

/// Waits until the queue has so many of a state.
pub(crate) async fn until(place: &Place, state: State, count: usize) {
    let store = place.open();
    let filter = Filter {
        states: vec![state],
        ..Filter::default()
    };
    let counted = async {
        loop {
            let found = store
                .list(&filter, Page::default(), None)
                .await
                .unwrap()
                .jobs;
            if found.len() == count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, counted)
        .await
        .unwrap_or_else(|_| panic!("never {count} {state}"));
}

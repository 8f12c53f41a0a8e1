use std::sync::Arc;

use async_trait::async_trait;
use windlass::db;
use windlass::store::Store;
use windlass::store::memory::MemoryStore;

use crate::fixture::Backend;

pub(crate) struct Memory {
    store: Arc<MemoryStore>,
    elsewhere: tempfile::TempDir,
}

#[async_trait]
impl Backend for Memory {
    async fn open() -> Self {
        Self {
            store: Arc::default(),
            elsewhere: tempfile::tempdir().unwrap(),
        }
    }

    async fn handle(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store) as _
    }

    async fn begin(&self) -> db::Tx {
        let path = self.elsewhere.path().join("callers.db");
        let database = db::Sqlite::new(path, &db::SqliteOptions::default());
        database.begin().await.unwrap()
    }

    async fn close(&self) {}
}

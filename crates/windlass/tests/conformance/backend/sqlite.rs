use std::sync::Arc;

use async_trait::async_trait;
use windlass::db;
use windlass::store::Store;
use windlass::store::sqlite::SqliteStore;

use crate::fixture::Backend;

/// A file of its own for each case.
pub(crate) struct Sqlite {
    folder: tempfile::TempDir,
}

impl Sqlite {
    /// Connections of its own, as another process would have them.
    fn store(&self) -> SqliteStore {
        let path = self.folder.path().join("jobs.db");
        SqliteStore::new(db::Sqlite::new(path, &db::SqliteOptions::default()))
    }
}

#[async_trait]
impl Backend for Sqlite {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let backend = Self { folder };
        backend.store().migrate().await.unwrap();
        backend
    }

    async fn handle(&self) -> Arc<dyn Store> {
        Arc::new(self.store())
    }

    async fn begin(&self) -> db::Tx {
        self.store().begin().await.unwrap()
    }

    async fn close(&self) {}
}

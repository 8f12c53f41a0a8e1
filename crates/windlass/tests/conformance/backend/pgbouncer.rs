use std::sync::Arc;

use async_trait::async_trait;
use windlass::db::{self, SettingsDelivery};
use windlass::store::Store;
use windlass::store::postgres::{PgStore, PgStoreOptions};

use super::Postgres;
use super::postgres::url;
use crate::fixture::Backend;

/// The same database, reached through a pooler of transactions.
pub(crate) struct PgBouncer(Postgres);

impl PgBouncer {
    pub(crate) fn url(&self) -> String {
        url(&server(), &self.0.database)
    }

    /// The way past it.
    pub(crate) fn direct_url(&self) -> String {
        self.0.url()
    }

    pub(crate) fn store(&self, options: &PgStoreOptions) -> PgStore {
        PgStore::connect(&self.url(), options).unwrap()
    }

    /// What an operator sets who has such a pooler.
    pub(crate) fn options(&self) -> PgStoreOptions {
        PgStoreOptions {
            settings: SettingsDelivery::Transaction,
            direct_url: Some(self.direct_url()),
            ..PgStoreOptions::default()
        }
    }
}

#[async_trait]
impl Backend for PgBouncer {
    async fn open() -> Self {
        Self(Postgres::open().await)
    }

    async fn handle(&self) -> Arc<dyn Store> {
        Arc::new(self.store(&self.options()))
    }

    async fn begin(&self) -> db::Tx {
        self.store(&self.options()).begin().await.unwrap()
    }

    async fn close(&self) {
        self.0.close().await;
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests are told where their server is"
)]
fn server() -> String {
    std::env::var("TEST_PGBOUNCER_URL")
        .expect("TEST_PGBOUNCER_URL is not set: run eval \"$(scripts/services env)\"")
}

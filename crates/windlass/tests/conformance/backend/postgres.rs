use std::sync::Arc;

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use uuid::Uuid;
use windlass::db;
use windlass::store::Store;
use windlass::store::postgres::{PgStore, PgStoreOptions};

use crate::fixture::Backend;

/// A database of its own for each case, copied from one that is migrated once per server and version
/// of the migrations.
pub(crate) struct Postgres {
    server: String,
    pub(super) database: String,
}

impl Postgres {
    /// Connections of its own, as another process would have them.
    pub(crate) fn store(&self) -> PgStore {
        PgStore::connect(&self.url(), &PgStoreOptions::default()).unwrap()
    }

    pub(crate) fn url(&self) -> String {
        url(&self.server, &self.database)
    }

    /// A connection as a caller has one, with settings of its own.
    pub(crate) async fn connection(&self) -> PgConnection {
        PgConnection::connect(&self.url()).await.unwrap()
    }
}

#[async_trait]
impl Backend for Postgres {
    async fn open() -> Self {
        let server = server();
        let template = template(&server).await;
        let database = format!("windlass_case_{}", Uuid::new_v4().simple());
        create(&server, &database, &template).await;
        Self { server, database }
    }

    async fn handle(&self) -> Arc<dyn Store> {
        Arc::new(self.store())
    }

    async fn begin(&self) -> db::Tx {
        self.store().begin().await.unwrap()
    }

    async fn close(&self) {
        let drop = format!("drop database {} with (force)", self.database);
        let mut connection = PgConnection::connect(&self.server).await.unwrap();
        // Safe: the name is made of letters and hexadecimal digits.
        connection.execute(AssertSqlSafe(drop)).await.unwrap();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests are told where their server is"
)]
fn server() -> String {
    std::env::var("TEST_DATABASE_URL")
        .expect("TEST_DATABASE_URL is not set: run eval \"$(scripts/services env)\"")
}

/// The name of the migrated database, made by whoever comes first.
async fn template(server: &str) -> String {
    let migrations = sqlx::migrate!("migrations/postgres");
    let checksums = migrations.iter().flat_map(|one| one.checksum.iter());
    let version = Uuid::from_u128(checksums.fold(0, |sum: u128, byte| {
        (sum ^ u128::from(*byte)).wrapping_mul(0x0100_0000_01b3_0000_0000_0000_013b)
    }));
    let name = format!("windlass_template_{}", version.simple());
    let mut connection = PgConnection::connect(server).await.unwrap();
    let mut tx = connection.begin().await.unwrap();
    sqlx::query("select pg_advisory_xact_lock(hashtext('windlass_template'))")
        .execute(&mut *tx)
        .await
        .unwrap();
    let there: bool =
        sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
            .bind(&name)
            .fetch_one(&mut *tx)
            .await
            .unwrap();
    if !there {
        let building = format!("{name}_building");
        let mut other = PgConnection::connect(server).await.unwrap();
        // Safe, all three: the names are made of letters and hexadecimal digits.
        let drop = format!("drop database if exists {building} with (force)");
        other.execute(AssertSqlSafe(drop)).await.unwrap();
        create(server, &building, "template0").await;
        let store = PgStore::connect(&url(server, &building), &PgStoreOptions::default()).unwrap();
        store.migrate().await.unwrap();
        drop_all_connections(&mut other, &building).await;
        let rename = format!("alter database {building} rename to {name}");
        other.execute(AssertSqlSafe(rename)).await.unwrap();
    }
    tx.commit().await.unwrap();
    name
}

async fn drop_all_connections(connection: &mut PgConnection, database: &str) {
    let none = format!("alter database {database} allow_connections false");
    // Safe: the name is made of letters and hexadecimal digits.
    connection.execute(AssertSqlSafe(none)).await.unwrap();
    sqlx::query("select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = $1")
        .bind(database)
        .execute(connection)
        .await
        .unwrap();
}

async fn create(server: &str, name: &str, template: &str) {
    let mut connection = PgConnection::connect(server).await.unwrap();
    let create = format!("create database {name} template {template}");
    // Safe: the names are made of letters and hexadecimal digits.
    connection.execute(AssertSqlSafe(create)).await.unwrap();
}

pub(super) fn url(server: &str, database: &str) -> String {
    let (base, query) = server.split_once('?').unwrap_or((server, ""));
    let (server, _) = base.rsplit_once('/').unwrap();
    format!("{server}/{database}?{query}")
}

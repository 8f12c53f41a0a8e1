//! An API over a real database, whose callers have credentials of their own.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request};
use metachat_jobs::api::PlatformAccess;
use metachat_jobs::compose::{self, Database};
use metachat_jobs::config::DatabaseOptions;
use metachat_jobs::records::{NewAccessKey, Role, Secret};
use serde_json::Value;
use uuid::Uuid;
use windlass::Client;
use windlass::db::Db;

use crate::api::{Answer, Api, kinds, platform_access};
use crate::support::{postgres, with_postgres};

/// A test for each database.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod on_postgres { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { $crate::api::access::rig::on_postgres(super::$name).await; })* }
        mod on_sqlite { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { $crate::api::access::rig::on_sqlite(super::$name).await; })* }
    };
}
pub(super) use on_both;

pub(super) struct Rig {
    pub(super) api: Api,
    pub(super) database: Database,
    /// The same database, for what only the platform itself writes.
    pub(super) raw: Db,
}

pub(super) async fn on_postgres<F>(test: impl FnOnce(Rig) -> F + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    with_postgres(async move |url| {
        let raw = postgres(&url, &[]);
        test(Rig::new(&url, raw).await).await;
    })
    .await;
}

pub(super) async fn on_sqlite<F>(test: impl FnOnce(Rig) -> F)
where
    F: Future<Output = ()>,
{
    let folder = tempfile::tempdir().unwrap();
    let raw = crate::support::sqlite(folder.path());
    let file = folder.path().join("platform.db");
    test(Rig::new(&format!("sqlite:{}", file.display()), raw).await).await;
}

impl Rig {
    async fn new(url: &str, raw: Db) -> Self {
        let options = DatabaseOptions {
            url: url.into(),
            max_connections: 4,
            statement_timeout_ms: 30_000,
            migrate: true,
        };
        let database = compose::open(&options).unwrap();
        compose::migrate(&database).await.unwrap();
        Self {
            api: another(&database),
            database,
            raw,
        }
    }

    /// A key of our own.
    pub(super) async fn key(&self, name: &str, role: Role, tenant: Option<&str>) -> String {
        let new = NewAccessKey {
            name,
            role,
            tenant,
            expires_in: None,
            by: "a test",
        };
        self.make(&new).await.unwrap().1.expose().to_owned()
    }

    /// A key as given, unless its name is taken.
    pub(super) async fn make(&self, new: &NewAccessKey<'_>) -> Option<(Uuid, Secret)> {
        let records = &self.database.records;
        let mut tx = records.begin().await.unwrap();
        let made = records.create_access_key(&mut tx, new).await.unwrap();
        tx.commit().await.unwrap();
        made
    }

    /// Ends a key. Its id, if there was one to end.
    pub(super) async fn revoke(&self, key: &str) -> Option<Uuid> {
        let records = &self.database.records;
        let mut tx = records.begin().await.unwrap();
        let revoked = records.revoke_access_key(&mut tx, key).await.unwrap();
        tx.commit().await.unwrap();
        revoked
    }

    /// A request with this key. A stream of events, which would never end, is refused for where it is to
    /// go on from.
    pub(super) async fn as_key(
        &self,
        key: &str,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Answer {
        self.api
            .send(request(
                method,
                path,
                &[("x-api-key", key), ("last-event-id", "none")],
                body,
            ))
            .await
    }

    /// Every operation there is: method, path, and what it asks for.
    pub(super) async fn operations(&self) -> Vec<(String, String, Value)> {
        let document = self.api.get("/openapi.json").await.json();
        let mut all = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let needs = operation["x-access"].clone();
                all.push((method.to_uppercase(), path.clone(), needs));
            }
        }
        all
    }
}

/// Another process over the same database.
pub(super) fn another(database: &Database) -> Api {
    let client = Client::new(database.store.clone()).with_catalogue(kinds());
    Api::of(client, Duration::from_secs(30), |state| {
        let access = PlatformAccess::new(database.platform.clone(), &platform_access());
        state
            .with_records(database.records.clone())
            .with_platform_access(access)
    })
}

pub(super) fn request(
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&Value>,
) -> Request<Body> {
    let method: Method = method.parse().unwrap();
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    match body {
        Some(body) => request
            .header("content-type", "application/json")
            .body(Body::from(body.to_string())),
        None => request.body(Body::empty()),
    }
    .unwrap()
}

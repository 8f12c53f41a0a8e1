//! The dashboard in a real browser, over a real store of each dialect.

mod actions;
mod decisions;
mod driver;
mod operators;
mod pages;
mod pictures;
mod roles;
mod seed;
mod tasks;
mod wire;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use metachat_jobs::api::{self, ApiState, Quarantine, SecurityOptions, ServerOptions};
use metachat_jobs::backups::Backups;
use metachat_jobs::platform::{Platform, Prepared};
use metachat_jobs::records::{NewQuarantined, Records};
use metachat_jobs::telemetry;
use metrics_exporter_prometheus::PrometheusHandle;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use windlass::db::Db;
use windlass::model::Schedule;
use windlass::store::postgres::{PgStore, PgStoreOptions};
use windlass::store::sqlite::SqliteStore;
use windlass::{Client, Context, Engine, EngineOptions, Job, Json, Outcome, Registry, Store};

use crate::api::platform_access;
use crate::support;
use driver::Browser;
use seed::{HOSTILE, Seeded, seed};

const KEY: &str = "a-key-of-the-browser-0123456789";
/// On this machine there is no TLS, and the cookie is called so.
const COOKIE: &str = "jobs-session";
const DESKTOP: (u32, u32) = (1280, 860);

/// Kinds that are enqueued and looked at; nothing here runs them.
macro_rules! kinds {
    ($registry:expr; $($name:ident = $kind:literal),*) => {{
        $(
            #[derive(Serialize, Deserialize)]
            struct $name(Value);
            impl Job for $name {
                const KIND: &'static str = $kind;
                type Services = ();
                async fn run(self, _: Context<()>) -> anyhow::Result<Outcome> {
                    Ok(Outcome::complete())
                }
            }
        )*
        $registry$(.register::<$name>())*
    }};
}

fn registry() -> Registry<()> {
    kinds!(Registry::new(()); ProcessMessage = "process_message", DeliverMessage = "deliver_message",
        DeliverWebhook = "deliver_webhook", IngestDocument = "ingest_document",
        AggregateAnalytics = "aggregate_analytics")
}

/// A dashboard over a seeded store.
struct House {
    url: String,
    store: Arc<dyn Store>,
    seeded: Seeded,
    records: Records,
    flow: String,
    stop: CancellationToken,
    engine: tokio::sync::Mutex<JoinHandle<()>>,
    api: JoinHandle<()>,
}

async fn on_postgres<F: Future<Output = ()> + Send + 'static>(
    test: impl FnOnce(Arc<House>) -> F + Send + 'static,
) {
    on_postgres_with(Backups::default(), test).await;
}

async fn on_postgres_with<F: Future<Output = ()> + Send + 'static>(
    backups: Backups,
    test: impl FnOnce(Arc<House>) -> F + Send + 'static,
) {
    support::with_postgres(async move |url| {
        let store = PgStore::connect(&url, &PgStoreOptions::default()).unwrap();
        let house = House::build(support::postgres(&url, &[]), Arc::new(store), backups).await;
        test(Arc::clone(&house)).await;
        house.close().await;
    })
    .await;
}

async fn on_sqlite<F: Future<Output = ()> + Send + 'static>(
    test: impl FnOnce(Arc<House>) -> F + Send + 'static,
) {
    on_sqlite_with(Backups::default(), test).await;
}

async fn on_sqlite_with<F: Future<Output = ()> + Send + 'static>(
    backups: Backups,
    test: impl FnOnce(Arc<House>) -> F + Send + 'static,
) {
    let folder = tempfile::tempdir().unwrap();
    let db = support::sqlite(folder.path());
    let Db::Sqlite(sqlite) = &db else {
        unreachable!("support::sqlite makes a SQLite database")
    };
    let store = SqliteStore::new(sqlite.clone());
    let house = House::build(db, Arc::new(store), backups).await;
    test(Arc::clone(&house)).await;
    house.close().await;
}

/// Runs each of these tests on both.
macro_rules! in_a_browser {
    ($($name:ident)+) => {
        mod sqlite { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)] async fn $name() {
            crate::browser::on_sqlite(async |house| super::$name(&house).await).await;
        })+ }
        mod postgres { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)] async fn $name() {
            crate::browser::on_postgres(async |house| super::$name(&house).await).await;
        })+ }
    };
}
use in_a_browser;

impl House {
    async fn build(db: Db, store: Arc<dyn Store>, backups: Backups) -> Arc<Self> {
        // As the program does; whoever was first in this process is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        store.migrate().await.unwrap();
        let records = Records::new(db.clone());
        records.prepare().await.unwrap();
        let platform = Platform::new(db);
        assert_eq!(platform.prepare().await.unwrap(), Prepared::Ours);
        let seeded = seed(&*store).await;
        let broken = NewQuarantined {
            tenant: Some("acme".into()),
            source: "tenant.acme.inbound".into(),
            reason: "message.id: is missing".into(),
            headers: json!({"x-from": HOSTILE}),
            body: HOSTILE.into(),
            body_bytes: HOSTILE.len() as u64,
        };
        records.quarantine(&broken).await.unwrap();

        let stop = CancellationToken::new();
        let options = EngineOptions {
            queues: Vec::new(),
            schedules: schedules(),
            ..EngineOptions::default()
        };
        let engine = Engine::new(Arc::clone(&store), registry(), options).unwrap();
        let client = engine.client();
        let engine = tokio::spawn(engine.run(stop.clone()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = state(&client, records.clone(), platform, &stop).with_backups(backups);
        let app = api::app(state);
        let serving = stop.clone();
        let api = tokio::spawn(async move {
            api::serve(listener, app, &ServerOptions::default(), serving)
                .await
                .unwrap();
        });
        let mut house = Self {
            url,
            store,
            seeded,
            records,
            flow: String::new(),
            stop,
            engine: engine.into(),
            api,
        };
        house.flow = house.start_flow().await;
        Arc::new(house)
    }

    async fn start_flow(&self) -> String {
        let step = |name: &str, after: &[&str]| json!({"name": name, "kind": "aggregate_analytics", "queue": "analytics", "args": {}, "after": after});
        let flow = json!({"name": "monthly_report", "tenant_id": "acme", "steps": [
            step("collect", &[]), step("sales", &["collect"]), step("support", &["collect"]),
            step("costs", &["collect"]), step("report", &["sales", "support", "costs"]), step("mail", &["report"]),
        ]});
        let answer = self.post("/v1/flows", flow).await;
        answer["id"].as_str().unwrap().to_owned()
    }

    /// The API's own word, beside what the browser shows.
    async fn get(&self, path: &str) -> Value {
        let request = reqwest::Client::new().get(format!("{}{path}", self.url));
        let answer = request.header("x-admin-key", KEY).send().await.unwrap();
        serde_json::from_str(&answer.text().await.unwrap()).unwrap()
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let request = reqwest::Client::new().post(format!("{}{path}", self.url));
        let request = request.header("x-admin-key", KEY).json(&body);
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {answer:?}");
        serde_json::from_str(&answer.text().await.unwrap()).unwrap()
    }

    /// How the API answers to whoever has this cookie.
    async fn shows(&self, cookie: &str) -> u16 {
        let request = reqwest::Client::new().get(format!("{}/v1/session", self.url));
        let request = request.header("cookie", format!("{COOKIE}={cookie}"));
        request.send().await.unwrap().status().as_u16()
    }

    /// Ends the browser's session, as its holder does from elsewhere.
    async fn end_session(&self, browser: &Browser) {
        let cookie = browser.cookie(COOKIE).await.unwrap();
        let request = reqwest::Client::new().delete(format!("{}/v1/session", self.url));
        let request = request.header("cookie", format!("{COOKIE}={cookie}"));
        let answer = request.header("origin", &self.url).send().await.unwrap();
        assert_eq!(answer.status(), 204);
    }

    /// Somebody at a desk, signed in.
    async fn operator(&self, name: &str) -> Browser {
        let browser = Browser::open(&self.url, DESKTOP).await;
        browser.sign_in(KEY, name).await;
        browser
    }

    /// Lets the engine end by itself: what it has open would keep the database from being dropped.
    async fn close(&self) {
        self.stop.cancel();
        self.api.abort();
        (&mut *self.engine.lock().await).await.unwrap();
    }
}

/// The page about the system shows what this process counts.
static METRICS: LazyLock<PrometheusHandle> = LazyLock::new(|| telemetry::install().unwrap());

fn state(
    client: &Client,
    records: Records,
    platform: Platform,
    stop: &CancellationToken,
) -> ApiState {
    let server = ServerOptions {
        bind: [127, 0, 0, 1].into(),
        port: 0,
        request_body_limit_bytes: 1 << 20,
        request_timeout_ms: 30_000,
        ..ServerOptions::default()
    };
    let security = SecurityOptions {
        admin_key: KEY.into(),
        platform: platform_access(),
    };
    let metrics = METRICS.clone();
    let quarantine = Quarantine {
        records: records.clone(),
        platform,
    };
    ApiState::new(client.clone(), &server, &security, metrics)
        .unwrap()
        // A page's event stream would go on reading from a database that is being dropped.
        .until(stop.clone(), &server)
        .with_late_after(Duration::from_mins(1))
        .with_quarantine(quarantine)
        .with_records(records)
}

fn schedules() -> Vec<Schedule> {
    let args = || Json::parse("{}").unwrap();
    [
        ("daily_analytics", "5 0 * * *"),
        ("weekly_report", "0 9 * * MON"),
        ("document_check", "10 2 * * *"),
    ]
    .map(|(name, cron)| Schedule::new(name, cron, "aggregate_analytics", args()))
    .to_vec()
}

//! A process' worth of parts on a fresh database, and ways to wait for what they do.

use std::sync::Arc;
use std::time::Duration;

use metachat_jobs::backups::Backups;
use metachat_jobs::jobs::{self, IngestDocument, MessageOptions, ProcessMessage, Services};
use metachat_jobs::platform::{
    ChannelType, Direction, Message, NewDocument, Platform, Prepared, Private, SecretKeys,
};
use metachat_jobs::records::Records;
use metachat_jobs::services::chunking::{ChunkOptions, Chunker};
use metachat_jobs::services::documents::{DocumentOptions, Documents};
use metachat_jobs::services::events::Events;
use metachat_jobs::services::graph::{Graph, GraphOptions};
use metachat_jobs::services::models::{ModelOptions, Models};
use metachat_jobs::services::notifier::Notifier;
use metachat_jobs::services::webhooks::{WebhookOptions, Webhooks};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use windlass::db::Db;
use windlass::store::postgres::{PgStore, PgStoreOptions};
use windlass::store::sqlite::SqliteStore;
use windlass::{Client, Engine, EngineOptions, JobId, JobRecord, Store};

use crate::support;

pub(crate) const TENANT: &str = "acme";
/// Longest wait for an event before a test is wrong.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Rig {
    pub(crate) db: Db,
    pub(crate) platform: Platform,
    pub(crate) records: Records,
    pub(crate) client: Client,
    /// Where uploaded files are.
    pub(crate) storage: tempfile::TempDir,
    stop: CancellationToken,
    engine: JoinHandle<()>,
}

/// What a process is told.
#[derive(Default)]
pub(crate) struct Setup {
    pub(crate) models: ModelOptions,
    pub(crate) messages: MessageOptions,
    pub(crate) graph: GraphOptions,
    pub(crate) webhooks: WebhookOptions,
    pub(crate) secret_keys: SecretKeys,
}

impl From<ModelOptions> for Setup {
    fn from(models: ModelOptions) -> Self {
        Self {
            models,
            ..Self::default()
        }
    }
}

/// Runs a test on a fresh database of each dialect.
pub(crate) async fn on_postgres<F: Future<Output = ()> + Send + 'static>(
    setup: impl Into<Setup>,
    test: impl FnOnce(Arc<Rig>) -> F + Send + 'static,
) {
    let setup = setup.into();
    support::with_postgres(async move |url| {
        let store = PgStore::connect(&url, &PgStoreOptions::default()).unwrap();
        let rig = Rig::start(support::postgres(&url, &[]), Arc::new(store), setup).await;
        test(Arc::clone(&rig)).await;
        rig.stop().await;
    })
    .await;
}

/// The same on SQLite.
pub(crate) async fn on_sqlite<F: Future<Output = ()> + Send + 'static>(
    setup: impl Into<Setup>,
    test: impl FnOnce(Arc<Rig>) -> F + Send + 'static,
) {
    let folder = tempfile::tempdir().unwrap();
    let db = support::sqlite(folder.path());
    let Db::Sqlite(sqlite) = &db else {
        unreachable!("support::sqlite makes a SQLite database")
    };
    let store = SqliteStore::new(sqlite.clone());
    let rig = Rig::start(db, Arc::new(store), setup.into()).await;
    test(Arc::clone(&rig)).await;
    rig.stop().await;
}

impl Rig {
    async fn start(db: Db, store: Arc<dyn Store>, setup: Setup) -> Arc<Self> {
        store.migrate().await.unwrap();
        let records = Records::new(db.clone());
        records.prepare().await.unwrap();
        // Every change of settings is seen at once.
        let platform = Platform::new(db.clone())
            .with_runtime_age(Duration::from_nanos(1))
            .with_secret_keys(setup.secret_keys);
        assert_eq!(platform.prepare().await.unwrap(), Prepared::Ours);
        let storage = tempfile::tempdir().unwrap();
        let documents = DocumentOptions {
            storage: storage.path().to_owned(),
            max_file_bytes: 1 << 20,
            ..DocumentOptions::default()
        };
        let services = Services {
            platform: platform.clone(),
            // Tenants' model servers are on this machine.
            models: Models::new(&ModelOptions {
                tenant_private_addresses: true,
                ..setup.models
            })
            .unwrap(),
            events: Events::default(),
            records: records.clone(),
            documents: Documents::new(&documents),
            messages: Arc::new(setup.messages),
            chunker: Arc::new(Chunker::new(ChunkOptions::default()).unwrap()),
            broker: None,
            socket_io: None,
            graph: Graph::new(&setup.graph).unwrap(),
            webhooks: Webhooks::new(&setup.webhooks).unwrap(),
            backups: Backups::default(),
            notifier: Notifier::default(),
        };
        let options = EngineOptions {
            queues: [
                "messages",
                "documents",
                "delivery",
                "webhooks",
                "analytics",
                "maintenance",
            ]
            .map(|q| (q.to_owned(), 8))
            .to_vec(),
            poll: Duration::from_millis(100),
            ..EngineOptions::default()
        };
        let engine = Engine::new(store, jobs::registry(services), options).unwrap();
        let (client, stop) = (engine.client(), CancellationToken::new());
        let engine = tokio::spawn(engine.run(stop.clone()));
        let rig = Arc::new(Self {
            db,
            platform,
            records,
            client,
            storage,
            stop,
            engine,
        });
        rig.create_tenant(TENANT, &json!({})).await;
        rig
    }

    async fn stop(self: Arc<Self>) {
        self.stop.cancel();
        let rig = Arc::into_inner(self).expect("the test ended and dropped its rig");
        tokio::time::timeout(PATIENCE, rig.engine)
            .await
            .expect("the engine did not stop")
            .unwrap();
    }

    pub(crate) async fn create_tenant(&self, id: &str, settings: &Value) {
        let mut all = json!({
            "brandName": "Acme", "enableRag": true,
            "ragConfig": {"topK": 3, "minSimilarity": 0.05},
        });
        let settings = settings.as_object().unwrap().clone();
        all.as_object_mut().unwrap().extend(settings);
        let mut tx = self.platform.begin(id).await.unwrap();
        self.platform
            .create_tenant(&mut tx, id, "Acme Ltd", &all)
            .await
            .unwrap();
        self.platform
            .create_channel(&mut tx, id, ChannelType::Webchat, &json!({}))
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }

    /// Changes these settings of a tenant, as the platform's dashboard does.
    pub(crate) async fn configure(&self, tenant: &str, settings: &Value) {
        let settings = settings.to_string();
        let mut tx = self.platform.begin(tenant).await.unwrap();
        if let Some(connection) = tx.postgres() {
            let statement = "update tenants set settings = settings || $2::jsonb where id = $1";
            let query = sqlx::query(statement).bind(tenant).bind(settings);
            query.execute(connection).await.unwrap();
        } else {
            let statement = "update tenants set settings = json_patch(settings, ?2) where id = ?1";
            let query = sqlx::query(statement).bind(tenant).bind(settings);
            query.execute(tx.sqlite().unwrap()).await.unwrap();
        }
        tx.commit().await.unwrap();
    }

    /// Stores a document and the job that indexes it, in one transaction; the job and the document.
    pub(crate) async fn add_document(&self, name: &str, text: &str) -> (JobId, String) {
        let document = NewDocument {
            name: name.to_owned(),
            mime_type: "text/markdown".to_owned(),
            content: Private::from(text),
            metadata: Private::default(),
        };
        let mut tx = self.platform.begin(TENANT).await.unwrap();
        let document_id = self
            .platform
            .insert_document(&mut tx, TENANT, &document)
            .await
            .unwrap();
        let ingest = IngestDocument {
            tenant_id: TENANT.to_owned(),
            document_id: document_id.clone(),
        };
        let job = self.client.enqueue_in(&mut tx, &ingest).await.unwrap().id();
        tx.commit().await.unwrap();
        (job, document_id)
    }

    pub(crate) async fn send(&self, tenant: &str, channel: &str, message: Value) -> JobId {
        let job = ProcessMessage {
            tenant_id: tenant.to_owned(),
            channel: channel.to_owned(),
            message: serde_json::from_value(message).unwrap(),
        };
        self.client.enqueue(&job).await.unwrap().id()
    }

    /// The same by web chat, with so many attempts.
    pub(crate) async fn send_once(&self, tenant: &str, message: Value, attempts: u16) -> JobId {
        let job = ProcessMessage {
            tenant_id: tenant.to_owned(),
            channel: "webchat".to_owned(),
            message: serde_json::from_value(message).unwrap(),
        };
        let mut job = self.client.prepare(&job).unwrap();
        job.max_attempts = attempts;
        self.client.insert(job).await.unwrap().id()
    }

    /// Revives a job that ended, as an operator does.
    pub(crate) async fn rerun(&self, job: JobId) {
        self.client.requeue(job, None).await.unwrap();
    }

    /// What a tenant said, in the order it was recorded.
    pub(crate) async fn outbound(&self, tenant: &str) -> Vec<String> {
        let mut tx = self.platform.begin(tenant).await.unwrap();
        let statement = "select cast(content as text) from messages where \"tenantId\" = $1 \
                         and direction = 'outbound' order by \"timestamp\", \"createdAt\"";
        let rows: Vec<String> = if let Some(connection) = tx.postgres() {
            let query = sqlx::query_scalar(statement).bind(tenant);
            query.fetch_all(connection).await.unwrap()
        } else {
            let query = sqlx::query_scalar(statement).bind(tenant);
            query.fetch_all(tx.sqlite().unwrap()).await.unwrap()
        };
        let text = |row: &String| {
            let content: Value = serde_json::from_str(row).unwrap();
            content["text"].as_str().unwrap().to_owned()
        };
        rows.iter().map(text).collect()
    }

    /// Waits until a job is as it should be.
    pub(crate) async fn until(&self, id: JobId, what: impl Fn(&JobRecord) -> bool) -> JobRecord {
        let mut pulse = tokio::time::interval(Duration::from_millis(5));
        let wait = async {
            loop {
                pulse.tick().await;
                let job = self
                    .client
                    .get(id, None)
                    .await
                    .unwrap()
                    .expect("the job is gone");
                if what(&job) {
                    return job;
                }
            }
        };
        tokio::time::timeout(PATIENCE, wait)
            .await
            .expect("the job did not get there")
    }

    pub(crate) async fn finished(&self, id: JobId) -> JobRecord {
        self.until(id, |job| job.state.is_finished()).await
    }

    /// The result of a job that completed.
    pub(crate) async fn result(&self, id: JobId) -> Value {
        let job = self.finished(id).await;
        let why = job
            .attempts
            .last()
            .and_then(|attempt| attempt.error.clone());
        job.result
            .unwrap_or_else(|| panic!("{} {:?}", job.state, why))
            .decode()
            .unwrap()
    }

    /// What stands in a conversation, oldest first: who wrote it, and what.
    pub(crate) async fn conversation(&self, id: &str) -> Vec<(Direction, String)> {
        let said = |m: &Message| (m.direction, m.text().unwrap_or_default().to_owned());
        self.platform
            .history(TENANT, id, 100)
            .await
            .unwrap()
            .iter()
            .map(said)
            .collect()
    }
}

pub(crate) fn text(id: &str, from: &str, words: &str) -> Value {
    json!({"id": id, "from": from, "type": "text", "content": {"text": words}})
}

//! A tenant of its own on the shared broker, a database of its own, and the intake between them.

use std::sync::Arc;
use std::time::Duration;

use lapin::options::{
    BasicPublishOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
    QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind};
use metachat_jobs::backups::Backups;
use metachat_jobs::ingress::rabbitmq::{Intake, IntakeOptions, Topology};
use metachat_jobs::jobs::{self, ProcessMessage, Services};
use metachat_jobs::platform::{ChannelType, Platform, Prepared};
use metachat_jobs::records::{QuarantineFilter, Quarantined, Records};
use metachat_jobs::services::broker::{Broker, BrokerOptions};
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
use uuid::Uuid;
use windlass::model::{Filter, Page};
use windlass::store::postgres::{PgStore, PgStoreOptions};
use windlass::store::sqlite::SqliteStore;
use windlass::{Client, JobRecord, Store};

use crate::support;

/// Longest wait for an event before a test is wrong.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct Rig {
    pub(super) platform: Platform,
    pub(super) records: Records,
    pub(super) client: Client,
    pub(super) broker: Broker,
    pub(super) services: Services,
    /// Of the database.
    pub(super) url: String,
    /// Unlike every other test's.
    pub(super) tenant: String,
    pub(super) amqp: Channel,
    connection: Connection,
}

/// The shared broker.
#[expect(
    clippy::disallowed_methods,
    reason = "tests are told where their server is"
)]
pub(crate) fn server() -> String {
    std::env::var("TEST_AMQP_URL")
        .expect("TEST_AMQP_URL is not set: run eval \"$(scripts/services env)\"")
}

pub(super) fn broker(url: &str) -> Broker {
    Broker::new(&BrokerOptions {
        url: url.to_owned().into(),
        events: format!("events-{}", Uuid::new_v4().simple()),
        timeout: Duration::from_secs(10),
        longest_pause: Duration::from_millis(500),
    })
    .unwrap()
}

/// Runs a test on PostgreSQL, with a tenant that has a web chat.
pub(super) async fn on_postgres<F: Future<Output = ()>>(
    test: impl FnOnce(Arc<Rig>) -> F + Send + 'static,
) {
    support::with_postgres(async move |url| {
        // On this thread: what waits for something to become true need not be able to move.
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                let store = PgStore::connect(&url, &PgStoreOptions::default()).unwrap();
                let db = support::postgres(&url, &[]);
                let rig = Arc::new(Rig::new(url.clone(), db, Arc::new(store)).await);
                test(Arc::clone(&rig)).await;
                rig.clean_up().await;
            });
        });
    })
    .await;
}

/// The same on SQLite.
pub(super) async fn on_sqlite<F: Future<Output = ()>>(test: impl FnOnce(Arc<Rig>) -> F) {
    let folder = tempfile::tempdir().unwrap();
    let db = support::sqlite(folder.path());
    let windlass::db::Db::Sqlite(sqlite) = &db else {
        unreachable!("support::sqlite makes a SQLite database")
    };
    let store = Arc::new(SqliteStore::new(sqlite.clone()));
    let url = format!("sqlite:{}", sqlite.path().display());
    let rig = Arc::new(Rig::new(url, db.clone(), store).await);
    test(Arc::clone(&rig)).await;
    rig.clean_up().await;
}

impl Rig {
    async fn new(url: String, db: windlass::db::Db, store: Arc<dyn Store>) -> Self {
        store.migrate().await.unwrap();
        let records = Records::new(db.clone());
        records.prepare().await.unwrap();
        let platform = Platform::new(db);
        assert_eq!(platform.prepare().await.unwrap(), Prepared::Ours);
        let broker = broker(&server());
        let services = Services {
            platform: platform.clone(),
            models: Models::new(&ModelOptions::default()).unwrap(),
            events: Events::default(),
            chunker: Arc::new(Chunker::new(ChunkOptions::default()).unwrap()),
            documents: Documents::new(&DocumentOptions::default()),
            records: records.clone(),
            messages: Arc::default(),
            broker: Some(broker.clone()),
            socket_io: None,
            graph: Graph::new(&GraphOptions::default()).unwrap(),
            webhooks: Webhooks::new(&WebhookOptions::default()).unwrap(),
            backups: Backups::default(),
            notifier: Notifier::default(),
        };
        let catalogue = jobs::registry(services.clone()).catalogue();
        let connection = Connection::connect(&server(), ConnectionProperties::default())
            .await
            .unwrap();
        let rig = Self {
            client: Client::new(store).with_catalogue(catalogue),
            platform,
            url,
            records,
            broker,
            services,
            tenant: format!("t{}", Uuid::new_v4().simple()),
            amqp: connection.create_channel().await.unwrap(),
            connection,
        };
        rig.create_tenant(&rig.tenant, &json!({})).await;
        rig.create_channel(&rig.tenant, ChannelType::Webchat).await;
        rig
    }

    pub(super) async fn create_tenant(&self, id: &str, settings: &Value) {
        let mut tx = self.platform.begin(id).await.unwrap();
        let made = self.platform.create_tenant(&mut tx, id, "Acme", settings);
        made.await.unwrap();
        tx.commit().await.unwrap();
    }

    pub(super) async fn create_channel(&self, tenant: &str, channel: ChannelType) {
        let mut tx = self.platform.begin(tenant).await.unwrap();
        let config = json!({});
        let platform = &self.platform;
        let made = platform.create_channel(&mut tx, tenant, channel, &config);
        made.await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Starts to take messages in, by the given way to the broker.
    pub(super) fn start_with(&self, broker: Broker) -> Running {
        let intake = Intake {
            broker,
            client: self.client.clone(),
            platform: self.platform.clone(),
            records: self.records.clone(),
            options: IntakeOptions {
                lock: format!("lock-{}", self.tenant),
                topology: Topology::Platform,
                prefetch: 20,
                batch: 50,
                refresh: Duration::from_millis(100),
                kept_body: 1024 * 1024,
            },
        };
        let stop = CancellationToken::new();
        Running {
            task: tokio::spawn(intake.run(stop.clone())),
            stop,
        }
    }

    pub(super) fn start(&self) -> Running {
        self.start_with(self.broker.clone())
    }

    pub(super) fn queue(&self) -> String {
        work_queue(&self.tenant, "webchat")
    }

    /// Publishes as the platform's API does.
    pub(super) async fn publish(&self, body: &[u8], properties: BasicProperties) {
        self.publish_to(&self.tenant, "webchat", body, properties)
            .await;
    }

    pub(super) async fn publish_to(
        &self,
        tenant: &str,
        channel: &str,
        body: &[u8],
        properties: BasicProperties,
    ) {
        assert_topology(&self.amqp, tenant, channel).await;
        let key = format!("tenant.{tenant}.channel.{channel}.inbound");
        publish(&self.amqp, "metachat.orchestrator", &key, body, properties).await;
    }

    pub(super) async fn send(&self, message: &Value) {
        let envelope = json!({"type": "message.received", "message": message});
        self.publish(envelope.to_string().as_bytes(), persistent())
            .await;
    }

    /// The tenant's jobs that answer messages, oldest first.
    pub(super) async fn jobs(&self) -> Vec<JobRecord> {
        self.jobs_of(&self.tenant).await
    }

    pub(super) async fn jobs_of(&self, tenant: &str) -> Vec<JobRecord> {
        let filter = Filter {
            tenant_id: Some(tenant.to_owned()),
            ..Filter::default()
        };
        let page = Page {
            limit: 1000,
            ..Page::default()
        };
        let mut jobs = self.client.list(&filter, page).await.unwrap();
        jobs.reverse();
        jobs
    }

    pub(super) async fn quarantine(&self) -> Vec<Quarantined> {
        let filter = QuarantineFilter {
            tenant: Some(self.tenant.clone()),
            limit: 100,
            before: None,
        };
        self.records.list_quarantined(&filter).await.unwrap()
    }

    /// Messages and consumers of a queue.
    pub(super) async fn depth(&self, queue: &str) -> (u32, u32) {
        let options = QueueDeclareOptions::durable().passive();
        let declared = self
            .amqp
            .queue_declare(queue.into(), options, FieldTable::default())
            .await
            .unwrap();
        (declared.message_count(), declared.consumer_count())
    }

    pub(super) async fn delete(&self, queue: &str) {
        // One that is not there is deleted already.
        let options = QueueDeleteOptions::default();
        self.amqp.queue_delete(queue.into(), options).await.unwrap();
    }

    /// Leaves nothing behind on the shared broker.
    async fn clean_up(&self) {
        for queue in [
            self.queue(),
            format!("{}.dead-letter", self.queue()),
            format!("lock-{}", self.tenant),
        ] {
            self.delete(&queue).await;
        }
    }
}

/// An intake that runs.
pub(super) struct Running {
    pub(super) stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    pub(super) async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.task)
            .await
            .expect("the intake did not stop")
            .unwrap();
    }
}

/// Waits until something is so.
pub(super) async fn until(what: &str, mut is: impl AsyncFnMut() -> bool) {
    let mut pulse = tokio::time::interval(Duration::from_millis(20));
    let wait = async {
        while !is().await {
            pulse.tick().await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, wait).await;
    assert!(waited.is_ok(), "it did not come to pass: {what}");
}

pub(crate) fn work_queue(tenant: &str, channel: &str) -> String {
    format!("tenant.{tenant}.channel.{channel}.inbound.queue")
}

pub(super) fn persistent() -> BasicProperties {
    BasicProperties::default()
        .with_delivery_mode(2)
        .with_content_type("application/json".into())
        .with_headers(FieldTable::default())
}

pub(super) fn text(id: &str, from: &str, words: &str) -> Value {
    json!({"id": id, "externalId": id, "from": from, "type": "text", "content": {"text": words}})
}

/// The external id of the message that a job answers.
pub(super) fn external_id(job: &JobRecord) -> String {
    let args: ProcessMessage = job.args.decode().unwrap();
    args.message.external_id().unwrap().to_owned()
}

/// What `assertTopology` of the platform's publisher declares, in its words.
pub(crate) async fn assert_topology(amqp: &Channel, tenant: &str, channel: &str) {
    let queue = work_queue(tenant, channel);
    let durable = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    for exchange in ["metachat.orchestrator", "metachat.dlx"] {
        let declared = amqp.exchange_declare(
            exchange.into(),
            ExchangeKind::Topic,
            durable,
            FieldTable::default(),
        );
        declared.await.unwrap();
    }
    let mut arguments = FieldTable::default();
    let text = |text: &str| AMQPValue::LongString(text.into());
    arguments.insert("x-dead-letter-exchange".into(), text("metachat.dlx"));
    arguments.insert(
        "x-dead-letter-routing-key".into(),
        text(&format!("{queue}.dlq")),
    );
    let dead = format!("{queue}.dead-letter");
    let key = format!("tenant.{tenant}.channel.{channel}.inbound");
    let dead_key = format!("{queue}.dlq");
    for (name, arguments, exchange, key) in [
        (&queue, arguments, "metachat.orchestrator", &key),
        (&dead, FieldTable::default(), "metachat.dlx", &dead_key),
    ] {
        let options = QueueDeclareOptions::durable();
        amqp.queue_declare(name.as_str().into(), options, arguments)
            .await
            .unwrap();
        amqp.queue_bind(
            name.as_str().into(),
            exchange.into(),
            key.as_str().into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await
        .unwrap();
    }
}

pub(super) async fn publish(
    amqp: &Channel,
    exchange: &str,
    key: &str,
    body: &[u8],
    properties: BasicProperties,
) {
    let options = BasicPublishOptions::default();
    let sent = amqp.basic_publish(exchange.into(), key.into(), options, body, properties);
    let _not_requested = sent.await.unwrap().await.unwrap();
}

impl Rig {
    /// How many read a queue that may not be there yet.
    pub(super) async fn depth_of(&self, queue: &str) -> Option<u32> {
        // A question about what is not there closes the channel it is asked on.
        let amqp = self.connection.create_channel().await.unwrap();
        let options = QueueDeclareOptions::durable().passive();
        let declared = amqp
            .queue_declare(queue.into(), options, FieldTable::default())
            .await;
        declared.ok().map(|queue| queue.consumer_count())
    }
}

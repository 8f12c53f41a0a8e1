//! Thousands of messages from the broker while everything breaks: workers are killed, RabbitMQ is stopped
//! and killed, connections are cut. Every message is answered once and in order, none is lost.
//!
//! A small number in every run; ten thousand with `CHAOS=full`.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use metachat_jobs::platform::{Platform, Prepared};
use sqlx::{AssertSqlSafe, PgPool};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use windlass::db::{Db, Postgres, PostgresOptions};

use super::database::Server;
use super::model::Model;
use super::process::Process;
use super::publisher::Publisher;
use super::rabbitmq::RabbitMq;

const PATIENCE: Duration = Duration::from_mins(5);
const LEASE: Duration = Duration::from_secs(2);

/// What the platform's database is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Variant {
    Plain,
    Partitioned,
    RowSecurity,
}

/// How much there is of everything.
struct Size {
    tenants: usize,
    /// Of each tenant.
    conversations: usize,
    /// Of each conversation.
    messages: usize,
}

impl Size {
    fn chosen() -> Self {
        if super::database::is_full() {
            Self {
                tenants: 50,
                conversations: 10,
                messages: 20,
            }
        } else {
            Self {
                tenants: 10,
                conversations: 5,
                messages: 20,
            }
        }
    }

    fn total(&self) -> usize {
        self.tenants * self.conversations * self.messages
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_message_is_answered_once_and_in_order_on_plain_tables() {
    survive(Variant::Plain).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_message_is_answered_once_and_in_order_on_partitioned_tables() {
    survive(Variant::Partitioned).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_message_is_answered_once_and_in_order_under_row_security() {
    survive(Variant::RowSecurity).await;
}

#[expect(
    clippy::print_stderr,
    reason = "how long it took, for whoever runs it by hand"
)]
async fn survive(variant: Variant) {
    let size = Size::chosen();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start();
    let (pool, url) = make_platform(&server, variant, &size).await;
    let mut rabbitmq = RabbitMq::start().await;
    let proxy = Proxy::to(&rabbitmq.address()).await;
    let (model_url, _model) = Model::start(Duration::ZERO).await;
    let amqp = format!("amqp://guest:guest@{}/%2f", proxy.address);
    let lease = LEASE.as_millis().to_string();
    let settings = [
        ("database.url", url.as_str()),
        ("security.admin_key", "a-key-for-this-test-only"),
        ("server.port", "0"),
        ("engine.lease_ms", lease.as_str()),
        // Chance may hit one message more than three times: that is another promise's test.
        ("engine.max_crashes", "50"),
        ("rabbitmq.url", amqp.as_str()),
        ("rabbitmq.refresh_ms", "1000"),
        ("rabbitmq.reconnect_max_ms", "500"),
        ("models.model", "ollama"),
        ("models.ollama.base_url", model_url.as_str()),
    ];
    // Somebody must be left to notice.
    let mut scheduler = Process::start("scheduler", folder.path(), &settings);
    let start = || Process::start("worker", folder.path(), &settings);
    let mut workers = [start(), start()];

    let publisher = Publisher::new(
        &rabbitmq.url(),
        folder.path(),
        size.tenants,
        size.conversations,
    );
    let began = Instant::now();
    let mut publisher = Some(publisher);
    let share = size.total() / 10;
    // A tenth of the messages is published while each of these happens, and those before are answered.
    for (round, fault) in FAULTS.into_iter().enumerate() {
        let publishing = publisher.take().expect("it came back");
        let publishing = tokio::spawn(publishing.publish(share));
        let some = round * share + share / 4;
        answered_at_least(&pool, some, &workers).await;
        match fault {
            Fault::None => {}
            Fault::Kill(worker) => {
                workers[worker].kill();
                workers[worker] = start();
            }
            Fault::KillBoth => {
                workers.iter_mut().for_each(Process::kill);
                workers = [start(), start()];
            }
            Fault::Cut => proxy.cut(),
            Fault::Restart => {
                rabbitmq.stop();
                rabbitmq.up().await;
            }
            Fault::Crash => {
                rabbitmq.kill();
                rabbitmq.up().await;
            }
        }
        let done = tokio::time::timeout(PATIENCE, publishing).await;
        publisher = Some(done.expect("publishing is stuck").unwrap());
    }
    answered_at_least(&pool, size.total(), &workers).await;
    let took = began.elapsed();
    check(&pool, &size).await;
    empty_queues(&rabbitmq.url(), &size).await;
    for process in workers.iter_mut().chain([&mut scheduler]) {
        process.signal("TERM");
        assert!(process.wait().success(), "{}", process.log());
    }
    // What was being finished as the processes stopped has changed nothing.
    check(&pool, &size).await;
    eprintln!(
        "{variant:?}: {} messages of {} tenants in {took:?} with every fault",
        size.total(),
        size.tenants
    );
}

/// What happens in the middle of each tenth.
#[derive(Debug, Clone, Copy)]
enum Fault {
    None,
    Kill(usize),
    KillBoth,
    Cut,
    Restart,
    Crash,
}

const FAULTS: [Fault; 10] = [
    Fault::None,
    Fault::Kill(0),
    Fault::Cut,
    Fault::Restart,
    Fault::Kill(1),
    Fault::KillBoth,
    Fault::Crash,
    Fault::Cut,
    Fault::Kill(0),
    Fault::KillBoth,
];

/// An existing platform's database: not made by us as far as anyone can tell, with its tenants.
async fn make_platform(server: &Server, variant: Variant, size: &Size) -> (PgPool, String) {
    let url = server.url();
    let db = Postgres::new(&url, &PostgresOptions::default()).unwrap();
    let platform = Platform::new(Db::Postgres(db.clone()));
    assert_eq!(platform.prepare().await.unwrap(), Prepared::Ours);
    let pool = db.pool().clone();
    run(&pool, "drop table _platform_migrations".to_owned()).await;
    let tenants = format!(
        r#"insert into tenants (id, name, "updatedAt") select 't' || n, 'Tenant ' || n, now() from generate_series(0, {last}) n;
        insert into channels (id, "tenantId", type, config, "updatedAt")
            select 'channel' || n, 't' || n, 'webchat', '{{}}', now() from generate_series(0, {last}) n;
        insert into tenant_api_keys (id, "tenantId", prefix, hash, salt, "lastFour", "updatedAt")
            select 'key' || n, 't' || n, 'p', 'h', 's', 'l', now() from generate_series(0, {last}) n"#,
        last = size.tenants - 1
    );
    run(&pool, tenants).await;
    match variant {
        Variant::Plain => (pool, url),
        Variant::Partitioned => {
            run(&pool, include_str!("platform/partitioned.sql").to_owned()).await;
            (pool, url)
        }
        Variant::RowSecurity => {
            let sql = include_str!("platform/row_security.sql").to_owned();
            run(&pool, sql).await;
            let app = url.replace("postgres://postgres@", "postgres://app@");
            assert_ne!(app, url);
            // The superuser's connections see everything, whatever row security says.
            (pool, app)
        }
    }
}

async fn run(pool: &PgPool, sql: String) {
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(pool)
        .await
        .unwrap();
}

const ANSWERED: &str = "select count(*) from messages where direction = 'outbound'";

async fn answered_at_least(pool: &PgPool, count: usize, workers: &[Process]) {
    let mut pulse = tokio::time::interval(Duration::from_millis(50));
    let mut so_far = 0;
    let wait = async {
        loop {
            pulse.tick().await;
            so_far = sqlx::query_scalar::<_, i64>(ANSWERED)
                .fetch_one(pool)
                .await
                .unwrap();
            if usize::try_from(so_far).unwrap() >= count {
                return;
            }
        }
    };
    if tokio::time::timeout(PATIENCE, wait).await.is_err() {
        let logs: Vec<String> = workers.iter().map(Process::log).collect();
        panic!("{so_far} of {count} answered after {PATIENCE:?}: {logs:#?}");
    }
}

/// One inbound and one outbound row for each message, answered in the order of the conversation.
async fn check(pool: &PgPool, size: &Size) {
    const INBOUND: &str =
        r#"select "externalId", count(*) from messages where direction = 'inbound' group by 1"#;
    const OUTBOUND: &str = r#"select content ->> 'text' from messages where direction = 'outbound' order by "timestamp", id"#;
    let inbound: Vec<(String, i64)> = sqlx::query_as(INBOUND).fetch_all(pool).await.unwrap();
    let inbound: HashMap<String, i64> = inbound.into_iter().collect();
    let outbound: Vec<String> = sqlx::query_scalar(OUTBOUND).fetch_all(pool).await.unwrap();
    let mut conversations: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for text in &outbound {
        let external = text
            .strip_prefix("answer to ")
            .unwrap_or_else(|| panic!("{text}"));
        let (conversation, turn) = external.rsplit_once('.').unwrap();
        let turns = conversations.entry(conversation.to_owned()).or_default();
        turns.push(turn.parse().unwrap());
    }
    assert_eq!(conversations.len(), size.tenants * size.conversations);
    let expected: Vec<usize> = (0..size.messages).collect();
    for (conversation, turns) in &conversations {
        assert_eq!(
            turns, &expected,
            "{conversation}: answered once each, in order"
        );
        for turn in &expected {
            let external = format!("{conversation}.{turn}");
            assert_eq!(inbound.get(&external), Some(&1), "{external}: inbound rows");
        }
    }
    assert_eq!(inbound.len(), size.total(), "no other inbound row");
    assert_eq!(outbound.len(), size.total(), "no other answer");
}

/// Nothing waits in a work queue, and nothing has been given up.
async fn empty_queues(url: &str, size: &Size) {
    let properties = lapin::ConnectionProperties::default();
    let connection = lapin::Connection::connect(url, properties).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    for tenant in 0..size.tenants {
        let queue = format!("tenant.t{tenant}.channel.webchat.inbound.queue");
        for name in [queue.clone(), format!("{queue}.dead-letter")] {
            let declared = metachat_jobs::services::broker::topology::existing(&channel, &name);
            assert_eq!(declared.await.unwrap().message_count(), 0, "{name}");
        }
    }
    connection.close(200, "done".into()).await.unwrap();
}

/// A way to the broker that can be cut.
struct Proxy {
    address: SocketAddr,
    connections: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl Proxy {
    async fn to(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::<Mutex<Vec<JoinHandle<()>>>>::default();
        let (kept, server) = (Arc::clone(&connections), server.to_owned());
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let server = server.clone();
                let carried = tokio::spawn(async move {
                    if let Ok(mut upstream) = TcpStream::connect(server).await {
                        // However it ends: that is what is tested.
                        drop(tokio::io::copy_bidirectional(&mut client, &mut upstream).await);
                    }
                });
                kept.lock().unwrap().push(carried);
            }
        });
        Self {
            address,
            connections,
        }
    }

    /// Cuts every connection.
    fn cut(&self) {
        for connection in self.connections.lock().unwrap().drain(..) {
            connection.abort();
        }
    }
}

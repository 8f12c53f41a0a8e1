//! How many messages a second go through the whole pipeline: enqueue, `process_message`,
//! `deliver_message`, on PostgreSQL.
//!
//! ```sh
//! eval "$(scripts/services env)"
//! cargo bench --bench messages                # all three parts
//! cargo bench --bench messages -- offline 20000       # the offline model
//! cargo bench --bench messages -- documents 20000     # the same, answering from documents
//! cargo bench --bench messages -- served 6000 64      # a model server of 200 ms a call
//! ```
//!
//! One process enqueues, works and, in the last part, is the model server too; PostgreSQL shares the
//! machine. Everything is as the program's defaults have it, in a database of its own. At the end every
//! message must have one answer and one delivery.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench that cannot go on has failed; it prints, and has no config to read from"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use metachat_jobs::compose;
use metachat_jobs::config::{Config, Sources};
use metachat_jobs::jobs::{IngestDocument, ProcessMessage};
use metachat_jobs::platform::{ChannelType, NewDocument};
use serde_json::{Value, json};
use sqlx::migrate::MigrateDatabase;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use windlass::{Client, Engine, NewJob};

const TENANTS: usize = 50;
const CONVERSATIONS: usize = 2000;
/// Messages enqueued in one transaction, as a door takes them in.
const BATCH: usize = 100;
/// What every tenant's documents say.
const DOCUMENTS: [(&str, &str); 4] = [
    (
        "hours.txt",
        "We open at nine on Mondays to Fridays, and at ten on Saturdays. On Sundays we are closed.",
    ),
    (
        "pets.txt",
        "You may bring your dog if it is on a lead. Cats are to stay in their box.",
    ),
    (
        "returns.txt",
        "What you bought can be returned within thirty days, with its receipt and unused.",
    ),
    (
        "parking.txt",
        "There are forty places behind the house. The first hour is free, the next two euros.",
    ),
];
/// What a call of the model server takes.
const CALL: Duration = Duration::from_millis(200);
/// Longer, and the run is stuck.
const PATIENCE: Duration = Duration::from_secs(110);

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let number = |n: usize, default| {
        arguments
            .get(n)
            .map_or(default, |text| text.parse().unwrap())
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let part = arguments.first().map(String::as_str);
    if part.is_none_or(|part| part == "offline") {
        let messages = number(1, 20_000);
        let rate = runtime.block_on(run(messages, Part::Offline));
        println!("offline model: {rate:.0} messages/s ({messages} messages)");
    }
    if part.is_none_or(|part| part == "documents") {
        let messages = number(1, 20_000);
        let rate = runtime.block_on(run(messages, Part::Documents));
        println!(
            "offline model, {} documents a tenant: {rate:.0} messages/s ({messages} messages)",
            DOCUMENTS.len()
        );
    }
    if part.is_none_or(|part| part == "served") {
        let (messages, at_once) = (number(1, 6_000), number(2, 64));
        let rate = runtime.block_on(run(messages, Part::Served { at_once }));
        #[expect(clippy::cast_precision_loss, reason = "a number of calls")]
        let bound = at_once as f64 / CALL.as_secs_f64();
        let share = 100.0 * rate / bound;
        println!(
            "model server, {at_once} calls at once of {CALL:?}: {rate:.0} messages/s, {share:.0} % of \
             its {bound:.0} ({messages} messages)"
        );
    }
}

#[derive(Debug, Clone, Copy)]
enum Part {
    Offline,
    Documents,
    Served { at_once: usize },
}

/// Messages a second.
async fn run(messages: usize, part: Part) -> f64 {
    let url = fresh_url();
    sqlx::Postgres::create_database(&url).await.unwrap();
    let rate = tokio::spawn(measure(url.clone(), messages, part)).await;
    sqlx::Postgres::force_drop_database(&url).await.unwrap();
    rate.unwrap()
}

async fn measure(url: String, messages: usize, part: Part) -> f64 {
    let mut flags = vec![("database.url".to_owned(), url)];
    let documents = matches!(part, Part::Documents);
    let mut settings = json!({"brandName": "Acme", "enableRag": documents});
    if let Part::Served { at_once } = part {
        flags.push(("models.max_calls_per_host".to_owned(), at_once.to_string()));
        flags.push((
            "models.tenant_private_addresses".to_owned(),
            "true".to_owned(),
        ));
        let address = serve(at_once).await;
        let llm = json!({"provider": "openai", "model": "m", "apiKey": "k", "baseUrl": address});
        settings["llm"] = llm;
    }
    let sources = Sources {
        environment: BTreeMap::new(),
        flags,
        file: None,
    };
    let config = Config::load(&sources).unwrap();
    let database = compose::open(&config.database).unwrap();
    compose::migrate(&database).await.unwrap();
    for n in 0..TENANTS {
        let tenant = tenant(n);
        let mut tx = database.platform.begin(&tenant).await.unwrap();
        let created = database
            .platform
            .create_tenant(&mut tx, &tenant, "Acme", &settings);
        created.await.unwrap();
        let platform = &database.platform;
        platform
            .create_channel(&mut tx, &tenant, ChannelType::Webchat, &json!({}))
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }
    let services = compose::services(&config, &database).unwrap();
    let registry = compose::registry(&config, services).unwrap();
    let options = compose::engine_options(&config).unwrap();
    let engine = Engine::new(Arc::clone(&database.store), registry, options).unwrap();
    let (client, stop) = (engine.client(), CancellationToken::new());
    let engine = tokio::spawn(engine.run(stop.clone()));

    let pool = sqlx::PgPool::connect(&sources.flags[0].1).await.unwrap();
    if documents {
        index(&database, &client).await;
        wait(&pool, "ingest_document", TENANTS * DOCUMENTS.len()).await;
    }
    let began = Instant::now();
    for batch in (0..messages).collect::<Vec<_>>().chunks(BATCH) {
        let jobs: Vec<NewJob> = batch.iter().map(|n| message(&client, *n)).collect();
        client.insert_many(&jobs).await.unwrap();
    }
    let enqueued = began.elapsed();
    wait(&pool, "deliver_message", messages).await;
    let took = began.elapsed();
    println!("enqueued in {enqueued:.1?}, delivered in {took:.1?}");
    let answers = "select count(*) from messages where direction = 'outbound'";
    let answers: i64 = sqlx::query_scalar(answers).fetch_one(&pool).await.unwrap();
    assert_eq!(
        usize::try_from(answers).unwrap(),
        messages,
        "one answer each"
    );
    let grounded = "select count(*) from message_metrics where rag_used";
    let grounded: i64 = sqlx::query_scalar(grounded).fetch_one(&pool).await.unwrap();
    let expected = if documents { messages } else { 0 };
    assert_eq!(usize::try_from(grounded).unwrap(), expected);
    pool.close().await;
    stop.cancel();
    engine.await.unwrap();
    #[expect(clippy::cast_precision_loss, reason = "a number of messages")]
    let rate = messages as f64 / took.as_secs_f64();
    rate
}

/// Waits until so many jobs of a kind are done.
async fn wait(pool: &sqlx::PgPool, kind: &str, jobs: usize) {
    let began = Instant::now();
    let done = "select count(*) from jobs.completed_jobs where kind = $1";
    loop {
        let done: i64 = sqlx::query_scalar(done)
            .bind(kind)
            .fetch_one(pool)
            .await
            .unwrap();
        if usize::try_from(done).unwrap() >= jobs {
            return;
        }
        assert!(
            began.elapsed() < PATIENCE,
            "only {done} of {jobs} {kind} jobs are done"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Gives every tenant its documents.
async fn index(database: &compose::Database, client: &Client) {
    for tenant in (0..TENANTS).map(tenant) {
        let platform = &database.platform;
        for (name, text) in DOCUMENTS {
            let mut tx = platform.begin(&tenant).await.unwrap();
            let new = NewDocument {
                name: name.into(),
                mime_type: "text/plain".into(),
                content: text.into(),
                metadata: serde_json::Map::new().into(),
            };
            let inserted = platform.insert_document(&mut tx, &tenant, &new).await;
            let ingest = IngestDocument {
                tenant_id: tenant.clone(),
                document_id: inserted.unwrap(),
            };
            client.enqueue_in(&mut tx, &ingest).await.unwrap();
            tx.commit().await.unwrap();
        }
    }
}

fn tenant(n: usize) -> String {
    format!("tenant-{}", n % TENANTS)
}

fn message(client: &Client, n: usize) -> NewJob {
    let conversation = n % CONVERSATIONS;
    let message = json!({
        "id": format!("m-{n}"), "conversationId": format!("c-{conversation}"),
        "from": format!("visitor-{conversation}"), "type": "text",
        "content": {"text": "When do you open on Saturdays, and may I bring my dog?"},
    });
    let job = ProcessMessage {
        tenant_id: tenant(conversation),
        channel: "webchat".to_owned(),
        message: serde_json::from_value(message).unwrap(),
    };
    client.prepare(&job).unwrap()
}

/// A model server that answers so many calls at once; the others wait.
async fn serve(at_once: usize) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let turns = Arc::new(Semaphore::new(at_once));
    let router = Router::new()
        .route("/chat/completions", post(answer))
        .with_state(turns);
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

async fn answer(State(turns): State<Arc<Semaphore>>) -> Json<Value> {
    let _turn = turns.acquire().await.unwrap();
    tokio::time::sleep(CALL).await;
    Json(json!({
        "choices": [{"message": {"content": "We open at nine, and dogs are welcome."}}],
        "usage": {"prompt_tokens": 120, "completion_tokens": 12},
    }))
}

fn fresh_url() -> String {
    let server = std::env::var("TEST_DATABASE_URL")
        .expect("TEST_DATABASE_URL is not set: run scripts/services up, eval its env");
    let (server, parameters) = server.split_once('?').unwrap_or((&server, ""));
    let (server, _) = server.rsplit_once('/').expect("a database URL has a path");
    format!(
        "{server}/bench_{}?{parameters}",
        uuid::Uuid::new_v4().simple()
    )
}

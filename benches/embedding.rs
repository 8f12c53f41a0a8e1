//! What it takes to embed a document of ten thousand chunks, and the same one with a hundredth of it
//! changed, beside five single calls at a time, on a model server that takes 50 ms for a call and 2 ms
//! for each text in it.
//!
//! ```sh
//! cargo bench -p metachat-jobs --bench embedding              # a SQLite file
//! TEST_DATABASE_URL=.. cargo bench -p metachat-jobs --bench embedding -- 10000 postgres
//! ```
//!
//! It fails where it is less than eight times as fast, or asks more than a fiftieth again.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints, and ends when something fails"
)]

// The server is the one of the tests.
#[path = "../tests/it/jobs/model_server.rs"]
#[expect(dead_code, reason = "it can do more than is wanted here")]
mod model_server;

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use metachat_jobs::compose::{self, Database};
use metachat_jobs::config::{Config, Sources};
use metachat_jobs::jobs::IngestDocument;
use metachat_jobs::platform::NewDocument;
use model_server::{Cost, ModelServer};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use windlass::{Client, Engine, JobId, State};

const TENANT: &str = "bench";
const COST: Cost = Cost {
    call: Duration::from_millis(50),
    text: Duration::from_millis(2),
};

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let chunks: usize = args.next().map_or(10_000, |count| count.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let url = match args.next().as_deref() {
        Some("postgres") => fresh_database().await,
        _ => format!("sqlite:{}", folder.path().join("bench.db").display()),
    };
    let server = ModelServer::start(COST).await;
    let single = five_at_a_time(&server, chunks).await;
    println!(
        "five single calls at a time: {:.1} s, {} calls",
        single.as_secs_f64(),
        server.take().0
    );

    let database = open(&url, &server, folder.path()).await;
    let first = database.index(&book(chunks, |_| 1)).await;
    let (calls, texts) = server.take();
    assert_eq!(texts, chunks);
    let faster = single.as_secs_f64() / first.embedded.as_secs_f64();
    println!(
        "a document of {chunks} chunks: embedded in {:.1} s, {faster:.1} times as fast; found after {:.1} s; \
         {calls} calls",
        first.embedded.as_secs_f64(),
        first.ready.as_secs_f64(),
    );

    let again = database
        .index_again(&book(chunks, |n| usize::from(n % 100 == 50) + 1))
        .await;
    let (calls_again, texts_again) = server.take();
    println!(
        "again, a hundredth changed: found after {:.1} s; {calls_again} calls ({:.1} %) with {texts_again} texts",
        again.ready.as_secs_f64(),
        100.0 * ratio(calls_again, calls),
    );
    database.stop().await;
    assert!(faster >= 8.0, "it is {faster:.1} times as fast");
    assert!(ratio(calls_again, calls) <= 0.02 && ratio(texts_again, texts) <= 0.02);
}

fn ratio(part: usize, whole: usize) -> f64 {
    let number = |n: usize| f64::from(u32::try_from(n).unwrap());
    number(part) / number(whole)
}

/// As the platform's own program does it, without its pauses.
async fn five_at_a_time(server: &ModelServer, texts: usize) -> Duration {
    // As the program does before its first client; an earlier choice stands.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::new();
    let began = Instant::now();
    stream::iter(0..texts)
        .for_each_concurrent(5, |n| {
            let body = json!({"model": "m", "prompt": format!("text {n}")});
            let request = client.post(format!("{}/api/embeddings", server.url));
            async move {
                let answer = request.json(&body).send().await.unwrap();
                assert!(answer.status().is_success());
                answer.bytes().await.unwrap();
            }
        })
        .await;
    began.elapsed()
}

/// Sections of about a chunk each.
fn book(sections: usize, edition: impl Fn(usize) -> usize) -> String {
    let mut text = String::new();
    for n in 0..sections {
        let edition = edition(n);
        write!(text, "# Article {n}\n\n").unwrap();
        for line in 0..8 {
            writeln!(
                text,
                "Edition {edition} of article {n} says in its line {line} what there is to say of it."
            )
            .unwrap();
        }
        text.push('\n');
    }
    text
}

struct Bench {
    database: Database,
    client: Client,
    stop: CancellationToken,
    engine: tokio::task::JoinHandle<()>,
    document: tokio::sync::Mutex<String>,
}

struct Took {
    embedded: Duration,
    ready: Duration,
}

async fn open(url: &str, server: &ModelServer, folder: &Path) -> Bench {
    let setting = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let config = Config::load(&Sources {
        flags: vec![
            setting("database.url", url),
            setting("documents.storage", &folder.display().to_string()),
            setting("models.embedder", "ollama"),
            setting("models.ollama.base_url", &server.url),
        ],
        ..Sources::default()
    })
    .unwrap();
    let database = compose::open(&config.database).unwrap();
    compose::migrate(&database).await.unwrap();
    let services = compose::services(&config, &database).unwrap();
    let registry = compose::registry(&config, services).unwrap();
    let options = compose::engine_options(&config).unwrap();
    let engine = Engine::new(database.store.clone(), registry, options).unwrap();
    let (client, stop) = (engine.client(), CancellationToken::new());
    let engine = tokio::spawn(engine.run(stop.clone()));
    let mut tx = database.platform.begin(TENANT).await.unwrap();
    database
        .platform
        .create_tenant(&mut tx, TENANT, "Bench", &json!({}))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    Bench {
        database,
        client,
        stop,
        engine,
        document: tokio::sync::Mutex::default(),
    }
}

impl Bench {
    async fn index(&self, text: &str) -> Took {
        let platform = &self.database.platform;
        let mut tx = platform.begin(TENANT).await.unwrap();
        let new = NewDocument {
            name: "book.md".into(),
            mime_type: "text/markdown".into(),
            content: text.into(),
            metadata: serde_json::Map::new().into(),
        };
        let id = platform
            .insert_document(&mut tx, TENANT, &new)
            .await
            .unwrap();
        self.document.lock().await.clone_from(&id);
        let job = self.client.enqueue_in(&mut tx, &ingest(id)).await.unwrap();
        tx.commit().await.unwrap();
        self.finish(job.id()).await
    }

    async fn index_again(&self, text: &str) -> Took {
        let platform = &self.database.platform;
        let id = self.document.lock().await.clone();
        let mut tx = platform.begin(TENANT).await.unwrap();
        platform
            .replace_content(&mut tx, TENANT, &id, text)
            .await
            .unwrap();
        let job = self.client.enqueue_in(&mut tx, &ingest(id)).await.unwrap();
        tx.commit().await.unwrap();
        self.finish(job.id()).await
    }

    /// Embedded is when the job says so, ready is when its chunks are found.
    async fn finish(&self, job: JobId) -> Took {
        let began = Instant::now();
        let mut embedded = None;
        let mut pulse = tokio::time::interval(Duration::from_millis(20));
        loop {
            pulse.tick().await;
            let job = self.client.get(job, None).await.unwrap().unwrap();
            let progress: Option<serde_json::Value> = job
                .progress
                .as_ref()
                .map(|progress| progress.decode().unwrap());
            if progress.is_some_and(|progress| progress["embedded"] == progress["of"]) {
                embedded.get_or_insert(began.elapsed());
            }
            if job.state.is_finished() {
                assert_eq!(job.state, State::Completed, "{:?}", job.attempts);
                let ready = began.elapsed();
                return Took {
                    embedded: embedded.unwrap_or(ready),
                    ready,
                };
            }
        }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.engine.await.unwrap();
    }
}

fn ingest(document_id: String) -> IngestDocument {
    IngestDocument {
        tenant_id: TENANT.into(),
        document_id,
    }
}

/// A new database on the test server; it goes when the server does.
async fn fresh_database() -> String {
    use sqlx::migrate::MigrateDatabase;
    #[expect(
        clippy::disallowed_methods,
        reason = "a bench has no config to read it from"
    )]
    let server = std::env::var("TEST_DATABASE_URL").expect("TEST_DATABASE_URL is set");
    let (server, parameters) = server.split_once('?').unwrap_or((&server, ""));
    let (server, _) = server.rsplit_once('/').expect("a database URL has a path");
    let name = format!("bench_{}", uuid::Uuid::new_v4().simple());
    let url = format!("{server}/{name}?{parameters}");
    sqlx::Postgres::create_database(&url).await.unwrap();
    url
}

//! Server-sent events: who listens hears what finishes, on whichever process, once it has committed.

use std::sync::Arc;
use std::time::Duration;

use axum::body::BodyDataStream;
use axum::http::StatusCode;
use futures_util::StreamExt as _;
use metachat_jobs::api::ServerOptions;
use tokio_util::sync::CancellationToken;
use windlass::db::{Sqlite, SqliteOptions};
use windlass::model::{AttemptOutcome, ClaimedJob, Finish, Verdict};
use windlass::store::memory::MemoryStore;
use windlass::store::postgres::{PgStore, PgStoreOptions};
use windlass::store::sqlite::SqliteStore;
use windlass::store::{Claim, Store};
use windlass::{Client, JobId, Json, NewJob};

use super::{Api, kinds};
use crate::support::with_postgres;

const PATIENCE: Duration = Duration::from_secs(30);

/// A process of its own over a store.
struct Process {
    api: Api,
    stop: CancellationToken,
}

fn options() -> ServerOptions {
    let mut server = ServerOptions::default();
    server.events.poll_ms = 10;
    server
}

fn process(store: Arc<dyn Store>, server: &ServerOptions) -> Process {
    let client = Client::new(store).with_catalogue(kinds());
    let stop = CancellationToken::new();
    let until = stop.clone();
    let api = Api::within(client, server, |state| state.until(until, server));
    Process { api, stop }
}

/// One client.
struct Listener {
    stream: BodyDataStream,
    heard: String,
}

impl Process {
    async fn listen(&self, path: &str, last: Option<&str>) -> Listener {
        let headers: Vec<_> = last.map(|id| ("last-event-id", id)).into_iter().collect();
        let (status, headers, body) = self.api.open(path, &headers).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(headers["content-type"], "text/event-stream");
        Listener {
            stream: body.into_data_stream(),
            heard: String::new(),
        }
    }

    /// A job that ends as it is told to.
    async fn job(&self, kind: &str, tenant: Option<&str>, verdict: Verdict) -> JobId {
        let store = self.api.client.store();
        let mut job = NewJob::new(kind, Json::parse("{}").unwrap());
        job.tenant_id = tenant.map(str::to_owned);
        let id = job.id;
        store.enqueue(&[job], None).await.unwrap();
        self.finish(1, &verdict).await;
        id
    }

    async fn finish(&self, limit: u32, verdict: &Verdict) {
        let store = self.api.client.store();
        let claim = Claim {
            queue: "default",
            worker: "w",
            limit,
            lease: Duration::from_mins(1),
            now: None,
        };
        let claimed = store.claim(claim).await.unwrap();
        let outcome = match verdict {
            Verdict::Cancel => AttemptOutcome::Cancelled,
            Verdict::Dead => AttemptOutcome::Failed,
            _ => AttemptOutcome::Completed,
        };
        let end = |job: &ClaimedJob| Finish {
            lease: job.lease(),
            verdict: verdict.clone(),
            outcome,
            error: None,
        };
        let ends: Vec<_> = claimed.iter().map(end).collect();
        assert!(!ends.is_empty());
        store.finish(&ends, None).await.unwrap();
    }
}

impl Listener {
    /// Listens until it has heard this.
    async fn until(&mut self, words: &str) -> &str {
        let listen = async {
            while !self.heard.contains(words) {
                let bytes = self.stream.next().await.expect("the stream ended").unwrap();
                self.heard.push_str(std::str::from_utf8(&bytes).unwrap());
            }
        };
        let heard = tokio::time::timeout(PATIENCE, listen).await;
        assert!(heard.is_ok(), "not heard: {words}, but {}", self.heard);
        &self.heard
    }

    /// The id of the last event.
    fn last(&self) -> String {
        let mut ids = self
            .heard
            .lines()
            .filter_map(|line| line.strip_prefix("id: "));
        ids.next_back().unwrap().to_owned()
    }
}

fn completed() -> Verdict {
    Verdict::Complete { result: None }
}

fn memory() -> Arc<dyn Store> {
    Arc::new(MemoryStore::default())
}

/// What is promised of one store, from two processes over it.
async fn goes_on_where_it_was(stores: [Arc<dyn Store>; 2]) {
    let [one, other] = stores.map(|store| process(store, &options()));
    one.job("greet", None, completed()).await;
    let mut listener = one.listen("/v1/events", None).await;
    let first = other.job("greet", Some("acme"), completed()).await;
    let heard = listener.until(&format!("\"id\":\"{first}\"")).await;
    assert!(heard.contains("event: job.completed\n"), "{heard}");
    assert!(heard.contains(r#""tenant_id":"acme""#), "{heard}");
    assert_eq!(
        heard.matches("event: job.").count(),
        1,
        "old ones are no news: {heard}"
    );
    let last = listener.last();
    drop(listener);

    let second = one.job("greet", None, completed()).await;
    // Elsewhere, where nobody has listened so far.
    let mut listener = other.listen("/v1/events", Some(&last)).await;
    let heard = listener.until(&format!("\"id\":\"{second}\"")).await;
    assert!(!heard.contains(&first.to_string()), "{heard}");
    let third = one.job("greet", None, completed()).await;
    listener.until(&format!("\"id\":\"{third}\"")).await;
}

#[tokio::test]
async fn a_client_goes_on_at_another_process_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jobs.db");
    let store = || {
        Arc::new(SqliteStore::new(Sqlite::new(
            &file,
            &SqliteOptions::default(),
        )))
    };
    store().migrate().await.unwrap();
    goes_on_where_it_was([store(), store()]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_goes_on_at_another_process_on_postgres() {
    with_postgres(async |url| {
        let store = || Arc::new(PgStore::connect(&url, &PgStoreOptions::default()).unwrap());
        store().migrate().await.unwrap();
        goes_on_where_it_was([store(), store()]).await;
    })
    .await;
}

#[tokio::test]
async fn only_what_was_asked_for_is_heard() {
    let process = process(memory(), &options());
    let mut dead = process
        .listen("/v1/events?state=dead&kind=greet", None)
        .await;
    let mut acme = process.listen("/v1/events?tenant=acme", None).await;
    let mut elsewhere = process.listen("/v1/events?queue=mail", None).await;
    let mut all = process.listen("/v1/events", None).await;
    process.job("greet", Some("acme"), completed()).await;
    process.job("whisper", Some("other"), Verdict::Cancel).await;
    let last = process.job("greet", Some("other"), Verdict::Dead).await;
    let words = format!("\"id\":\"{last}\"");
    assert_eq!(all.until(&words).await.matches("event: job.").count(), 3);
    assert_eq!(dead.until(&words).await.matches("event: job.").count(), 1);
    process.job("greet", Some("acme"), Verdict::Cancel).await;
    let heard = acme.until("event: job.cancelled").await;
    assert_eq!(heard.matches("event: job.").count(), 2, "{heard}");
    assert!(!heard.contains("other"), "{heard}");
    process.stop.cancel();
    while let Some(frame) = elsewhere.stream.next().await {
        assert!(!String::from_utf8_lossy(&frame.unwrap()).contains("event: job."));
    }
}

#[tokio::test]
async fn a_silent_stream_says_that_it_is_there_and_ends_with_the_program() {
    let mut server = options();
    server.events.heartbeat_ms = 20;
    let process = process(memory(), &server);
    let mut listener = process.listen("/v1/events", None).await;
    listener.until(": still here\n\n").await;
    process.stop.cancel();
    let rest = async { while listener.stream.next().await.is_some() {} };
    assert!(tokio::time::timeout(PATIENCE, rest).await.is_ok());
}

#[tokio::test]
async fn whoever_is_too_slow_is_told_to_look_anew() {
    let process = process(memory(), &options());
    let mut slow = process.listen("/v1/events", None).await;
    let mut quick = process.listen("/v1/events", None).await;
    let jobs: Vec<_> = (0..6000)
        .map(|_| NewJob::new("greet", Json::parse("{}").unwrap()))
        .collect();
    let store = process.api.client.store();
    store.enqueue(&jobs, None).await.unwrap();
    for _ in 0..6 {
        process.finish(1000, &completed()).await;
    }
    let last = process.job("greet", None, completed()).await;
    // The quick one may have been too slow for so many at once as well, but it hears the last.
    quick.until(&format!("\"id\":\"{last}\"")).await;
    let heard = slow.until(&format!("\"id\":\"{last}\"")).await;
    assert!(heard.contains("event: resync\n"), "it missed some");
    assert!(heard.matches("event: job.").count() < 6001);
}

#[tokio::test]
async fn who_was_away_for_too_long_is_told_to_look_anew() {
    let process = process(memory(), &options());
    let first = process.job("greet", None, completed()).await;
    let at = process.api.job(first).await.finished_at.unwrap();
    let jobs: Vec<_> = (0..12_000)
        .map(|_| NewJob::new("greet", Json::parse("{}").unwrap()))
        .collect();
    let store = process.api.client.store();
    store.enqueue(&jobs, None).await.unwrap();
    for _ in 0..12 {
        process.finish(1000, &completed()).await;
    }
    let last = format!("{}.{first}", at.as_micros());
    let mut listener = process.listen("/v1/events", Some(&last)).await;
    let heard = listener.until("event: resync\n").await;
    assert_eq!(heard.matches("event: job.").count(), 0, "{heard}");
}

#[tokio::test]
async fn there_are_only_so_many_listeners_and_a_place_becomes_free() {
    let mut server = options();
    server.events.max_clients = 1;
    let process = process(memory(), &server);
    let listener = process.listen("/v1/events", None).await;
    let refused = process.api.get("/v1/events").await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.json()["type"], "/problems/too-many-listeners");
    drop(listener);
    process.listen("/v1/events", None).await;
}

#[tokio::test]
async fn what_names_no_event_is_refused() {
    let process = process(memory(), &options());
    for (path, header, field) in [
        ("/v1/events", Some("nonsense"), "last-event-id"),
        (
            "/v1/events",
            Some("-1.0198f2c4-7d6e-7cc1-9d2b-3f1e0a5b6c7d"),
            "last-event-id",
        ),
        ("/v1/events?state=finished", None, "state"),
        ("/v1/events?colour=red", None, "colour"),
    ] {
        let headers: Vec<_> = header.map(|id| ("last-event-id", id)).into_iter().collect();
        let answer = process
            .api
            .call_with(axum::http::Method::GET, path, &headers, None)
            .await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path} {header:?}");
        assert_eq!(answer.json()["field"], field);
    }
}

//! What a request may take, and what the program does when it stops.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use metachat_jobs::api::{self, ApiState, SecurityOptions, ServerOptions};
use metachat_jobs::telemetry;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use windlass::db::{Sqlite, SqliteOptions};
use windlass::store::memory::MemoryStore;
use windlass::store::sqlite::SqliteStore;
use windlass::{Client, Store as _};

use super::{Api, KEY, kinds, platform_access};

const PATIENCE: Duration = Duration::from_secs(30);

struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<std::io::Result<()>>,
}

async fn serve(options: ServerOptions) -> Server {
    serve_by(options, api::app).await
}

async fn serve_by(options: ServerOptions, app: fn(ApiState) -> Router) -> Server {
    let stop = CancellationToken::new();
    let client = Client::new(Arc::new(MemoryStore::default())).with_catalogue(kinds());
    let security = SecurityOptions {
        admin_key: KEY.into(),
        platform: platform_access(),
    };
    let metrics = telemetry::recorder().unwrap().handle();
    let state = ApiState::new(client, &options, &security, metrics).unwrap();
    let app = app(state.until(stop.clone(), &options));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = stop.clone();
    let task = tokio::spawn(async move { api::serve(listener, app, &options, serving).await });
    Server {
        address,
        stop,
        task,
    }
}

/// Sends these bytes and reads until the other side has enough.
async fn exchange(address: SocketAddr, bytes: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer);
    tokio::time::timeout(PATIENCE, read).await.unwrap().unwrap();
    answer
}

async fn status(address: SocketAddr, path: &str) -> u16 {
    let head = format!("GET {path} HTTP/1.1\r\nhost: x\r\nx-admin-key: {KEY}\r\n");
    let answer = exchange(address, &format!("{head}connection: close\r\n\r\n")).await;
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn whoever_sends_no_whole_head_is_let_go() {
    let server = serve(ServerOptions {
        header_timeout_ms: 100,
        ..ServerOptions::default()
    })
    .await;
    for half in ["", "GET /health HTTP/1.1\r\nhost: x\r\nx-slow:"] {
        let answer = exchange(server.address, half).await;
        assert!(!answer.contains("200"), "{answer}");
    }
    assert_eq!(status(server.address, "/v1/queues").await, 200);
}

#[tokio::test]
async fn a_body_that_does_not_come_in_time_is_the_clients_fault() {
    let server = serve(ServerOptions {
        request_timeout_ms: 100,
        ..ServerOptions::default()
    })
    .await;
    let half = format!(
        "POST /v1/jobs HTTP/1.1\r\nhost: x\r\nx-admin-key: {KEY}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: 100\r\n\r\n{{\"kind\":"
    );
    let answer = exchange(server.address, &half).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("/problems/body-too-slow"), "{answer}");
}

#[tokio::test]
async fn one_request_too_many_is_refused_at_once_but_health_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let db = Sqlite::new(folder.path().join("jobs.db"), &SqliteOptions::default());
    let store = SqliteStore::new(db.clone());
    store.migrate().await.unwrap();
    let server = ServerOptions {
        max_concurrent_requests: 1,
        ..ServerOptions::default()
    };
    let client = Client::new(Arc::new(store)).with_catalogue(kinds());
    let api = Api::within(client, &server, |state| state);

    let lock = db.begin().await.unwrap();
    let job = json!({"kind": "greet", "args": {"name": "x"}});
    let slow = api.post("/v1/jobs", job);
    let others = async {
        let refused = api.get("/v1/queues").await;
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(refused.json()["type"], "/problems/overloaded");
        assert_eq!(refused.header("retry-after"), Some("1"));
        assert_eq!(api.get("/health").await.status, StatusCode::OK);
        lock.rollback().await.unwrap();
    };
    // Polled in this order: the first holds the place when the others come.
    let (made, ()) = tokio::join!(slow, others);
    assert_eq!(made.status, StatusCode::CREATED);
    assert_eq!(api.get("/v1/queues").await.status, StatusCode::OK);
}

#[tokio::test]
async fn readiness_says_no_first_and_everything_else_goes_on() {
    let server = serve(ServerOptions {
        drain_ms: 600_000,
        ..ServerOptions::default()
    })
    .await;
    assert_eq!(status(server.address, "/health/ready").await, 200);
    server.stop.cancel();
    assert_eq!(status(server.address, "/health/ready").await, 503);
    assert_eq!(status(server.address, "/health/live").await, 200);
    assert_eq!(status(server.address, "/v1/queues").await, 200);
    assert!(!server.task.is_finished());
    server.task.abort();
}

#[tokio::test]
async fn when_the_drain_is_over_it_ends_though_a_client_stays_connected() {
    let server = serve(ServerOptions {
        drain_ms: 50,
        ..ServerOptions::default()
    })
    .await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    idle.write_all(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut byte = [0];
    idle.read_exact(&mut byte).await.unwrap();
    server.stop.cancel();
    let ended = tokio::time::timeout(PATIENCE, server.task).await;
    ended.unwrap().unwrap().unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn a_process_that_serves_no_api_says_what_it_does_not_know() {
    let server = serve_by(ServerOptions::default(), api::probes).await;
    for (asked, status, kind) in [
        ("POST /health/live", "405", "method-not-allowed"),
        ("GET /v1/jobs", "404", "no-such-route"),
    ] {
        let request = format!("{asked} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let answer = exchange(server.address, &request).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
        assert!(answer.contains("application/problem+json"), "{answer}");
        assert!(answer.contains(kind), "{answer}");
    }
    server.stop.cancel();
    server.task.await.unwrap().unwrap();
}

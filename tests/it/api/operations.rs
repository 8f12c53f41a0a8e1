use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use metachat_jobs::api::{self, ApiState, SecurityOptions, ServerOptions};
use metachat_jobs::records::{NewOutgoing, Records};
use metachat_jobs::telemetry;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Barrier;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use windlass::Client;
use windlass::model::{Timestamp, WorkerRecord};
use windlass::store::memory::MemoryStore;

use super::Api;

#[tokio::test]
async fn health_has_the_platforms_shape() {
    let api = Api::new();
    let health = api.get("/health").await;
    assert_eq!(health.status, StatusCode::OK);
    let health = health.json();
    assert_eq!(health["status"], "healthy");
    assert_eq!(
        health["services"],
        json!({"database": "up", "redis": "not_configured", "rabbitmq": "not_configured"})
    );
    assert!(health["timestamp"].as_str().unwrap().ends_with('Z'));
    let live = api.get("/health/live").await;
    assert_eq!(live.json(), json!({"status": "alive"}));
    let ready = api.get("/health/ready").await;
    assert_eq!(ready.json(), json!({"status": "ready"}));
}

#[tokio::test]
async fn queues_and_workers_are_shown() {
    let api = Api::new();
    let job = json!({"kind": "greet", "args": {"name": "x"}});
    api.post("/v1/jobs", job).await;
    let worker = WorkerRecord {
        id: "w-1".into(),
        host: "h".into(),
        pid: 7,
        version: "1".into(),
        queues: vec!["default".into()],
        slots: 4,
        running: 1,
        started_at: Timestamp::EPOCH,
        beat_at: Timestamp::EPOCH,
        draining: false,
    };
    let store = api.client.store();
    store.beat_worker(&worker, None).await.unwrap();

    let queues = api.get("/v1/queues").await.json();
    assert_eq!(queues["queues"][0]["queue"], "default");
    assert_eq!(queues["queues"][0]["available"], 1);
    let workers = api.get("/v1/workers").await.json();
    assert_eq!(workers["workers"][0]["id"], "w-1");
    assert_eq!(workers["workers"][0]["slots"], 4);
}

#[tokio::test]
async fn sends_that_wait_for_a_decision_are_a_metric() {
    let recorder = telemetry::recorder().unwrap();
    let _counting = metrics::set_default_local_recorder(&recorder);
    let folder = tempfile::tempdir().unwrap();
    let records = Records::new(crate::support::sqlite(folder.path()));
    let client = Client::new(Arc::new(MemoryStore::default()));
    let api = Api::of(client, Duration::from_secs(30), |state| {
        state.with_records(records.clone())
    });
    let shown = async || {
        assert_eq!(api.get("/metrics").await.status, StatusCode::OK);
        let text = recorder.handle().render();
        let mut lines = text.lines();
        let line = lines.find(|line| line.starts_with("outbox_undecided "));
        line.unwrap().to_owned()
    };
    assert_eq!(
        shown().await,
        "outbox_undecided NaN",
        "there are no tables yet"
    );
    records.prepare().await.unwrap();
    assert_eq!(shown().await, "outbox_undecided 0");
    let new = NewOutgoing {
        job: windlass::JobId::from_uuid(Uuid::now_v7()),
        tenant: "t",
        conversation: "c",
        message: "m",
        channel: "whatsapp",
        parts: 2,
    };
    let part = records.open_outbox(&new).await.unwrap().remove(0);
    let sender = Uuid::now_v7();
    assert!(records.begin_send(&part, sender, new.job).await.unwrap());
    let part = records.outbox_of("t", "m").await.unwrap().remove(0);
    assert!(records.lose_send(&part, "no reply").await.unwrap());
    assert_eq!(shown().await, "outbox_undecided 1");
}

#[tokio::test]
async fn requests_are_counted_by_route_and_never_by_path() {
    let recorder = telemetry::recorder().unwrap();
    let _counting = metrics::set_default_local_recorder(&recorder);
    let api = Api::new();
    let missing = "/v1/jobs/0198f2c4-7d6e-7cc1-9d2b-3f1e0a5b6c7d";
    api.get(missing).await;
    api.get("/nowhere/at/all").await;
    let odd = axum::http::Method::from_bytes(b"BREW").unwrap();
    api.call(odd, "/v1/jobs", None).await;

    let text = recorder.handle().render();
    for line in [
        r#"http_requests_total{method="GET",route="/v1/jobs/{id}",status_code="404"} 1"#,
        r#"http_requests_total{method="GET",route="unmatched",status_code="404"} 1"#,
        r#"http_requests_total{method="OTHER",route="/v1/jobs",status_code="405"} 1"#,
        r#"http_request_duration_seconds_bucket{method="GET",route="unmatched",status_code="404",le="+Inf"} 1"#,
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("0198f2c4"), "an id became a label");
}

#[test]
fn the_api_does_not_start_without_a_key() {
    let server = ServerOptions {
        bind: [127, 0, 0, 1].into(),
        port: 0,
        request_body_limit_bytes: 1,
        request_timeout_ms: 1,
        ..ServerOptions::default()
    };
    let security = SecurityOptions {
        admin_key: "".into(),
        platform: super::platform_access(),
    };
    let client = Client::new(Arc::new(MemoryStore::default()));
    let metrics = telemetry::recorder().unwrap().handle();
    let error = ApiState::new(client, &server, &security, metrics).unwrap_err();
    let told = error.to_string();
    assert!(told.contains("security.admin_key"), "{told}");
    assert!(
        told.contains("METACHAT_JOBS__SECURITY__ADMIN_KEY"),
        "{told}"
    );
}

#[tokio::test]
async fn stopping_finishes_the_request_that_has_begun() {
    let (begun, finish) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let slow = {
        let (begun, finish) = (begun.clone(), finish.clone());
        get(move || async move {
            begun.wait().await;
            finish.wait().await;
            "done"
        })
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let app = Router::new().route("/", slow);
    let server = tokio::spawn({
        let stop = stop.clone();
        async move { api::serve(listener, app, &ServerOptions::default(), stop).await }
    });

    let mut client = TcpStream::connect(address).await.unwrap();
    client
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    begun.wait().await;
    stop.cancel();
    finish.wait().await;

    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.ends_with("done"), "{answer}");
    server.await.unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

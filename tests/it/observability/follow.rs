//! One message, followed by one id through everything, by the program itself.

use std::path::Path;
use std::process::Stdio;

use lapin::options::{BasicPublishOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Connection, ConnectionProperties};
use metachat_jobs::platform::{ChannelType, NewWebhook, Platform};
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::{Value, json};
use windlass::db::{Db, Sqlite, SqliteOptions};

use super::world::World;
use crate::ingress::rig::{assert_topology, server, work_queue};
use crate::program::{KEY, Running, client, program, wait_for};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const WORDS: &str = "hunter2: what is a lease?";

/// A program with a tenant of its own, whose world is `world`.
struct Scene {
    world: World,
    tenant: String,
    folder: tempfile::TempDir,
    _running: Running,
    address: String,
}

impl Scene {
    /// With these answers of the tenant's endpoint, one after the other.
    async fn set(hook: &[u16], channel: ChannelType) -> Self {
        let world = World::start(hook).await;
        let folder = tempfile::tempdir().unwrap();
        let made = program(folder.path())
            .args(["demo", "--once", "--dir", "."])
            .output()
            .unwrap();
        assert!(made.status.success());
        let tenant = format!("t{}", uuid::Uuid::new_v4().simple());
        people(folder.path(), &tenant, channel, &world.url).await;

        let log = folder.path().join("log");
        let set = |key: &str, value: &str| format!("{key}={value}");
        let settings = [
            set("server.port", "0"),
            set("security.admin_key", KEY),
            set("models.model", "ollama"),
            set("models.ollama.base_url", &world.url),
            set("channels.graph.base_url", &world.url),
            set("webhooks.allow_private_addresses", "true"),
            set("webhooks.backoff_ms", "1"),
            set("rabbitmq.url", &server()),
            set("rabbitmq.exchange", &format!("events-{tenant}")),
            set("telemetry.otlp_endpoint", &world.url),
            set("telemetry.sentry_dsn", &world.dsn()),
            set("schedules.partitions_ahead.cron", "* * * * * *"),
        ];
        let mut command = program(folder.path());
        command.args(["run", "--database", "sqlite:metachat-jobs.db"]);
        for setting in settings {
            command.args(["--set", &setting]);
        }
        let child = command
            .stdout(std::fs::File::create(&log).unwrap())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let running = Running(child);
        let listening = wait_for(&log, |line| line["message"] == "listening").await;
        Self {
            address: format!("http://{}", listening["address"].as_str().unwrap()),
            world,
            tenant,
            folder,
            _running: running,
        }
    }

    /// Waits for a line of the log that carries the id.
    async fn line(&self, id: &str, message: &str) -> Value {
        let log = self.folder.path().join("log");
        let is_it = |line: &Value| line["message"] == message && line["correlationId"] == id;
        wait_for(&log, is_it).await
    }

    /// What the log, as a whole, must not hold.
    fn assert_discreet(&self) {
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap();
        let mut told = vec![log];
        for asked in self.world.asked("/v1/traces") {
            told.push(String::from_utf8_lossy(&asked.body).into_owned());
        }
        for asked in self.world.asked("/api/1/envelope/") {
            told.push(String::from_utf8_lossy(&asked.body).into_owned());
        }
        for text in told {
            assert!(!text.contains("hunter2") && !text.contains("A lease is kept"));
            assert!(!text.contains(KEY) && !text.contains("a-token"));
        }
    }
}

/// A tenant with a channel and an endpoint that is told of answers.
async fn people(folder: &Path, tenant: &str, channel: ChannelType, url: &str) {
    let file = folder.join("metachat-jobs.db");
    let platform = Platform::new(Db::Sqlite(Sqlite::new(file, &SqliteOptions::default())));
    let mut tx = platform.begin(tenant).await.unwrap();
    let settings = json!({"brandName": "Acme", "enableRag": true});
    let made = platform.create_tenant(&mut tx, tenant, "Acme", &settings);
    made.await.unwrap();
    let config = json!({"phoneNumberId": "1234", "accessToken": "a-token"});
    let made = platform.create_channel(&mut tx, tenant, channel, &config);
    made.await.unwrap();
    let webhook = NewWebhook {
        url: &format!("{url}/hook"),
        events: &["message.sent"],
        headers: json!({}),
    };
    let made = platform.create_webhook(&mut tx, tenant, &webhook);
    made.await.unwrap();
    tx.commit().await.unwrap();
}

fn text_of(span: &Span, name: &str) -> Option<String> {
    let attribute = span
        .attributes
        .iter()
        .find(|attribute| attribute.key == name)?;
    match attribute.value.as_ref()?.value.as_ref()? {
        Any::StringValue(text) => Some(text.clone()),
        _ => None,
    }
}

/// The attempt of this kind that carries the id.
fn attempt(spans: &[Span], kind: &str, id: &str) -> Option<Span> {
    let is_it = |span: &&Span| {
        span.name == "attempt"
            && text_of(span, "job.kind").as_deref() == Some(kind)
            && text_of(span, "correlationId").as_deref() == Some(id)
    };
    spans.iter().find(is_it).cloned()
}

/// The enqueueing that an attempt is linked to.
fn enqueuer<'s>(spans: &'s [Span], attempt: &Span) -> Option<&'s Span> {
    let link = attempt.links.first()?;
    spans
        .iter()
        .find(|span| span.span_id == link.span_id && span.trace_id == link.trace_id)
}

/// Everything after the doors: answered, delivered, and the tenant's endpoint told.
async fn assert_followed(scene: &Scene, id: &str, sends: bool) {
    for message in [
        "model answered",
        "message answered",
        "message delivered",
        "webhook called",
    ] {
        let line = scene.line(id, message).await;
        for field in ["job.id", "job.kind", "tenantId", "traceId"] {
            assert!(line[field].is_string(), "{field}: {line}");
        }
        assert_eq!(line["job.attempt"], 1, "{line}");
        assert_eq!(line["traceId"].as_str().unwrap().len(), 32, "{line}");
    }

    let world = &scene.world;
    let model = world.asked("/api/chat");
    let graph = world.asked("/v24.0/1234/messages");
    let hook = world.asked("/hook");
    assert_eq!(graph.len(), usize::from(sends));
    for asked in model.iter().chain(&graph).chain(&hook) {
        assert_eq!(asked.header("x-correlation-id"), id, "{}", asked.path);
        assert!(
            asked.header("traceparent").starts_with("00-"),
            "{}",
            asked.path
        );
    }

    let kinds = ["process_message", "deliver_message", "deliver_webhook"];
    let spans = world
        .until(
            "spans of every attempt, with what they are linked to",
            |world| {
                let spans = world.spans();
                let linked = |kind: &&str| {
                    let attempt = attempt(&spans, kind, id)?;
                    enqueuer(&spans, &attempt).map(|_| ())
                };
                kinds
                    .iter()
                    .all(|kind| linked(kind).is_some())
                    .then_some(spans)
            },
        )
        .await;
    let process = attempt(&spans, "process_message", id).unwrap();
    let deliver = attempt(&spans, "deliver_message", id).unwrap();
    let tell = attempt(&spans, "deliver_webhook", id).unwrap();
    assert!(
        process.parent_span_id.is_empty(),
        "an attempt begins a trace"
    );
    assert_eq!(enqueuer(&spans, &process).unwrap().name, "enqueue");
    assert_eq!(
        enqueuer(&spans, &deliver).unwrap().trace_id,
        process.trace_id
    );
    assert_eq!(enqueuer(&spans, &tell).unwrap().trace_id, deliver.trace_id);
    let within = |name: &str, of: &Span| {
        let is_it = |span: &&Span| span.name == name && span.trace_id == of.trace_id;
        let span = spans.iter().find(is_it);
        span.unwrap_or_else(|| panic!("no {name} in the trace of its attempt"))
            .clone()
    };
    let call = within("model_call", &process);
    let carried = format!(
        "00-{}-{}-01",
        hex::encode(&call.trace_id),
        hex::encode(&call.span_id)
    );
    assert_eq!(
        model[0].header("traceparent"),
        carried,
        "the call names its own span"
    );
    within("webhook", &tell);
    if sends {
        within("delivery", &deliver);
    }
    let line = scene.line(id, "message answered").await;
    assert_eq!(
        line["traceId"],
        hex::encode(&process.trace_id),
        "from the log to the trace"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_by_http_is_followed_through_logs_traces_and_calls() {
    let scene = Scene::set(&[200], ChannelType::Whatsapp).await;
    let id = format!("http-{}", scene.tenant);
    let body = json!({
        "tenantId": scene.tenant, "channel": "whatsapp",
        "message": {"id": "m-1", "from": "491700", "type": "text", "content": {"text": WORDS}},
    });
    let answer = client()
        .post(format!("{}/v1/messages", scene.address))
        .header("x-admin-key", KEY)
        .header("x-correlation-id", &id)
        .header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"))
        .json(&body)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 202);
    assert_eq!(answer.headers()["x-correlation-id"], id.as_str());
    scene.line(&id, "HTTP request completed").await;
    assert_followed(&scene, &id, true).await;

    let spans = scene.world.spans();
    let request = spans
        .iter()
        .find(|span| span.name == "POST /v1/messages")
        .unwrap();
    assert_eq!(
        hex::encode(&request.links[0].trace_id),
        TRACE,
        "whoever called is linked"
    );
    let process = attempt(&spans, "process_message", &id).unwrap();
    assert_eq!(
        enqueuer(&spans, &process).unwrap().trace_id,
        request.trace_id
    );

    let all: Value = client()
        .get(format!(
            "{}/v1/correlations/{id}?tenant={}",
            scene.address, scene.tenant
        ))
        .header("x-admin-key", KEY)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    for what in ["job", "attempt", "message", "outbox", "delivery"] {
        let entries = all["entries"].as_array().unwrap();
        assert!(
            entries.iter().any(|entry| entry["what"] == what),
            "{what}: {all}"
        );
    }
    scene.assert_discreet();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_by_amqp_is_followed_through_logs_traces_and_calls() {
    let scene = Scene::set(&[200], ChannelType::Webchat).await;
    let id = format!("amqp-{}", scene.tenant);
    publish(&scene.tenant, &id).await;
    assert_followed(&scene, &id, false).await;
    scene.assert_discreet();
    clean_up(&scene.tenant).await;
}

/// Leaves nothing behind on the shared broker.
async fn clean_up(tenant: &str) {
    let url = server();
    let connection = Connection::connect(&url, ConnectionProperties::default());
    let channel = connection.await.unwrap().create_channel().await.unwrap();
    let queue = work_queue(tenant, "webchat");
    for queue in [format!("{queue}.dead-letter"), queue] {
        let options = QueueDeleteOptions::default();
        channel.queue_delete(queue.into(), options).await.unwrap();
    }
}

async fn publish(tenant: &str, id: &str) {
    let url = server();
    let connection = Connection::connect(&url, ConnectionProperties::default());
    let connection = connection.await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    assert_topology(&channel, tenant, "webchat").await;
    let mut headers = FieldTable::default();
    headers.insert("x-correlation-id".into(), AMQPValue::LongString(id.into()));
    let message = json!({
        "type": "message.received",
        "message": {"id": "m-1", "from": "ada", "type": "text", "content": {"text": WORDS}},
    });
    let key = format!("tenant.{tenant}.channel.webchat.inbound");
    channel
        .basic_publish(
            "metachat.orchestrator".into(),
            key.into(),
            BasicPublishOptions::default(),
            message.to_string().as_bytes(),
            BasicProperties::default().with_headers(headers),
        )
        .await
        .unwrap();
    connection.close(200, "done".into()).await.unwrap();
}

/// The endpoint fails once, which is tried again and reported nowhere, and then refuses for good.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_is_reported_once_and_a_retry_is_not() {
    let scene = Scene::set(&[500, 500, 400], ChannelType::Whatsapp).await;
    let id = format!("dead-{}", scene.tenant);
    let body = json!({
        "tenantId": scene.tenant, "channel": "whatsapp", "correlationId": id,
        "message": {"id": "m-1", "from": "491700", "type": "text", "content": {"text": WORDS}},
    });
    let asked = client()
        .post(format!("{}/v1/messages", scene.address))
        .header("x-admin-key", KEY)
        .json(&body)
        .send()
        .await
        .unwrap();
    assert_eq!(asked.status(), 202);

    let world = &scene.world;
    let event = world
        .until("the dead letter is reported", |world| {
            world.reports("event").pop()
        })
        .await;
    assert_eq!(world.asked("/hook").len(), 3, "two were tried again");
    assert_eq!(event["message"], "job is dead: deliver_webhook", "{event}");
    assert_eq!(event["tags"]["correlationId"], id.as_str());
    assert_eq!(event["tags"]["job.attempt"], "3");
    assert_eq!(event["fingerprint"][1], "deliver_webhook", "{event}");
    assert_eq!(
        event["fingerprint"][2].as_str().unwrap().len(),
        16,
        "{event}"
    );
    assert!(!event.to_string().contains("/hook"), "no address: {event}");

    // A run of a schedule begins and ends under one id, in whichever process.
    let (begun, ended) = world
        .until("a schedule checked in and out", |world| {
            let all = world.reports("check_in");
            let ended = all.iter().find(|report| report["status"] == "ok")?.clone();
            let begun = all.iter().find(|report| {
                report["status"] == "in_progress" && report["check_in_id"] == ended["check_in_id"]
            });
            Some((begun?.clone(), ended))
        })
        .await;
    assert_eq!(begun["monitor_slug"], ended["monitor_slug"]);
    assert_eq!(
        world.reports("event").len(),
        1,
        "one dead letter, one event"
    );
    scene.assert_discreet();
}

//! Events told to tenants' endpoints, by a server that stands for one.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use hmac::{Hmac, KeyInit, Mac};
use metachat_jobs::jobs::DeliverWebhook;
use metachat_jobs::platform::{ChannelType, NewWebhook, SecretKeys};
use metachat_jobs::records::Delivery;
use metachat_jobs::services::webhooks::WebhookOptions;
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::sync::Notify;
use windlass::db::Db;
use windlass::model::{Filter, Page};
use windlass::{JobRecord, State};

use super::delivery::{answer, deliver, why};
use super::rig::{Rig, Setup, TENANT, on_postgres, on_sqlite};
use super::secrets::{NEW_KEY, sealed};
use super::server::{Reply, Server, says};
use crate::api::Api;

macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod postgres { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let server = super::Server::start().await;
                let test = |rig| super::$name(rig, server);
                super::on_postgres(super::outside(true), test).await;
            })* }
        mod sqlite { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let server = super::Server::start().await;
                let test = |rig| super::$name(rig, server);
                super::on_sqlite(super::outside(true), test).await;
            })* }
    };
}

on_both! {
    an_event_is_told_signed_and_logged,
    refusals_are_final_and_failures_are_tried_again,
    an_endpoint_is_told_in_order_and_holds_up_nobody_else,
    a_tenants_endpoints_are_told_of_nobody_elses_events,
    a_delivery_is_replayed,
}

fn outside(allow_private_addresses: bool) -> Setup {
    Setup {
        webhooks: WebhookOptions {
            allow_private_addresses,
            backoff_ms: 1,
            ..WebhookOptions::default()
        },
        secret_keys: SecretKeys::new([("k2", NEW_KEY)]).unwrap(),
        ..Setup::default()
    }
}

async fn webhook(rig: &Rig, tenant: &str, url: &str, events: &[&str], headers: Value) -> String {
    let mut tx = rig.platform.begin(tenant).await.unwrap();
    let new = NewWebhook {
        url,
        events,
        headers,
    };
    let id = rig
        .platform
        .create_webhook(&mut tx, tenant, &new)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    id
}

/// Something that is told: an answer in web chat was delivered. The event's id.
async fn happens(rig: &Rig) -> String {
    let message = answer(rig, ChannelType::Webchat, "text", json!({"text": "hi"})).await;
    let result = rig.result(deliver(rig, &message).await).await;
    result["eventId"].as_str().unwrap().to_owned()
}

/// The job that tells a webhook of an event.
async fn job_of(rig: &Rig, webhook: &str, event: &str) -> Option<JobRecord> {
    let filter = Filter {
        kind: Some("deliver_webhook".to_owned()),
        ..Filter::default()
    };
    let page = Page {
        after: None,
        limit: 100,
    };
    let jobs = rig.client.list(&filter, page).await.unwrap();
    jobs.into_iter().find(|job| {
        let args: DeliverWebhook = job.args.decode().unwrap();
        args.webhook_id == webhook && args.event_id == event
    })
}

async fn told(rig: &Rig, webhook: &str, event: &str) -> JobRecord {
    let job = job_of(rig, webhook, event).await.expect("nobody is told");
    rig.finished(job.id).await
}

async fn log(rig: &Rig, webhook: &str) -> Vec<Delivery> {
    rig.records
        .deliveries(webhook, Some(TENANT), None, 100)
        .await
        .unwrap()
}

/// Keeps a tenant's secret encrypted.
async fn store_secret(rig: &Rig, name: &str, plain: &str) {
    const PUT: &str = "insert into tenant_secrets \
        (id, \"tenantId\", name, \"keyId\", ciphertext, iv, \"authTag\", \"updatedAt\") \
        values ($1, $2, $1, 'k2', $3, $4, $5, $6)";
    let [text, iv, tag] = &sealed(NEW_KEY, plain);
    match &rig.db {
        Db::Postgres(db) => {
            let put = sqlx::query(PUT)
                .bind(name)
                .bind(TENANT)
                .bind(text)
                .bind(iv)
                .bind(tag);
            let at = chrono::NaiveDateTime::default();
            put.bind(at).execute(db.pool()).await.unwrap();
        }
        Db::Sqlite(db) => {
            let put = sqlx::query(PUT)
                .bind(name)
                .bind(TENANT)
                .bind(text)
                .bind(iv)
                .bind(tag);
            put.bind(0).execute(db.writer()).await.unwrap();
        }
        _ => unreachable!("two dialects"),
    }
}

async fn an_event_is_told_signed_and_logged(rig: Arc<Rig>, server: Server) {
    let secrets = json!({"secret": "whsec-new", "previous": "whsec-old"});
    store_secret(&rig, "webhook", &secrets.to_string()).await;
    let own = json!({"authorization": "Bearer theirs", "X-Webhook-Event": "forged", "user-agent": "forged"});
    let url = format!("{}/hook?key=hunter2", server.url());
    let events = ["message.sent", "human_handoff.requested"];
    let webhook = webhook(&rig, TENANT, &url, &events, own).await;
    let event = happens(&rig).await;
    let job = told(&rig, &webhook, &event).await;
    assert_eq!(job.state, State::Completed, "{}", why(&job));

    let seen = &server.seen()[0];
    assert_eq!(seen.target, "/hook?key=hunter2");
    for (name, value) in [
        ("content-type", "application/json"),
        ("user-agent", "MetaChat-Webhook/1.0"),
        ("x-webhook-event", "message.sent"),
        ("x-webhook-id", event.as_str()),
        ("authorization", "Bearer theirs"),
    ] {
        assert_eq!(seen.header(name), Some(value), "{name}");
    }
    let recorded = rig.platform.event(TENANT, &event).await.unwrap().unwrap();
    let timestamp = seen.header("x-webhook-timestamp").unwrap();
    let body = format!(
        r#"{{"event":"message.sent","tenant":{{"id":"acme","name":"Acme Ltd"}},"data":{},"timestamp":"{timestamp}"}}"#,
        *recorded.data
    );
    assert_eq!(seen.body, body);

    // As a receiver would: with either secret, over the time and the body.
    let signature = seen.header("x-webhook-signature").unwrap();
    let (time, signed) = signature.split_once(',').unwrap();
    let time = time.strip_prefix("t=").unwrap();
    let now = rig.client.now().await.unwrap().as_micros() / 1_000_000;
    assert!((now - time.parse::<i64>().unwrap()).abs() < 60);
    for (secret, given) in ["whsec-new", "whsec-old"].iter().zip(signed.split(',')) {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(format!("{time}.{}", seen.body).as_bytes());
        let expected = hex::encode(mac.finalize().into_bytes());
        assert_eq!(given, format!("v1={expected}"));
    }

    let entry = &log(&rig, &webhook).await[0];
    assert_eq!(
        (entry.status, &entry.error, entry.attempt),
        (Some(200), &None, 1)
    );
    assert_eq!(
        (entry.event.as_str(), entry.event_type.as_str()),
        (&*event, "message.sent")
    );
    assert!(
        rig.records
            .deliveries(&webhook, Some("other"), None, 1)
            .await
            .unwrap()
            .is_empty()
    );
}

async fn refusals_are_final_and_failures_are_tried_again(rig: Arc<Rig>, server: Server) {
    let url = server.url();
    let webhook = webhook(&rig, TENANT, &url, &["message.sent"], json!({})).await;
    let elsewhere = vec![("location", format!("{url}/elsewhere"))];
    for (reply, class) in [
        (says(410, json!({"secret": "hunter2"})), "client_error"),
        (Reply::Says(302, elsewhere, json!({})), "redirect"),
    ] {
        let times = server.seen().len();
        server.will([reply]);
        let event = happens(&rig).await;
        let job = told(&rig, &webhook, &event).await;
        assert_eq!((job.state, job.attempt), (State::Dead, 1), "{class}");
        assert!(why(&job).contains(class), "{}", why(&job));
        assert!(
            !why(&job).contains("hunter2") && !why(&job).contains(&url),
            "{}",
            why(&job)
        );
        assert_eq!(server.seen().len(), times + 1);
        assert_eq!(log(&rig, &webhook).await[0].error.as_deref(), Some(class));
    }

    let times = server.seen().len();
    let soon = vec![("retry-after", "0".to_owned())];
    server.will([
        says(500, json!({})),
        Reply::Lost,
        Reply::Says(429, soon, json!({})),
    ]);
    let event = happens(&rig).await;
    let job = told(&rig, &webhook, &event).await;
    assert_eq!((job.state, job.attempt), (State::Completed, 4));
    let seen = server.seen();
    assert_eq!(seen.len(), times + 4);
    assert!(
        seen[times..]
            .iter()
            .all(|seen| seen.header("x-webhook-id") == Some(&event))
    );
    let log: Vec<_> = log(&rig, &webhook).await;
    let ends: Vec<_> = log[..4]
        .iter()
        .rev()
        .map(|entry| entry.error.as_deref())
        .collect();
    assert_eq!(
        ends,
        [
            Some("server_error"),
            Some("connection_lost"),
            Some("busy"),
            None
        ]
    );

    // One that fails and fails is left alone for a while, which uses no attempt.
    server.will(std::iter::repeat_n(says(500, json!({})), 5));
    let event = happens(&rig).await;
    let id = job_of(&rig, &webhook, &event).await.unwrap().id;
    let job = rig.until(id, |job| job.state == State::Scheduled).await;
    assert_eq!(job.attempt, 5);
    assert!(
        why(&job).contains("is left alone for a while"),
        "{}",
        why(&job)
    );
    assert_eq!(server.seen().len(), times + 9);
}

async fn an_endpoint_is_told_in_order_and_holds_up_nobody_else(rig: Arc<Rig>, server: Server) {
    let other = Server::start().await;
    let slow = webhook(&rig, TENANT, &server.url(), &["message.sent"], json!({})).await;
    let fast = webhook(&rig, TENANT, &other.url(), &["message.sent"], json!({})).await;
    let release = Arc::new(Notify::new());
    server.will([Reply::Held(Arc::clone(&release)), says(503, json!({}))]);
    let mut events = Vec::new();
    for _ in 0..3 {
        events.push(happens(&rig).await);
    }
    for event in &events {
        assert_eq!(told(&rig, &fast, event).await.state, State::Completed);
    }
    assert_eq!(
        server.asked(1).await.len(),
        1,
        "the others wait for the first"
    );
    release.notify_one();
    for event in &events {
        assert_eq!(told(&rig, &slow, event).await.state, State::Completed);
    }
    let order = |server: &Server| -> Vec<String> {
        let seen = server.seen().into_iter();
        seen.map(|seen| seen.header("x-webhook-id").unwrap().to_owned())
            .collect()
    };
    assert_eq!(order(&other), events);
    let [first, second, third] = &events[..] else {
        unreachable!("there are three")
    };
    let again = [first, second, second, third].map(Clone::clone);
    assert_eq!(
        order(&server),
        again,
        "one that failed goes before those behind it"
    );
}

async fn a_tenants_endpoints_are_told_of_nobody_elses_events(rig: Arc<Rig>, server: Server) {
    rig.create_tenant("other", &json!({})).await;
    let url = server.url();
    let others = webhook(&rig, "other", &url, &["message.sent"], json!({})).await;
    let unasked = webhook(&rig, TENANT, &url, &["message.received"], json!({})).await;
    let event = happens(&rig).await;
    assert!(job_of(&rig, &others, &event).await.is_none());
    assert!(job_of(&rig, &unasked, &event).await.is_none());

    // Nor by a job that names what does not belong together.
    for (tenant, webhook, state) in [
        (TENANT, &others, State::Cancelled),
        ("other", &others, State::Dead),
    ] {
        let job = DeliverWebhook {
            tenant_id: tenant.to_owned(),
            webhook_id: webhook.clone(),
            event_id: event.clone(),
        };
        let job = rig.client.enqueue(&job).await.unwrap().id();
        assert_eq!(rig.finished(job).await.state, state);
    }
    assert_eq!(server.seen().len(), 0);
}

/// Written out, by a name that leads there, or as a number: nothing is asked of our own network.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_is_not_public_is_refused() {
    let server = Server::start().await;
    let test = async move |rig: Arc<Rig>| {
        let port = server.port;
        for host in [
            "127.0.0.1",
            "localhost",
            "[::1]",
            "2130706433",
            "169.254.169.254",
        ] {
            let url = format!("http://{host}:{port}/");
            let webhook = webhook(&rig, TENANT, &url, &["message.sent"], json!({})).await;
            let event = happens(&rig).await;
            let job = told(&rig, &webhook, &event).await;
            assert_eq!((job.state, job.attempt), (State::Dead, 1), "{host}");
            assert!(
                why(&job).contains("private_address"),
                "{host}: {}",
                why(&job)
            );
            assert_eq!(
                log(&rig, &webhook).await[0].error.as_deref(),
                Some("private_address")
            );
        }
        assert_eq!(server.seen().len(), 0);
    };
    on_sqlite(outside(false), test).await;
}

async fn a_delivery_is_replayed(rig: Arc<Rig>, server: Server) {
    let webhook = webhook(&rig, TENANT, &server.url(), &["message.sent"], json!({})).await;
    server.will([says(404, json!({}))]);
    let event = happens(&rig).await;
    assert_eq!(told(&rig, &webhook, &event).await.state, State::Dead);

    let api = Api::of(rig.client.clone(), Duration::from_secs(30), |state| {
        state.with_records(rig.records.clone())
    });
    let path = format!("/v1/webhooks/{webhook}/deliveries");
    let listed = api.get(&path).await.json();
    let delivery = &listed["deliveries"][0];
    assert_eq!(
        (&delivery["status"], &delivery["error"]),
        (&json!(404), &json!("client_error"))
    );
    let others = api.get(&format!("{path}?tenant=other")).await.json();
    assert_eq!(others["deliveries"], json!([]));

    let id = delivery["id"].as_str().unwrap();
    let replay = format!("/v1/webhooks/deliveries/{id}/replay");
    let others = api
        .call(Method::POST, &format!("{replay}?tenant=other"), None)
        .await;
    assert_eq!(others.status, StatusCode::NOT_FOUND);
    let answer = api.call(Method::POST, &replay, None).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text);
    let job = answer.json()["job_id"].as_str().unwrap().parse().unwrap();
    assert_eq!(rig.finished(job).await.state, State::Completed);
    let seen = server.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[1].header("x-webhook-id"), Some(&*event));
    assert_eq!(seen[0].body, seen[1].body);
    assert_eq!(log(&rig, &webhook).await.len(), 2);

    let later = rig.client.now().await.unwrap() + Duration::from_hours(1);
    assert_eq!(rig.records.prune_deliveries(later, 10).await.unwrap(), 2);
    assert!(log(&rig, &webhook).await.is_empty());
}

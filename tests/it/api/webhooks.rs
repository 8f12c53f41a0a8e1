//! Meta's webhooks: verified, recognised by their signature, durable before they are answered.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use hmac::{Hmac, KeyInit, Mac};
use metachat_jobs::api::Doors;
use metachat_jobs::backups::Backups;
use metachat_jobs::jobs::{self, Services};
use metachat_jobs::platform::{ChannelType, Platform, SecretKeys};
use metachat_jobs::records::Records;
use metachat_jobs::services::chunking::{ChunkOptions, Chunker};
use metachat_jobs::services::documents::{DocumentOptions, Documents};
use metachat_jobs::services::events::Events;
use metachat_jobs::services::graph::{Graph, GraphOptions};
use metachat_jobs::services::models::{ModelOptions, Models};
use metachat_jobs::services::notifier::Notifier;
use metachat_jobs::services::webhooks::{WebhookOptions, Webhooks};
use secrecy::SecretString;
use serde_json::{Value, json};
use sha2::Sha256;

use windlass::Client;
use windlass::store::memory::MemoryStore;

use super::Api;
use crate::support::{on_postgres, on_sqlite, sqlite};

const SECRET: &str = "app-secret-of-the-tests";

/// An API whose platform has a tenant with the two channels, as given.
async fn api(platform: Platform, whatsapp: Value, messenger: Value) -> Api {
    let mut tx = platform.begin("acme").await.unwrap();
    platform
        .create_tenant(&mut tx, "acme", "Acme", &json!({}))
        .await
        .unwrap();
    for (kind, config) in [
        (ChannelType::Whatsapp, whatsapp),
        (ChannelType::Messenger, messenger),
    ] {
        platform
            .create_channel(&mut tx, "acme", kind, &config)
            .await
            .unwrap();
    }
    tx.commit().await.unwrap();
    let services = Services {
        platform: platform.clone(),
        models: Models::new(&ModelOptions::default()).unwrap(),
        events: Events::default(),
        records: Records::new(sqlite(std::path::Path::new("unused"))),
        documents: Documents::new(&DocumentOptions::default()),
        messages: Arc::default(),
        chunker: Arc::new(Chunker::new(ChunkOptions::default()).unwrap()),
        broker: None,
        socket_io: None,
        graph: Graph::new(&GraphOptions::default()).unwrap(),
        webhooks: Webhooks::new(&WebhookOptions::default()).unwrap(),
        backups: Backups::default(),
        notifier: Notifier::default(),
    };
    let kinds = jobs::registry(services).catalogue();
    let client = Client::new(Arc::new(MemoryStore::default())).with_catalogue(kinds);
    Api::of(client, Duration::from_secs(30), |state| {
        state.with_doors(Doors {
            platform,
            whatsapp_verify_token: SecretString::from("fallback-token"),
            messenger_verify_token: SecretString::from(""),
        })
    })
}

fn signed(secret: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

async fn post(
    api: &Api,
    channel: &str,
    tenant: &str,
    body: &str,
    signature: &str,
) -> (StatusCode, String) {
    let request = Request::post(format!("/v1/integrations/{channel}/{tenant}"))
        .header(header::CONTENT_TYPE, "application/json")
        .header("x-hub-signature-256", signature)
        .body(Body::from(body.to_owned()))
        .unwrap();
    answer(api, request).await
}

async fn get(api: &Api, path: &str) -> (StatusCode, String) {
    answer(api, Request::get(path).body(Body::empty()).unwrap()).await
}

async fn answer(api: &Api, request: Request<Body>) -> (StatusCode, String) {
    let answer = api.send(request).await;
    (answer.status, answer.text)
}

fn whatsapp(ids: &[&str]) -> String {
    let messages: Vec<Value> = ids
        .iter()
        .map(|id| json!({"from": "4915", "id": id, "timestamp": "1767225600", "type": "text", "text": {"body": "hi"}}))
        .collect();
    let value = json!({"messages": messages, "statuses": [{"status": "read"}]});
    json!({"entry": [{"changes": [{"value": value}]}]}).to_string()
}

async fn a_webhook_that_is_too_large_is_a_problem_like_any_other(platform: Platform) {
    let api = api(platform, json!({"appSecret": SECRET}), json!({})).await;
    let body = " ".repeat(4 * 1024 * 1024 + 1);
    let request = Request::post("/v1/integrations/whatsapp/acme")
        .header("x-hub-signature-256", signed(SECRET, &body))
        .body(Body::from(body))
        .unwrap();
    let answer = api.send(request).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    let told = (answer.header("content-type"), answer.json());
    assert_eq!(told.0, Some("application/problem+json"));
    assert_eq!(told.1["type"], "/problems/too-large");
    assert_eq!(told.1["field"], "body");
    assert!(api.jobs().await.is_empty());
}

async fn a_signed_webhook_is_durable_before_it_is_answered(platform: Platform) {
    let api = api(
        platform,
        json!({"appSecret": SECRET}),
        json!({"appSecret": SECRET}),
    )
    .await;
    let body = whatsapp(&["wamid.1", "wamid.2"]);
    let signature = signed(SECRET, &body);
    let answer = post(&api, "whatsapp", "acme", &body, &signature).await;
    assert_eq!(answer, (StatusCode::OK, "EVENT_RECEIVED".to_owned()));
    // Meta sends it again: it is taken in once.
    let answer = post(&api, "whatsapp", "acme", &body, &signature).await;
    assert_eq!(answer.0, StatusCode::OK);
    let jobs = api.jobs().await;
    let ids: Vec<Value> = jobs
        .iter()
        .map(|job| job.args.decode::<Value>().unwrap()["message"]["id"].clone())
        .collect();
    assert_eq!(ids, [json!("wamid.2"), json!("wamid.1")]);
    for job in &jobs {
        assert_eq!(
            (job.kind.as_str(), job.tenant_id.as_deref()),
            ("process_message", Some("acme"))
        );
        assert!(job.correlation_id.is_some());
        assert!(job.ordering_key.as_deref().unwrap().contains("acme:4915"));
    }

    let body = json!({"entry": [{"messaging": [
        {"sender": {"id": "7"}, "message": {"mid": "m1", "text": "hi"}},
        {"sender": {"id": "page"}, "message": {"mid": "m2", "text": "ours", "is_echo": true}},
    ]}]})
    .to_string();
    let answer = post(&api, "messenger", "acme", &body, &signed(SECRET, &body)).await;
    assert_eq!(answer.0, StatusCode::OK);
    assert_eq!(api.jobs().await.len(), 3);
}

async fn what_is_not_signed_with_the_app_secret_is_refused(platform: Platform) {
    let whatsapp_config = json!({"appSecret": SECRET, "verifyToken": "token"});
    let api = api(platform, whatsapp_config, json!({"verifyToken": "token"})).await;
    let body = whatsapp(&["wamid.1"]);
    for signature in [
        "",
        "sha256=00",
        &signed("token", &body),
        &signed(SECRET, "{}"),
    ] {
        let (status, problem) = post(&api, "whatsapp", "acme", &body, signature).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{signature}");
        assert!(
            problem.contains("/problems/not-signed") && !problem.contains(SECRET),
            "{problem}"
        );
    }
    // A channel without an app secret lets nobody in, whoever knows its verify token.
    let (status, _) = post(&api, "messenger", "acme", "{}", &signed("token", "{}")).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    for (channel, tenant) in [
        ("webchat", "acme"),
        ("telegram", "acme"),
        ("whatsapp", "nobody"),
    ] {
        let (status, problem) = post(&api, channel, tenant, &body, &signed(SECRET, &body)).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
        assert!(problem.contains("/problems/no-such-channel"), "{problem}");
    }
    let (status, problem) = post(
        &api,
        "whatsapp",
        "acme",
        "hunter2",
        &signed(SECRET, "hunter2"),
    )
    .await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(
        problem.contains("/problems/not-a-webhook") && !problem.contains("hunter2"),
        "{problem}"
    );
    assert_eq!(api.jobs().await.len(), 0);
}

async fn meta_verifies_with_the_channels_token(platform: Platform) {
    let api = api(
        platform,
        json!({}),
        json!({"messenger": {"verifyToken": "nested"}}),
    )
    .await;
    let query = |token: &str| {
        format!("hub.mode=subscribe&hub.verify_token={token}&hub.challenge=1158201444")
    };
    for (channel, token) in [("whatsapp", "fallback-token"), ("messenger", "nested")] {
        let path = format!("/v1/integrations/{channel}/acme?{}", query(token));
        assert_eq!(
            get(&api, &path).await,
            (StatusCode::OK, "1158201444".to_owned())
        );
    }
    for path in [
        format!("/v1/integrations/whatsapp/acme?{}", query("wrong")),
        format!("/v1/integrations/messenger/acme?{}", query("")),
        "/v1/integrations/whatsapp/acme".to_owned(),
    ] {
        assert_eq!(get(&api, &path).await.0, StatusCode::FORBIDDEN, "{path}");
    }
}

/// AES-256-GCM of `{"appSecret":"hunter2"}` under the bytes 0 to 31, as the platform keeps it.
const SEALED: &str = "insert into channel_secrets (id, \"channelId\", \"keyId\", ciphertext, iv, \"authTag\", \"updatedAt\")
    select 's1', id, 'k1', 'bvTejDSnVX18SyUb1oRSgnvreSZWkCk=', 'AAAAAAAAAAAAAAAB', 'cT6NmsjPD+VdLJz3PrYiiQ==', \"updatedAt\" from channels where type = 'whatsapp'";

async fn an_encrypted_app_secret_goes_before_the_configured_one(platform: Platform) {
    let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let keys = SecretKeys::new([("k1", key)]).unwrap();
    let api = api(
        platform.clone().with_secret_keys(keys),
        json!({"appSecret": SECRET}),
        json!({}),
    )
    .await;
    let mut tx = platform.begin("acme").await.unwrap();
    if let Some(connection) = tx.postgres() {
        sqlx::query(SEALED).execute(connection).await.unwrap();
    } else {
        sqlx::query(SEALED)
            .execute(tx.sqlite().unwrap())
            .await
            .unwrap();
    }
    tx.commit().await.unwrap();
    let body = whatsapp(&["wamid.1"]);
    let (status, _) = post(&api, "whatsapp", "acme", &body, &signed(SECRET, &body)).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let (status, _) = post(&api, "whatsapp", "acme", &body, &signed("hunter2", &body)).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(api.jobs().await.len(), 1);
}

macro_rules! on_both {
    ($($case:ident),+ $(,)?) => {
        mod postgres { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() { super::on_postgres(super::$case).await; })+ }
        mod sqlite { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() { super::on_sqlite(super::$case).await; })+ }
    };
}

on_both! {
    a_webhook_that_is_too_large_is_a_problem_like_any_other,
    a_signed_webhook_is_durable_before_it_is_answered,
    what_is_not_signed_with_the_app_secret_is_refused,
    meta_verifies_with_the_channels_token,
    an_encrypted_app_secret_goes_before_the_configured_one,
}

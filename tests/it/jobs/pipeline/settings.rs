use std::sync::Arc;
use std::time::Duration;

use metachat_jobs::platform::SecretKeys;
use metachat_jobs::services::models::{EmbedderKind, ModelOptions};
use serde_json::json;
use windlass::State;

use super::on_both;
use super::server::{ModelServer, Reply};
use super::sql;
use crate::jobs::rig::{Rig, Setup, TENANT, on_sqlite, text};

on_both! {
    settings_that_make_no_sense_cost_their_value_only,
    a_change_is_seen_by_every_process,
    a_disabled_channel_is_not_served,
    an_encrypted_key_goes_before_the_configured_one,
}

async fn settings_that_make_no_sense_cost_their_value_only(rig: Arc<Rig>) {
    let settings = json!({
        "enableRag": "yes", "tone": 7, "messageDebounceMs": -1, "humanHandoffKeywords": "agent",
        "confidenceEscalation": {"enabled": true, "mode": "paranoid", "suggestReviewThreshold": 7},
        "llm": {"provider": "gpt", "model": ["x"], "baseUrl": 1},
    });
    rig.configure(TENANT, &settings).await;
    let job = rig.send(TENANT, "webchat", text("1", "ada", "hello")).await;
    let result = rig.result(job).await;
    assert_eq!(
        (&result["model"], &result["action"]),
        (&json!("extractive"), &json!("continue"))
    );
}

async fn a_change_is_seen_by_every_process(rig: Arc<Rig>) {
    let age = Duration::from_millis(50);
    let [one, other] = [(); 2].map(|()| rig.platform.clone().with_runtime_age(age));
    let brand = async |platform: &metachat_jobs::platform::Platform| {
        let runtime = platform.runtime(TENANT).await.unwrap().unwrap();
        runtime.settings.brand_name.clone()
    };
    assert_eq!(
        (brand(&one).await, brand(&other).await),
        ("Acme".into(), "Acme".into())
    );
    rig.configure(TENANT, &json!({"brandName": "Apex"})).await;
    let changed = async {
        while brand(&one).await != "Apex" || brand(&other).await != "Apex" {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), changed)
        .await
        .expect("a change takes effect within a moment");
    assert!(one.runtime("nobody").await.unwrap().is_none());
}

async fn a_disabled_channel_is_not_served(rig: Arc<Rig>) {
    sql::run(&rig.platform, "update channels set enabled = false").await;
    let job = rig.send(TENANT, "webchat", text("1", "ada", "hello")).await;
    let job = rig.finished(job).await;
    assert_eq!(job.state, State::Cancelled);
    let inbound = "select cast(count(*) as bigint) from messages";
    assert_eq!(sql::number(&rig.platform, inbound).await, 0);
}

/// `{"apiKey":"opened"}` under the key below.
const SEALED: &str = "insert into tenant_secrets (id, \"tenantId\", name, \"keyId\", ciphertext, iv, \"authTag\", \"updatedAt\") \
    select 's', id, 'openai.apiKey', 'k1', 'PCC3a6yup2Kve7XkwYwWCOf0+g==', 'AAECAwQFBgcICQoL', 'O3bmU0XNPn7uIjRd46XEtQ==', \"updatedAt\" from tenants";
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

async fn an_encrypted_key_goes_before_the_configured_one(rig: Arc<Rig>) {
    let llm = json!({"provider": "openai", "model": "m", "apiKey": "configured"});
    rig.configure(TENANT, &json!({"llm": llm})).await;
    let key = async || {
        let keys = SecretKeys::new([("k1", KEY)]).unwrap();
        // A process of its own: it has read nothing yet.
        let fresh = rig
            .platform
            .clone()
            .with_runtime_age(Duration::from_secs(1));
        let runtime = fresh.with_secret_keys(keys).runtime(TENANT).await;
        runtime
            .unwrap()
            .unwrap()
            .llm_key
            .as_ref()
            .unwrap()
            .to_string()
    };
    assert_eq!(key().await, "configured");
    sql::run(&rig.platform, SEALED).await;
    assert_eq!(key().await, "opened");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vectors_of_another_dimension_are_told_and_the_writer_is_answered() {
    let server = ModelServer::start([Reply::Say("unused")]).await;
    let mut models = ModelOptions {
        embedder: EmbedderKind::Ollama,
        ..ModelOptions::default()
    };
    models.ollama.base_url.clone_from(&server.url);
    let setup = Setup {
        models,
        ..Setup::default()
    };
    on_sqlite(setup, wrong_dimension).await;
}

async fn wrong_dimension(rig: Arc<Rig>) {
    let job = rig.send(TENANT, "webchat", text("1", "ada", "hello")).await;
    let job = rig.finished(job).await;
    assert_eq!((job.state, job.attempt), (State::Dead, 1));
    let error = job.attempts[0].error.as_ref().unwrap().message.clone();
    assert!(error.contains("768 numbers"), "{error}");
    assert_eq!(rig.outbound(TENANT).await.len(), 1, "its writer is told");
}

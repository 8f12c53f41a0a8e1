use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use windlass::State;
use windlass::model::AttemptOutcome;

use super::on_both;
use super::server::{ModelServer, Reply};
use super::sql;
use crate::jobs::rig::{Rig, TENANT, text};

on_both! {
    each_provider_answers_with_tools_and_what_it_cost_is_recorded,
    a_model_that_only_asks_has_to_answer_after_five_rounds,
    a_busy_provider_is_left_alone_and_no_attempt_is_used,
    a_refusal_ends_the_message_and_its_writer_is_told,
    an_open_circuit_makes_jobs_wait_and_uses_no_attempts,
}

/// What stands beside the answers of a tenant.
const METADATA: &str = "select cast(metadata as text) from messages where direction = 'outbound'";

async fn each_provider_answers_with_tools_and_what_it_cost_is_recorded(rig: Arc<Rig>) {
    let (job, _) = rig
        .add_document("returns.md", "A parcel may be returned within thirty days.")
        .await;
    rig.finished(job).await;
    for provider in ["openai", "deepseek", "anthropic", "ollama"] {
        let replies = [
            Reply::Search("returned parcel"),
            Reply::Say("Within thirty days."),
        ];
        let server = ModelServer::start(replies).await;
        let settings = json!({
            "enableRag": false, "enableFunctionCalling": true, "llm": server.llm(provider),
        });
        rig.configure(TENANT, &settings).await;
        let person = format!("ada-{provider}");
        let message = text(&person, &person, "When may I return it?");
        let result = rig.result(rig.send(TENANT, "webchat", message).await).await;
        let said = rig
            .conversation(result["conversationId"].as_str().unwrap())
            .await;
        assert_eq!(said[1].1, "Within thirty days.", "{provider}");

        let asked = server.asked();
        assert_eq!(asked.len(), 2, "{provider}");
        let told = asked[1].body["messages"].to_string();
        assert!(told.contains("thirty days"), "{provider} was told: {told}");
        if provider != "ollama" {
            assert!(asked[0].key.ends_with("tenants-key"), "{provider}");
        }
        let metadata = sql::texts(&rig.platform, METADATA).await;
        let metadata: Vec<Value> = metadata
            .iter()
            .map(|text| serde_json::from_str(text).unwrap())
            .collect();
        let usage = &metadata.last().unwrap()["usage"];
        assert_eq!(usage["promptTokens"], 20, "{provider}");
        assert_eq!(usage["completionTokens"], 4, "{provider}");
        let cost = usage["costInUsd"].as_f64().unwrap();
        assert!((cost - 0.0006).abs() < 1e-9, "{provider} cost {cost}");
        let tools = &metadata.last().unwrap()["toolsUsed"];
        assert_eq!(tools, &json!(["search_knowledge_base"]));
    }
}

async fn a_model_that_only_asks_has_to_answer_after_five_rounds(rig: Arc<Rig>) {
    let server = ModelServer::start([Reply::Search("again and again")]).await;
    let settings = json!({"enableFunctionCalling": true, "llm": server.llm("openai")});
    rig.create_tenant("asks", &settings).await;
    let job = rig.send_once("asks", text("1", "ada", "hello"), 1).await;
    assert_eq!(
        rig.finished(job).await.state,
        State::Dead,
        "it never said anything"
    );
    let asked = server.asked();
    assert_eq!(asked.len(), 6);
    assert_eq!(asked[5].body["tool_choice"], "none");
    assert!(asked[4].body.get("tool_choice").is_none());
}

async fn a_busy_provider_is_left_alone_and_no_attempt_is_used(rig: Arc<Rig>) {
    let server = ModelServer::start([Reply::Refuse(429, Some("1")), Reply::Say("Hello!")]).await;
    rig.create_tenant("busy", &json!({"llm": server.llm("openai")}))
        .await;
    let job = rig.send("busy", "webchat", text("1", "ada", "hello")).await;
    let waiting = rig.until(job, |job| !job.attempts.is_empty()).await;
    assert_eq!(waiting.attempts[0].outcome, AttemptOutcome::Snoozed);
    let ended = waiting.attempts[0].ended_at;
    if waiting.state == State::Scheduled {
        assert!(waiting.run_at.since(ended) > Duration::from_millis(900));
    }
    let done = rig.finished(job).await;
    assert_eq!((done.state, done.attempt), (State::Completed, 1));
    assert!(done.claimed_at.unwrap().since(ended) > Duration::from_millis(900));
    assert_eq!(server.asked().len(), 2);
}

async fn a_refusal_ends_the_message_and_its_writer_is_told(rig: Arc<Rig>) {
    let server = ModelServer::start([Reply::Refuse(400, None)]).await;
    let settings = json!({
        "llm": server.llm("anthropic"), "texts": {"failure": "We are sorry."},
    });
    rig.configure(TENANT, &settings).await;
    let job = rig
        .send(TENANT, "webchat", text("1", "ada", "my secret"))
        .await;
    let job = rig.finished(job).await;
    assert_eq!((job.state, job.attempt), (State::Dead, 1));
    let error = job.attempts[0].error.as_ref().unwrap().message.clone();
    assert!(
        error.contains("400 Bad Request") && !error.contains("secret"),
        "{error}"
    );
    assert_eq!(server.asked().len(), 1);
    assert_eq!(rig.outbound(TENANT).await, ["We are sorry."]);
    let failed = "select cast(count(*) as bigint) from message_metrics where error_occurred";
    assert_eq!(sql::number(&rig.platform, failed).await, 1);

    // An operator who runs it again does not make it say so twice.
    rig.rerun(job.id).await;
    rig.until(job.id, |job| {
        job.state == State::Dead && server.asked().len() == 2
    })
    .await;
    assert_eq!(rig.outbound(TENANT).await, ["We are sorry."]);
}

async fn an_open_circuit_makes_jobs_wait_and_uses_no_attempts(rig: Arc<Rig>) {
    let server = ModelServer::start([Reply::Refuse(503, None)]).await;
    rig.create_tenant("down", &json!({"llm": server.llm("openai")}))
        .await;
    for n in 0..8 {
        let person = format!("person-{n}");
        let job = rig
            .send("down", "webchat", text(&person, &person, "hello"))
            .await;
        let job = rig.until(job, |job| !job.attempts.is_empty()).await;
        assert_eq!((job.state, job.attempt), (State::Scheduled, 0));
        assert_eq!(job.attempts[0].outcome, AttemptOutcome::Snoozed);
    }
    assert_eq!(server.asked().len(), 5, "then it is left alone");
}

use std::sync::Arc;
use std::time::Duration;

use metachat_jobs::jobs::{FindFailures, ProcessMessage};
use serde_json::json;
use windlass::State;
use windlass::model::{AttemptOutcome, Filter, Page, RunAt};

use super::on_both;
use super::server::{ModelServer, Reply};
use super::sql;
use crate::jobs::rig::{Rig, TENANT, text};

on_both! {
    a_finished_call_is_never_made_again,
    a_round_that_was_paid_for_is_gone_on_from,
    a_job_that_runs_out_of_attempts_tells_its_writer_once,
    whoever_was_left_without_an_answer_is_told_once,
}

/// Its last transaction cannot be made, as in a crash between the model's answer and the commit.
async fn a_finished_call_is_never_made_again(rig: Arc<Rig>) {
    let server = ModelServer::behind_a_gate([Reply::Say("Hello!")]).await;
    rig.configure(TENANT, &json!({"llm": server.llm("openai")}))
        .await;
    let job = rig.send(TENANT, "webchat", text("1", "ada", "hello")).await;
    rig.until(job, |_| server.asked().len() == 1).await;
    sql::run(&rig.platform, "alter table message_metrics rename to away").await;
    server.open();
    let failed = rig.until(job, |job| !job.attempts.is_empty()).await;
    assert_eq!(failed.attempts[0].outcome, AttemptOutcome::Failed);
    assert_eq!(rig.outbound(TENANT).await, [""; 0], "all of it, or nothing");
    sql::run(&rig.platform, "alter table away rename to message_metrics").await;

    let done = rig.finished(job).await;
    assert_eq!(done.state, State::Completed);
    assert_eq!(server.asked().len(), 1, "the model was paid once");
    assert_eq!(rig.outbound(TENANT).await, ["Hello!"]);
    let tokens = "select cast(metadata as text) from messages where direction = 'outbound'";
    let metadata = sql::texts(&rig.platform, tokens).await;
    let metadata: serde_json::Value = serde_json::from_str(&metadata[0]).unwrap();
    assert_eq!(
        metadata["usage"]["promptTokens"], 10,
        "and its usage was kept"
    );
}

async fn a_round_that_was_paid_for_is_gone_on_from(rig: Arc<Rig>) {
    let server = ModelServer::start([
        Reply::Search("parcels"),
        Reply::Refuse(503, Some("0")),
        Reply::Say("Thirty days."),
    ])
    .await;
    let settings = json!({"enableFunctionCalling": true, "llm": server.llm("openai")});
    rig.configure(TENANT, &settings).await;
    let job = rig
        .send(TENANT, "webchat", text("1", "ada", "returns?"))
        .await;
    rig.result(job).await;
    let asked = server.asked();
    assert_eq!(asked.len(), 3);
    for second in &asked[1..] {
        let messages = second.body["messages"].as_array().unwrap();
        assert_eq!(
            messages.last().unwrap()["role"],
            "tool",
            "the round is not repeated"
        );
    }
}

async fn a_job_that_runs_out_of_attempts_tells_its_writer_once(rig: Arc<Rig>) {
    let server = ModelServer::start([Reply::Say(" ")]).await;
    let settings = json!({"llm": server.llm("openai"), "texts": {"failure": "We are sorry."}});
    rig.configure(TENANT, &settings).await;
    let job = rig.send_once(TENANT, text("1", "ada", "hello"), 2).await;
    let job = rig.finished(job).await;
    assert_eq!((job.state, job.attempt), (State::Dead, 2));
    let error = job.attempts[0].error.as_ref().unwrap();
    assert!(
        error.message.contains("gave an empty answer"),
        "{}",
        error.message
    );
    assert_eq!(server.asked().len(), 2);
    assert_eq!(rig.outbound(TENANT).await, ["We are sorry."]);
}

/// Set aside in ways that leave the job no time to say so, and by itself: told once each.
async fn whoever_was_left_without_an_answer_is_told_once(rig: Arc<Rig>) {
    let server = ModelServer::start([Reply::Say(" ")]).await;
    let settings = json!({"llm": server.llm("openai"), "texts": {"failure": "We are sorry."}});
    rig.configure(TENANT, &settings).await;
    // One that tells by itself, one that an operator discards before it began, one that is answered.
    let failed = rig.send_once(TENANT, text("1", "ada", "hello"), 1).await;
    assert_eq!(rig.finished(failed).await.state, State::Dead);
    let later = ProcessMessage {
        tenant_id: TENANT.to_owned(),
        channel: "webchat".to_owned(),
        message: serde_json::from_value(text("2", "bob", "hello?")).unwrap(),
    };
    let mut later = rig.client.prepare(&later).unwrap();
    later.run_at = RunAt::In(Duration::from_hours(1));
    later.correlation_id = Some("request-2".to_owned());
    let discarded = rig.client.insert(later).await.unwrap().id();
    rig.client.discard(discarded, None).await.unwrap();
    assert_eq!(rig.finished(discarded).await.state, State::Dead);
    assert_eq!(rig.outbound(TENANT).await, ["We are sorry."]);

    for found in [2, 0] {
        let look = rig
            .client
            .enqueue(&FindFailures::default())
            .await
            .unwrap()
            .id();
        assert_eq!(rig.result(look).await, json!({"found": found}));
        let told = Filter {
            kind: Some("tell_failure".to_owned()),
            ..Filter::default()
        };
        let told = rig.client.list(&told, Page::default()).await.unwrap();
        assert_eq!(told.len(), 2);
        for job in told {
            let of_bob = job.correlation_id.as_deref() == Some("request-2");
            assert_eq!(rig.result(job.id).await["told"], json!(of_bob));
        }
    }
    assert_eq!(
        rig.outbound(TENANT).await,
        ["We are sorry.", "We are sorry."]
    );
    // An operator who has it run again has it answered.
    let server = ModelServer::start([Reply::Say("Hello, Bob.")]).await;
    rig.configure(TENANT, &json!({"llm": server.llm("openai")}))
        .await;
    rig.rerun(discarded).await;
    rig.result(discarded).await;
    assert_eq!(rig.outbound(TENANT).await.len(), 3);
}

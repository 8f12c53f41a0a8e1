//! What an operator decides of parts whose job is not there to.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use metachat_jobs::records::NewOutgoing;
use serde_json::Value;
use uuid::Uuid;
use windlass::State;
use windlass::model::RunAt;

use super::delivery::{deliver, outside, parts, text, whatsapp};
use super::rig::{Rig, TENANT, on_postgres, on_sqlite};
use super::server::{Reply, Server};
use crate::api::Api;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_decides_on_what_was_cancelled_in_the_middle_on_postgres() {
    let server = Server::start().await;
    let outside = outside(&server);
    on_postgres(outside, |rig| cancelled(rig, server)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_decides_on_what_was_cancelled_in_the_middle_on_sqlite() {
    let server = Server::start().await;
    let outside = outside(&server);
    on_sqlite(outside, |rig| cancelled(rig, server)).await;
}

async fn cancelled(rig: Arc<Rig>, server: Server) {
    whatsapp(&rig).await;
    let api = Api::of(rig.client.clone(), Duration::from_secs(30), |state| {
        state.with_records(rig.records.clone())
    });
    let call = async |path: String| api.call(Method::POST, &path, None).await;
    let message = text(&rig, "hello").await;
    // Its worker noted that it sends, and nothing after.
    let mut job = rig.client.prepare(&message).unwrap();
    job.run_at = RunAt::In(Duration::from_hours(1));
    let job = rig.client.insert(job).await.unwrap().id();
    let new = NewOutgoing {
        job,
        tenant: TENANT,
        conversation: &message.conversation_id,
        message: &message.message_id,
        channel: "whatsapp",
        parts: 1,
    };
    let row = rig.records.open_outbox(&new).await.unwrap().remove(0);
    let sender = Uuid::now_v7();
    assert!(rig.records.begin_send(&row, sender, job).await.unwrap());
    let resend = format!("/v1/outbox/{}/resend", row.id);
    let answer = call(resend.clone()).await;
    assert_eq!(answer.status, StatusCode::CONFLICT, "{}", answer.text);
    assert!(answer.text.contains("on its way"), "{}", answer.text);

    rig.client.cancel(job, None).await.unwrap();
    let answer = call(resend).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let done = rig.until(job, |job| job.state == State::Completed).await;
    let result: Value = done.result.unwrap().decode().unwrap();
    assert_eq!(result["externalId"], "wamid.1");

    // While the message's job runs it may have passed the part over: that is said.
    let release = Arc::new(tokio::sync::Notify::new());
    server.will([Reply::Held(Arc::clone(&release))]);
    let message = text(&rig, &"words ".repeat(1000)).await;
    let id = deliver(&rig, &message).await;
    server.asked(2).await;
    let second = parts(&rig, &message).await[1].id;
    let answer = call(format!("/v1/outbox/{second}/resend")).await;
    assert_eq!(answer.status, StatusCode::CONFLICT, "{}", answer.text);
    assert!(answer.text.contains("repeat this"), "{}", answer.text);
    release.notify_one();
    rig.until(id, |job| job.state == State::Completed).await;
}

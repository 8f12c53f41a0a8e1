//! What happens is on record, and told to whoever wants to be told, once.

use std::sync::Arc;

use metachat_jobs::jobs::DeliverWebhook;
use metachat_jobs::platform::{ConversationStatus, NewWebhook};
use metachat_jobs::services::models::ModelOptions;
use serde_json::{Value, json};
use windlass::State;
use windlass::model::{Filter, Page};

use super::pipeline::sql;
use super::rig::{Rig, TENANT, on_postgres, on_sqlite, text};

macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod postgres { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::on_postgres(super::ModelOptions::default(), super::$name).await; })* }
        mod sqlite { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::on_sqlite(super::ModelOptions::default(), super::$name).await; })* }
    };
}

on_both! {
    a_message_and_its_conversation_are_told_once,
    a_hand_off_is_told_as_a_change_of_its_conversation,
    a_conversation_that_opens_again_is_told,
    a_document_is_told_when_it_comes_and_when_it_can_be_found,
}

const KINDS: [&str; 5] = [
    "message.received",
    "conversation.created",
    "conversation.updated",
    "document.uploaded",
    "document.indexed",
];

/// A webhook that wants to be told of everything. Its address is refused, which is none of this test.
async fn subscribe(rig: &Rig) {
    let mut tx = rig.platform.begin(TENANT).await.unwrap();
    let webhook = NewWebhook {
        url: "http://127.0.0.1:9/",
        events: &KINDS,
        headers: json!({}),
    };
    let created = rig.platform.create_webhook(&mut tx, TENANT, &webhook).await;
    created.unwrap();
    tx.commit().await.unwrap();
}

/// The events on record, in the order of their types, and how many of them the webhook is told of.
async fn recorded(rig: &Rig) -> (Vec<(String, Value)>, usize) {
    let rows = sql::texts(
        &rig.platform,
        "select type || ' ' || cast(data as text) from events where type <> 'message.sent' order by type, id",
    )
    .await;
    let event = |row: &String| {
        let (kind, data) = row.split_once(' ').unwrap();
        (kind.to_owned(), serde_json::from_str(data).unwrap())
    };
    let told = Filter {
        kind: Some("deliver_webhook".to_owned()),
        ..Filter::default()
    };
    let told = rig.client.list(&told, Page::default()).await.unwrap();
    let mut ids: Vec<String> = told
        .iter()
        .map(|job| job.args.decode::<DeliverWebhook>().unwrap().event_id)
        .collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), told.len(), "an event is told twice");
    (rows.iter().map(event).collect(), told.len())
}

fn kinds(events: &[(String, Value)]) -> Vec<&str> {
    events.iter().map(|(kind, _)| kind.as_str()).collect()
}

async fn a_message_and_its_conversation_are_told_once(rig: Arc<Rig>) {
    subscribe(&rig).await;
    let first = rig.send(TENANT, "webchat", text("1", "ada", "hello")).await;
    let result = rig.result(first).await;
    let second = rig.send(TENANT, "webchat", text("2", "ada", "again")).await;
    rig.result(second).await;
    // Once more, as an operator may: nothing of it is new.
    rig.rerun(first).await;
    rig.finished(first).await;

    let (events, told) = recorded(&rig).await;
    let expected = [
        "conversation.created",
        "message.received",
        "message.received",
    ];
    assert_eq!(kinds(&events), expected);
    assert_eq!(told, 3);
    let conversation = &result["conversationId"];
    assert_eq!(
        events[0].1,
        json!({"conversationId": conversation, "channel": "webchat", "status": "active"})
    );
    let of_first = json!({
        "conversationId": conversation, "messageId": result["inboundId"], "externalId": "1",
        "channel": "webchat",
    });
    assert!(
        events.iter().any(|(_, data)| *data == of_first),
        "{events:?}"
    );
}

async fn a_hand_off_is_told_as_a_change_of_its_conversation(rig: Arc<Rig>) {
    subscribe(&rig).await;
    let settings = json!({"enableHumanHandoff": true, "humanHandoffKeywords": ["agent"]});
    rig.configure(TENANT, &settings).await;
    let result = rig
        .result(
            rig.send(TENANT, "webchat", text("1", "ada", "agent!"))
                .await,
        )
        .await;
    let (events, told) = recorded(&rig).await;
    let expected = [
        "conversation.created",
        "conversation.updated",
        "human_handoff.requested",
        "message.received",
    ];
    assert_eq!(kinds(&events), expected);
    assert_eq!(told, 3, "the webhook does not want hand-offs");
    let expected = json!({
        "conversationId": result["conversationId"], "channel": "webchat", "status": "assigned_human",
    });
    assert_eq!(events[1].1, expected);
}

async fn a_conversation_that_opens_again_is_told(rig: Arc<Rig>) {
    let first = rig.send(TENANT, "webchat", text("1", "ada", "hello")).await;
    let conversation = rig.result(first).await["conversationId"].clone();
    let mut tx = rig.platform.begin(TENANT).await.unwrap();
    let id = conversation.as_str().unwrap();
    let closed =
        rig.platform
            .set_conversation_status(&mut tx, TENANT, id, &ConversationStatus::Closed);
    closed.await.unwrap();
    tx.commit().await.unwrap();
    for n in ["2", "3"] {
        rig.result(rig.send(TENANT, "webchat", text(n, "ada", "again")).await)
            .await;
    }
    let (events, _) = recorded(&rig).await;
    let updated: Vec<_> = events
        .iter()
        .filter(|(kind, _)| kind == "conversation.updated")
        .collect();
    assert_eq!(updated.len(), 1, "the third finds it open: {events:?}");
    let expected = json!({
        "conversationId": conversation, "channel": "webchat", "status": "active",
    });
    assert_eq!(updated[0].1, expected);
}

async fn a_document_is_told_when_it_comes_and_when_it_can_be_found(rig: Arc<Rig>) {
    subscribe(&rig).await;
    let (job, document) = rig.add_document("Returns", "Parcels go back free.").await;
    rig.result(job).await;
    let (events, told) = recorded(&rig).await;
    assert_eq!(kinds(&events), ["document.indexed", "document.uploaded"]);
    assert_eq!(told, 2);
    let uploaded = json!({
        "documentId": document, "name": "Returns", "mimeType": "text/markdown", "version": 1,
    });
    assert_eq!(events[1].1, uploaded);
    let mut indexed = uploaded;
    indexed["chunkCount"] = json!(1);
    assert_eq!(events[0].1, indexed);

    // The same job once more indexes the same text: it is nothing new to anybody.
    rig.rerun(job).await;
    assert_eq!(rig.finished(job).await.state, State::Completed);
    let (events, told) = recorded(&rig).await;
    assert_eq!((events.len(), told), (2, 2));
}

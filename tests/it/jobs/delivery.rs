//! Messages on their way to WhatsApp and Messenger, by a server that stands for the Graph API.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use metachat_jobs::jobs::{DeliverMessage, PruneDeliveries};
use metachat_jobs::platform::{ChannelType, NewConversation, NewMessage, Private, SecretKeys};
use metachat_jobs::records::{OutboxFilter, Outgoing, SendState};
use metachat_jobs::services::graph::GraphOptions;
use serde_json::{Value, json};
use uuid::Uuid;
use windlass::model::AuditFilter;
use windlass::{JobId, JobRecord, State, Timestamp};

use super::rig::{Rig, Setup, TENANT, on_postgres, on_sqlite};
use super::secrets::{NEW_KEY, OLD_KEY, sealed, store_secret};
use super::server::{Reply, Server, says};
use crate::api::Api;

const TOKEN: &str = "a-token-that-nobody-may-see";

macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod postgres { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let server = super::Server::start().await;
                let outside = super::outside(&server);
                let test = |rig| super::$name(rig, server);
                super::on_postgres(outside, test).await;
            })* }
        mod sqlite { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let server = super::Server::start().await;
                let outside = super::outside(&server);
                let test = |rig| super::$name(rig, server);
                super::on_sqlite(outside, test).await;
            })* }
    };
}

on_both! {
    a_long_text_is_sent_in_parts_in_order,
    a_messenger_text_goes_to_the_page,
    what_is_certain_not_to_be_sent_waits_or_is_refused_with_a_remedy,
    a_lost_reply_is_unknown_and_nothing_is_sent_again,
    what_was_being_sent_when_its_worker_vanished_is_unknown,
    a_retry_goes_on_after_the_last_part,
    an_operator_decides_what_became_of_it,
    secrets_are_opened_with_any_key_of_the_ring,
    a_channel_that_cannot_send_is_a_permanent_error_with_a_remedy,
    what_is_not_sent_is_kept_however_old_it_is,
}

pub(super) fn outside(server: &Server) -> Setup {
    Setup {
        graph: GraphOptions {
            base_url: server.url(),
            timeout_ms: 2000,
            ..GraphOptions::default()
        },
        secret_keys: SecretKeys::new([("k2", NEW_KEY), ("k1", OLD_KEY)]).unwrap(),
        ..Setup::default()
    }
}

/// A tenant's channel as its own API would make it.
async fn channel(rig: &Rig, kind: ChannelType, config: Value) -> String {
    let mut tx = rig.platform.begin(TENANT).await.unwrap();
    let id = rig
        .platform
        .create_channel(&mut tx, TENANT, kind, &config)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    id
}

pub(super) async fn whatsapp(rig: &Rig) {
    let config = json!({"phoneNumberId": "1234", "accessToken": TOKEN});
    channel(rig, ChannelType::Whatsapp, config).await;
}

/// An answer that waits to be delivered, in a conversation of its own.
pub(super) async fn answer(
    rig: &Rig,
    channel: ChannelType,
    kind: &str,
    content: Value,
) -> DeliverMessage {
    let user = Uuid::new_v4().simple().to_string();
    let at = Timestamp::from_micros(1_767_225_600_000_000);
    let mut tx = rig.platform.begin(TENANT).await.unwrap();
    let new = NewConversation {
        channel,
        external_id: format!("{TENANT}:{user}"),
        user_id: user,
        at,
    };
    let conversation = rig
        .platform
        .upsert_conversation(&mut tx, TENANT, &new)
        .await
        .unwrap();
    let new = NewMessage {
        conversation_id: conversation.id.clone(),
        external_id: None,
        from: TENANT.to_owned(),
        kind: kind.to_owned(),
        content: Private(content),
        metadata: Private(json!({})),
        at,
    };
    let message = rig
        .platform
        .insert_outbound(&mut tx, TENANT, "m1", &new)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    DeliverMessage {
        tenant_id: TENANT.to_owned(),
        channel: channel.as_str().to_owned(),
        conversation_id: conversation.id,
        message_id: message.id,
    }
}

pub(super) async fn text(rig: &Rig, words: &str) -> DeliverMessage {
    answer(rig, ChannelType::Whatsapp, "text", json!({"text": words})).await
}

pub(super) async fn deliver(rig: &Rig, message: &DeliverMessage) -> JobId {
    rig.client.enqueue(message).await.unwrap().id()
}

pub(super) async fn parts(rig: &Rig, message: &DeliverMessage) -> Vec<Outgoing> {
    rig.records
        .outbox_of(TENANT, &message.message_id)
        .await
        .unwrap()
}

/// Why the last attempt did not succeed.
pub(super) fn why(job: &JobRecord) -> String {
    let error = job.attempts.last().and_then(|last| last.error.clone());
    error.map(|error| error.message).unwrap_or_default()
}

async fn a_long_text_is_sent_in_parts_in_order(rig: Arc<Rig>, server: Server) {
    whatsapp(&rig).await;
    let words = "A sentence that says something. ".repeat(300);
    let message = text(&rig, &words).await;
    let result = rig.result(deliver(&rig, &message).await).await;
    assert_eq!(result["externalId"], "wamid.1");

    let seen = server.seen();
    assert_eq!(seen.len(), 3);
    let mut all = String::new();
    for request in &seen {
        assert_eq!(request.target, "/v24.0/1234/messages");
        assert_eq!(
            request.header("authorization"),
            Some(&*format!("Bearer {TOKEN}"))
        );
        let body = request.json();
        assert_eq!(body["messaging_product"], "whatsapp");
        assert_eq!(body["type"], "text");
        let piece = body["text"]["body"].as_str().unwrap();
        assert!(
            piece.len() <= 4096 && piece.ends_with("something."),
            "{}",
            piece.len()
        );
        all.push_str(piece);
    }
    let bare = |text: &str| text.split_whitespace().collect::<String>();
    assert_eq!(bare(&all), bare(&words));

    let rows = parts(&rig, &message).await;
    assert!(
        rows.iter()
            .all(|row| row.state == SendState::Sent && row.attempts == 1)
    );
    assert_eq!(rows[2].provider_id.as_deref(), Some("wamid.3"));
    let stored = rig
        .platform
        .message(TENANT, &message.conversation_id, &message.message_id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(stored.external_id.as_deref(), Some("wamid.1"));
    let event = result["eventId"].as_str().unwrap();
    let event = rig.platform.event(TENANT, event).await.unwrap().unwrap();
    assert_eq!(event.kind, "message.sent");
    assert_eq!(
        *event.data,
        json!({"conversationId": message.conversation_id, "messageId": message.message_id,
            "externalId": "wamid.1", "channel": "whatsapp"})
    );
}

async fn a_messenger_text_goes_to_the_page(rig: Arc<Rig>, server: Server) {
    let config = json!({"pageId": "77", "pageAccessToken": TOKEN});
    channel(&rig, ChannelType::Messenger, config).await;
    let content = json!({"media": {"url": "https://cdn.example/cat.png", "caption": "a cat"}});
    let message = answer(&rig, ChannelType::Messenger, "image", content).await;
    rig.result(deliver(&rig, &message).await).await;
    let seen = server.seen();
    assert_eq!(seen[0].target, "/v24.0/77/messages");
    let body = seen[0].json();
    assert_eq!(body["messaging_type"], "RESPONSE");
    assert_eq!(body["message"]["attachment"]["type"], "image");
    assert_eq!(seen[1].json()["message"]["text"], "a cat");
    assert_eq!(seen[1].json()["recipient"], body["recipient"]);
}

async fn what_is_certain_not_to_be_sent_waits_or_is_refused_with_a_remedy(
    rig: Arc<Rig>,
    server: Server,
) {
    whatsapp(&rig).await;
    let fault = |code: i64| json!({"error": {"message": "hunter2", "code": code}});
    for (status, code, word) in [
        (401, 190, "store a new accessToken"),
        (400, 131_047, "24 hours"),
        (400, 100, "list of errors"),
    ] {
        server.will([says(status, fault(code))]);
        let message = text(&rig, "hello").await;
        let job = rig.finished(deliver(&rig, &message).await).await;
        assert_eq!((job.state, job.attempt), (State::Dead, 1), "{code}");
        let reason = why(&job);
        assert!(
            reason.contains(word) && reason.contains(&code.to_string()),
            "{reason}"
        );
        let row = &parts(&rig, &message).await[0];
        assert_eq!(row.state, SendState::Failed);
        for told in [&reason, row.error.as_ref().unwrap()] {
            assert!(!told.contains("hunter2") && !told.contains(TOKEN), "{told}");
        }
    }
    for (status, code) in [
        (429, 130_429),
        (400, 131_056),
        (400, 4),
        (400, 80007),
        (503, 131_016),
    ] {
        let later = vec![("retry-after", "70".to_owned())];
        server.will([Reply::Says(status, later, fault(code))]);
        let message = text(&rig, "hello").await;
        let id = deliver(&rig, &message).await;
        let job = rig.until(id, |job| job.state == State::Scheduled).await;
        assert_eq!(job.attempt, 0, "waiting uses no attempt: {code}");
        let wait = job.run_at.since(job.attempts[0].ended_at);
        let seconds = wait.as_secs_f64();
        assert!((69.0..75.0).contains(&seconds), "{code} waits {wait:?}");
        assert_eq!(parts(&rig, &message).await[0].state, SendState::Pending);
    }
}

async fn a_lost_reply_is_unknown_and_nothing_is_sent_again(rig: Arc<Rig>, server: Server) {
    whatsapp(&rig).await;
    for (times, reply) in [
        Reply::Lost,
        says(500, json!({})),
        says(200, json!({"ok": true})),
    ]
    .into_iter()
    .enumerate()
    {
        server.will([reply]);
        let message = text(&rig, "hello").await;
        let id = deliver(&rig, &message).await;
        let job = rig.finished(id).await;
        assert_eq!(job.state, State::Dead);
        let row = parts(&rig, &message).await.remove(0);
        assert_eq!(row.state, SendState::Unknown);
        let reason = why(&job);
        let order = format!("jobctl outbox resend {}", row.id);
        assert!(
            reason.contains("unknown:") && reason.contains(&order),
            "{reason}"
        );

        // Whoever runs the job again learns the same, and the channel hears nothing.
        rig.client.requeue(id, None).await.unwrap();
        let again = rig
            .until(id, |job| job.state.is_finished() && job.claim_no > 1)
            .await;
        assert_eq!(again.state, State::Dead);
        assert_eq!(server.seen().len(), times + 1);
    }
    let filter = OutboxFilter {
        state: Some(SendState::Unknown),
        tenant: Some(TENANT.to_owned()),
    };
    assert_eq!(
        rig.records.outbox(&filter, None, 10).await.unwrap().len(),
        3
    );
}

async fn an_operator_decides_what_became_of_it(rig: Arc<Rig>, server: Server) {
    whatsapp(&rig).await;
    let api = Api::of(rig.client.clone(), Duration::from_secs(30), |state| {
        state.with_records(rig.records.clone())
    });
    let call = async |path: String| api.call(Method::POST, &path, None).await;

    // Two parts: the reply to the first is lost, and the channel is found not to have it.
    server.will([Reply::Lost]);
    let message = text(&rig, &"words ".repeat(1000)).await;
    let id = deliver(&rig, &message).await;
    rig.finished(id).await;
    let waiting = api.get("/v1/outbox?state=unknown").await.json();
    let row = waiting["parts"][0].clone();
    assert_eq!(
        (&row["part"], &row["parts"], &row["job_id"]),
        (&json!(1), &json!(2), &json!(id))
    );
    let part = row["id"].as_str().unwrap();
    let others = call(format!("/v1/outbox/{part}/resend?tenant=other")).await;
    assert_eq!(others.status, StatusCode::NOT_FOUND);
    let answer = call(format!("/v1/outbox/{part}/resend?reason=not+there")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let done = rig.until(id, |job| job.state == State::Completed).await;
    let result: Value = done.result.unwrap().decode().unwrap();
    assert_eq!(result["externalId"], "wamid.2");
    assert_eq!(server.seen().len(), 3);
    let answer = call(format!("/v1/outbox/{part}/resend")).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert!(answer.text.contains("not sent twice"), "{}", answer.text);

    // The channel is found to have it.
    server.will([Reply::Lost]);
    let message = text(&rig, "hello").await;
    let id = deliver(&rig, &message).await;
    rig.finished(id).await;
    let part = parts(&rig, &message).await[0].id;
    let answer = call(format!(
        "/v1/outbox/{part}/mark-sent?provider_id=wamid.found"
    ))
    .await;
    assert_eq!(answer.json()["state"], "sent", "{}", answer.text);
    let done = rig.until(id, |job| job.state == State::Completed).await;
    let result: Value = done.result.unwrap().decode().unwrap();
    assert_eq!(result["externalId"], "wamid.found");
    assert_eq!(server.seen().len(), 4, "nothing was sent");

    // What is certain needs no such decision.
    let fault = json!({"error": {"code": 100}});
    server.will([says(400, fault)]);
    let message = text(&rig, "hello").await;
    rig.finished(deliver(&rig, &message).await).await;
    let part = parts(&rig, &message).await[0].id;
    let answer = call(format!("/v1/outbox/{part}/mark-sent")).await;
    assert_eq!(answer.status, StatusCode::CONFLICT, "{}", answer.text);

    let audit = rig
        .client
        .audit(&AuditFilter::default(), None, 100)
        .await
        .unwrap();
    let acts: Vec<&str> = audit
        .iter()
        .rev()
        .map(|entry| entry.audit.action.as_str())
        .filter(|action| action.starts_with("outbox."))
        .collect();
    assert_eq!(acts, ["outbox.resend", "outbox.mark_sent"]);
    let resent = audit
        .iter()
        .find(|entry| entry.audit.action == "outbox.resend")
        .unwrap();
    assert_eq!(resent.audit.reason.as_deref(), Some("not there"));
    assert_eq!(resent.audit.tenant_id.as_deref(), Some(TENANT));
}

async fn what_was_being_sent_when_its_worker_vanished_is_unknown(rig: Arc<Rig>, server: Server) {
    whatsapp(&rig).await;
    let message = text(&rig, "hello").await;
    // As far as a worker comes that is killed after it has noted that it sends.
    let new = metachat_jobs::records::NewOutgoing {
        job: JobId::new(),
        tenant: TENANT,
        conversation: &message.conversation_id,
        message: &message.message_id,
        channel: "whatsapp",
        parts: 1,
    };
    let row = rig.records.open_outbox(&new).await.unwrap().remove(0);
    let sender = Uuid::now_v7();
    assert!(rig.records.begin_send(&row, sender, new.job).await.unwrap());
    assert!(
        !rig.records
            .begin_send(&row, Uuid::now_v7(), new.job)
            .await
            .unwrap()
    );

    let job = rig.finished(deliver(&rig, &message).await).await;
    assert_eq!(job.state, State::Dead);
    assert!(why(&job).contains("vanished"), "{}", why(&job));
    assert_eq!(parts(&rig, &message).await[0].state, SendState::Unknown);
    assert_eq!(server.seen().len(), 0);

    // It was not dead but slow: the reply counts after all.
    let sent = metachat_jobs::records::Sent {
        state: SendState::Sent,
        provider_id: Some("wamid.late"),
        error: None,
    };
    assert!(
        !rig.records
            .end_send(&row, Uuid::now_v7(), &sent)
            .await
            .unwrap()
    );
    assert!(rig.records.end_send(&row, sender, &sent).await.unwrap());
    let id = job.id;
    rig.client.requeue(id, None).await.unwrap();
    let done = rig.until(id, |job| job.state == State::Completed).await;
    let result: Value = done.result.unwrap().decode().unwrap();
    assert_eq!(result["externalId"], "wamid.late");
    assert_eq!(server.seen().len(), 0);
}

async fn a_retry_goes_on_after_the_last_part(rig: Arc<Rig>, server: Server) {
    whatsapp(&rig).await;
    let busy = Reply::Says(
        429,
        vec![("retry-after", "0".to_owned())],
        json!({"error": {"code": 130_429}}),
    );
    let first = says(200, json!({"messages": [{"id": "wamid.first"}]}));
    server.will([first, busy]);
    let message = text(&rig, &"words ".repeat(1000)).await;
    let result = rig.result(deliver(&rig, &message).await).await;
    assert_eq!(result["externalId"], "wamid.first");
    let bodies: Vec<String> = server
        .seen()
        .iter()
        .map(|seen| seen.json()["text"]["body"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(bodies.len(), 3);
    assert_ne!(bodies[0], bodies[1]);
    assert_eq!(bodies[1], bodies[2], "only the second part was repeated");
    let attempts: Vec<i32> = parts(&rig, &message)
        .await
        .iter()
        .map(|row| row.attempts)
        .collect();
    assert_eq!(attempts, [1, 2]);
}

async fn secrets_are_opened_with_any_key_of_the_ring(rig: Arc<Rig>, server: Server) {
    let config = json!({"phoneNumberId": "1234", "accessToken": "in clear, and out of date"});
    let channel = channel(&rig, ChannelType::Whatsapp, config).await;
    for (id, key, plain, token) in [
        (
            "k1",
            OLD_KEY,
            json!({"accessToken": "old-token"}).to_string(),
            "old-token",
        ),
        // The key was rotated, and the row encrypted again; a bare text is the token itself.
        (
            "k2",
            NEW_KEY,
            json!({"accessToken": "new-token"}).to_string(),
            "new-token",
        ),
    ] {
        store_secret(&rig, &channel, id, &sealed(key, &plain)).await;
        let message = text(&rig, "hello").await;
        rig.result(deliver(&rig, &message).await).await;
        let seen = server.seen();
        let shown = seen.last().unwrap().header("authorization");
        assert_eq!(shown, Some(&*format!("Bearer {token}")));
    }
    let times = server.seen().len();
    store_secret(&rig, &channel, "k9", &sealed(OLD_KEY, "hunter2")).await;
    let message = text(&rig, "hello").await;
    let job = rig.finished(deliver(&rig, &message).await).await;
    assert_eq!((job.state, job.attempt), (State::Dead, 1));
    let reason = why(&job);
    assert!(reason.contains("\"k9\", which is not set"), "{reason}");
    assert_eq!(server.seen().len(), times);
}

async fn a_channel_that_cannot_send_is_a_permanent_error_with_a_remedy(
    rig: Arc<Rig>,
    server: Server,
) {
    let message = text(&rig, "hello").await;
    let job = rig.finished(deliver(&rig, &message).await).await;
    assert!(
        why(&job).contains("has no whatsapp channel"),
        "{}",
        why(&job)
    );

    // As the platform's dashboard makes one: its names are known, what is missing is named.
    channel(&rig, ChannelType::Whatsapp, json!({"apiKey": TOKEN})).await;
    let message = text(&rig, "hello").await;
    let job = rig.finished(deliver(&rig, &message).await).await;
    assert_eq!((job.state, job.attempt), (State::Dead, 1));
    assert!(why(&job).contains("has no phoneNumberId"), "{}", why(&job));

    let message = text(&rig, "  ").await;
    let job = rig.finished(deliver(&rig, &message).await).await;
    assert!(
        why(&job).contains("there is nothing to send"),
        "{}",
        why(&job)
    );
    assert_eq!(server.seen().len(), 0);
}

/// Nobody listens there: nothing was sent, and no attempt is used however long that lasts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_graph_api_out_of_reach_is_waited_for() {
    let outside = Setup {
        graph: GraphOptions {
            base_url: "http://127.0.0.1:1".to_owned(),
            ..GraphOptions::default()
        },
        ..Setup::default()
    };
    let test = async |rig: Arc<Rig>| {
        whatsapp(&rig).await;
        let message = text(&rig, "hello").await;
        let id = deliver(&rig, &message).await;
        let job = rig.until(id, |job| job.state == State::Scheduled).await;
        assert_eq!(job.attempt, 0);
        assert!(why(&job).contains("cannot connect"), "{}", why(&job));
        let wait = job.run_at.since(job.attempts[0].ended_at);
        assert!(wait >= Duration::from_secs(9), "{wait:?}");
        assert_eq!(parts(&rig, &message).await[0].state, SendState::Pending);
    };
    on_sqlite(outside, test).await;
}

async fn what_is_not_sent_is_kept_however_old_it_is(rig: Arc<Rig>, server: Server) {
    whatsapp(&rig).await;
    let sent = text(&rig, "hello").await;
    rig.finished(deliver(&rig, &sent).await).await;
    server.will([Reply::Lost]);
    let lost = text(&rig, "hello").await;
    rig.finished(deliver(&rig, &lost).await).await;
    // Of one message the second part is unknown: without the first it would be sent from the beginning.
    let first = says(200, json!({"messages": [{"id": "wamid.first"}]}));
    server.will([first, Reply::Lost]);
    let half = text(&rig, &"words ".repeat(1000)).await;
    rig.finished(deliver(&rig, &half).await).await;
    let later = rig.client.now().await.unwrap() + Duration::from_hours(24 * 365);
    assert_eq!(rig.records.prune_outbox(later, 10).await.unwrap(), 1);
    assert_eq!(parts(&rig, &sent).await, []);
    let states = parts(&rig, &half).await.into_iter().map(|part| part.state);
    let states: Vec<SendState> = states.collect();
    assert_eq!(states, [SendState::Sent, SendState::Unknown]);
    let whole = text(&rig, &"words ".repeat(1000)).await;
    rig.finished(deliver(&rig, &whole).await).await;
    let later = rig.client.now().await.unwrap() + Duration::from_hours(24 * 365);
    let pruned = rig.records.prune_outbox(later, 1).await.unwrap();
    assert_eq!(pruned, 2, "a message is pruned whole");
    assert_eq!(parts(&rig, &lost).await[0].state, SendState::Unknown);

    let job = PruneDeliveries::default();
    let job = rig.client.enqueue(&job).await.unwrap().id();
    assert_eq!(rig.result(job).await, json!({"deleted": 0}));
}

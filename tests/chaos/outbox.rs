//! `kill -9` of a worker between a message's request and the note of what came of it.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use metachat_jobs::jobs::DeliverMessage;
use metachat_jobs::operations::outbox::Desk;
use metachat_jobs::platform::{ChannelType, NewConversation, NewMessage, Private};
use metachat_jobs::records::{Records, SendState};
use serde_json::{Value, json};
use tokio::sync::watch;
use windlass::{State as JobState, Timestamp};

use super::database::{Database, Server, TENANT};
use super::process::Process;

const PATIENCE: Duration = Duration::from_mins(1);

/// Stands for the Graph API: takes the first request and never answers it, and answers the others.
#[derive(Clone)]
struct Graph(Arc<watch::Sender<usize>>);

impl Graph {
    async fn start() -> (String, Self) {
        let graph = Self(Arc::new(watch::Sender::new(0)));
        let app = Router::new()
            .route("/{version}/{sender}/messages", post(take))
            .with_state(graph.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        (url, graph)
    }

    async fn asked(&self, times: usize) {
        let mut count = self.0.subscribe();
        let there = count.wait_for(|count| *count >= times);
        let there = tokio::time::timeout(PATIENCE, there).await;
        assert_eq!(*there.expect("nobody asked").unwrap(), times);
    }
}

async fn take(State(graph): State<Graph>) -> Json<Value> {
    let mut number = 0;
    graph.0.send_modify(|count| {
        *count += 1;
        number = *count;
    });
    if number == 1 {
        std::future::pending::<()>().await;
    }
    Json(json!({"messages": [{"id": format!("wamid.{number}")}]}))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_killed_while_it_sends_leaves_an_unknown_and_sends_nothing_twice_on_postgres() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    killed_while_it_sends(&Database::postgres(server.url()).await, folder.path()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_killed_while_it_sends_leaves_an_unknown_and_sends_nothing_twice_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    killed_while_it_sends(&Database::sqlite(folder.path()).await, folder.path()).await;
}

async fn killed_while_it_sends(database: &Database, folder: &std::path::Path) {
    let (graph_url, graph) = Graph::start().await;
    let records = Records::new(database.db.clone());
    records.prepare().await.unwrap();
    let settings = [
        ("database.url", database.url.as_str()),
        ("security.admin_key", "a-key-for-this-test-only"),
        ("server.port", "0"),
        ("engine.lease_ms", "2000"),
        ("channels.graph.base_url", graph_url.as_str()),
    ];
    let message = answer(database).await;
    let job = database.client.enqueue(&message).await.unwrap().id();

    let mut worker = Process::start("worker", folder, &settings);
    graph.asked(1).await;
    worker.kill();
    // Whoever comes next finds that something was being sent.
    let mut next = Process::start("all", folder, &settings);
    let ended = database
        .until(job, PATIENCE, |job| job.state.is_finished())
        .await;
    assert_eq!(ended.state, JobState::Dead, "{ended:?}");
    let why = ended.attempts.last().unwrap().error.clone().unwrap();
    assert!(why.message.contains("unknown:"), "{}", why.message);
    let row = records
        .outbox_of(TENANT, &message.message_id)
        .await
        .unwrap()
        .remove(0);
    assert_eq!(row.state, SendState::Unknown);
    graph.asked(1).await;

    // The operator looks into the channel, finds nothing, and has it sent.
    let desk = Desk {
        records: &records,
        client: &database.client,
        operator: &database.client.operator("ada", Some("not there")),
        tenant: None,
    };
    desk.resend(row.id).await.unwrap();
    let done = database
        .until(job, PATIENCE, |job| job.state == JobState::Completed)
        .await;
    let result: Value = done.result.unwrap().decode().unwrap();
    assert_eq!(result["externalId"], "wamid.2");
    graph.asked(2).await;
    next.signal("TERM");
    assert!(next.wait().success(), "{}", next.log());
}

/// An answer that waits to be sent by WhatsApp.
async fn answer(database: &Database) -> DeliverMessage {
    let platform = &database.platform;
    let at = Timestamp::from_micros(1_767_225_600_000_000);
    let mut tx = platform.begin(TENANT).await.unwrap();
    let config = json!({"phoneNumberId": "1", "accessToken": "t"});
    platform
        .create_channel(&mut tx, TENANT, ChannelType::Whatsapp, &config)
        .await
        .unwrap();
    let new = NewConversation {
        channel: ChannelType::Whatsapp,
        external_id: "acme:49".to_owned(),
        user_id: "49".to_owned(),
        at,
    };
    let conversation = platform
        .upsert_conversation(&mut tx, TENANT, &new)
        .await
        .unwrap();
    let new = NewMessage {
        conversation_id: conversation.id.clone(),
        external_id: None,
        from: TENANT.to_owned(),
        kind: "text".to_owned(),
        content: Private(json!({"text": "hello"})),
        metadata: Private(json!({})),
        at,
    };
    let message = platform
        .insert_outbound(&mut tx, TENANT, "m1", &new)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    DeliverMessage {
        tenant_id: TENANT.to_owned(),
        channel: "whatsapp".to_owned(),
        conversation_id: conversation.id,
        message_id: message.id,
    }
}

//! Answers in web chat, by the platform's web sockets and its broker.

use futures_util::StreamExt as _;
use metachat_jobs::jobs::{self, DeliverMessage, Services};
use metachat_jobs::platform::{ChannelType, NewConversation, NewMessage, Private};
use metachat_jobs::services::broker::topology::{self, Direction, ORCHESTRATOR};
use metachat_jobs::services::socketio::{SocketIo, SocketIoOptions};
use serde_json::{Value, json};
use windlass::{State, Timestamp};

use super::publishing::subscribe_to;
use super::rig::{PATIENCE, Rig, assert_topology, on_postgres};

/// An answer to `user` that waits to be delivered.
async fn answer(rig: &Rig, user: &str) -> DeliverMessage {
    let at = Timestamp::from_micros(1_767_225_600_123_000);
    let mut tx = rig.platform.begin(&rig.tenant).await.unwrap();
    let new = NewConversation {
        channel: ChannelType::Webchat,
        external_id: format!("{}:{user}", rig.tenant),
        user_id: user.to_owned(),
        at,
    };
    let made = rig.platform.upsert_conversation(&mut tx, &rig.tenant, &new);
    let conversation = made.await.unwrap();
    let new = NewMessage {
        conversation_id: conversation.id.clone(),
        external_id: None,
        from: rig.tenant.clone(),
        kind: "text".to_owned(),
        content: Private(json!({"text": "hello"})),
        metadata: Private(json!({})),
        at,
    };
    let made = rig
        .platform
        .insert_outbound(&mut tx, &rig.tenant, "m1", &new);
    let message = made.await.unwrap();
    tx.commit().await.unwrap();
    DeliverMessage {
        tenant_id: rig.tenant.clone(),
        channel: "webchat".to_owned(),
        conversation_id: conversation.id,
        message_id: message.id,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_in_web_chat_reaches_its_sockets_and_whoever_is_bound() {
    on_postgres(async |rig| {
        assert_topology(&rig.amqp, &rig.tenant, "webchat").await;
        let key = topology::key(&rig.tenant, "webchat", Direction::Outbound);
        let mut bound = subscribe_to(&rig, ORCHESTRATOR, &key).await;
        let redis_url = crate::import::redis::server();
        let pubsub = redis::Client::open(redis_url.as_str()).unwrap();
        let (mut sink, mut heard) = pubsub.get_async_pubsub().await.unwrap().split();
        sink.subscribe(format!("socket.io#/#{}:ada#", rig.tenant))
            .await
            .unwrap();
        let options = SocketIoOptions {
            url: redis_url.into(),
            timeout: PATIENCE,
        };
        let services = Services {
            socket_io: Some(SocketIo::new(&options).unwrap()),
            ..rig.services.clone()
        };
        let message = answer(&rig, "ada").await;
        let id = rig.client.enqueue(&message).await.unwrap().id();
        let registry = jobs::registry(services);
        windlass::testing::drain(&rig.client, registry)
            .await
            .unwrap();
        let job = rig.client.get(id, None).await.unwrap().unwrap();
        assert_eq!(job.state, State::Completed, "{job:?}");

        let packet = tokio::time::timeout(PATIENCE, heard.next()).await.unwrap();
        let packet = packet.unwrap().get_payload_bytes().to_vec();
        let [_, packet, _]: [Value; 3] = rmp_serde::from_slice(&packet).unwrap();
        let told = json!({
            "type": "message", "messageId": message.message_id, "id": message.message_id,
            "role": "assistant", "content": "hello", "timestamp": "2026-01-01T00:00:00.123Z",
        });
        assert_eq!(packet["data"], json!(["message", told]));

        let routed = tokio::time::timeout(PATIENCE, bound.next()).await.unwrap();
        let routed: Value = serde_json::from_slice(&routed.unwrap().unwrap().data).unwrap();
        assert_eq!(routed["type"], "message.sent");
        assert_eq!(routed["message"]["id"], message.message_id);
        assert_eq!(routed["message"]["direction"], "outbound");
        assert_eq!(routed["message"]["content"], json!({"text": "hello"}));
        assert_eq!(
            routed["message"]["conversationId"],
            format!("{}:ada", rig.tenant)
        );
    })
    .await;
}

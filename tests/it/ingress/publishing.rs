use futures_util::StreamExt as _;
use lapin::options::{
    BasicConsumeOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{Consumer, ExchangeKind};
use metachat_jobs::jobs::{self, PlatformEvent, ProcessMessage, PublishEvent};
use metachat_jobs::platform::{NewEvent, Private};
use metachat_jobs::services::Error;
use metachat_jobs::services::broker::{Publication, topology};
use metachat_jobs::services::socketio::{SocketIo, SocketIoOptions};
use serde_json::{Value, json};
use uuid::Uuid;
use windlass::{State, Timestamp};

use super::rig::{PATIENCE, Rig, assert_topology, on_postgres, text};

/// Binds a queue of the test's own to the exchange of events.
async fn subscribe(rig: &Rig, key: &str) -> Consumer {
    subscribe_to(rig, rig.broker.events(), key).await
}

/// The same to any exchange.
pub(super) async fn subscribe_to(rig: &Rig, exchange: &str, key: &str) -> Consumer {
    let amqp = &rig.amqp;
    let options = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    let declared = amqp.exchange_declare(
        exchange.into(),
        ExchangeKind::Topic,
        options,
        FieldTable::default(),
    );
    declared.await.unwrap();
    let queue = amqp
        .queue_declare(
            "".into(),
            QueueDeclareOptions::exclusive(),
            FieldTable::default(),
        )
        .await
        .unwrap();
    let name = queue.name().clone();
    let bound = amqp.queue_bind(
        name.clone(),
        exchange.into(),
        key.into(),
        QueueBindOptions::default(),
        FieldTable::default(),
    );
    bound.await.unwrap();
    let options = BasicConsumeOptions {
        no_ack: true,
        ..BasicConsumeOptions::default()
    };
    amqp.basic_consume(name, "".into(), options, FieldTable::default())
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_reaches_whoever_is_bound_in_the_platforms_form() {
    on_postgres(async |rig| {
        assert_topology(&rig.amqp, &rig.tenant, "webchat").await;
        let mut subscriber = subscribe(&rig, &format!("{}.message.sent", rig.tenant)).await;
        let data = json!({"conversationId": "c", "messageId": "m", "externalId": "m", "channel": "webchat"});
        let happened = NewEvent {
            kind: "message.sent".to_owned(),
            key: None,
            data: Private(data.clone()),
            at: Timestamp::from_micros(1_700_000_000_123_456),
        };
        let mut event = PlatformEvent::new("e-1".to_owned(), &rig.tenant, &happened);
        event.correlation_id = Some("request-1".to_owned());
        let id = rig.client.enqueue(&PublishEvent { event }).await.unwrap().id();
        let registry = jobs::registry(rig.services.clone());
        windlass::testing::drain(&rig.client, registry).await.unwrap();
        let job = rig.client.get(id, None).await.unwrap().unwrap();
        assert_eq!(job.state, State::Completed, "{job:?}");
        let received = tokio::time::timeout(PATIENCE, subscriber.next()).await.unwrap();
        let received = received.unwrap().unwrap();
        let body: Value = serde_json::from_slice(&received.data).unwrap();
        assert_eq!(
            body,
            json!({
                "id": "e-1", "type": "message.sent", "tenantId": rig.tenant,
                "timestamp": "2023-11-14T22:13:20.123Z", "data": data, "correlationId": "request-1",
            })
        );
        let properties = &received.properties;
        assert_eq!(*properties.delivery_mode(), Some(2));
        assert_eq!(properties.message_id().as_ref().unwrap().as_str(), "e-1");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_came_in_is_told_once_with_what_it_belongs_to() {
    on_postgres(async |rig| {
        assert_topology(&rig.amqp, &rig.tenant, "webchat").await;
        let mut subscriber = subscribe(&rig, &format!("{}.message.received", rig.tenant)).await;
        let registry = || jobs::registry(rig.services.clone());
        // By two ways: the queue, and once more when its job is forgotten.
        for correlation in ["request-1", "request-2"] {
            let job = ProcessMessage {
                tenant_id: rig.tenant.clone(),
                channel: "webchat".to_owned(),
                message: serde_json::from_value(text("m-1", "u", "hello")).unwrap(),
            };
            let mut job = rig.client.prepare(&job).unwrap();
            job.unique = None;
            job.correlation_id = Some(correlation.to_owned());
            rig.client.insert(job).await.unwrap();
            windlass::testing::drain(&rig.client, registry())
                .await
                .unwrap();
        }
        let received = tokio::time::timeout(PATIENCE, subscriber.next())
            .await
            .unwrap();
        let body: Value = serde_json::from_slice(&received.unwrap().unwrap().data).unwrap();
        assert_eq!(body["type"], "message.received");
        assert_eq!(body["correlationId"], "request-1");
        assert_eq!(body["data"]["externalId"], "m-1");
        let published = rig.jobs().await;
        let published = published.iter().filter(|job| job.kind == "publish_event");
        let told = published.filter(|job| job.correlation_id.as_deref() == Some("request-2"));
        assert_eq!(told.count(), 0, "it came in once");
    })
    .await;
}

/// Waiting makes no topic exchange of another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exchange_that_the_broker_refuses_is_a_refusal_and_no_outage() {
    on_postgres(async |rig| {
        let exchange = format!("fanout-{}", rig.tenant);
        let options = ExchangeDeclareOptions {
            auto_delete: true,
            ..ExchangeDeclareOptions::default()
        };
        let kind = ExchangeKind::Fanout;
        let arguments = FieldTable::default();
        let amqp = &rig.amqp;
        let declared = amqp.exchange_declare(exchange.as_str().into(), kind, options, arguments);
        declared.await.unwrap();
        let publication = Publication::json(&exchange, "k", b"{}");
        let error = rig.broker.publish(&publication).await.unwrap_err();
        assert!(matches!(error, Error::Rejected { .. }), "{error}");
        let options = lapin::options::ExchangeDeleteOptions::default();
        let deleted = amqp.exchange_delete(exchange.as_str().into(), options);
        deleted.await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_is_bound_for_is_an_error_where_it_must_arrive() {
    on_postgres(async |rig| {
        assert_topology(&rig.amqp, &rig.tenant, "webchat").await;
        let key = topology::key(&rig.tenant, "webchat", topology::Direction::Outbound);
        let mut publication = Publication::json(topology::ORCHESTRATOR, &key, b"{}");
        rig.broker
            .publish(&publication)
            .await
            .expect("confirmed, if unheard");
        publication.mandatory = true;
        let error = rig.broker.publish(&publication).await.unwrap_err();
        assert!(matches!(error, Error::Rejected { .. }), "{error}");
        assert!(error.to_string().contains("no queue is bound"), "{error}");
        // Many at once: a returned message is laid at the right door.
        let good = topology::key(&rig.tenant, "webchat", topology::Direction::Inbound);
        let publish = async |n: usize| {
            let key = if n.is_multiple_of(2) { &good } else { &key };
            let publication = Publication {
                mandatory: true,
                ..Publication::json(topology::ORCHESTRATOR, key, b"{}")
            };
            (
                n.is_multiple_of(2),
                rig.broker.publish(&publication).await.is_ok(),
            )
        };
        let outcomes = futures_util::future::join_all((0..200).map(publish)).await;
        assert!(
            outcomes
                .iter()
                .all(|(routed, confirmed)| routed == confirmed)
        );
        assert_eq!(rig.depth(&rig.queue()).await.0, 100);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_platforms_sockets_hear_an_event_for_their_room() {
    let url = crate::import::redis::server();
    let room = format!("acme:{}", Uuid::new_v4().simple());
    let (mut sink, mut heard) = redis::Client::open(url.as_str())
        .unwrap()
        .get_async_pubsub()
        .await
        .unwrap()
        .split();
    // As the adapter subscribes: to everything of its namespace, and sorts by room.
    sink.psubscribe("socket.io#/#*").await.unwrap();
    let socket_io = SocketIo::new(&SocketIoOptions {
        url: url.into(),
        timeout: PATIENCE,
    })
    .unwrap();
    let payload = json!({"type": "message", "content": "hello"});
    let listeners = socket_io.emit(&room, "message", &payload).await.unwrap();
    assert!(listeners >= 1);
    let ours = async {
        loop {
            let message = heard.next().await.unwrap();
            if message.get_channel_name() == format!("socket.io#/#{room}#") {
                return message.get_payload_bytes().to_vec();
            }
        }
    };
    let bytes = tokio::time::timeout(PATIENCE, ours).await.unwrap();
    let [_, packet, options]: [Value; 3] = rmp_serde::from_slice(&bytes).unwrap();
    assert_eq!(packet["data"], json!(["message", payload]));
    assert_eq!(options["rooms"], json!([room]));
}

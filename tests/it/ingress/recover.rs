//! The copies of webhooks that the platform's API keeps: what was lost is found in them.

use std::sync::Arc;
use std::time::Duration;

use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use metachat_jobs::ingress::rabbitmq::{Recovered, Recovery, replay};
use metachat_jobs::platform::{ChannelType, NewConversation, NewMessage};
use serde_json::{Value, json};
use windlass::Timestamp;

use super::desk::jobctl;
use super::rig::{Rig, external_id, on_postgres, on_sqlite, persistent, publish, until};

/// A webhook of Meta's with one message.
fn webhook(id: &str, at: Timestamp) -> Value {
    let seconds = (at.as_micros() / 1_000_000).to_string();
    json!({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [{
        "field": "messages",
        "value": {"messaging_product": "whatsapp", "messages": [
            {"from": "31612345678", "id": id, "timestamp": seconds, "type": "text", "text": {"body": "hunter2"}},
        ]},
    }]}]})
}

/// As the platform's `WebhookAckStrategy` writes it.
fn copy(rig: &Rig, payload: &Value) -> Value {
    json!({
        "webhookId": "w", "externalMessageId": "x", "rawPayload": payload, "tenantId": rig.tenant,
        "channel": "whatsapp", "ackedAt": "2026-01-31T12:00:00.000Z",
    })
}

async fn put(rig: &Rig, copies: &[Value]) -> String {
    let queue = format!("tenant.{}.webhook.whatsapp.ack.queue", rig.tenant);
    let declared = rig.amqp.queue_declare(
        queue.as_str().into(),
        QueueDeclareOptions::durable(),
        FieldTable::default(),
    );
    declared.await.unwrap();
    for copy in copies {
        let body = copy.to_string();
        // The exchange of the name "" leads to every queue by its name.
        publish(&rig.amqp, "", &queue, body.as_bytes(), persistent()).await;
    }
    let count = u32::try_from(copies.len()).unwrap();
    until("they are there", async || {
        rig.depth(&queue).await.0 == count
    })
    .await;
    queue
}

/// A message that has arrived, by whatever way.
async fn arrived(rig: &Rig, id: &str, at: Timestamp) {
    let mut tx = rig.platform.begin(&rig.tenant).await.unwrap();
    let conversation = NewConversation {
        channel: ChannelType::Whatsapp,
        external_id: format!("{}:31612345678", rig.tenant),
        user_id: "31612345678".to_owned(),
        at,
    };
    let conversation = rig
        .platform
        .upsert_conversation(&mut tx, &rig.tenant, &conversation)
        .await
        .unwrap();
    let message = NewMessage {
        conversation_id: conversation.id,
        external_id: Some(id.to_owned()),
        from: "31612345678".to_owned(),
        kind: "text".to_owned(),
        content: json!({"text": "hi"}).into(),
        metadata: json!({}).into(),
        at,
    };
    let inserted = rig.platform.insert_inbound(
        &mut tx,
        &rig.tenant,
        ChannelType::Whatsapp,
        Some(id),
        &message,
    );
    inserted.await.unwrap();
    tx.commit().await.unwrap();
}

async fn what_was_lost_is_found(rig: Arc<Rig>) {
    rig.create_channel(&rig.tenant, ChannelType::Whatsapp).await;
    let recovery = Recovery {
        broker: &rig.broker,
        client: &rig.client,
        platform: &rig.platform,
        records: &rig.records,
        max_age: Duration::from_hours(24),
    };
    let recover = async || {
        recovery
            .recover(&rig.tenant, ChannelType::Whatsapp)
            .await
            .unwrap()
    };
    assert_eq!(recover().await, None, "there is no such queue yet");
    let now = rig.client.now().await.unwrap();
    let long_ago = now.minus(Duration::from_hours(48));
    arrived(&rig, "wamid.arrived", now).await;
    let mut anothers = copy(&rig, &webhook("wamid.4", now));
    anothers["tenantId"] = json!("another");
    let statuses = json!({"entry": [{"changes": [{"value": {"statuses": [{"id": "s"}]}}]}]});
    let copies = [
        copy(&rig, &webhook("wamid.lost", now)),
        copy(&rig, &webhook("wamid.arrived", now)),
        copy(&rig, &webhook("wamid.lost", now)),
        copy(&rig, &webhook("wamid.old", long_ago)),
        anothers,
        json!({"rawPayload": 7}),
        json!("nothing of the kind"),
        copy(&rig, &statuses),
    ];
    let queue = put(&rig, &copies).await;
    let found = recover().await.unwrap();
    let mut expected = Recovered {
        queue: queue.clone(),
        found: 8,
        recovered: 1,
        known: 2,
        too_old: 1,
        left: found.left.clone(),
    };
    assert_eq!(found, expected);
    assert_eq!(found.left.len(), 3, "{:?}", found.left);
    assert!(
        found.left[0].contains("names another tenant"),
        "{:?}",
        found.left
    );
    assert!(
        found.left[1].contains("not a webhook of WhatsApp"),
        "{:?}",
        found.left
    );
    assert!(
        found.left[2].contains("rawPayload is missing"),
        "{:?}",
        found.left
    );
    assert!(!found.left.concat().contains("hunter2"));
    let ids: Vec<String> = rig.jobs().await.iter().map(external_id).collect();
    assert_eq!(ids, ["wamid.lost"]);

    // What could not be read stays, and twice finds nothing else.
    until("they are back", async || rig.depth(&queue).await.0 == 3).await;
    expected = Recovered {
        found: 3,
        recovered: 0,
        known: 0,
        too_old: 0,
        ..expected
    };
    assert_eq!(recover().await, Some(expected));

    // What was too old waits in quarantine for an operator.
    let old = &rig.quarantine().await[0];
    assert!(old.reason.contains("too old"), "{}", old.reason);
    let operator = rig.client.operator("ada", None);
    replay(&rig.client, &rig.platform, &rig.records, &operator, old.id)
        .await
        .unwrap();
    let ids: Vec<String> = rig.jobs().await.iter().map(external_id).collect();
    assert_eq!(ids, ["wamid.lost", "wamid.old"]);
    rig.delete(&queue).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_were_acknowledged_and_lost_become_jobs_once() {
    on_postgres(what_was_lost_is_found).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_were_acknowledged_and_lost_become_jobs_once_on_sqlite() {
    on_sqlite(what_was_lost_is_found).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobctl_recovers_and_the_audit_log_knows() {
    on_sqlite(async |rig| {
        let tenant = rig.tenant.as_str();
        let recover = ["rabbitmq", "recover", "--tenant", tenant];
        let (exit, out, err) = jobctl(&rig.url, &recover).await;
        assert_eq!(exit, metachat_jobs::cli::Exit::Done, "{err}");
        assert!(out.contains("no queues of webhooks"), "{out}");
        rig.create_channel(tenant, ChannelType::Whatsapp).await;
        let now = rig.client.now().await.unwrap();
        let queue = put(&rig, &[copy(&rig, &webhook("wamid.1", now))]).await;
        let (exit, out, err) = jobctl(
            &rig.url,
            &[&recover[..], &["--reason", "an outage"]].concat(),
        )
        .await;
        assert_eq!(exit, metachat_jobs::cli::Exit::Done, "{err}");
        assert!(
            out.contains("1 found; of their messages 1 recovered"),
            "{out}"
        );
        assert_eq!(rig.jobs().await.len(), 1);
        let (_, out, _) = jobctl(&rig.url, &["audit"]).await;
        assert!(
            out.contains("rabbitmq.recover") && out.contains("an outage"),
            "{out}"
        );
        let nobody = ["rabbitmq", "recover", "--tenant", "nobody"];
        let (exit, _, err) = jobctl(&rig.url, &nobody).await;
        assert_eq!(exit, metachat_jobs::cli::Exit::NotFound);
        assert!(err.contains("nobody"), "{err}");
        rig.delete(&queue).await;
    })
    .await;
}

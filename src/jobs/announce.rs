//! Tells the world what happened: the platform's record of it, its exchange of events, and the tenant's
//! webhooks.

use serde_json::json;
use windlass::db::Tx;
use windlass::{Context, Timestamp};

use super::failure::from_platform;
use super::publish_event::publish;
use super::{DeliverWebhook, Services};
use crate::platform::{Conversation, NewEvent, Private};

/// Records an event and a delivery to each webhook that wants to be told of it, within the job's own
/// transaction: it happened, is on record and will be told, or none of it. The event's id.
///
/// An event with a key is recorded, and told, once.
pub(super) async fn announce(
    cx: &Context<Services>,
    tx: &mut Tx,
    tenant: &str,
    event: &NewEvent,
) -> anyhow::Result<String> {
    let Services {
        platform, webhooks, ..
    } = cx.services();
    let announced = platform
        .insert_event(tx, tenant, event)
        .await
        .map_err(from_platform)?;
    let event_id = announced.id;
    if !announced.is_new {
        return Ok(event_id);
    }
    publish(cx, tx, tenant, event_id.clone(), event).await?;
    for webhook_id in announced.webhooks {
        let mut job = cx.follow_up(&DeliverWebhook {
            tenant_id: tenant.to_owned(),
            webhook_id,
            event_id: event_id.clone(),
        })?;
        job.max_attempts = webhooks.options().max_attempts;
        cx.client().insert_in(tx, job).await?;
    }
    Ok(event_id)
}

/// A conversation began, or who answers in it has changed, because of a message: one event of its kind for each.
pub(super) fn conversation_event(
    kind: &str,
    conversation: &Conversation,
    message: &str,
    at: Timestamp,
) -> NewEvent {
    NewEvent {
        kind: kind.to_owned(),
        key: Some(message.to_owned()),
        data: Private(json!({
            "conversationId": conversation.id,
            "channel": conversation.channel.as_str(),
            "status": conversation.status.as_str(),
        })),
        at,
    }
}

/// As JavaScript writes it, which is what the platform and its receivers know.
pub(super) fn iso(at: Timestamp) -> String {
    at.to_datetime()
        .to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

//! Tells the widget of an answer, by the platform's web sockets and its broker, where they are configured.
//!
//! Told twice it is no harm, as the widget knows a message by its id; and not told at all it reads the
//! message in the conversation.

use anyhow::anyhow;
use serde_json::json;
use windlass::{Context, permanent};

use super::announce::iso;
use super::failure::{from_platform, from_service};
use super::{DeliverMessage, Services};
use crate::services::broker::Publication;
use crate::services::broker::topology::{self, Direction, ORCHESTRATOR};

/// What the widget listens for.
const EVENT: &str = "message";

pub(super) async fn tell(job: &DeliverMessage, cx: &Context<Services>) -> anyhow::Result<()> {
    let Services {
        platform,
        broker,
        socket_io,
        ..
    } = cx.services();
    if broker.is_none() && socket_io.is_none() {
        return Ok(());
    }
    let (tenant, conversation, id) = (&job.tenant_id, &job.conversation_id, &job.message_id);
    let message = platform
        .message(tenant, conversation, id)
        .await
        .map_err(from_platform)?
        .ok_or_else(|| permanent(anyhow!("messageId: the conversation has no such message")))?;
    let conversation = platform
        .conversation(tenant, conversation)
        .await
        .map_err(from_platform)?
        .ok_or_else(|| {
            permanent(anyhow!(
                "conversationId: this tenant has no such conversation"
            ))
        })?;
    let at = iso(message.at);
    if let Some(sockets) = socket_io {
        let room = format!("{tenant}:{}", conversation.user_id);
        let payload = json!({
            "type": "message",
            "messageId": id,
            "id": id,
            "role": "assistant",
            "content": message.text().unwrap_or_default(),
            "timestamp": at,
        });
        sockets
            .emit(&room, EVENT, &payload)
            .await
            .map_err(from_service)?;
    }
    if let Some(broker) = broker {
        let normalized = json!({
            "id": id,
            "conversationId": conversation.external_id,
            "direction": "outbound",
            "from": message.from,
            "timestamp": at,
            "type": message.kind,
            "content": *message.content,
        });
        let body = serde_json::to_vec(&json!({"type": "message.sent", "message": normalized}))?;
        let key = topology::key(tenant, &job.channel, Direction::Outbound);
        let publication = Publication {
            correlation_id: cx.job().correlation_id.as_deref(),
            message_id: Some(id),
            ..Publication::json(ORCHESTRATOR, &key, &body)
        };
        broker.publish(&publication).await.map_err(from_service)?;
    }
    Ok(())
}

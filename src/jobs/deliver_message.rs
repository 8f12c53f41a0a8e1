use std::time::Duration;

use anyhow::anyhow;
use serde::{Deserialize, Serialize};
use serde_json::json;
use windlass::model::{Conflict, Unique};
use windlass::{Backoff, Context, Job, JobOptions, Json, Outcome, permanent};

use super::announce::announce;
use super::failure::from_platform;
use super::{Services, outbox, webchat};
use crate::platform::{ChannelType, NewEvent, Private};
use crate::services::events::{Event, EventKind};
use crate::services::graph::GraphChannel;
use crate::telemetry;

/// Hands an answer to the channel its customer uses.
///
/// Web chat reads answers from the conversation, where this one already stands: delivering it means
/// recording that it was sent and telling whoever watches, also through the platform's web sockets and
/// its broker if they are configured. WhatsApp and Messenger are sent each part
/// through the Graph API, once: see `outbox.rs`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeliverMessage {
    /// Whose answer.
    pub tenant_id: String,
    /// By which channel.
    pub channel: String,
    /// In which conversation.
    pub conversation_id: String,
    /// The outbound message.
    pub message_id: String,
}

impl Job for DeliverMessage {
    const KIND: &'static str = "deliver_message";
    type Services = Services;

    fn options() -> JobOptions {
        JobOptions {
            queue: "delivery",
            priority: 2,
            max_attempts: 10,
            timeout: Duration::from_mins(5),
            backoff: Backoff {
                base: Duration::from_secs(1),
                ..Backoff::default()
            },
            ..JobOptions::default()
        }
    }

    fn tenant(&self) -> Option<&str> {
        Some(&self.tenant_id)
    }

    fn ordering_key(&self) -> Option<String> {
        Some(format!("delivery/{}", self.conversation_id))
    }

    fn unique(&self) -> Option<Unique> {
        Some(Unique {
            key: self.message_id.clone(),
            window: Some(Duration::from_hours(24)),
            conflict: Conflict::ReturnExisting,
        })
    }

    async fn run(self, cx: Context<Services>) -> anyhow::Result<Outcome> {
        let channel: ChannelType = self
            .channel
            .parse()
            .map_err(|error| permanent(anyhow!("channel: {error}")))?;
        let sent = match channel {
            // It stands in the conversation already, where the widget reads it.
            ChannelType::Webchat => {
                webchat::tell(&self, &cx).await?;
                Ok(self.message_id.clone())
            }
            ChannelType::Whatsapp => outbox::send(&self, &cx, GraphChannel::Whatsapp).await?,
            ChannelType::Messenger => outbox::send(&self, &cx, GraphChannel::Messenger).await?,
        };
        match sent {
            Ok(external_id) => self.finish(&cx, channel, &external_id).await,
            Err(stop) => Ok(stop),
        }
    }
}

impl DeliverMessage {
    /// Records that the channel has it, announces that, and is done: all of it, or nothing.
    async fn finish(
        self,
        cx: &Context<Services>,
        channel: ChannelType,
        external_id: &str,
    ) -> anyhow::Result<Outcome> {
        let platform = &cx.services().platform;
        let event = NewEvent {
            kind: "message.sent".to_owned(),
            key: Some(self.message_id.clone()),
            data: Private(json!({
                "conversationId": self.conversation_id,
                "messageId": self.message_id,
                "externalId": external_id,
                "channel": self.channel,
            })),
            at: cx.now(),
        };
        let mut tx = platform
            .begin(&self.tenant_id)
            .await
            .map_err(from_platform)?;
        if channel != ChannelType::Webchat && !external_id.is_empty() {
            platform
                .set_external_id(&mut tx, &self.tenant_id, &self.message_id, external_id)
                .await
                .map_err(from_platform)?;
        }
        let event_id = announce(cx, &mut tx, &self.tenant_id, &event).await?;
        let result = json!({"eventId": event_id, "externalId": external_id});
        let events = cx.services().events.clone();
        tx.after_commit(move || {
            telemetry::messages::delivered(channel.as_str(), &self.message_id);
            events.publish(Event {
                tenant_id: self.tenant_id,
                conversation_id: self.conversation_id,
                message_id: self.message_id,
                kind: EventKind::Sent,
            });
        });
        Ok(cx.commit(tx, Some(Json::encode(&result)?)).await?)
    }
}

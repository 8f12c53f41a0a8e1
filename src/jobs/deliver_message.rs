use std::time::Duration;

use anyhow::anyhow;
use serde::{Deserialize, Serialize};
use serde_json::json;
use windlass::model::{Conflict, Unique};
use windlass::{Backoff, Context, Job, JobOptions, Json, Outcome, permanent};

use super::Services;
use super::failure::from_platform;
use crate::platform::{ChannelType, NewEvent, Private};
use crate::services::events::{Event, EventKind};
use crate::telemetry;

/// Hands an answer to the channel its customer uses.
///
/// Web chat reads answers from the conversation, where this one already stands: delivering it means
/// recording that it was sent and telling whoever watches. The other channels need their adapters.
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
            timeout: Duration::from_mins(1),
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
        match self.channel.parse() {
            Ok(ChannelType::Webchat) => self.deliver_webchat(cx).await,
            Ok(channel) => Err(permanent(anyhow!(
                "channel: this version has no adapter for {channel}; requeue the job once it has"
            ))),
            Err(error) => Err(permanent(anyhow!("channel: {error}"))),
        }
    }
}

impl DeliverMessage {
    async fn deliver_webchat(self, cx: Context<Services>) -> anyhow::Result<Outcome> {
        let platform = &cx.services().platform;
        let data = json!({
            "conversationId": self.conversation_id,
            "messageId": self.message_id,
            "externalId": self.message_id,
            "channel": self.channel,
        });
        let event = NewEvent {
            kind: "message.sent".to_owned(),
            key: Some(self.message_id.clone()),
            data: Private(data),
            at: cx.now(),
        };
        let mut tx = platform
            .begin(&self.tenant_id)
            .await
            .map_err(from_platform)?;
        let event_id = platform
            .insert_event(&mut tx, &self.tenant_id, &event)
            .await
            .map_err(from_platform)?;
        let events = cx.services().events.clone();
        tx.after_commit(move || {
            telemetry::messages::delivered(ChannelType::Webchat.as_str(), &self.message_id);
            events.publish(Event {
                tenant_id: self.tenant_id,
                conversation_id: self.conversation_id,
                message_id: self.message_id,
                kind: EventKind::Sent,
            });
        });
        Ok(cx
            .commit(tx, Some(Json::encode(&json!({"eventId": event_id}))?))
            .await?)
    }
}

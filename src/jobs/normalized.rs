use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value;
use windlass::Timestamp;

/// A chat message in the platform's own form, whatever channel it came by.
///
/// Read bare or in the envelope that the platform's queues carry.
#[derive(Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NormalizedMessage {
    /// The channel's own id of the message, if it gave one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The conversation as the channel knows it; the sender if it does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<String>,
    /// The channel's id, where it differs from `id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// Who wrote it.
    pub from: String,
    /// When, if the channel said so in a form that can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Timestamp>,
    /// What kind of content it holds.
    #[serde(rename = "type")]
    pub kind: MessageKind,
    /// The content, by kind.
    pub content: Value,
    /// What else the channel said.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub metadata: Value,
}

/// What kind of content a message holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MessageKind {
    /// `{text}`
    Text,
    /// `{media: {url, mimeType, ..}}`
    Image,
    /// `{media}`
    Audio,
    /// `{media}`
    Video,
    /// `{media}`
    Document,
    /// `{location: {latitude, longitude, ..}}`
    Location,
}

impl MessageKind {
    /// The word in the platform's tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Image => "image",
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Document => "document",
            Self::Location => "location",
        }
    }
}

/// The message as it stands on the wire.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    id: Option<String>,
    conversation_id: Option<String>,
    external_id: Option<String>,
    from: String,
    #[serde(default)]
    timestamp: Value,
    #[serde(rename = "type")]
    kind: MessageKind,
    content: Value,
    #[serde(default)]
    metadata: Value,
}

impl NormalizedMessage {
    /// What a person would read: the text, or a medium's caption.
    pub fn text(&self) -> Option<&str> {
        [
            &self.content["text"],
            &self.content["media"]["caption"],
            &self.content["caption"],
        ]
        .into_iter()
        .filter_map(Value::as_str)
        .map(str::trim)
        .find(|text| !text.is_empty())
    }

    /// The conversation as the channel knows it.
    pub fn conversation(&self) -> &str {
        filled(self.conversation_id.as_deref()).unwrap_or(&self.from)
    }

    /// What tells this message from every other of its channel, if anything does.
    pub fn external_id(&self) -> Option<&str> {
        filled(self.external_id.as_deref()).or_else(|| filled(self.id.as_deref()))
    }
}

fn filled(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

impl<'de> Deserialize<'de> for NormalizedMessage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut value = Value::deserialize(deserializer)?;
        if value.get("from").is_none() && value["message"].is_object() {
            value = value["message"].take();
        }
        let wire = Wire::deserialize(value).map_err(de::Error::custom)?;
        if !wire.content.is_object() {
            return Err(de::Error::custom(
                "missing field `content`, an object such as {\"text\": ..}",
            ));
        }
        if wire.from.is_empty() {
            return Err(de::Error::custom("missing field `from`: it is empty"));
        }
        Ok(Self {
            id: wire.id,
            conversation_id: wire.conversation_id,
            external_id: wire.external_id,
            from: wire.from,
            timestamp: instant(&wire.timestamp),
            kind: wire.kind,
            content: wire.content,
            metadata: wire.metadata,
        })
    }
}

/// ISO text or milliseconds; anything else is no time at all.
fn instant(value: &Value) -> Option<Timestamp> {
    let at = match value {
        Value::String(text) => DateTime::parse_from_rfc3339(text).ok()?.with_timezone(&Utc),
        Value::Number(millis) => DateTime::from_timestamp_millis(millis.as_i64()?)?,
        _ => return None,
    };
    Some(Timestamp::from_datetime(at))
}

/// Message bodies belong in no log.
impl std::fmt::Debug for NormalizedMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NormalizedMessage")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn bare() -> Value {
        json!({
            "id": "wamid.1", "conversationId": "acme:4915", "externalId": "wamid.1",
            "direction": "inbound", "from": "4915", "timestamp": "2026-01-31T12:00:00.000Z",
            "type": "text", "content": {"text": " Hello "}, "metadata": {"raw": {}},
        })
    }

    #[test]
    fn an_envelope_and_a_bare_message_are_the_same() {
        let message: NormalizedMessage = serde_json::from_value(bare()).unwrap();
        let envelope = json!({"type": "message.received", "message": bare()});
        assert_eq!(
            serde_json::from_value::<NormalizedMessage>(envelope).unwrap(),
            message
        );
        assert_eq!(
            (message.text(), message.conversation()),
            (Some("Hello"), "acme:4915")
        );
        let again = serde_json::to_value(&message).unwrap();
        assert_eq!(
            serde_json::from_value::<NormalizedMessage>(again).unwrap(),
            message
        );
    }

    #[test]
    fn a_caption_counts_as_text_and_a_strange_time_as_none() {
        let mut value = bare();
        value["type"] = json!("image");
        value["content"] = json!({"media": {"url": "", "caption": "look"}});
        value["timestamp"] = json!("yesterday");
        let message: NormalizedMessage = serde_json::from_value(value).unwrap();
        assert_eq!((message.text(), message.timestamp), (Some("look"), None));
        assert!(!format!("{message:?}").contains("look"));
    }

    #[test]
    fn what_is_missing_is_named_and_what_is_there_is_not_shown() {
        for (field, wrong) in [
            ("from", Value::Null),
            ("type", json!("sticker")),
            ("content", json!("hunter2")),
        ] {
            let mut value = bare();
            value[field] = wrong;
            let error = serde_json::from_value::<NormalizedMessage>(value)
                .unwrap_err()
                .to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}

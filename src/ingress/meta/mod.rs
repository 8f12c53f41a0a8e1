//! Meta's webhooks: who signed them, and the messages in them in the platform's own form.
//!
//! What is no message of a customer (echoes of our own, receipts, reactions, kinds that nobody can
//! answer) is counted by its name and left out; what is one is never dropped for a part that is missing.

mod messenger;
mod signature;
#[cfg(test)]
mod tests;
mod whatsapp;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

pub use messenger::messages as messenger;
pub use signature::{is_signed, matches};
pub use whatsapp::messages as whatsapp;

/// What a webhook held.
#[derive(Debug, Default, PartialEq)]
pub struct Received {
    /// Messages, in the order they stand there.
    pub messages: Vec<Value>,
    /// How many of what else, by Meta's name for it.
    pub ignored: BTreeMap<String, usize>,
}

/// A webhook's body that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the body is not a webhook of {expected}: {problem}")]
pub struct Unreadable {
    expected: &'static str,
    /// Never what the body holds.
    problem: String,
}

impl Received {
    fn ignore(&mut self, what: &str) {
        // Meta's names are short words; anything else is not shown.
        let is_word =
            what.len() <= 40 && what.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let name = if is_word && !what.is_empty() {
            what
        } else {
            "other"
        };
        *self.ignored.entry(name.to_owned()).or_default() += 1;
    }
}

/// A message on its way into the platform's form.
struct Incoming<'a> {
    tenant: &'a str,
    /// The channel's id of it; derived from the message where there is none, so that a webhook that
    /// comes twice brings it once.
    id: String,
    from: &'a str,
    /// Milliseconds since 1970.
    timestamp: Option<i64>,
    content: Content,
    metadata: Map<String, Value>,
}

/// Its content, by kind.
enum Content {
    Text(String),
    /// The kind's name, and what is known of the file.
    Media(&'static str, Media),
    Location(Value),
}

/// A file of the channel's: Meta gives an id to ask for it with, or a URL.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Media {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mime_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    filename: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    caption: Option<String>,
}

impl Incoming<'_> {
    fn normalised(self) -> Value {
        let (kind, content) = match self.content {
            Content::Text(text) => ("text", json!({"text": text})),
            Content::Media(kind, media) => (kind, json!({"media": media})),
            Content::Location(location) => ("location", json!({"location": location})),
        };
        let mut message = json!({
            "id": self.id,
            "externalId": self.id,
            "conversationId": format!("{}:{}", self.tenant, self.from),
            "direction": "inbound",
            "from": self.from,
            "type": kind,
            "content": content,
            "metadata": self.metadata,
        });
        if let Some(at) = self.timestamp {
            message["timestamp"] = json!(at);
        }
        message
    }
}

/// An id for a message that has none: the same whenever it comes again.
fn derived_id(tenant: &str, message: &Value) -> String {
    let mut digest = Sha256::new();
    digest.update(tenant);
    digest.update([0]);
    digest.update(message.to_string());
    format!("derived-{}", hex::encode(digest.finalize()))
}

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8], expected: &'static str) -> Result<T, Unreadable> {
    serde_json::from_slice(body).map_err(|error| Unreadable {
        expected,
        problem: if error.is_data() {
            "a field has another form than Meta gives it".to_owned()
        } else {
            format!(
                "no JSON at line {}, column {}",
                error.line(),
                error.column()
            )
        },
    })
}

fn text(value: &Value) -> Option<String> {
    let text = value.as_str()?;
    (!text.is_empty()).then(|| text.to_owned())
}

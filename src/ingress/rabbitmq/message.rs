//! What a delivery says, and what is wrong with it: never in words of its own.

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use serde_json::{Map, Value};
use windlass::engine::EnqueueError;
use windlass::model::Limits;
use windlass::{Client, NewJob};

use crate::ingress::Inbound;
use crate::services::broker::topology;
use crate::telemetry::correlation::{self, CORRELATION_ID, TRACE_PARENT};

/// The type of the platform's envelope around an inbound message.
const RECEIVED: &str = "message.received";
/// The protocol's own property, kept among the headers.
const PROPERTY: &str = "correlationId";
/// How often the platform's own worker has tried it.
pub(super) const RETRIES: &str = "x-retry-count";
/// By which key one that was set aside had come.
pub(super) const ROUTING_KEY: &str = "x-original-routing-key";
/// Longer, it belongs to nothing.
const LONGEST_CORRELATION: usize = 128;
/// What a message may be.
const KINDS: [&str; 6] = ["text", "image", "audio", "video", "document", "location"];

/// Why a message cannot become a job.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Bytes of some other kind.
    #[error("the body is not JSON (from byte {0} on)")]
    NotJson(usize),
    /// JSON of some other shape.
    #[error("{field}: {problem}")]
    NotAMessage {
        /// What is at fault.
        field: &'static str,
        /// What would be right.
        problem: &'static str,
    },
    /// Larger than a job may be.
    #[error("the message is larger than a job may be ({size} bytes, of {limit})")]
    TooLarge {
        /// Its own size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// Its routing key names no tenant and channel.
    #[error("the routing key is not of the form tenant.<id>.channel.<type>.inbound")]
    NoOrigin,
    /// The queue is one tenant's, and the routing key or the body another's.
    #[error("{0} names another tenant or channel than the queue")]
    WrongTenant(&'static str),
    /// Nobody by that name.
    #[error("there is no such tenant")]
    UnknownTenant,
    /// Not served.
    #[error("the tenant is disabled")]
    DisabledTenant,
    /// The tenant has no such channel, or has switched it off.
    #[error("the tenant has no such channel, or it is disabled")]
    NoChannel,
    /// The database will not have it.
    #[error("it cannot be stored as a job")]
    Refused,
}

/// A message as it came, wherever it was kept meanwhile.
#[derive(Debug, Clone, Copy)]
pub(super) struct Raw<'a> {
    /// Whose, and by which channel.
    pub(super) tenant: &'a str,
    pub(super) channel: &'a str,
    pub(super) body: &'a [u8],
    pub(super) headers: &'a Map<String, Value>,
}

/// The job that answers it.
pub(super) fn job(client: &Client, raw: Raw<'_>) -> Result<NewJob, Fault> {
    let limit = client.limits().max_args_bytes;
    within(raw.body.len(), limit)?;
    let body: Value =
        serde_json::from_slice(raw.body).map_err(|error| Fault::NotJson(error.column()))?;
    let message = unwrapped(&body)?;
    for claimed in [
        &body["tenantId"],
        &message["tenantId"],
        &message["metadata"]["tenantId"],
    ] {
        if claimed.as_str().is_some_and(|tenant| tenant != raw.tenant) {
            return Err(Fault::WrongTenant("the body"));
        }
    }
    let inbound = Inbound {
        tenant: raw.tenant,
        channel: raw.channel,
        message,
        correlation_id: correlation(raw.headers, &body, message),
        trace_parent: trace_parent(raw.headers),
    };
    // What the kind itself says may repeat what was sent.
    let unreadable = |_: EnqueueError| misshapen(message);
    let mut job = inbound.job(client).map_err(unreadable)?;
    within(job.args.as_str().len(), limit)?;
    if let Some(retries) = raw.headers.get(RETRIES).and_then(number) {
        let left = u64::from(job.max_attempts).saturating_sub(retries).max(1);
        job.max_attempts = u16::try_from(left).unwrap_or(job.max_attempts);
    }
    // Whatever comes of it can be followed.
    job.correlation_id.get_or_insert_with(correlation::new_id);
    let limits = Limits {
        max_args_bytes: limit,
    };
    job.validate(&limits).map_err(|error| Fault::NotAMessage {
        field: error.field,
        problem: "is too long, or holds characters that cannot be stored",
    })?;
    Ok(job)
}

fn within(size: usize, limit: usize) -> Result<(), Fault> {
    if size > limit {
        return Err(Fault::TooLarge { size, limit });
    }
    Ok(())
}

/// The message itself, out of its envelope if it came in one.
fn unwrapped(body: &Value) -> Result<&Value, Fault> {
    let wrong = |field, problem| Err(Fault::NotAMessage { field, problem });
    if !body.is_object() {
        return wrong("body", "is not an object");
    }
    if body.get("from").is_some() || body.get("message").is_none() {
        return Ok(body);
    }
    match body.get("type").map(Value::as_str) {
        None | Some(Some(RECEIVED)) => Ok(&body["message"]),
        Some(_) => wrong("type", "is not message.received"),
    }
}

/// What exactly is wrong with a message that cannot be read.
fn misshapen(message: &Value) -> Fault {
    let wrong = |field, problem| Fault::NotAMessage { field, problem };
    let is_text = |name: &str| message[name].as_str().is_some_and(|text| !text.is_empty());
    if !message.is_object() {
        return wrong("message", "is not an object");
    }
    if !is_text("from") {
        return wrong("message.from", "is not the text that names who wrote it");
    }
    if !message["type"]
        .as_str()
        .is_some_and(|kind| KINDS.contains(&kind))
    {
        return wrong(
            "message.type",
            "is none of text, image, audio, video, document and location",
        );
    }
    if !message["content"].is_object() {
        return wrong("message.content", "is not an object such as {\"text\": ..}");
    }
    for (name, field) in [
        ("id", "message.id"),
        ("externalId", "message.externalId"),
        ("conversationId", "message.conversationId"),
    ] {
        if !message[name].is_null() && !message[name].is_string() {
            return wrong(field, "is not text");
        }
    }
    wrong("message", "cannot be read as a message of the platform")
}

/// The header, the protocol's own property, or what the platform puts into bodies.
fn correlation<'a>(
    headers: &'a Map<String, Value>,
    body: &'a Value,
    message: &'a Value,
) -> Option<&'a str> {
    [
        headers.get(CORRELATION_ID.as_str()),
        headers.get(PROPERTY),
        body.pointer("/_metadata/correlationId"),
        message.pointer("/_metadata/correlationId"),
        message.pointer("/metadata/_metadata/correlationId"),
    ]
    .into_iter()
    .flatten()
    .filter_map(Value::as_str)
    .find(|id| {
        !id.is_empty() && id.len() <= LONGEST_CORRELATION && !id.chars().any(char::is_control)
    })
}

/// A trace context of the standard's form; another one is ignored.
fn trace_parent(headers: &Map<String, Value>) -> Option<&str> {
    let given = headers.get(TRACE_PARENT.as_str()).and_then(Value::as_str);
    given.and_then(correlation::trace_parent)
}

fn number(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) => text.parse().ok(),
        number => number.as_u64(),
    }
}

/// Headers as JSON, for reading and for keeping.
pub(super) fn headers(properties: &BasicProperties) -> Map<String, Value> {
    let mut headers = properties.headers().as_ref().map(table).unwrap_or_default();
    if let Some(id) = properties.correlation_id() {
        headers.insert(PROPERTY.to_owned(), Value::from(id.as_str()));
    }
    headers
}

fn table(table: &FieldTable) -> Map<String, Value> {
    let entries = table.inner().iter();
    entries
        .map(|(name, value)| (name.as_str().to_owned(), json(value)))
        .collect()
}

fn json(value: &AMQPValue) -> Value {
    match value {
        AMQPValue::Boolean(value) => Value::from(*value),
        AMQPValue::ShortShortInt(value) => Value::from(*value),
        AMQPValue::ShortShortUInt(value) => Value::from(*value),
        AMQPValue::ShortInt(value) => Value::from(*value),
        AMQPValue::ShortUInt(value) => Value::from(*value),
        AMQPValue::LongInt(value) => Value::from(*value),
        AMQPValue::LongUInt(value) => Value::from(*value),
        AMQPValue::LongLongInt(value) => Value::from(*value),
        AMQPValue::Float(value) => Value::from(*value),
        AMQPValue::Double(value) => Value::from(*value),
        AMQPValue::Timestamp(value) => Value::from(*value),
        AMQPValue::ShortString(text) => Value::from(text.as_str()),
        AMQPValue::LongString(text) => {
            Value::from(String::from_utf8_lossy(text.as_bytes()).into_owned())
        }
        AMQPValue::FieldArray(values) => values.as_slice().iter().map(json).collect(),
        AMQPValue::FieldTable(values) => Value::Object(table(values)),
        // Nothing that the platform sends, and nothing that is read.
        AMQPValue::DecimalValue(_) | AMQPValue::ByteArray(_) | AMQPValue::Void => Value::Null,
    }
}

/// Whose a delivery is: as its queue says, which its routing key must not contradict. A message that
/// the platform's worker put back has the queue's own name for a key.
pub(super) fn agrees(queue: (&str, &str), routing_key: &str) -> Result<(), Fault> {
    match topology::inbound(routing_key) {
        Some(named) if named != queue => Err(Fault::WrongTenant("the routing key")),
        _ => Ok(()),
    }
}

/// The same of one that was set aside and is tried once more: it is nobody else's for that.
pub(super) fn agreed(queue: (&str, &str), headers: &Map<String, Value>) -> Result<(), Fault> {
    let key = headers.get(ROUTING_KEY).and_then(Value::as_str);
    key.map_or(Ok(()), |key| agrees(queue, key))
}

#[cfg(test)]
mod tests;

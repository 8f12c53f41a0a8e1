//! What is told of each chat message. Never what it says.
#![expect(
    clippy::disallowed_macros,
    reason = "the one place that names these metrics"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};
use tracing::{info, warn};

/// Messages that were dealt with, by channel and outcome.
pub const PROCESSED: &str = "messages_processed_total";
/// How long answers took, from the message's arrival, in seconds.
pub const RESPONSE: &str = "message_response_duration_seconds";
/// Questions that were looked up in documents, by whether anything was found.
pub const LOOKED_UP: &str = "rag_queries_total";

/// Webhooks that came in, by channel and what became of them.
pub const WEBHOOKS: &str = "webhooks_received_total";

pub(super) fn describe() {
    describe_counter!(WEBHOOKS, "Webhooks that came in");
    describe_counter!(PROCESSED, "Messages that were dealt with");
    describe_histogram!(
        RESPONSE,
        Unit::Seconds,
        "How long answers took, from a message's arrival"
    );
    describe_counter!(LOOKED_UP, "Questions that were looked up in documents");
}

/// A message was answered; the answer waits to be delivered.
pub fn answered(channel: &'static str, message: &str, model: &str, sources: usize, took: Duration) {
    counter!(PROCESSED, "channel" => channel, "outcome" => "answered").increment(1);
    histogram!(RESPONSE).record(took);
    info!(
        messageId = message,
        channel,
        model,
        sources,
        durationMs = millis(took),
        "message answered"
    );
}

/// A message was left to the human who looks after its conversation.
pub fn left_to_human(channel: &'static str, message: &str) {
    counter!(PROCESSED, "channel" => channel, "outcome" => "assigned_human").increment(1);
    info!(messageId = message, channel, "message left to a human");
}

/// A webhook's messages are durable; what else it held is left out.
pub fn webhook_received(
    channel: &'static str,
    tenant: &str,
    messages: usize,
    ignored: &BTreeMap<String, usize>,
) {
    counter!(WEBHOOKS, "channel" => channel, "outcome" => "taken").increment(1);
    info!(
        tenantId = tenant,
        channel,
        messages,
        ?ignored,
        "webhook taken in"
    );
}

/// A webhook was not signed with the channel's secret.
pub fn webhook_refused(channel: &'static str, tenant: &str, has_secret: bool) {
    counter!(WEBHOOKS, "channel" => channel, "outcome" => "refused").increment(1);
    warn!(
        tenantId = tenant,
        channel,
        hasSecret = has_secret,
        "webhook refused: not signed with the channel's app secret"
    );
}

/// An answer was handed to its channel.
pub fn delivered(channel: &'static str, message: &str) {
    info!(messageId = message, channel, "message delivered");
}

/// A question was looked up.
pub fn looked_up(found: usize) {
    counter!(LOOKED_UP, "found" => if found > 0 { "yes" } else { "no" }).increment(1);
}

fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

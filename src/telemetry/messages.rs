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

/// Conversations that were handed to a human, by channel and reason.
pub const ESCALATED: &str = "escalations_total";

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
    describe_counter!(ESCALATED, "Conversations that were handed to a human");
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

/// A message was kept and is answered by nobody here, and why: a human looks after its conversation,
/// or it is answered together with a later one.
pub fn left(channel: &'static str, message: &str, reason: &'static str) {
    counter!(PROCESSED, "channel" => channel, "outcome" => reason).increment(1);
    info!(
        messageId = message,
        channel, reason, "message left unanswered"
    );
}

/// A conversation was handed to a human.
pub fn escalated(channel: &'static str, message: &str, reason: &'static str) {
    counter!(ESCALATED, "channel" => channel, "reason" => reason).increment(1);
    info!(
        messageId = message,
        channel, reason, "conversation handed to a human"
    );
}

/// A message was not answered but handed to a human at once.
pub fn handed_off(channel: &'static str) {
    counter!(PROCESSED, "channel" => channel, "outcome" => "handed_off").increment(1);
}

/// The tenant's plan allows no more: a text says so instead of an answer.
pub fn over_limit(channel: &'static str, tenant: &str, message: &str, plan: &str) {
    counter!(PROCESSED, "channel" => channel, "outcome" => "over_limit").increment(1);
    warn!(
        tenantId = tenant,
        messageId = message,
        channel,
        plan,
        "plan allows no more"
    );
}

/// A message could not be answered, and its writer was told so.
pub fn given_up(channel: &'static str, message: &str) {
    counter!(PROCESSED, "channel" => channel, "outcome" => "failed").increment(1);
    warn!(
        messageId = message,
        channel, "message could not be answered; its writer is told"
    );
}

/// A tenant's setting makes no sense: its default is used.
pub fn setting_ignored(tenant: &str, problem: &str) {
    warn!(tenantId = tenant, problem, "tenant setting ignored");
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

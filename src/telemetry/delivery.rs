//! What is told of messages and events on their way out. Never what they say, nor where to.
#![expect(
    clippy::disallowed_macros,
    reason = "the one place that names these metrics"
)]

use std::time::Duration;

use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use tracing::{Span, debug_span, info, warn};

/// Requests that sent a part of a message, by channel and outcome.
pub const SENDS: &str = "channel_sends_total";
/// How long they took, in seconds.
pub const SEND: &str = "channel_send_duration_seconds";
/// Parts of messages of which nobody knows whether they were sent, by channel.
pub const UNKNOWN: &str = "outbox_unknown_total";
/// Parts of messages that wait for an operator to decide, now.
pub const UNDECIDED: &str = "outbox_undecided";
/// Requests that told a tenant's endpoint of an event, by outcome.
pub const WEBHOOKS: &str = "webhook_deliveries_total";
/// How long they took, in seconds.
pub const WEBHOOK: &str = "webhook_delivery_duration_seconds";

pub(super) fn describe() {
    describe_counter!(SENDS, "Requests that sent a part of a message");
    describe_histogram!(
        SEND,
        Unit::Seconds,
        "How long requests took that sent a part of a message"
    );
    describe_counter!(
        UNKNOWN,
        "Parts of messages of which nobody knows whether they were sent: an operator decides"
    );
    describe_gauge!(
        UNDECIDED,
        "Parts of messages that may have been sent or not, and wait for an operator to decide"
    );
    describe_counter!(WEBHOOKS, "Requests that told an endpoint of an event");
    describe_histogram!(
        WEBHOOK,
        Unit::Seconds,
        "How long requests took that told an endpoint of an event"
    );
}

/// Around a request that sends a part of a message.
pub fn send_span(server: &str) -> Span {
    debug_span!("delivery", otel.kind = "client", server)
}

/// Around a request that tells a tenant's endpoint of an event.
pub fn webhook_span(webhook: &str, event: &str) -> Span {
    debug_span!(
        "webhook",
        otel.kind = "client",
        webhookId = webhook,
        eventId = event
    )
}

/// A request that was to send a part of a message came to an end.
pub fn part_sent(channel: &str, outcome: &'static str, took: Duration) {
    counter!(SENDS, "channel" => channel.to_owned(), "outcome" => outcome).increment(1);
    histogram!(SEND, "channel" => channel.to_owned()).record(took);
}

/// Nobody knows whether a part of a message was sent.
pub fn outcome_unknown(channel: &str, message: &str, part: i32, reason: &str) {
    counter!(UNKNOWN, "channel" => channel.to_owned()).increment(1);
    warn!(
        messageId = message,
        channel,
        part,
        reason,
        "a message may have been sent, or not: an operator decides (jobctl outbox list)"
    );
}

/// So many parts of messages wait for an operator to decide; not known if the database is away.
#[expect(
    clippy::cast_precision_loss,
    reason = "a count of what a person decides"
)]
pub fn undecided(parts: Option<u64>) {
    gauge!(UNDECIDED).set(parts.map_or(f64::NAN, |parts| parts as f64));
}

/// A request told a tenant's endpoint of an event, or tried to.
pub fn webhook_told(
    webhook: &str,
    event: &str,
    outcome: &'static str,
    status: Option<u16>,
    took: Duration,
) {
    counter!(WEBHOOKS, "outcome" => outcome).increment(1);
    histogram!(WEBHOOK).record(took);
    let duration_ms = (took.as_secs_f64() * 1e6).round() / 1e3;
    info!(
        webhookId = webhook,
        event,
        outcome,
        status,
        durationMs = duration_ms,
        "webhook called"
    );
}

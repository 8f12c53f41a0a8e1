//! What is told of the broker and of what comes in by it. Never what a message says.
#![expect(
    clippy::disallowed_macros,
    reason = "the one place that names these metrics"
)]

use metrics::{counter, describe_counter, describe_gauge, gauge};
use tracing::{Span, debug, debug_span, info, warn};

/// Whether this process is connected to the broker: 1, or 0.
pub const CONNECTED: &str = "rabbitmq_connected";
/// Queues that this process takes messages from.
pub const QUEUES: &str = "rabbitmq_queues";
/// Messages that came in by the broker, by what became of them.
pub const TAKEN: &str = "rabbitmq_messages_total";
/// Messages that were published, by whether the broker has them.
pub const PUBLISHED: &str = "rabbitmq_published_total";

pub(super) fn describe() {
    describe_gauge!(CONNECTED, "Whether this process is connected to the broker");
    describe_gauge!(QUEUES, "Queues that this process takes messages from");
    describe_counter!(TAKEN, "Messages that came in by the broker");
    describe_counter!(PUBLISHED, "Messages that were published to the broker");
}

/// The connection was made or lost.
pub fn connected(is: bool) {
    gauge!(CONNECTED).set(if is { 1.0 } else { 0.0 });
}

/// Around a publish.
pub fn publish_span(exchange: &str) -> Span {
    debug_span!("publish", otel.kind = "producer", exchange)
}

/// A publish was confirmed, or not.
pub fn published(confirmed: bool) {
    let outcome = if confirmed { "confirmed" } else { "failed" };
    counter!(PUBLISHED, "outcome" => outcome).increment(1);
}

/// Another process takes messages in; this one stands by.
pub fn standing_by() {
    info!("another process takes messages in from the broker; standing by");
}

/// The queues that this process reads are others now.
#[expect(clippy::cast_precision_loss, reason = "a count of queues")]
pub fn serving(queues: usize, added: usize, removed: usize) {
    gauge!(QUEUES).set(queues as f64);
    if added > 0 || removed > 0 {
        info!(queues, added, removed, "taking messages in from the broker");
    }
}

/// Somebody else reads a queue.
pub fn read_by_another(queue: &str) {
    warn!(
        queue,
        "another consumer reads this queue: stop the platform's own worker; looking again until it is free"
    );
}

/// A queue was declared otherwise than the platform declares it, and is read as it is.
pub fn declared_otherwise(queue: &str) {
    warn!(
        queue,
        "this queue was made with other arguments; reading it as it is"
    );
}

/// A batch of messages is durable.
pub fn taken(inserted: usize, duplicates: usize) {
    counter!(TAKEN, "outcome" => "taken").increment(inserted as u64);
    counter!(TAKEN, "outcome" => "duplicate").increment(duplicates as u64);
    debug!(inserted, duplicates, "messages taken in from the broker");
}

/// A message cannot become a job.
pub fn quarantined(id: &str, queue: &str, reason: &str) {
    counter!(TAKEN, "outcome" => "quarantined").increment(1);
    warn!(
        quarantineId = id,
        queue, reason, "message set aside: see /v1/quarantine"
    );
}

/// The broker does not let us have a queue.
pub fn not_declared(queue: &str, reason: &str) {
    warn!(
        queue,
        reason, "this queue cannot be read; looking again with each refresh"
    );
}

/// The copy of a message for its dead-letter queue has no queue to go to.
pub fn not_buried(queue: &str, reason: &str) {
    warn!(
        queue,
        reason, "the dead-letter queue has no copy of a message that was set aside"
    );
}

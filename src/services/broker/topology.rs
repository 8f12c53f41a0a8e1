//! The platform's exchanges and queues, declared exactly as the platform declares them: another
//! argument, and the broker refuses.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, ExchangeKind, Queue};

use super::Error;

/// Where messages of channels are routed.
pub const ORCHESTRATOR: &str = "metachat.orchestrator";
/// Where what cannot be processed is routed.
pub const DEAD_LETTERS: &str = "metachat.dlx";
/// The one queue of an installation that has no platform queues.
pub const QUORUM: &str = "metachat.jobs.inbound.queue";
/// What that queue is bound with.
const ALL_INBOUND: &str = "tenant.*.channel.*.inbound";

/// Which way messages of a channel go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the customer.
    Inbound,
    /// To the customer.
    Outbound,
}

impl Direction {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }
}

/// `tenant.<id>.channel.<type>.<direction>`: the routing key of a tenant's channel.
pub fn key(tenant: &str, channel: &str, direction: Direction) -> String {
    format!("tenant.{tenant}.channel.{channel}.{}", direction.as_str())
}

/// The work queue of a routing key.
pub fn queue(key: &str) -> String {
    format!("{key}.queue")
}

/// The queue of what could not be processed of a work queue.
pub fn dead_letter_queue(queue: &str) -> String {
    format!("{queue}.dead-letter")
}

/// The key by which it is reached.
pub fn dead_letter_key(queue: &str) -> String {
    format!("{queue}.dlq")
}

/// The queue of copies that the platform keeps of webhooks, which nobody reads.
pub fn acknowledged_queue(tenant: &str, channel: &str) -> String {
    format!("tenant.{tenant}.webhook.{channel}.ack.queue")
}

/// Tenant and channel of an inbound routing key, or of the name of its queue.
pub fn inbound(name: &str) -> Option<(&str, &str)> {
    let name = name.strip_suffix(".queue").unwrap_or(name);
    let rest = name.strip_prefix("tenant.")?.strip_suffix(".inbound")?;
    let (tenant, channel) = rest.rsplit_once(".channel.")?;
    let named = !tenant.is_empty() && !channel.is_empty() && !channel.contains('.');
    // No database knows a NUL.
    (named && !name.contains('\0')).then_some((tenant, channel))
}

/// A name as the protocol has it, which allows 255 bytes.
pub fn short(name: &str) -> Result<ShortString, Error> {
    ShortString::try_new(name).map_err(|_| {
        Error::rejected(
            "rabbitmq",
            format!("a name of {} bytes is longer than 255", name.len()),
            "use a shorter id",
        )
    })
}

/// Makes sure that a durable topic exchange is there.
pub async fn declare_topic(channel: &Channel, exchange: &str) -> lapin::Result<()> {
    let options = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    let name = ShortString::from(exchange);
    let arguments = FieldTable::default();
    channel
        .exchange_declare(name, ExchangeKind::Topic, options, arguments)
        .await
}

/// Makes sure that the exchanges of messages are there.
pub async fn declare_exchanges(channel: &Channel) -> lapin::Result<()> {
    declare_topic(channel, ORCHESTRATOR).await?;
    declare_topic(channel, DEAD_LETTERS).await
}

/// Makes sure that a work queue, its dead-letter queue and their bindings are there.
pub async fn declare_work_queue(channel: &Channel, key: &str) -> lapin::Result<Queue> {
    declare(channel, &queue(key), key, FieldTable::default()).await
}

/// The same for the one queue of installations without platform queues, which the broker replicates.
pub async fn declare_quorum_queue(channel: &Channel) -> lapin::Result<Queue> {
    let mut arguments = FieldTable::default();
    arguments.insert(
        "x-queue-type".into(),
        AMQPValue::LongString("quorum".into()),
    );
    declare(channel, QUORUM, ALL_INBOUND, arguments).await
}

async fn declare(
    channel: &Channel,
    queue: &str,
    key: &str,
    mut arguments: FieldTable,
) -> lapin::Result<Queue> {
    let dead_key = dead_letter_key(queue);
    let text = |text: &str| AMQPValue::LongString(text.into());
    arguments.insert("x-dead-letter-exchange".into(), text(DEAD_LETTERS));
    arguments.insert("x-dead-letter-routing-key".into(), text(&dead_key));
    let dead = dead_letter_queue(queue);
    durable(channel, &dead, FieldTable::default()).await?;
    bind(channel, &dead, DEAD_LETTERS, &dead_key).await?;
    let declared = durable(channel, queue, arguments).await?;
    bind(channel, queue, ORCHESTRATOR, key).await?;
    Ok(declared)
}

/// Makes sure that a durable queue is there.
pub async fn durable(channel: &Channel, name: &str, arguments: FieldTable) -> lapin::Result<Queue> {
    let options = QueueDeclareOptions::durable();
    channel.queue_declare(name.into(), options, arguments).await
}

/// Makes sure that a queue is there which is this connection's alone, and goes with it or with its
/// reader. The broker keeps it on the connection's own node: no other node's loss touches it.
pub async fn own(channel: &Channel, name: &str) -> lapin::Result<Queue> {
    let options = QueueDeclareOptions {
        exclusive: true,
        auto_delete: true,
        ..QueueDeclareOptions::default()
    };
    let arguments = FieldTable::default();
    channel.queue_declare(name.into(), options, arguments).await
}

/// A queue that must be there already, whatever its arguments.
pub async fn existing(channel: &Channel, name: &str) -> lapin::Result<Queue> {
    let options = QueueDeclareOptions::durable().passive();
    let arguments = FieldTable::default();
    channel.queue_declare(name.into(), options, arguments).await
}

async fn bind(channel: &Channel, queue: &str, exchange: &str, key: &str) -> lapin::Result<()> {
    let options = QueueBindOptions::default();
    let arguments = FieldTable::default();
    channel
        .queue_bind(
            queue.into(),
            exchange.into(),
            key.into(),
            options,
            arguments,
        )
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_platforms() {
        let key = key("abc", "whatsapp", Direction::Inbound);
        let queue = queue(&key);
        assert_eq!(queue, "tenant.abc.channel.whatsapp.inbound.queue");
        assert_eq!(
            dead_letter_queue(&queue),
            "tenant.abc.channel.whatsapp.inbound.queue.dead-letter"
        );
        assert_eq!(
            dead_letter_key(&queue),
            "tenant.abc.channel.whatsapp.inbound.queue.dlq"
        );
        assert_eq!(inbound(&key), Some(("abc", "whatsapp")));
        assert_eq!(inbound(&queue), Some(("abc", "whatsapp")));
    }

    #[test]
    fn other_names_are_nobodys() {
        for name in [
            "tenant.abc.channel.webchat.outbound",
            "tenant..channel.webchat.inbound",
            "tenant.abc.channel..inbound",
            "tenant.a\0bc.channel.webchat.inbound",
            "tenant.abc.webhook.whatsapp.ack.queue",
            "abc",
            "",
        ] {
            assert_eq!(inbound(name), None, "{name}");
        }
        assert_eq!(
            inbound("tenant.a.b.channel.webchat.inbound"),
            Some(("a.b", "webchat"))
        );
    }
}

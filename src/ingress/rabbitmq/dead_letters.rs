//! The dead-letter queues that the platform's worker has filled: their messages become jobs.

use lapin::Channel;
use lapin::options::{BasicAckOptions, BasicGetOptions};
use serde::Serialize;
use windlass::Client;
use windlass::engine::EnqueueError;
use windlass::model::Enqueued;

use super::is_open;
use super::message::{self, Fault, Raw};
use crate::platform::{self, ChannelType, Platform};
use crate::services;
use crate::services::broker::{Broker, topology};

/// What became of the messages of one dead-letter queue.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Emptied {
    /// Which.
    pub queue: String,
    /// Messages in it at first.
    pub found: u32,
    /// Those that are jobs now.
    pub replayed: u32,
    /// Those of them that had been taken in before.
    pub known: u32,
    /// Why each of the others was left where it is.
    pub left: Vec<String>,
}

/// Why a dead-letter queue was not emptied. What was replayed by then is acknowledged; repeat it.
#[derive(Debug, thiserror::Error)]
pub enum NotEmptied {
    /// The tenant does not take messages by this channel.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The broker.
    #[error(transparent)]
    Broker(#[from] services::Error),
    /// The engine did not take one.
    #[error(transparent)]
    Enqueue(#[from] EnqueueError),
    /// The tenant could not be looked up.
    #[error(transparent)]
    Platform(#[from] platform::Error),
}

/// Makes the messages of a tenant's dead-letter queue jobs, one by one, each acknowledged once it is
/// durable. None if there is no such queue.
pub async fn empty(
    broker: &Broker,
    client: &Client,
    platform: &Platform,
    tenant: &str,
    channel: ChannelType,
) -> Result<Option<Emptied>, NotEmptied> {
    is_open(platform, tenant, channel).await??;
    let key = topology::key(tenant, channel.as_str(), topology::Direction::Inbound);
    let queue = topology::dead_letter_queue(&topology::queue(&key));
    topology::short(&queue)?;
    let amqp = broker.channel().await?;
    let found = match broker.answered(topology::existing(&amqp, &queue)).await? {
        Ok(found) => found.message_count(),
        Err(error) if error.is_amqp_soft_error() => return Ok(None),
        Err(error) => return Err(broker.fault(&error).into()),
    };
    let mut emptied = Emptied {
        queue,
        found,
        ..Emptied::default()
    };
    // What is left stays unacknowledged until the end, or it would come again and again.
    for _ in 0..found {
        if !next(
            broker,
            client,
            &amqp,
            (tenant, channel.as_str()),
            &mut emptied,
        )
        .await?
        {
            break;
        }
    }
    broker.within(amqp.close(200, "done".into())).await?;
    Ok(Some(emptied))
}

/// One message; whether there was one.
async fn next(
    broker: &Broker,
    client: &Client,
    amqp: &Channel,
    (tenant, channel): (&str, &str),
    emptied: &mut Emptied,
) -> Result<bool, NotEmptied> {
    let got = amqp.basic_get(emptied.queue.as_str().into(), BasicGetOptions::default());
    let Some(got) = broker.within(got).await? else {
        return Ok(false);
    };
    let mut headers = message::headers(&got.delivery.properties);
    // Its attempts elsewhere are over; the operator starts anew.
    headers.remove(message::RETRIES);
    let raw = Raw {
        tenant,
        channel,
        body: &got.delivery.data,
        headers: &headers,
    };
    let job = message::agreed((tenant, channel), &headers);
    match job.and_then(|()| message::job(client, raw)) {
        Ok(job) => {
            let enqueued = client.insert(job).await?;
            emptied.replayed += 1;
            emptied.known += u32::from(!matches!(enqueued, Enqueued::Inserted(_)));
            let ack = got.delivery.acker.ack(BasicAckOptions::default());
            broker.within(ack).await?;
        }
        Err(fault) => emptied.left.push(fault.to_string()),
    }
    Ok(true)
}

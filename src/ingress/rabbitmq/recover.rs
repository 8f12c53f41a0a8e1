//! The copies of Meta's webhooks that the platform's API keeps in queues nobody reads: messages among them
//! that never arrived become jobs.

use std::time::Duration;

use lapin::Channel;
use lapin::message::BasicGetMessage;
use lapin::options::{BasicAckOptions, BasicGetOptions};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use windlass::engine::EnqueueError;
use windlass::model::Enqueued;
use windlass::{Client, NewJob, Timestamp};

use super::is_open;
use super::message::Fault;
use crate::ingress::{Inbound, meta};
use crate::platform::{self, ChannelType, Platform};
use crate::records::{self, NewQuarantined, Records};
use crate::services;
use crate::services::broker::{Broker, topology};

/// What the copies are taken from, and where what is in them goes.
#[derive(Debug, Clone, Copy)]
pub struct Recovery<'a> {
    /// Where they are.
    pub broker: &'a Broker,
    /// What makes messages durable.
    pub client: &'a Client,
    /// What knows which have arrived.
    pub platform: &'a Platform,
    /// Where those go that are too old to be answered unasked.
    pub records: &'a Records,
    /// How old a message may be that is answered: WhatsApp takes no answer after 24 hours.
    pub max_age: Duration,
}

/// What became of the copies in one queue.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Recovered {
    /// Which.
    pub queue: String,
    /// Copies in it at first.
    pub found: u32,
    /// Messages in them that never arrived, and are jobs now.
    pub recovered: u32,
    /// Messages that had arrived.
    pub known: u32,
    /// Messages that never arrived, and are in quarantine because they are too old to be answered unasked.
    pub too_old: u32,
    /// Why each of the other copies was left where it is.
    pub left: Vec<String>,
}

/// Why a queue was not emptied. What was looked at by then is acknowledged; repeat it.
#[derive(Debug, thiserror::Error)]
pub enum NotRecovered {
    /// The tenant does not take messages by this channel.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The broker.
    #[error(transparent)]
    Broker(#[from] services::Error),
    /// The engine did not take one.
    #[error(transparent)]
    Enqueue(#[from] EnqueueError),
    /// The tenant or a message could not be looked up.
    #[error(transparent)]
    Platform(#[from] platform::Error),
    /// The quarantine could not be written.
    #[error(transparent)]
    Records(#[from] records::Error),
}

/// A copy, as far as it is needed. The webhook stays as it came.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Copy<'a> {
    #[serde(borrow)]
    raw_payload: &'a RawValue,
    tenant_id: Option<String>,
    channel: Option<String>,
    acked_at: Option<String>,
}

/// Whose queue.
#[derive(Clone, Copy)]
struct Owner<'a> {
    tenant: &'a str,
    channel: ChannelType,
}

impl Recovery<'_> {
    /// Empties the queue of a tenant's channel, one copy after the other, each acknowledged once what was in
    /// it is safe. None if there is no such queue.
    pub async fn recover(
        &self,
        tenant: &str,
        channel: ChannelType,
    ) -> Result<Option<Recovered>, NotRecovered> {
        is_open(self.platform, tenant, channel).await??;
        let queue = topology::acknowledged_queue(tenant, channel.as_str());
        topology::short(&queue)?;
        let amqp = self.broker.channel().await?;
        let found = match topology::existing(&amqp, &queue).await {
            Ok(found) => found.message_count(),
            Err(error) if error.is_amqp_soft_error() => return Ok(None),
            Err(error) => return Err(self.broker.fault(&error).into()),
        };
        let mut recovered = Recovered {
            queue,
            found,
            ..Recovered::default()
        };
        // What is left stays unacknowledged until the end, or it would come again and again.
        for _ in 0..found {
            let Some(got) = self.next(&amqp, &recovered.queue).await? else {
                break;
            };
            let owner = Owner { tenant, channel };
            match messages(&got.delivery.data, owner) {
                Ok((messages, acked_at)) => {
                    self.keep(owner, &messages, acked_at, &mut recovered)
                        .await?;
                    let ack = got.delivery.acker.ack(BasicAckOptions::default());
                    self.broker.within(ack).await?;
                }
                Err(reason) => recovered.left.push(reason),
            }
        }
        self.broker.within(amqp.close(200, "done".into())).await?;
        Ok(Some(recovered))
    }

    async fn next(
        &self,
        amqp: &Channel,
        queue: &str,
    ) -> Result<Option<BasicGetMessage>, services::Error> {
        let got = amqp.basic_get(queue.into(), BasicGetOptions::default());
        self.broker.within(got).await
    }

    /// Makes the messages of one copy safe, whatever each of them needs.
    async fn keep(
        &self,
        owner: Owner<'_>,
        messages: &[Value],
        acked_at: Option<Timestamp>,
        recovered: &mut Recovered,
    ) -> Result<(), NotRecovered> {
        let now = self.client.now().await.map_err(EnqueueError::from)?;
        let mut jobs: Vec<NewJob> = Vec::new();
        for message in messages {
            let id = message["externalId"].as_str().unwrap_or_default();
            if self.platform.has_message(owner.tenant, id).await? {
                recovered.known += 1;
                continue;
            }
            let written = message["timestamp"]
                .as_i64()
                .map(|millis| Timestamp::from_micros(millis.saturating_mul(1000)))
                .or(acked_at);
            if written.is_none_or(|at| now.since(at) > self.max_age) {
                self.set_aside(owner, message).await?;
                recovered.too_old += 1;
                continue;
            }
            let inbound = Inbound {
                tenant: owner.tenant,
                channel: owner.channel.as_str(),
                message,
                correlation_id: None,
                trace_parent: None,
            };
            jobs.push(inbound.job(self.client)?);
        }
        for enqueued in self.client.insert_many(&jobs).await? {
            match enqueued {
                Enqueued::Inserted(_) => recovered.recovered += 1,
                // Its job waits, or has just ended.
                _ => recovered.known += 1,
            }
        }
        Ok(())
    }

    /// As if it had come through its work queue, so that an operator may replay it.
    async fn set_aside(&self, owner: Owner<'_>, message: &Value) -> Result<(), records::Error> {
        let channel = owner.channel.as_str();
        let key = topology::key(owner.tenant, channel, topology::Direction::Inbound);
        let body = message.to_string().into_bytes();
        let new = NewQuarantined {
            tenant: Some(owner.tenant.to_owned()),
            source: topology::queue(&key),
            reason: "it never arrived, and is too old to be answered unasked".to_owned(),
            headers: Value::Object(serde_json::Map::new()),
            body_bytes: body.len() as u64,
            body,
        };
        self.records.quarantine(&new).await.map(drop)
    }
}

/// The messages in a copy, and when the platform's API told Meta that it had them. If it cannot be read, why.
fn messages(body: &[u8], owner: Owner<'_>) -> Result<(Vec<Value>, Option<Timestamp>), String> {
    let copy: Copy<'_> = serde_json::from_slice(body).map_err(|_| {
        "it is no copy of a webhook: rawPayload is missing, or it is not JSON".to_owned()
    })?;
    let is = |named: &Option<String>, what: &str| named.as_ref().is_none_or(|named| named == what);
    if !is(&copy.tenant_id, owner.tenant) || !is(&copy.channel, owner.channel.as_str()) {
        return Err("it names another tenant or channel than its queue".to_owned());
    }
    let payload = copy.raw_payload.get().as_bytes();
    let received = match owner.channel {
        ChannelType::Whatsapp => meta::whatsapp(owner.tenant, payload),
        ChannelType::Messenger => meta::messenger(owner.tenant, payload),
        ChannelType::Webchat => return Err("web chat has no webhooks".to_owned()),
    };
    let received = received.map_err(|error| error.to_string())?;
    let acked_at = copy.acked_at.and_then(|at| at.parse().ok());
    Ok((received.messages, acked_at.map(Timestamp::from_datetime)))
}

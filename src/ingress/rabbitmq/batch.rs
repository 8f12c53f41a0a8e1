//! A batch of deliveries: jobs in one transaction, what is faulty set aside, and only then acknowledged.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use lapin::message::Delivery;
use lapin::options::BasicAckOptions;
use lapin::types::AMQPValue;
use serde_json::{Map, Value};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use windlass::NewJob;
use windlass::engine::EnqueueError;
use windlass::model::Enqueued;

use super::Intake;
use super::message::{self, Fault, Raw};
use super::session::Source;
use crate::platform::{ChannelType, OpenChannel};
use crate::records::NewQuarantined;
use crate::services::Error;
use crate::services::broker::{Publication, topology};
use crate::telemetry::{Outage, broker as telemetry};

/// Between two attempts to reach the database.
const PAUSE: Duration = Duration::from_millis(500);
/// How long one question to the database may take; the engine's calls have a bound of their own.
const DATABASE: Duration = Duration::from_secs(10);
/// How long a batch may go on once the process is to stop.
const LAST_BATCH: Duration = Duration::from_secs(5);

/// Channels that are known to take messages, and since when.
pub(super) type Open = HashMap<OpenChannel, Instant>;

/// One that cannot become a job.
struct Faulty<'a> {
    source: &'a Source,
    delivery: &'a Delivery,
    headers: Map<String, Value>,
    fault: Fault,
}

/// The process stops: what is not acknowledged, the broker gives to the next one.
struct Stopped;

impl Intake {
    /// Makes a batch durable and acknowledges it. While the database is away it waits.
    pub(super) async fn store(
        &self,
        batch: &[(Arc<Source>, Delivery)],
        open: &mut Open,
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        let made = tokio::select! {
            made = self.make_durable(batch, open, stop) => made,
            () = async { stop.cancelled().await; tokio::time::sleep(LAST_BATCH).await } => {
                return Ok(());
            }
        };
        match made {
            Ok(done) => done?,
            Err(Stopped) => return Ok(()),
        }
        let acks = batch
            .iter()
            .map(|(_, delivery)| delivery.acker.ack(BasicAckOptions::default()));
        self.broker.within(try_join_all(acks)).await.map(drop)
    }

    async fn make_durable(
        &self,
        batch: &[(Arc<Source>, Delivery)],
        open: &mut Open,
        stop: &CancellationToken,
    ) -> Result<Result<(), Error>, Stopped> {
        let (mut jobs, mut of, mut faulty) = (Vec::new(), Vec::new(), Vec::new());
        for (source, delivery) in batch {
            let headers = message::headers(&delivery.properties);
            match self.job(source, delivery, &headers, open, stop).await? {
                Ok(job) => {
                    jobs.push(job);
                    of.push((source, delivery, headers));
                }
                Err(fault) => faulty.push(Faulty {
                    source,
                    delivery,
                    headers,
                    fault,
                }),
            }
        }
        let refused = match self.enqueue(&jobs, stop).await? {
            Ok(refused) => refused,
            Err(error) => return Ok(Err(error)),
        };
        for (index, (source, delivery, headers)) in of.into_iter().enumerate() {
            if refused.contains(&index) {
                faulty.push(Faulty {
                    source,
                    delivery,
                    headers,
                    fault: Fault::Refused,
                });
            }
        }
        for faulty in faulty {
            if let Err(error) = self.set_aside(faulty, stop).await? {
                return Ok(Err(error));
            }
        }
        Ok(Ok(()))
    }

    /// What a delivery is to become.
    async fn job(
        &self,
        source: &Source,
        delivery: &Delivery,
        headers: &Map<String, Value>,
        open: &mut Open,
        stop: &CancellationToken,
    ) -> Result<Result<NewJob, Fault>, Stopped> {
        let key = delivery.routing_key.as_str();
        let (tenant, channel) = match &source.owner {
            Some(owner) => {
                let owner = (owner.tenant.as_str(), owner.channel.as_str());
                if let Err(fault) = message::agrees(owner, key) {
                    return Ok(Err(fault));
                }
                owner
            }
            None => match topology::inbound(key) {
                Some(named) => {
                    if let Err(fault) = self.known(named, open, stop).await? {
                        return Ok(Err(fault));
                    }
                    named
                }
                None => return Ok(Err(Fault::NoOrigin)),
            },
        };
        Ok(message::job(
            &self.client,
            Raw {
                tenant,
                channel,
                body: &delivery.data,
                headers,
            },
        ))
    }

    /// Whether a tenant's channel takes messages, as of the last look.
    async fn known(
        &self,
        (tenant, channel): (&str, &str),
        open: &mut Open,
        stop: &CancellationToken,
    ) -> Result<Result<(), Fault>, Stopped> {
        let Ok(channel) = channel.parse::<ChannelType>() else {
            return Ok(Err(Fault::NoOrigin));
        };
        let which = OpenChannel {
            tenant: tenant.to_owned(),
            channel,
        };
        let fresh = |seen: &Instant| seen.elapsed() < self.options.refresh;
        if open.get(&which).is_some_and(fresh) {
            return Ok(Ok(()));
        }
        let mut outage = Outage::new("database of the intake");
        let found = loop {
            match timeout(DATABASE, super::is_open(&self.platform, tenant, channel)).await {
                Ok(Ok(found)) => break found,
                Ok(Err(error)) => self.wait(&mut outage, &error, stop).await?,
                Err(late) => self.wait(&mut outage, &late, stop).await?,
            }
        };
        outage.worked();
        match found {
            Ok(()) => open.insert(which, Instant::now()),
            Err(_) => open.remove(&which),
        };
        Ok(found)
    }

    /// Enqueues all in one transaction. If what they say is at fault, each by itself; the places of
    /// those that are at fault alone are returned. No message is blamed for anything else: while the
    /// database is away, read-only, without our tables or our rights, all wait.
    async fn enqueue(
        &self,
        jobs: &[NewJob],
        stop: &CancellationToken,
    ) -> Result<Result<Vec<usize>, Error>, Stopped> {
        if jobs.is_empty() {
            return Ok(Ok(Vec::new()));
        }
        let mut outage = Outage::new("database of the intake");
        loop {
            // The same jobs with the same ids: if an attempt did more than we were told, nothing is
            // there twice.
            match self.client.insert_many(jobs).await {
                Ok(enqueued) => {
                    outage.worked();
                    told(&enqueued);
                    return Ok(Ok(Vec::new()));
                }
                Err(EnqueueError::Store(error)) if !error.is_about_the_data() => {
                    self.wait(&mut outage, &error, stop).await?;
                }
                Err(EnqueueError::Store(_) | EnqueueError::Invalid(_)) => break,
                Err(error) => return Ok(Err(self.not_enqueued(&error))),
            }
        }
        let mut refused = Vec::new();
        for (index, job) in jobs.iter().enumerate() {
            loop {
                match self.client.insert(job.clone()).await {
                    Ok(enqueued) => {
                        outage.worked();
                        told(&[enqueued]);
                        break;
                    }
                    Err(EnqueueError::Store(error)) if !error.is_about_the_data() => {
                        self.wait(&mut outage, &error, stop).await?;
                    }
                    Err(EnqueueError::Store(_) | EnqueueError::Invalid(_)) => {
                        refused.push(index);
                        break;
                    }
                    Err(error) => return Ok(Err(self.not_enqueued(&error))),
                }
            }
        }
        Ok(Ok(refused))
    }

    /// Nothing that another message would do better with, such as a key that is missing.
    fn not_enqueued(&self, error: &EnqueueError) -> Error {
        Error::Rejected {
            service: self.broker.name().to_owned(),
            reason: format!("its messages cannot become jobs: {error}"),
            remedy: "`jobctl doctor` may tell why".to_owned(),
        }
    }

    /// Keeps a message that cannot become a job, and gives the broker's dead-letter queue a copy.
    async fn set_aside(
        &self,
        faulty: Faulty<'_>,
        stop: &CancellationToken,
    ) -> Result<Result<(), Error>, Stopped> {
        let Faulty {
            source,
            delivery,
            mut headers,
            fault,
        } = faulty;
        let key = delivery.routing_key.as_str();
        headers.insert(message::ROUTING_KEY.to_owned(), Value::from(key));
        let origin = match &source.owner {
            Some(_) => source.queue.clone(),
            None => topology::inbound(key)
                .map_or_else(|| source.queue.clone(), |_| topology::queue(key)),
        };
        let reason = fault.to_string();
        let kept = delivery.data.len().min(self.options.kept_body);
        let new = NewQuarantined {
            tenant: topology::inbound(&origin).map(|(tenant, _)| tenant.to_owned()),
            source: origin,
            reason: reason.clone(),
            headers: Value::Object(headers),
            body: delivery.data[..kept].to_vec(),
            body_bytes: delivery.data.len() as u64,
        };
        let mut outage = Outage::new("database of the intake");
        let id = loop {
            match timeout(DATABASE, self.records.quarantine(&new)).await {
                Ok(Ok(id)) => break id,
                Ok(Err(error)) => self.wait(&mut outage, &error, stop).await?,
                Err(late) => self.wait(&mut outage, &late, stop).await?,
            }
        };
        outage.worked();
        telemetry::quarantined(&id.to_string(), &source.queue, &reason);
        Ok(self.bury(source, delivery, &reason).await)
    }

    /// The copy that the platform's own worker would have left, with the headers that it would have set,
    /// and the key by which the message came.
    async fn bury(&self, source: &Source, delivery: &Delivery, reason: &str) -> Result<(), Error> {
        let properties = &delivery.properties;
        let mut headers = properties.headers().clone().unwrap_or_default();
        headers.insert("x-last-error".into(), AMQPValue::LongString(reason.into()));
        if !headers.contains_key(message::RETRIES) {
            headers.insert(message::RETRIES.into(), AMQPValue::LongInt(0));
        }
        headers.insert(
            message::ROUTING_KEY.into(),
            AMQPValue::LongString(delivery.routing_key.as_str().into()),
        );
        let key = topology::dead_letter_key(&source.queue);
        let copy = Publication {
            headers,
            correlation_id: properties
                .correlation_id()
                .as_ref()
                .map(lapin::types::ShortString::as_str),
            message_id: properties
                .message_id()
                .as_ref()
                .map(lapin::types::ShortString::as_str),
            mandatory: true,
            ..Publication::json(topology::DEAD_LETTERS, &key, &delivery.data)
        };
        match self.broker.publish(&copy).await {
            Ok(()) => Ok(()),
            Err(error) if !self.broker.is_connected().await => Err(error),
            // The dead-letter queue was taken away, or takes nothing: the quarantine has the message.
            Err(error) => {
                telemetry::not_buried(&source.queue, &error.to_string());
                Ok(())
            }
        }
    }

    async fn wait(
        &self,
        outage: &mut Outage,
        reason: &(dyn std::fmt::Display + Sync),
        stop: &CancellationToken,
    ) -> Result<(), Stopped> {
        outage.failed(&reason);
        let pause = tokio::time::sleep(PAUSE);
        stop.run_until_cancelled(pause).await.ok_or(Stopped)
    }
}

fn told(enqueued: &[Enqueued]) {
    let inserted = enqueued.iter().filter(|one| one.is_inserted()).count();
    telemetry::taken(inserted, enqueued.len() - inserted);
}

//! One connection's worth of taking in: the right to, the consumers, and the loop between them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, BoxStream, SelectAll};
use futures_util::{FutureExt as _, StreamExt as _};
use lapin::message::Delivery;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer, Queue};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::batch::Open;
use super::{Intake, Topology};
use crate::platform::OpenChannel;
use crate::services::Error;
use crate::services::broker::topology::{self, Direction};
use crate::telemetry::{Outage, broker as telemetry};

/// How long the database may take to say which tenants there are.
const DATABASE: Duration = Duration::from_secs(10);

/// How a session ended without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It was told to.
    Stopped,
    /// Another process takes messages in.
    StandBy,
}

/// A queue that is read.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) queue: String,
    /// Whose it is, if it is one tenant's.
    pub(super) owner: Option<OpenChannel>,
}

/// What a queue brings.
pub(super) enum Event {
    Delivery(Arc<Source>, Box<Delivery>),
    Broken(lapin::Error),
    /// Nothing more: cancelled by us, or deleted.
    Ended(Arc<Source>),
}

/// The right to take messages in: gone with its connection, whatever node holds what.
struct Right {
    lock: Consumer,
    /// Older programs know only this one, and others see by it that they need not try.
    _sign: Option<Consumer>,
}

/// What is read on one connection.
struct Reading {
    /// What is declared, is declared here: what the broker refuses closes the channel it was asked on.
    declaring: Channel,
    consuming: Channel,
    events: SelectAll<BoxStream<'static, Event>>,
    /// The consumer of each queue.
    tags: HashMap<String, lapin::types::ShortString>,
    /// Queues that somebody else reads, which has been said.
    held: HashSet<String>,
    open: Open,
}

impl Intake {
    /// Takes messages in until it is told to stop or the connection fails.
    pub(super) async fn session(
        &self,
        stop: &CancellationToken,
        outage: &mut Outage,
    ) -> Result<End, Error> {
        let Some(mut right) = self.right().await? else {
            return Ok(End::StandBy);
        };
        let declaring = self.broker.channel().await?;
        self.ask(topology::declare_exchanges(&declaring)).await?;
        let consuming = self.broker.channel().await?;
        let prefetch = match self.options.topology {
            Topology::Platform => self.options.prefetch,
            // One queue has to fill a batch while another is being stored.
            Topology::Quorum => {
                u16::try_from(self.options.batch.saturating_mul(2)).unwrap_or(u16::MAX)
            }
        };
        self.ask(consuming.basic_qos(prefetch, BasicQosOptions::default()))
            .await?;
        let mut reading = Reading {
            declaring,
            consuming,
            events: SelectAll::new(),
            tags: HashMap::new(),
            held: HashSet::new(),
            open: Open::new(),
        };
        let mut refresh = tokio::time::interval(self.options.refresh);
        refresh.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let turn = async {
                tokio::select! {
                    // Broken off, it is done by the next session.
                    _ = refresh.tick() => {
                        let refreshed = stop.run_until_cancelled(self.refresh(&mut reading)).await;
                        refreshed.unwrap_or(Ok(()))
                    }
                    Some(event) = reading.events.next(), if !reading.events.is_empty() => {
                        self.take(&mut reading, event, stop).await?;
                        outage.worked();
                        Ok(())
                    }
                    () = stop.cancelled() => Ok(()),
                }
            };
            tokio::select! {
                done = turn => done?,
                // Whoever holds the right gets nothing by it: anything at all means that it is lost.
                _ = right.lock.next() => {
                    return Err(self.lost("the right to take messages in was lost"));
                }
            }
            if stop.is_cancelled() {
                self.leave(reading, right).await;
                return Ok(End::Stopped);
            }
        }
    }

    /// The right to take messages in, if nobody has it.
    async fn right(&self) -> Result<Option<Right>, Error> {
        let Some(sign) = self.sign().await? else {
            return Ok(None);
        };
        let channel = self.broker.channel().await?;
        let name = format!("{}.holder", self.options.lock);
        match self.answer(topology::own(&channel, &name)).await? {
            Ok(_) => {}
            // Another connection's.
            Err(error) if error.is_amqp_soft_error() => return Ok(None),
            Err(error) => return Err(self.broker.fault(&error)),
        }
        match self.answer(consume(&channel, &name)).await? {
            Ok(lock) => Ok(Some(Right { lock, _sign: sign })),
            // Somebody in this process was faster.
            Err(error) if error.is_amqp_soft_error() => Ok(None),
            Err(error) => Err(self.broker.fault(&error)),
        }
    }

    /// What shows others that they need not try, if nobody else shows it. Without one it goes on: the
    /// queue lives on one node, which may be down.
    async fn sign(&self) -> Result<Option<Option<Consumer>>, Error> {
        let channel = self.broker.channel().await?;
        let queue = topology::durable(&channel, &self.options.lock, FieldTable::default());
        match self.answer(queue).await? {
            Ok(queue) if queue.consumer_count() > 0 => return Ok(None),
            Ok(_) => {}
            Err(error) if error.is_amqp_soft_error() => return Ok(Some(None)),
            Err(error) => return Err(self.broker.fault(&error)),
        }
        match self.answer(consume(&channel, &self.options.lock)).await? {
            Ok(sign) => Ok(Some(Some(sign))),
            // Somebody was faster.
            Err(error) if error.is_amqp_soft_error() => Ok(None),
            Err(error) => Err(self.broker.fault(&error)),
        }
    }

    /// Reads the queues there are to read, and no others.
    async fn refresh(&self, reading: &mut Reading) -> Result<(), Error> {
        // What was known is still true enough: messages that come are stored once the database is back.
        let unknown = |error: &dyn std::fmt::Display| {
            tracing::debug!(%error, "tenants and channels are not known just now");
            Ok(())
        };
        let wanted = match timeout(DATABASE, self.wanted()).await {
            Ok(Ok(wanted)) => wanted,
            Ok(Err(error)) => return unknown(&error),
            Err(late) => return unknown(&late),
        };
        let gone: Vec<String> = reading
            .tags
            .keys()
            .filter(|queue| !wanted.contains_key(*queue))
            .cloned()
            .collect();
        for queue in &gone {
            if let Some(tag) = reading.tags.remove(queue) {
                // What it has brought already is still taken.
                let cancelled = reading
                    .consuming
                    .basic_cancel(tag, BasicCancelOptions::default());
                self.ask(cancelled).await?;
            }
        }
        let mut added = 0;
        for (queue, owner) in wanted {
            if !reading.tags.contains_key(&queue) && self.read(reading, queue, owner).await? {
                added += 1;
            }
        }
        telemetry::serving(reading.tags.len(), added, gone.len());
        Ok(())
    }

    /// The queues to read, and whose each is.
    async fn wanted(&self) -> Result<HashMap<String, Option<OpenChannel>>, crate::platform::Error> {
        if self.options.topology == Topology::Quorum {
            return Ok(HashMap::from([(topology::QUORUM.to_owned(), None)]));
        }
        let open = self.platform.open_channels().await?;
        let named = |open: OpenChannel| {
            let key = topology::key(&open.tenant, open.channel.as_str(), Direction::Inbound);
            (topology::queue(&key), Some(open))
        };
        Ok(open.into_iter().map(named).collect())
    }

    /// Starts to read a queue, unless somebody else does.
    async fn read(
        &self,
        reading: &mut Reading,
        queue: String,
        owner: Option<OpenChannel>,
    ) -> Result<bool, Error> {
        let Some(declared) = self.declare(reading, &queue, owner.as_ref()).await? else {
            return Ok(false);
        };
        if declared.consumer_count() > 0 {
            if reading.held.insert(queue.clone()) {
                telemetry::read_by_another(&queue);
            }
            return Ok(false);
        }
        reading.held.remove(&queue);
        let consumer = self.ask(consume(&reading.consuming, &queue)).await?;
        let source = Arc::new(Source { queue, owner });
        reading.tags.insert(source.queue.clone(), consumer.tag());
        reading.events.push(events(consumer, source));
        Ok(true)
    }

    /// The queue as the platform declares it; if it is there with other arguments, as it is. One that
    /// the broker will not let us have is left out, and told.
    async fn declare(
        &self,
        reading: &mut Reading,
        queue: &str,
        owner: Option<&OpenChannel>,
    ) -> Result<Option<Queue>, Error> {
        if topology::short(&topology::dead_letter_queue(queue)).is_err() {
            return Ok(None);
        }
        let channel = &reading.declaring;
        let declared = match owner {
            Some(_) => {
                let key = queue.strip_suffix(".queue").unwrap_or(queue);
                let declared = topology::declare_work_queue(channel, key);
                self.answer(declared).await?
            }
            None => {
                let declared = topology::declare_quorum_queue(channel);
                self.answer(declared).await?
            }
        };
        let refused = match declared {
            Ok(declared) => return Ok(Some(declared)),
            Err(error) if error.is_amqp_soft_error() => error,
            Err(error) => return Err(self.broker.fault(&error)),
        };
        reading.declaring = self.broker.channel().await?;
        let existing = topology::existing(&reading.declaring, queue);
        match self.answer(existing).await? {
            Ok(existing) => {
                telemetry::declared_otherwise(queue);
                Ok(Some(existing))
            }
            Err(error) if error.is_amqp_soft_error() => {
                reading.declaring = self.broker.channel().await?;
                if reading.held.insert(queue.to_owned()) {
                    telemetry::not_declared(queue, &refused.to_string());
                }
                Ok(None)
            }
            Err(error) => Err(self.broker.fault(&error)),
        }
    }

    /// Takes what there is, up to a batch.
    async fn take(
        &self,
        reading: &mut Reading,
        first: Event,
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        let mut batch = Vec::new();
        let mut next = Some(first);
        let mut broken = None;
        while let Some(event) = next.take() {
            match event {
                Event::Delivery(source, delivery) => batch.push((source, *delivery)),
                Event::Ended(source) => {
                    reading.tags.remove(&source.queue);
                }
                Event::Broken(error) => broken = Some(error),
            }
            if batch.len() < self.options.batch && broken.is_none() {
                next = reading.events.next().now_or_never().flatten();
            }
        }
        self.store(&batch, &mut reading.open, stop).await?;
        match broken {
            Some(error) => Err(self.broker.fault(&error)),
            None => Ok(()),
        }
    }

    /// Lets go of what was received, so that another can have it at once.
    async fn leave(&self, reading: Reading, right: Right) {
        drop(reading.events);
        // Best effort: the end of the connection does the same.
        let closed = reading.consuming.close(200, "stopping".into());
        drop(self.broker.within(closed).await);
        drop(right);
    }

    /// What the broker answers, whatever it is, within the time there is for it.
    async fn answer<T>(
        &self,
        work: impl Future<Output = lapin::Result<T>>,
    ) -> Result<lapin::Result<T>, Error> {
        self.broker.answered(work).await
    }

    async fn ask<T>(&self, work: impl Future<Output = lapin::Result<T>>) -> Result<T, Error> {
        self.broker.within(work).await
    }

    fn lost(&self, reason: &str) -> Error {
        Error::Unavailable {
            service: self.broker.name().to_owned(),
            reason: reason.to_owned(),
            retry_after: None,
        }
    }
}

/// Exclusive: a queue that two read has no order.
async fn consume(channel: &Channel, queue: &str) -> lapin::Result<Consumer> {
    let options = BasicConsumeOptions {
        exclusive: true,
        ..BasicConsumeOptions::default()
    };
    let arguments = FieldTable::default();
    channel
        .basic_consume(queue.into(), "".into(), options, arguments)
        .await
}

fn events(consumer: Consumer, source: Arc<Source>) -> BoxStream<'static, Event> {
    let ended = Event::Ended(Arc::clone(&source));
    consumer
        .map(move |received| match received {
            Ok(delivery) => Event::Delivery(Arc::clone(&source), Box::new(delivery)),
            Err(error) => Event::Broken(error),
        })
        .chain(stream::iter([ended]))
        .boxed()
}

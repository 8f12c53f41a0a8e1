//! A publish counts once the broker has confirmed it; one that nobody is bound for is an error where
//! the sender wants to know.

use std::collections::HashSet;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, ErrorKind};
use tokio::time::timeout;
use tracing::Instrument;

use super::topology::{declare_topic, short};
use super::{Broker, Error, said};
use crate::telemetry::broker as telemetry;
use crate::telemetry::correlation::{CORRELATION_ID, Cause, TRACE_PARENT};

/// Written to disk by the broker before it confirms.
const PERSISTENT: u8 = 2;

/// What is to be published.
#[derive(Debug, Clone)]
pub struct Publication<'a> {
    /// To which topic exchange; it is made if it is not there. Empty for the queue that `key` names.
    pub exchange: &'a str,
    /// Under which routing key.
    pub key: &'a str,
    /// The body.
    pub body: &'a [u8],
    /// Its headers.
    pub headers: FieldTable,
    /// What it belongs to, across services; if it does not say, what the present task works for.
    pub correlation_id: Option<&'a str>,
    /// What makes it this one and no other.
    pub message_id: Option<&'a str>,
    /// Whether it is an error that no queue is bound for it.
    pub mandatory: bool,
}

impl<'a> Publication<'a> {
    /// JSON for whoever is bound, if anybody is.
    pub fn json(exchange: &'a str, key: &'a str, body: &'a [u8]) -> Self {
        Self {
            exchange,
            key,
            body,
            headers: FieldTable::default(),
            correlation_id: None,
            message_id: None,
            mandatory: false,
        }
    }
}

/// A channel that confirms, and the exchanges that are known to be there.
pub(super) struct Publisher {
    channel: Channel,
    declared: HashSet<String>,
}

impl Broker {
    /// Publishes, and returns once the broker has it safe.
    pub async fn publish(&self, publication: &Publication<'_>) -> Result<(), Error> {
        let published = self.publish_unbounded(publication);
        let published = published.instrument(telemetry::publish_span(publication.exchange));
        let done = match timeout(self.0.timeout, published).await {
            Ok(done) => done,
            Err(_) => Err(self.unavailable("a publish was not confirmed in time")),
        };
        telemetry::published(done.is_ok());
        done
    }

    async fn publish_unbounded(&self, publication: &Publication<'_>) -> Result<(), Error> {
        let _permit = self
            .0
            .publishing
            .acquire()
            .await
            .map_err(|_| self.unavailable("it is being left"))?;
        let mut publisher = self.publisher().await?;
        self.declare(&mut publisher, publication.exchange).await?;
        let confirmation = publisher
            .channel
            .basic_publish(
                short(publication.exchange)?,
                short(publication.key)?,
                BasicPublishOptions {
                    mandatory: publication.mandatory,
                    ..BasicPublishOptions::default()
                },
                publication.body,
                properties(publication)?,
            )
            .await
            .map_err(|error| self.refusal(&error))?
            .await
            .map_err(|error| self.refusal(&error))?;
        // Only one that has answered is used again: what another was asked is not known.
        self.idle().push(publisher);
        match confirmation {
            Confirmation::Ack(None) => Ok(()),
            Confirmation::Ack(Some(_)) | Confirmation::Nack(Some(_)) => Err(Error::rejected(
                &self.0.name,
                format!(
                    "no queue is bound to {} for {}",
                    publication.exchange, publication.key
                ),
                "bind one, or start who reads it",
            )),
            Confirmation::Nack(None) => Err(self.unavailable("it refused a publish")),
            Confirmation::NotRequested => Err(self.unavailable("it confirms nothing")),
        }
    }

    /// What an error of a publish means: the broker's no, which waiting does not change, or its loss. An
    /// exchange that somebody deleted is made again by the next publish.
    fn refusal(&self, error: &lapin::Error) -> Error {
        let refused = match error.kind() {
            ErrorKind::ProtocolError(said) => matches!(
                said.kind(),
                AMQPErrorKind::Soft(
                    AMQPSoftError::ACCESSREFUSED | AMQPSoftError::PRECONDITIONFAILED
                )
            ),
            _ => false,
        };
        if !refused {
            return self.fault(error);
        }
        Error::rejected(
            &self.0.name,
            said(error),
            "give this program's user the right to, or take away the exchange that has another type",
        )
    }

    async fn publisher(&self) -> Result<Publisher, Error> {
        loop {
            let idle = self.idle().pop();
            match idle {
                Some(publisher) if publisher.channel.status().connected() => return Ok(publisher),
                Some(_) => {}
                None => break,
            }
        }
        let channel = self.channel().await?;
        let confirm = channel.confirm_select(ConfirmSelectOptions::default());
        confirm.await.map_err(|error| self.fault(&error))?;
        Ok(Publisher {
            channel,
            declared: HashSet::new(),
        })
    }

    async fn declare(&self, publisher: &mut Publisher, exchange: &str) -> Result<(), Error> {
        if exchange.is_empty() || publisher.declared.contains(exchange) {
            return Ok(());
        }
        declare_topic(&publisher.channel, exchange)
            .await
            .map_err(|error| self.refusal(&error))?;
        publisher.declared.insert(exchange.to_owned());
        Ok(())
    }
}

fn properties(publication: &Publication<'_>) -> Result<BasicProperties, Error> {
    let cause = Cause::current();
    let correlation_id = publication
        .correlation_id
        .or(cause.correlation_id.as_deref());
    let mut headers = publication.headers.clone();
    for (name, id) in [
        (CORRELATION_ID, correlation_id),
        (TRACE_PARENT, cause.trace_parent.as_deref()),
    ] {
        if let Some(id) = id.filter(|_| !headers.contains_key(name.as_str())) {
            headers.insert(name.as_str().into(), AMQPValue::LongString(id.into()));
        }
    }
    let mut properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_delivery_mode(PERSISTENT)
        .with_headers(headers);
    if let Some(id) = correlation_id {
        properties = properties.with_correlation_id(short(id)?);
    }
    if let Some(id) = publication.message_id {
        properties = properties.with_message_id(short(id)?);
    }
    Ok(properties)
}

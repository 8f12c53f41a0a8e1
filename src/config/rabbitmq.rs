use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::Error;
use crate::ingress::rabbitmq::{IntakeOptions, Topology};
use crate::services::broker::{Broker, BrokerOptions, InvalidUrl};
use crate::services::socketio::{SocketIo, SocketIoOptions};

/// Whoever reads this queue, which is always empty, takes messages in.
const LOCK: &str = "metachat.jobs.intake";
/// The most that one statement of the engine takes, and enough to bury a broker.
const MOST: u32 = 10_000;

/// The broker, and what is taken in from it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RabbitmqOptions {
    /// Where it is; empty if it is left alone. Holds a password.
    pub url: SecretString,
    /// Where events go.
    pub exchange: String,
    /// How long connecting and a publish may take.
    pub timeout_ms: u64,
    /// The longest pause between attempts to connect.
    pub reconnect_max_ms: u64,
    /// Whether messages are taken in from it.
    pub ingress: bool,
    /// From which queues.
    pub topology: Topology,
    /// How many unacknowledged messages of one queue there may be.
    pub prefetch: u16,
    /// How many messages become durable at once.
    pub batch: u32,
    /// How often tenants and channels are looked at.
    pub refresh_ms: u64,
    /// How much of an unreadable body is kept.
    pub quarantine_body_bytes: u32,
}

/// The platform's Redis.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedisOptions {
    /// Where it is; empty if it is left alone. May hold a password.
    pub url: SecretString,
    /// How long connecting and a publish may take.
    pub timeout_ms: u64,
}

impl RabbitmqOptions {
    /// The broker, if there is to be one. Connects when it is first used.
    pub fn broker(&self) -> Result<Option<Broker>, InvalidUrl> {
        if self.url.expose_secret().is_empty() {
            return Ok(None);
        }
        let options = BrokerOptions {
            url: self.url.clone(),
            events: self.exchange.clone(),
            timeout: Duration::from_millis(self.timeout_ms),
            longest_pause: Duration::from_millis(self.reconnect_max_ms),
        };
        Broker::new(&options).map(Some)
    }

    /// How messages are taken in.
    pub fn intake(&self) -> IntakeOptions {
        IntakeOptions {
            lock: LOCK.to_owned(),
            topology: self.topology,
            prefetch: self.prefetch,
            batch: self.batch as usize,
            refresh: Duration::from_millis(self.refresh_ms),
            kept_body: self.quarantine_body_bytes as usize,
        }
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        self.broker()
            .map_err(|error| Error::invalid("rabbitmq.url", error.to_string()))?;
        // A name is a short string on the wire.
        if self.exchange.is_empty() || self.exchange.len() > 127 {
            let problem = "an exchange's name is 1 to 127 bytes, such as metachat.events";
            return Err(Error::invalid("rabbitmq.exchange", problem));
        }
        for (key, number, most) in [
            ("rabbitmq.timeout_ms", self.timeout_ms, u64::MAX),
            ("rabbitmq.reconnect_max_ms", self.reconnect_max_ms, u64::MAX),
            ("rabbitmq.prefetch", u64::from(self.prefetch), u64::MAX),
            ("rabbitmq.batch", u64::from(self.batch), u64::from(MOST)),
            // New tenants are promised to be served within half a minute.
            ("rabbitmq.refresh_ms", self.refresh_ms, 25_000),
        ] {
            if number == 0 {
                return Err(Error::invalid(key, "is 0; use at least 1"));
            }
            if number > most {
                return Err(Error::invalid(key, format!("is more than {most}")));
            }
        }
        Ok(())
    }
}

impl RedisOptions {
    /// The way to the platform's sockets, if there is to be one. Connects when it is first used.
    pub fn socket_io(&self) -> Result<Option<SocketIo>, crate::services::socketio::InvalidUrl> {
        if self.url.expose_secret().is_empty() {
            return Ok(None);
        }
        let options = SocketIoOptions {
            url: self.url.clone(),
            timeout: Duration::from_millis(self.timeout_ms),
        };
        SocketIo::new(&options).map(Some)
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        self.socket_io()
            .map_err(|error| Error::invalid("redis.url", error.to_string()))?;
        if self.timeout_ms == 0 {
            return Err(Error::invalid("redis.timeout_ms", "is 0; use at least 1"));
        }
        Ok(())
    }
}

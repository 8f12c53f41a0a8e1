//! The platform's RabbitMQ: one connection a process, made when it is first needed and again for ever
//! when it is lost, and publishes that count only once the broker has confirmed them.

mod publish;
pub mod topology;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ConnectionProperties};
use rand::Rng as _;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::Error;
use crate::telemetry::{Outage, broker as telemetry};

pub use publish::Publication;
use publish::Publisher;

/// How the broker's pages call this program's connections.
const CONNECTION_NAME: &str = "metachat-jobs";
/// Unless the URL says otherwise, a peer that is silent for twice this long is gone, in seconds.
const HEARTBEAT: u16 = 10;
/// The first pause after a connection could not be made.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// How many publishes may wait for their confirmation at once; each has a channel to itself, because a
/// channel does not say to which of several publishes a returned message belongs.
const PUBLISHERS: usize = 8;

/// Where the broker is and how long to wait for it.
#[derive(Debug, Clone)]
pub struct BrokerOptions {
    /// `amqp://user:password@host:5672/vhost`.
    pub url: SecretString,
    /// The exchange of events.
    pub events: String,
    /// How long connecting, and a publish with its confirmation, may take.
    pub timeout: Duration,
    /// The longest pause between two attempts to connect.
    pub longest_pause: Duration,
}

/// Not the address of a broker. It is not repeated: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be amqp://user:password@host:5672/vhost, or amqps://..; the vhost / is written %2f")]
pub struct InvalidUrl;

/// The connection to one broker. Clones share it.
#[derive(Clone)]
pub struct Broker(Arc<Inner>);

struct Inner {
    uri: AMQPUri,
    /// How errors and logs call it.
    name: String,
    events: String,
    timeout: Duration,
    longest_pause: Duration,
    link: tokio::sync::Mutex<Link>,
    /// Publishers that nobody uses just now.
    idle: Mutex<Vec<Publisher>>,
    publishing: Semaphore,
}

/// What is known of the connection.
struct Link {
    connection: Option<Arc<Connection>>,
    failures: u32,
    /// Before this it is not tried again.
    next: Option<Instant>,
    outage: Outage,
}

impl Broker {
    /// A broker that is connected to when it is first used.
    pub fn new(options: &BrokerOptions) -> Result<Self, InvalidUrl> {
        let url = options.url.expose_secret();
        let mut uri: AMQPUri = url.parse().map_err(|_| InvalidUrl)?;
        if uri.authority.host.is_empty() {
            return Err(InvalidUrl);
        }
        uri.query.heartbeat.get_or_insert(HEARTBEAT);
        let authority = &uri.authority;
        let name = format!("rabbitmq at {}:{}", authority.host, authority.port);
        Ok(Self(Arc::new(Inner {
            link: tokio::sync::Mutex::new(Link {
                connection: None,
                failures: 0,
                next: None,
                outage: Outage::new(name.clone()),
            }),
            uri,
            name,
            events: options.events.clone(),
            timeout: options.timeout,
            longest_pause: options.longest_pause,
            idle: Mutex::default(),
            publishing: Semaphore::new(PUBLISHERS),
        })))
    }

    /// How errors call it.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The exchange of events.
    pub fn events(&self) -> &str {
        &self.0.events
    }

    /// A new channel of the connection, which is made if there is none. Whoever asks too soon after a
    /// failure is told how long to wait.
    pub async fn channel(&self) -> Result<Channel, Error> {
        let connection = self.connection().await?;
        self.within(connection.create_channel()).await
    }

    /// Whether the connection is there, as far as is known.
    pub async fn is_connected(&self) -> bool {
        let link = self.0.link.lock().await;
        let connection = link.connection.as_ref();
        connection.is_some_and(|connection| connection.status().connected())
    }

    /// Whether the broker answers within this time: over the connection that there is, or else a new one.
    pub async fn answers(&self, within: Duration) -> bool {
        let ask = async {
            let channel = self.channel().await?;
            self.within(channel.close(200, "done".into())).await
        };
        matches!(timeout(within, ask).await, Ok(Ok(())))
    }

    /// Does something on the connection within the time there is for it.
    pub async fn within<T>(
        &self,
        work: impl Future<Output = lapin::Result<T>>,
    ) -> Result<T, Error> {
        self.answered(work)
            .await?
            .map_err(|error| self.fault(&error))
    }

    /// The same where the broker's own answer counts, whatever it is.
    pub async fn answered<T>(&self, work: impl Future<Output = T>) -> Result<T, Error> {
        let answered = timeout(self.0.timeout, work).await;
        answered.map_err(|_| self.unavailable("it did not answer in time"))
    }

    /// What an error of the connection means.
    pub fn fault(&self, error: &lapin::Error) -> Error {
        self.unavailable(said(error))
    }

    fn unavailable(&self, reason: impl Into<String>) -> Error {
        Error::unavailable(&self.0.name, reason)
    }

    async fn connection(&self) -> Result<Arc<Connection>, Error> {
        let inner = &*self.0;
        let mut link = inner.link.lock().await;
        if let Some(connection) = &link.connection {
            if connection.status().connected() {
                return Ok(Arc::clone(connection));
            }
            link.connection = None;
            link.outage.failed(&"the connection was lost");
            telemetry::connected(false);
        }
        let now = Instant::now();
        if let Some(next) = link.next.filter(|next| *next > now) {
            return Err(Error::Unavailable {
                service: inner.name.clone(),
                reason: "the connection is lost and being made again".to_owned(),
                retry_after: Some(next - now),
            });
        }
        match self.connect().await {
            Ok(connection) => {
                let connection = Arc::new(connection);
                link.connection = Some(Arc::clone(&connection));
                link.failures = 0;
                link.next = None;
                link.outage.worked();
                telemetry::connected(true);
                Ok(connection)
            }
            Err(reason) => {
                let pause = self.pause(link.failures);
                link.failures = link.failures.saturating_add(1);
                link.next = Some(Instant::now() + pause);
                link.outage.failed(&reason);
                telemetry::connected(false);
                Err(Error::Unavailable {
                    service: inner.name.clone(),
                    reason,
                    retry_after: Some(pause),
                })
            }
        }
    }

    async fn connect(&self) -> Result<Connection, String> {
        let properties =
            ConnectionProperties::default().with_connection_name(CONNECTION_NAME.into());
        let connecting = Connection::connect_uri(self.0.uri.clone(), properties);
        match timeout(self.0.timeout, connecting).await {
            Ok(connected) => connected.map_err(|error| said(&error)),
            Err(_) => Err("it cannot be connected to in time".to_owned()),
        }
    }

    /// Twice as long after each failure, up to the longest, of which a random half is left out: the
    /// processes of a platform do not come back all at once.
    fn pause(&self, failures: u32) -> Duration {
        let doubled = FIRST_PAUSE.saturating_mul(1 << failures.min(16));
        let longest = doubled.min(self.0.longest_pause);
        longest.mul_f64(rand::rng().random_range(0.5..=1.0))
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Publisher>> {
        // A list of channels: a panic elsewhere cannot have left it half written.
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Broker({})", self.0.name)
    }
}

/// An error in words that hold no credential and no message: lapin's own name the reason the broker
/// gave, which is about queues and permissions.
fn said(error: &lapin::Error) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broker(url: &str) -> Result<Broker, InvalidUrl> {
        Broker::new(&BrokerOptions {
            url: url.to_owned().into(),
            events: "e".into(),
            timeout: Duration::from_secs(1),
            longest_pause: Duration::from_secs(5),
        })
    }

    #[test]
    fn an_address_is_checked_and_its_password_is_shown_nowhere() {
        for wrong in ["", "localhost", "http://localhost", "amqp//x"] {
            assert_eq!(broker(wrong).unwrap_err(), InvalidUrl, "{wrong}");
        }
        let broker = broker("amqp://u:hunter2@mq.local/v").unwrap();
        assert_eq!(broker.name(), "rabbitmq at mq.local:5672");
        assert!(!format!("{broker:?}").contains("hunter2"));
    }

    #[test]
    fn pauses_grow_to_the_longest_and_are_never_the_same_for_all() {
        let broker = broker("amqp://localhost").unwrap();
        assert!(broker.pause(0) <= FIRST_PAUSE);
        for failures in [6, 40, u32::MAX] {
            let pause = broker.pause(failures);
            assert!(pause >= Duration::from_millis(2500), "{pause:?}");
            assert!(pause <= Duration::from_secs(5), "{pause:?}");
        }
        let some: std::collections::HashSet<_> = (0..20).map(|_| broker.pause(9)).collect();
        assert!(some.len() > 1);
    }
}

//! The platform's web sockets, from outside its process: what its Socket.IO servers tell each other
//! through Redis (`@socket.io/redis-adapter`, MessagePack on the channel of a room), we tell them too.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands as _, AsyncConnectionConfig, Client};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::Error;

/// Where the adapter listens unless it is told otherwise, for the namespace `/`.
const CHANNEL: &str = "socket.io#/#";
/// Servers leave out what they said themselves; this is nobody's name among them.
const SENDER: &str = "metachat-jobs";
/// Socket.IO's number for an event.
const EVENT: u8 = 2;

/// How long a Redis that could not be reached is left alone.
const LEFT_ALONE: Duration = Duration::from_secs(5);

/// Where Redis is and how long to wait for it.
#[derive(Debug, Clone)]
pub struct SocketIoOptions {
    /// `redis://host:6379`.
    pub url: SecretString,
    /// How long connecting, and a publish, may take.
    pub timeout: Duration,
}

/// Not the address of a Redis. It is not repeated: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be redis://host:6379; TLS is not supported")]
pub struct InvalidUrl;

/// The way to the platform's sockets. Clones share its connection, which is made when it is first used.
#[derive(Clone)]
pub struct SocketIo {
    client: Client,
    config: AsyncConnectionConfig,
    link: Arc<Mutex<Link>>,
    /// How errors call it.
    name: String,
}

/// What is known of the connection.
#[derive(Default)]
struct Link {
    connection: Option<MultiplexedConnection>,
    /// Why the last attempt failed, and before when there is no other.
    failed: Option<(Error, Instant)>,
}

impl SocketIo {
    /// Connects to nothing yet.
    pub fn new(options: &SocketIoOptions) -> Result<Self, InvalidUrl> {
        let client = Client::open(options.url.expose_secret()).map_err(|_| InvalidUrl)?;
        Ok(Self {
            name: format!("redis at {}", client.get_connection_info().addr()),
            client,
            config: AsyncConnectionConfig::new()
                .set_connection_timeout(Some(options.timeout))
                .set_response_timeout(Some(options.timeout)),
            link: Arc::default(),
        })
    }

    /// Sends an event to all sockets of a room, such as `<tenant>:<user>`, and says how many of the
    /// platform's processes heard it; whether a socket is in the room they do not tell.
    pub async fn emit(&self, room: &str, event: &str, payload: &Value) -> Result<u64, Error> {
        let message = packet(room, event, payload)
            .map_err(|error| Error::rejected(&self.name, error.to_string(), "send plain JSON"))?;
        let mut connection = self.connected().await?;
        let told: Result<u64, _> = connection.publish(channel(room), message).await;
        if told.is_err() {
            // The next one connects anew.
            self.link.lock().await.connection = None;
        }
        told.map_err(|error| self.unavailable(&error))
    }

    /// Those who ask while one connects wait for what comes of it, and do not each try in turn.
    async fn connected(&self) -> Result<MultiplexedConnection, Error> {
        let mut link = self.link.lock().await;
        if let Some(connection) = &link.connection {
            return Ok(connection.clone());
        }
        if let Some((error, until)) = &link.failed
            && Instant::now() < *until
        {
            return Err(error.clone());
        }
        let made = self
            .client
            .get_multiplexed_async_connection_with_config(&self.config)
            .await
            .map_err(|error| self.unavailable(&error));
        match &made {
            Ok(connection) => {
                *link = Link {
                    connection: Some(connection.clone()),
                    failed: None,
                };
            }
            Err(error) => link.failed = Some((error.clone(), Instant::now() + LEFT_ALONE)),
        }
        made
    }

    fn unavailable(&self, error: &redis::RedisError) -> Error {
        // Its kind only: the text may repeat what was sent.
        Error::unavailable(&self.name, format!("{:?}", error.kind()))
    }
}

impl fmt::Debug for SocketIo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SocketIo({})", self.name)
    }
}

/// Where what is meant for one room is published.
fn channel(room: &str) -> String {
    format!("{CHANNEL}{room}#")
}

/// `[sender, packet, options]`, as the adapter decodes it.
fn packet(room: &str, event: &str, payload: &Value) -> Result<Vec<u8>, rmp_serde::encode::Error> {
    rmp_serde::to_vec_named(&json!([
        SENDER,
        {"type": EVENT, "data": [event, payload], "nsp": "/"},
        {"rooms": [room], "except": [], "flags": {}},
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_what_the_adapter_sends() {
        assert_eq!(channel("acme:u1"), "socket.io#/#acme:u1#");
        let bytes = packet("acme:u1", "message", &json!({"content": "hi"})).unwrap();
        // fixarray(3), fixstr(13) ..: not bin, not ext.
        assert_eq!(&bytes[..2], &[0x93, 0xad]);
        let [sender, packet, options]: [Value; 3] = rmp_serde::from_slice(&bytes).unwrap();
        assert_eq!(sender, "metachat-jobs");
        assert_eq!(
            packet,
            json!({"type": 2, "data": ["message", {"content": "hi"}], "nsp": "/"})
        );
        assert_eq!(
            options,
            json!({"rooms": ["acme:u1"], "except": [], "flags": {}})
        );
    }

    #[tokio::test]
    async fn one_that_cannot_be_reached_keeps_nobody_waiting_in_a_row() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let socket_io = SocketIo::new(&SocketIoOptions {
            url: format!("redis://{}", silent.local_addr().unwrap()).into(),
            timeout: Duration::from_millis(300),
        })
        .unwrap();
        let began = Instant::now();
        let event = json!({});
        let calls = (0..16).map(|_| socket_io.emit("acme:u", "message", &event));
        for told in futures_util::future::join_all(calls).await {
            assert!(told.unwrap_err().is_transient());
        }
        let took = began.elapsed();
        assert!(took < Duration::from_millis(1500), "{took:?}: one by one");
    }

    #[test]
    fn an_address_is_checked_and_its_password_is_shown_nowhere() {
        let socket_io = |url: &str| {
            SocketIo::new(&SocketIoOptions {
                url: url.to_owned().into(),
                timeout: Duration::from_secs(1),
            })
        };
        assert_eq!(socket_io("http://x").unwrap_err(), InvalidUrl);
        let shown = format!("{:?}", socket_io("redis://:hunter2@cache:6379").unwrap());
        assert_eq!(shown, "SocketIo(redis at cache:6379)");
    }
}

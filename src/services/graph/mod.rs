//! Meta's Graph API, by which WhatsApp and Messenger messages are sent.
//!
//! A request is made once: whoever calls decides what to do when it is not known whether a message
//! was sent ([`SendError::Unknown`]).

mod failure;
mod parts;
mod split;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Response, Url};
use serde::Deserialize;
use serde_json::{Value, json};
use tracing::Instrument;

use super::breaker::Breaker;
use super::{Error, http};
use crate::telemetry::correlation::outgoing;
use crate::telemetry::delivery::send_span;
use failure::{Told, judge};

pub use failure::SendError;
pub use parts::{Part, Unsendable, parts};

/// More than any answer of the Graph API to a message.
const LONGEST_ANSWER: usize = 64 * 1024;

/// Where the Graph API is, and how long it may take.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GraphOptions {
    /// Its address.
    pub base_url: String,
    /// Its version, such as `v24.0`.
    pub version: String,
    /// How long to wait for a connection.
    pub connect_timeout_ms: u64,
    /// How long one request may take in all.
    pub timeout_ms: u64,
}

impl Default for GraphOptions {
    fn default() -> Self {
        Self {
            base_url: "https://graph.facebook.com".to_owned(),
            version: "v24.0".to_owned(),
            connect_timeout_ms: 5000,
            timeout_ms: 15_000,
        }
    }
}

/// A channel that is reached through the Graph API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GraphChannel {
    /// WhatsApp's Cloud API.
    Whatsapp,
    /// Messenger's Send API.
    Messenger,
}

impl GraphChannel {
    /// The longest text it takes, in characters.
    const fn longest_text(self) -> usize {
        match self {
            Self::Whatsapp => 4096,
            Self::Messenger => 2000,
        }
    }
}

/// Who sends: a WhatsApp number or a Messenger page.
pub struct Sender<'a> {
    /// By which channel.
    pub channel: GraphChannel,
    /// `phoneNumberId` or `pageId`.
    pub id: &'a str,
    /// What the Graph API recognises it by.
    pub token: &'a str,
}

impl fmt::Debug for Sender<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sender({:?} {})", self.channel, self.id)
    }
}

/// The connections to the Graph API and what is known of its health. Clones share it.
#[derive(Debug, Clone)]
pub struct Graph(Arc<Server>);

struct Server {
    /// How errors and logs call it.
    name: String,
    base: Url,
    version: String,
    client: Client,
    breaker: Breaker,
    total: Duration,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({}, {:?})", self.name, self.breaker)
    }
}

impl Graph {
    /// Connects to nothing yet.
    pub fn new(options: &GraphOptions) -> Result<Self, Error> {
        let (base, name) = http::base("graph", &options.base_url, "channels.graph.base_url")?;
        let version = options.version.clone();
        let numbered = version.strip_prefix('v').is_some_and(|number| {
            !number.is_empty() && number.chars().all(|c| c.is_ascii_digit() || c == '.')
        });
        if !numbered {
            let remedy = "set `channels.graph.version` to one such as v24.0";
            return Err(Error::rejected("graph", "its version is none", remedy));
        }
        let connect = Duration::from_millis(options.connect_timeout_ms);
        Ok(Self(Arc::new(Server {
            client: http::client(&name, connect)?,
            breaker: Breaker::new(name.clone()),
            name,
            base,
            version,
            total: Duration::from_millis(options.timeout_ms),
        })))
    }

    /// The longest a request can take.
    pub fn patience(&self) -> Duration {
        self.0.total
    }

    /// Sends one part of a message, once. The id that the channel gave it.
    pub async fn send(
        &self,
        sender: &Sender<'_>,
        recipient: &str,
        part: &Part,
    ) -> Result<String, SendError> {
        let server = &*self.0;
        let sent = server.send(sender, recipient, part);
        let sent = sent.instrument(send_span(&server.name));
        let answered = server.breaker.watch(sent, |sent| server.health(sent)).await;
        answered.unwrap_or_else(|open| {
            Err(SendError::Later {
                after: open.retry_after(),
                reason: open.to_string(),
            })
        })
    }
}

impl Server {
    async fn send(
        &self,
        sender: &Sender<'_>,
        recipient: &str,
        part: &Part,
    ) -> Result<String, SendError> {
        let url = self.address(sender)?;
        let request = self.client.post(url).bearer_auth(sender.token);
        let request = request.headers(outgoing()).timeout(self.total).json(&body(
            sender.channel,
            recipient,
            part,
        ));
        let response = request.send().await.map_err(|error| self.lost(error))?;
        let status = response.status();
        if status.is_success() {
            return self.id(sender.channel, response).await;
        }
        let after = http::retry_after(response.headers());
        let told = http::json::<Told>(&self.name, response, LONGEST_ANSWER).await;
        // An answer that cannot be read is not Meta's: its status says what there is to say.
        Err(judge(status, &told.unwrap_or_default(), after))
    }

    fn address(&self, sender: &Sender<'_>) -> Result<Url, SendError> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| self.misconfigured("its address cannot be extended"))?
            .pop_if_empty()
            .extend([&*self.version, sender.id, "messages"]);
        Ok(url)
    }

    fn misconfigured(&self, reason: &str) -> SendError {
        SendError::Refused {
            reason: format!("{}: {reason}", self.name),
            remedy: "check channels.graph.base_url".to_owned(),
        }
    }

    /// A connection that was never made carried nothing; anything later may have arrived.
    fn lost(&self, error: reqwest::Error) -> SendError {
        let (unsent, unmade) = (error.is_connect(), error.is_builder());
        let reason = http::transport(&self.name, error).to_string();
        if unmade {
            self.misconfigured(&reason)
        } else if unsent {
            SendError::Later {
                reason,
                after: None,
            }
        } else {
            SendError::Unknown { reason }
        }
    }

    /// The id that a success carries. A success without one may be somebody else's.
    async fn id(&self, channel: GraphChannel, response: Response) -> Result<String, SendError> {
        let unknown = |reason: String| SendError::Unknown { reason };
        let answer: Value = http::json(&self.name, response, LONGEST_ANSWER)
            .await
            .map_err(|error| unknown(error.to_string()))?;
        let id = match channel {
            GraphChannel::Whatsapp => &answer["messages"][0]["id"],
            GraphChannel::Messenger => &answer["message_id"],
        };
        match id.as_str() {
            Some(id) if !id.is_empty() => Ok(id.to_owned()),
            _ => Err(unknown(format!(
                "{} answered with a success that names no message",
                self.name
            ))),
        }
    }

    /// What a send tells about the host. Limits and refusals are one account's affair.
    fn health(&self, sent: &Result<String, SendError>) -> Result<(), Error> {
        match sent {
            Err(SendError::Unknown { reason } | SendError::Later { reason, .. }) => {
                Err(Error::unavailable(&self.name, reason))
            }
            Ok(_) | Err(SendError::Limited { .. } | SendError::Refused { .. }) => Ok(()),
        }
    }
}

fn body(channel: GraphChannel, recipient: &str, Part(part): &Part) -> Value {
    let mut body = part.clone();
    match channel {
        GraphChannel::Whatsapp => {
            body["messaging_product"] = "whatsapp".into();
            body["to"] = recipient.into();
        }
        GraphChannel::Messenger => {
            body["messaging_type"] = "RESPONSE".into();
            body["recipient"] = json!({"id": recipient});
        }
    }
    body
}

//! Tells a tenant's endpoint of an event, over HTTP.
//!
//! What a tenant writes is not trusted: its address must be public, its headers cannot take the place
//! of ours, a redirect is not followed, and what it answers is not read beyond a bound nor logged.

mod signature;

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Response, StatusCode, Url};
use serde::Deserialize;
use tokio::time::Instant;
use tracing::Instrument;

use super::addresses::{NotPublic, PublicOnly, check_literal};
use super::breaker::Breaker;
use super::{Error, http};
use crate::telemetry::correlation::Cause;
use crate::telemetry::delivery::webhook_span;

/// Read of an answer so that its connection can be used again; more is left, and the connection shut.
const READ_OF_ANSWER: usize = 16 * 1024;
/// The most endpoints whose health is remembered.
const REMEMBERED: u64 = 10_000;
/// After how long without a call it is forgotten.
const FORGOTTEN: Duration = Duration::from_hours(1);

/// How a tenant's endpoints are called.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookOptions {
    /// How long to wait for a connection.
    pub connect_timeout_ms: u64,
    /// How long one request may take in all.
    pub timeout_ms: u64,
    /// How many attempts an event gets.
    pub max_attempts: u16,
    /// How long to wait after the first failed attempt; twice as long after each further one.
    pub backoff_ms: u64,
    /// And no longer than this.
    pub max_backoff_ms: u64,
    /// Whether an endpoint may be in a private network.
    pub allow_private_addresses: bool,
}

impl Default for WebhookOptions {
    fn default() -> Self {
        Self {
            connect_timeout_ms: 5000,
            timeout_ms: 10_000,
            max_attempts: 8,
            backoff_ms: 1000,
            max_backoff_ms: 600_000,
            allow_private_addresses: false,
        }
    }
}

/// One event for one endpoint.
pub struct Notice<'a> {
    /// The endpoint's id, which its health is known by.
    pub endpoint: &'a str,
    /// Where.
    pub url: &'a str,
    /// The tenant's own headers.
    pub headers: &'a [(String, String)],
    /// What kind of event.
    pub event: &'a str,
    /// Which event.
    pub id: &'a str,
    /// When it happened, as text.
    pub timestamp: &'a str,
    /// What it belongs to, across systems.
    pub correlation_id: Option<&'a str>,
    /// What the request is signed with; none leaves it unsigned.
    pub secrets: &'a [&'a str],
    /// When it is sent, in seconds since 1970, for the signature.
    pub sent_at: i64,
    /// The event.
    pub body: Vec<u8>,
}

impl fmt::Debug for Notice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Notice({} of {} to {})",
            self.event, self.id, self.endpoint
        )
    }
}

/// What came of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What the endpoint answered, if it did.
    pub status: Option<u16>,
    /// How long it took.
    pub took: Duration,
    /// What that means.
    pub end: End,
}

/// What a request came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The endpoint took it.
    Delivered,
    /// It will not take it, or must not be asked.
    Refused(Class),
    /// It may take it later.
    Failed(Class, Option<Duration>),
}

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The address is no http URL.
    InvalidUrl,
    /// The address is private, local or reserved.
    PrivateAddress,
    /// No connection could be made: no such name, nobody there, or no trust in its certificate.
    Unreachable,
    /// It did not answer in time.
    Timeout,
    /// The connection broke off.
    Lost,
    /// It redirects, which is not followed.
    Redirect,
    /// It says that the request is wrong.
    ClientError,
    /// It wants to be asked later.
    Busy,
    /// It failed.
    ServerError,
}

impl Class {
    /// The word in logs, metrics and the delivery log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidUrl => "invalid_url",
            Self::PrivateAddress => "private_address",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Lost => "connection_lost",
            Self::Redirect => "redirect",
            Self::ClientError => "client_error",
            Self::Busy => "busy",
            Self::ServerError => "server_error",
        }
    }

    /// What the tenant can do about it.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::InvalidUrl => "give the webhook an address such as https://example.com/hook",
            Self::PrivateAddress => {
                "give the webhook an address of the public internet \
                 (webhooks.allow_private_addresses allows others)"
            }
            Self::Unreachable => {
                "check that its name resolves and that it listens, with a certificate"
            }
            Self::Timeout => "answer at once and do the work afterwards",
            Self::Lost | Self::ServerError => "its own log says why",
            Self::Redirect => "set the webhook's address to where it redirects",
            Self::ClientError => "the endpoint's own log says what it does not accept",
            Self::Busy => "it is asked again later",
        }
    }
}

/// Headers that are ours, or the protocol's: a tenant's own of these names are left out.
const RESERVED: [&str; 14] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "x-correlation-id",
];
const RESERVED_PREFIX: &str = "x-webhook-";
const USER_AGENT: &str = "MetaChat-Webhook/1.0";

/// The connections to tenants' endpoints and what is known of their health. Clones share it.
#[derive(Debug, Clone)]
pub struct Webhooks(Arc<Caller>);

#[derive(Debug)]
struct Caller {
    client: Client,
    options: WebhookOptions,
    health: Cache<String, Arc<Breaker>>,
}

impl Webhooks {
    /// Connects to nothing yet.
    pub fn new(options: &WebhookOptions) -> Result<Self, Error> {
        let connect = Duration::from_millis(options.connect_timeout_ms);
        let mut builder = http::builder(connect);
        if !options.allow_private_addresses {
            builder = builder.dns_resolver(Arc::new(PublicOnly));
        }
        Ok(Self(Arc::new(Caller {
            client: http::build("webhooks", builder)?,
            options: options.clone(),
            health: Cache::builder()
                .max_capacity(REMEMBERED)
                .time_to_idle(FORGOTTEN)
                .build(),
        })))
    }

    /// How they are called.
    pub fn options(&self) -> &WebhookOptions {
        &self.0.options
    }

    /// How long to wait after a failed attempt, counted from 1.
    pub fn backoff(&self, attempt: u16) -> Duration {
        let options = &self.0.options;
        let doubled = 1_u64.checked_shl(u32::from(attempt.saturating_sub(1)));
        let wait = doubled.and_then(|times| options.backoff_ms.checked_mul(times));
        Duration::from_millis(wait.unwrap_or(u64::MAX).min(options.max_backoff_ms))
    }

    /// Makes one request.
    ///
    /// # Errors
    ///
    /// The endpoint failed several times in a row and is left alone for a while: nothing was sent.
    pub async fn post(&self, notice: Notice<'_>) -> Result<Answer, Error> {
        let new = || Arc::new(Breaker::new(format!("webhook {}", notice.endpoint)));
        let health = self.0.health.get_with(notice.endpoint.to_owned(), new);
        let span = webhook_span(notice.endpoint, notice.id);
        let answered = self.0.post(notice).instrument(span);
        health.watch(answered, seen).await
    }
}

/// What an answer tells of the endpoint's health: one that refuses is well.
fn seen(answer: &Answer) -> Result<(), Error> {
    match answer.end {
        End::Failed(class, retry_after) => Err(Error::Unavailable {
            service: "webhook".to_owned(),
            reason: class.as_str().to_owned(),
            retry_after,
        }),
        End::Delivered | End::Refused(_) => Ok(()),
    }
}

impl Caller {
    async fn post(&self, notice: Notice<'_>) -> Answer {
        let started = Instant::now();
        let (status, end) = self.ask(notice).await;
        Answer {
            status: status.map(|status| status.as_u16()),
            took: started.elapsed(),
            end,
        }
    }

    async fn ask(&self, notice: Notice<'_>) -> (Option<StatusCode>, End) {
        let url = match self.address(notice.url) {
            Ok(url) => url,
            Err(class) => return (None, End::Refused(class)),
        };
        let request = self
            .client
            .post(url)
            .headers(headers(&notice))
            .timeout(Duration::from_millis(self.options.timeout_ms))
            .body(notice.body);
        match request.send().await {
            Ok(response) => {
                let (status, end) = (response.status(), judge(&response));
                drain(response).await;
                (Some(status), end)
            }
            Err(error) => (None, failure(&error)),
        }
    }

    fn address(&self, url: &str) -> Result<Url, Class> {
        let url = Url::parse(url).map_err(|_| Class::InvalidUrl)?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err(Class::InvalidUrl);
        }
        if !self.options.allow_private_addresses {
            check_literal(&url).map_err(|NotPublic| Class::PrivateAddress)?;
        }
        Ok(url)
    }
}

/// The tenant's headers first: what is ours takes their place.
fn headers(notice: &Notice<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in notice.headers {
        let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_str(value),
        ) else {
            let endpoint = notice.endpoint;
            tracing::warn!(endpoint, "a header of the webhook is none and is left out");
            continue;
        };
        let word = name.as_str();
        if !RESERVED.contains(&word) && !word.starts_with(RESERVED_PREFIX) {
            headers.insert(name, value);
        }
    }
    let signature = (!notice.secrets.is_empty())
        .then(|| signature::signature(notice.secrets, notice.sent_at, &notice.body));
    let trace = Cause::current().trace_parent;
    let ours = [
        ("content-type", Some("application/json")),
        ("user-agent", Some(USER_AGENT)),
        ("x-webhook-event", Some(notice.event)),
        ("x-webhook-id", Some(notice.id)),
        ("x-webhook-timestamp", Some(notice.timestamp)),
        ("x-webhook-signature", signature.as_deref()),
        ("x-correlation-id", notice.correlation_id),
        ("traceparent", trace.as_deref()),
    ];
    for (name, value) in ours {
        if let Some(Ok(value)) = value.map(HeaderValue::from_str) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    headers
}

fn judge(response: &Response) -> End {
    let after = http::retry_after(response.headers());
    match response.status() {
        status if status.is_success() => End::Delivered,
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
            End::Failed(Class::Busy, after)
        }
        status if status.is_redirection() => End::Refused(Class::Redirect),
        status if status.is_client_error() => End::Refused(Class::ClientError),
        _ => End::Failed(Class::ServerError, after),
    }
}

fn failure(error: &reqwest::Error) -> End {
    if causes(error).any(<dyn StdError>::is::<NotPublic>) {
        End::Refused(Class::PrivateAddress)
    } else if error.is_builder() {
        End::Refused(Class::InvalidUrl)
    } else if error.is_connect() {
        End::Failed(Class::Unreachable, None)
    } else if error.is_timeout() {
        End::Failed(Class::Timeout, None)
    } else {
        End::Failed(Class::Lost, None)
    }
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    let mut next = error.source();
    std::iter::from_fn(move || {
        let cause = next?;
        next = cause.source();
        Some(cause)
    })
}

/// It was answered; a body that breaks off or goes on for ever changes nothing.
async fn drain(mut response: Response) {
    let mut read = 0;
    while let Ok(Some(piece)) = response.chunk().await {
        read += piece.len();
        if read > READ_OF_ANSWER {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(headers: &[(String, String)]) -> Notice<'_> {
        Notice {
            endpoint: "w1",
            url: "https://example.com/hook",
            headers,
            event: "message.sent",
            id: "e1",
            timestamp: "2026-01-31T12:00:00.000Z",
            correlation_id: Some("c1"),
            secrets: &["s"],
            sent_at: 1,
            body: b"{}".to_vec(),
        }
    }

    #[test]
    fn a_tenants_headers_do_not_take_the_place_of_ours() {
        let own: Vec<(String, String)> = [
            ("X-Webhook-Event", "forged"),
            ("x-webhook-signature", "t=1,v1=forged"),
            ("Content-Type", "text/plain"),
            ("User-Agent", "forged"),
            ("Host", "internal"),
            ("Transfer-Encoding", "chunked"),
            ("Authorization", "Bearer theirs"),
            ("not a header", "x"),
            ("x-line", "a\r\nb: c"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
        let headers = headers(&notice(&own));
        assert_eq!(headers["x-webhook-event"], "message.sent");
        assert_eq!(headers["content-type"], "application/json");
        assert_eq!(headers["user-agent"], USER_AGENT);
        assert_eq!(headers["authorization"], "Bearer theirs");
        assert!(
            headers["x-webhook-signature"]
                .to_str()
                .unwrap()
                .starts_with("t=1,v1=")
        );
        for absent in ["host", "transfer-encoding", "x-line"] {
            assert!(!headers.contains_key(absent), "{absent}");
        }
        assert!(
            headers
                .values()
                .all(|value| value != "forged" && value != "t=1,v1=forged")
        );
    }

    #[test]
    fn waits_double_up_to_a_bound() {
        let webhooks = Webhooks::new(&WebhookOptions::default()).unwrap();
        let seconds = |attempt| webhooks.backoff(attempt).as_secs();
        assert_eq!(
            [1, 2, 3, 10, 11, 300].map(seconds),
            [1, 2, 4, 512, 600, 600]
        );
    }
}

//! What every HTTP service here has in common: how a client is made and what a failure means.

use std::time::Duration;

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, ClientBuilder, Response, StatusCode, Url, redirect};
use serde::de::DeserializeOwned;

use super::Error;
use super::addresses::NotPublic;

/// The longest pause a service may ask for: a mistaken header must not stop us for days.
const LONGEST_RETRY_AFTER: Duration = Duration::from_hours(1);

/// A client for services in our own network: straight to the host, no proxy, no redirects.
pub(super) fn client(service: &str, connect_timeout: Duration) -> Result<Client, Error> {
    build(service, builder(connect_timeout))
}

/// The same, to be changed before it is [built](build).
pub(super) fn builder(connect_timeout: Duration) -> ClientBuilder {
    // reqwest asks for the process-wide provider; an earlier choice by somebody else stands.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .connect_timeout(connect_timeout)
        .redirect(redirect::Policy::none())
        .no_proxy()
}

pub(super) fn build(service: &str, builder: ClientBuilder) -> Result<Client, Error> {
    builder
        .build()
        .map_err(|e| Error::rejected(service, chain(&e), "check the system's TLS certificates"))
}

/// A service's address, and how errors and logs call it: the address may hold a password.
pub(super) fn base(service: &str, address: &str, setting: &str) -> Result<(Url, String), Error> {
    let wrong = |reason: &str| {
        let remedy = format!("set `{setting}` to an address such as https://graph.facebook.com");
        Error::rejected(service, reason, remedy)
    };
    let base = Url::parse(address).map_err(|_| wrong("its address is not a URL"))?;
    let ("http" | "https", Some(host)) = (base.scheme(), base.host_str()) else {
        return Err(wrong("its address is not an http URL with a host"));
    };
    let port = base.port_or_known_default().unwrap_or_default();
    let name = format!("{service} at {host}:{port}");
    Ok((base, name))
}

/// What went wrong on the way there or back.
pub(super) fn transport(service: &str, error: reqwest::Error) -> Error {
    let error = error.without_url(); // a URL can hold a password
    if is_not_public(&error) {
        return not_public(service);
    }
    let reason = if error.is_timeout() && !error.is_connect() {
        "it did not finish in time".to_owned()
    } else if error.is_connect() {
        format!("cannot connect: {}", chain(&error))
    } else if error.is_builder() {
        return Error::rejected(service, chain(&error), "check its address");
    } else {
        format!("the connection was lost: {}", chain(&error))
    };
    Error::unavailable(service, reason)
}

/// A tenant's address in our own network: waiting makes it no better.
pub(super) fn not_public(service: &str) -> Error {
    Error::rejected(
        service,
        NotPublic.to_string(),
        "name a public one in the tenant's `llm.baseUrl`, or set models.tenant_private_addresses",
    )
}

fn is_not_public(error: &reqwest::Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if error.is::<NotPublic>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Lets a success through and says what any other status means.
pub(super) fn check(service: &str, response: Response) -> Result<Response, Error> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    Err(refusal(service, status, response.headers()))
}

fn refusal(service: &str, status: StatusCode, headers: &HeaderMap) -> Error {
    let reason = format!("it answered {status}");
    let remedy = match status {
        StatusCode::TOO_MANY_REQUESTS => {
            return Error::Busy {
                service: service.into(),
                reason,
                retry_after: retry_after(headers),
            };
        }
        StatusCode::REQUEST_TIMEOUT | StatusCode::CONFLICT | StatusCode::TOO_EARLY => {
            return unavailable(service, reason, headers);
        }
        status if status.is_server_error() => return unavailable(service, reason, headers),
        status if status.is_redirection() => "set its address to where it redirects",
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "check its credentials",
        StatusCode::NOT_FOUND => "check its address",
        StatusCode::PAYLOAD_TOO_LARGE => "send less at once",
        _ => "its own log says why",
    };
    Error::rejected(service, reason, remedy)
}

fn unavailable(service: &str, reason: String, headers: &HeaderMap) -> Error {
    Error::Unavailable {
        service: service.into(),
        reason,
        retry_after: retry_after(headers),
    }
}

/// In seconds, or as a date. That is reckoned from the date of the answer itself: whose clock is wrong does
/// not matter.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let after = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match after.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let until = httpdate::parse_http_date(after).ok()?;
            let now = headers.get(DATE)?.to_str().ok()?;
            let now = httpdate::parse_http_date(now.trim()).ok()?;
            // In the past already: it may be tried at once.
            until.duration_since(now).unwrap_or_default()
        }
    };
    Some(wait.min(LONGEST_RETRY_AFTER))
}

/// Reads a whole JSON answer of at most `limit` bytes.
pub(super) async fn json<T: DeserializeOwned>(
    service: &str,
    mut response: Response,
    limit: usize,
) -> Result<T, Error> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|e| transport(service, e))? {
        if body.len() + piece.len() > limit {
            return Err(Error::rejected(
                service,
                format!("its answer is larger than {limit} bytes"),
                "ask for less at once",
            ));
        }
        body.extend_from_slice(&piece);
    }
    parse(service, &body)
}

/// Parses JSON. The parser's own message is left out: it quotes what it read.
pub(super) fn parse<T: DeserializeOwned>(service: &str, text: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(text).map_err(|e| {
        let what = match e.classify() {
            serde_json::error::Category::Data => "JSON of another shape than expected",
            _ => "something that is not JSON",
        };
        Error::rejected(
            service,
            format!("it answered with {what}"),
            "check that its address is that of the right service",
        )
    })
}

/// An error with its causes, innermost last.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, retry_after: Option<&'static str>) -> Error {
        let mut headers = HeaderMap::new();
        if let Some(value) = retry_after {
            headers.insert(RETRY_AFTER, value.parse().unwrap());
        }
        refusal("x", StatusCode::from_u16(status).unwrap(), &headers)
    }

    #[test]
    fn waiting_helps_against_overload_and_not_against_refusal() {
        for status in [408, 409, 425, 429, 500, 502, 503, 504] {
            assert!(answer(status, None).is_transient(), "{status}");
        }
        for status in [301, 400, 401, 403, 404, 405, 413, 422] {
            assert!(!answer(status, None).is_transient(), "{status}");
        }
    }

    #[test]
    fn retry_after_is_seconds_and_bounded() {
        let after = |value| answer(429, Some(value)).retry_after();
        assert_eq!(after("7"), Some(Duration::from_secs(7)));
        assert_eq!(after(" 30 "), Some(Duration::from_secs(30)));
        assert_eq!(after("99999999"), Some(LONGEST_RETRY_AFTER));
        assert_eq!(after("-1"), None);
        assert_eq!(after("soon"), None);
    }

    #[test]
    fn retry_after_may_be_a_date_by_the_clock_of_the_service() {
        let after = |date: Option<&'static str>, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, value.parse().unwrap());
            if let Some(date) = date {
                headers.insert(DATE, date.parse().unwrap());
            }
            retry_after(&headers)
        };
        let date = Some("Wed, 21 Oct 2026 07:28:00 GMT");
        for (value, seconds) in [
            ("Wed, 21 Oct 2026 07:28:30 GMT", 30),
            ("Wednesday, 21-Oct-26 07:29:00 GMT", 60),
            ("Wed, 21 Oct 2026 07:27:00 GMT", 0),
            ("Thu, 22 Oct 2026 07:28:00 GMT", 3600),
        ] {
            assert_eq!(
                after(date, value),
                Some(Duration::from_secs(seconds)),
                "{value}"
            );
        }
        assert_eq!(after(None, "Wed, 21 Oct 2026 07:28:30 GMT"), None);
        assert_eq!(
            after(Some("yesterday"), "Wed, 21 Oct 2026 07:28:30 GMT"),
            None
        );
        assert_eq!(after(date, "tomorrow"), None);
    }

    #[test]
    fn a_parse_error_does_not_quote_what_it_read() {
        let error = parse::<u32>("x", br#""a private message""#).unwrap_err();
        assert!(!error.to_string().contains("private"), "{error}");
        assert!(!error.is_transient());
    }
}

//! What it means that the Graph API did not say "sent".

use std::time::Duration;

use reqwest::StatusCode;
use serde::Deserialize;

/// Why a message was not sent, or may have been. Made of our own words and Meta's numbers: never a
/// token, an address with one, what people wrote, or what the other side said of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Certainly not sent: the sender has sent too much, or too much to this recipient. Later it may be.
    #[error("not sent: {reason}")]
    Limited {
        /// What happened.
        reason: String,
        /// How long to wait at least, if it was said.
        after: Option<Duration>,
    },
    /// Certainly not sent: the Graph API is out of reach or serves nobody. Later it may be.
    #[error("not sent: {reason}")]
    Later {
        /// What happened.
        reason: String,
        /// How long to wait at least, if somebody said so.
        after: Option<Duration>,
    },
    /// Certainly not sent, and asking again will be answered the same.
    #[error("not sent: {reason}; {remedy}")]
    Refused {
        /// What happened.
        reason: String,
        /// What an operator can do about it.
        remedy: String,
    },
    /// The request may have arrived and the reply was lost: nobody here can know.
    #[error("it may have been sent, or not: {reason}")]
    Unknown {
        /// What happened.
        reason: String,
    },
}

/// The error that the Graph API sends with a status that is none of success.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Told {
    #[serde(default)]
    pub(super) error: Body,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Body {
    code: Option<i64>,
    #[serde(rename = "error_subcode")]
    subcode: Option<i64>,
    #[serde(default)]
    is_transient: bool,
}

/// Too many messages: of the app, the account, the number, or the pair of sender and recipient.
const TOO_MANY: [i64; 8] = [4, 17, 32, 613, 80007, 130_429, 131_048, 131_056];
/// The service says of itself that it does not serve now.
const DOWN: [i64; 4] = [2, 131_016, 131_057, 133_004];
/// Messenger's word for a message outside of the 24 hours.
const OUTSIDE_WINDOW: i64 = 2_018_278;

/// What an answer means that is no success.
pub(super) fn judge(status: StatusCode, told: &Told, after: Option<Duration>) -> SendError {
    let (code, subcode) = (told.error.code, told.error.subcode);
    let reason = |what: &str| match (code, subcode) {
        (Some(code), Some(subcode)) => format!("{what} ({status}, code {code}/{subcode})"),
        (Some(code), None) => format!("{what} ({status}, code {code})"),
        (None, _) => format!("{what} ({status})"),
    };
    let later = |what: &str| SendError::Later {
        reason: reason(what),
        after,
    };
    let limited = || SendError::Limited {
        reason: reason("too many messages"),
        after,
    };
    let refused = |what: &str, remedy: &str| SendError::Refused {
        reason: reason(what),
        remedy: remedy.to_owned(),
    };
    let waits = [
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::REQUEST_TIMEOUT,
        StatusCode::TOO_EARLY,
    ];
    match code {
        Some(code) if TOO_MANY.contains(&code) => limited(),
        _ if waits.contains(&status) => limited(),
        Some(code) if DOWN.contains(&code) => later("the Graph API does not serve now"),
        // It may have done the work before it failed, or something on the way may have answered.
        _ if status.is_server_error() => SendError::Unknown {
            reason: reason("the Graph API failed"),
        },
        Some(190) => refused(
            "the access token is not valid or has expired",
            "store a new accessToken (WhatsApp) or pageAccessToken (Messenger) for the channel, then \
             resend",
        ),
        _ if status == StatusCode::UNAUTHORIZED => refused(
            "the access token is not accepted",
            "store a new accessToken (WhatsApp) or pageAccessToken (Messenger) for the channel, then \
             resend",
        ),
        Some(131_047) => outside_window(refused),
        Some(10) if subcode == Some(OUTSIDE_WINDOW) => outside_window(refused),
        Some(131_026) => refused(
            "the recipient cannot be reached",
            "the number may have no WhatsApp, or an old one; there is nothing to resend",
        ),
        Some(131_030) => refused(
            "the recipient is not on the test number's list",
            "add it there, or use the real number",
        ),
        Some(10 | 200..=299) => refused(
            "the app lacks a permission",
            "grant whatsapp_business_messaging or pages_messaging to the app, then resend",
        ),
        _ if told.error.is_transient && status.is_client_error() => {
            later("the Graph API does not serve now")
        }
        _ if status.is_redirection() => refused(
            "the address redirects",
            "set channels.graph.base_url to where it redirects",
        ),
        _ if status == StatusCode::NOT_FOUND => refused(
            "the address is not known there",
            "check channels.graph.base_url and version, and the channel's phoneNumberId or pageId",
        ),
        _ => refused(
            "the Graph API refuses the message",
            "look the code up in Meta's list of errors, put it right, then resend",
        ),
    }
}

fn outside_window(refused: impl Fn(&str, &str) -> SendError) -> SendError {
    refused(
        "the customer wrote more than 24 hours ago",
        "the channel takes no free text until the customer writes again; an approved template may be \
         sent instead",
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(status: u16, code: i64, subcode: Option<i64>) -> SendError {
        let body = json!({"error": {"message": "hunter2", "code": code, "error_subcode": subcode}});
        let told = serde_json::from_value(body).unwrap();
        judge(StatusCode::from_u16(status).unwrap(), &told, None)
    }

    #[test]
    fn what_is_certain_not_to_be_sent_waits_or_is_refused_and_the_rest_is_unknown() {
        for (status, code) in [(400, 131_056), (429, 130_429), (400, 4), (400, 80007)] {
            assert!(
                matches!(told(status, code, None), SendError::Limited { .. }),
                "{code}"
            );
        }
        assert!(matches!(told(503, 131_016, None), SendError::Later { .. }));
        for (status, code, word) in [
            (401, 190, "accessToken"),
            (400, 131_047, "24 hours"),
            (403, 200, "permission"),
            (400, 100, "list of errors"),
            (302, 0, "redirects"),
        ] {
            let error = told(status, code, None);
            assert!(matches!(error, SendError::Refused { .. }), "{error}");
            let text = error.to_string();
            assert!(text.contains(word) && !text.contains("hunter2"), "{text}");
        }
        let window = told(403, 10, Some(OUTSIDE_WINDOW)).to_string();
        assert!(window.contains("24 hours"), "{window}");
        for (status, code) in [(500, 1), (500, 131_000), (502, 0), (504, 0)] {
            assert!(
                matches!(told(status, code, None), SendError::Unknown { .. }),
                "{code}"
            );
        }
    }

    #[test]
    fn an_answer_that_is_not_metas_is_judged_by_its_status() {
        let judged = |status: u16| {
            let status = StatusCode::from_u16(status).unwrap();
            judge(status, &Told::default(), Some(Duration::from_secs(7)))
        };
        assert!(matches!(
            judged(429),
            SendError::Limited { after: Some(_), .. }
        ));
        assert!(matches!(judged(503), SendError::Unknown { .. }));
        assert!(matches!(judged(404), SendError::Refused { .. }));
    }
}

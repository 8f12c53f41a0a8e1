//! What surrounds every request: its ids, its log line and metrics, its time limit, its panics.

use std::any::Any;
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::{Instrument, error_span};
use uuid::Uuid;

use super::Problem;
use crate::telemetry;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");
const LONGEST_ID: usize = 128;

/// What a request belongs to. Jobs that it enqueues carry it on.
#[derive(Debug, Clone)]
pub(super) struct RequestContext {
    pub(super) correlation_id: String,
    pub(super) trace_parent: Option<String>,
}

/// Gives the request its ids, echoes them, and tells how it was answered.
pub(super) async fn observe(mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let request_id = id(request.headers(), &REQUEST_ID).unwrap_or_else(new_id);
    let correlation_id =
        id(request.headers(), &CORRELATION_ID).unwrap_or_else(|| request_id.clone());
    let trace_parent = trace_parent(request.headers());
    let method = request.method().clone();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "unmatched".to_owned(), |path| path.as_str().to_owned());
    request.extensions_mut().insert(RequestContext {
        correlation_id: correlation_id.clone(),
        trace_parent,
    });

    // Of the highest level, so that no setting takes the ids from a line that is written.
    let span = error_span!(
        "http",
        requestId = request_id,
        correlationId = correlation_id
    );
    let mut response = next.run(request).instrument(span.clone()).await;
    span.in_scope(|| {
        telemetry::http::request_completed(&method, &route, response.status(), started.elapsed());
    });

    let headers = response.headers_mut();
    for (name, id) in [(REQUEST_ID, request_id), (CORRELATION_ID, correlation_id)] {
        if let Ok(value) = HeaderValue::try_from(id) {
            headers.insert(name, value);
        }
    }
    response
}

/// Answers for a handler that panicked.
pub(super) fn answer_panic(_: Box<dyn Any + Send>) -> Response {
    telemetry::http::handler_panicked();
    Problem::internal().into_response()
}

/// An id from outside goes into logs and rows, so it must look like one; others are replaced.
fn id(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let id = headers.get(name)?.to_str().ok()?;
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.:/+=@".contains(c);
    let valid = !id.is_empty() && id.len() <= LONGEST_ID && id.chars().all(fits);
    valid.then(|| id.to_owned())
}

fn new_id() -> String {
    Uuid::now_v7().to_string()
}

/// A W3C trace context of version 00; anything else is ignored, as the standard asks.
fn trace_parent(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(TRACE_PARENT)?.to_str().ok()?;
    let parts: Vec<&str> = text.split('-').collect();
    let hex = |part: &str, digits| {
        part.len() == digits && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let [version, trace, span, flags] = parts[..] else {
        return None;
    };
    let nonzero = |part: &str| part.bytes().any(|b| b != b'0');
    let valid = version == "00"
        && hex(trace, 32)
        && nonzero(trace)
        && hex(span, 16)
        && nonzero(span)
        && hex(flags, 2);
    valid.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::http::StatusCode;
    use axum::routing::get;
    use tower::ServiceExt as _;
    use tower_http::catch_panic::CatchPanicLayer;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_answered_and_its_words_are_not_repeated() {
        async fn broken() {
            panic!("hunter2");
        }
        let app = Router::new()
            .route("/", get(broken))
            .layer(CatchPanicLayer::custom(answer_panic));
        let request = Request::get("/").body(Body::empty()).unwrap();
        let response = app.oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body = axum::body::to_bytes(response.into_body(), 4096).await;
        let body = String::from_utf8(body.unwrap().to_vec()).unwrap();
        assert!(body.contains("/problems/internal"), "{body}");
        assert!(!body.contains("hunter2"), "{body}");
    }

    #[test]
    fn only_a_trace_parent_of_the_standards_form_is_carried_on() {
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(TRACE_PARENT, text.parse().unwrap());
            trace_parent(&headers)
        };
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(read(good).as_deref(), Some(good));
        for bad in [
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}

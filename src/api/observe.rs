//! What surrounds every request: its ids, its log line and metrics, its time limit, its panics.

use std::any::Any;
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::field::Empty;
use tracing::{Instrument, error_span};

use super::Problem;
use crate::telemetry;
use crate::telemetry::correlation::{
    self, CORRELATION_ID, Cause, REQUEST_ID, TRACE_PARENT, header, is_traced, new_id, set_off,
};

/// What a request belongs to. Jobs that it enqueues carry it on.
#[derive(Debug, Clone)]
pub(super) struct RequestContext {
    pub(super) correlation_id: String,
    pub(super) trace_parent: Option<String>,
}

/// Gives the request its ids, echoes them, and tells how it was answered. An id that is none is replaced.
pub(super) async fn observe(mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let headers = request.headers();
    let given = |name| header(headers, &name).and_then(correlation::id);
    let request_id = given(REQUEST_ID).map_or_else(new_id, ToOwned::to_owned);
    let correlation_id = given(CORRELATION_ID).unwrap_or(&request_id).to_owned();
    let trace_parent = header(headers, &TRACE_PARENT).and_then(correlation::trace_parent);
    let trace_parent = trace_parent.map(ToOwned::to_owned);
    let method = request.method().clone();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "unmatched".to_owned(), |path| path.as_str().to_owned());

    // Of the highest level, so that no setting takes the ids from a line that is written.
    let span = error_span!(
        "http",
        requestId = request_id,
        correlationId = correlation_id,
        traceId = Empty,
        otel.kind = Empty,
        otel.name = Empty,
        http.response.status_code = Empty,
    );
    if is_traced() {
        span.record("otel.name", format!("{method} {route}"));
    }
    set_off(&span, "server", trace_parent.as_deref());
    request.extensions_mut().insert(RequestContext {
        correlation_id: correlation_id.clone(),
        // While the program traces, jobs are set off by its own span.
        trace_parent: span
            .in_scope(Cause::current)
            .trace_parent
            .or_else(|| trace_parent.clone()),
    });
    let cause = Cause {
        correlation_id: Some(correlation_id.clone()),
        trace_parent,
    };
    let mut response = cause
        .scope(next.run(request))
        .instrument(span.clone())
        .await;
    if is_traced() {
        span.record("http.response.status_code", response.status().as_u16());
    }
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
}

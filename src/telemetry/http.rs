//! What is told of each HTTP request.
#![expect(
    clippy::disallowed_macros,
    reason = "the one place that names these metrics"
)]

use std::time::Duration;

use axum::http::{Method, StatusCode};
use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};
use tracing::{error, info, warn};

/// Requests, by method, route and status code.
pub const REQUESTS: &str = "http_requests_total";
/// How long requests took, by method, route and status code, in seconds.
pub const DURATION: &str = "http_request_duration_seconds";

pub(super) fn describe() {
    describe_counter!(REQUESTS, "HTTP requests that were answered");
    describe_histogram!(DURATION, Unit::Seconds, "How long HTTP requests took");
}

/// A request was answered. `route` is the pattern that matched, never the path: ids would make a
/// metric of each.
pub fn request_completed(method: &Method, route: &str, status: StatusCode, took: Duration) {
    let method = known(method);
    let route = route.to_owned();
    let code = status.as_str().to_owned();
    let duration_ms = (took.as_secs_f64() * 1e6).round() / 1e3;
    info!(
        method,
        route,
        statusCode = status.as_u16(),
        durationMs = duration_ms,
        "HTTP request completed"
    );
    counter!(REQUESTS, "method" => method, "route" => route.clone(), "status_code" => code.clone())
        .increment(1);
    histogram!(DURATION, "method" => method, "route" => route, "status_code" => code).record(took);
}

/// A handler panicked; its message may hold anything and is not repeated here.
pub fn handler_panicked() {
    error!("a request handler panicked; this is a defect of this program");
}

/// The store did not do what a request needed.
pub fn store_failed(error: &windlass::store::Error) {
    if error.is_transient() {
        warn!(%error, "the store is out of reach or busy: the request may be repeated");
    } else {
        error!(%error, "the store failed a request");
    }
}

/// The platform's data could not be read for a request.
pub fn platform_failed(error: &dyn std::error::Error, transient: bool) {
    if transient {
        warn!(%error, "the database is out of reach or busy: the request may be repeated");
    } else {
        error!(%error, "the platform's data failed a request");
    }
}

/// A client may invent any method; a metric must not have a label for each.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "OTHER",
    }
}

//! Problems of requests that are too many, too slow or too large.

use axum::http::StatusCode;

use super::Problem;

impl Problem {
    pub(in crate::api) fn overloaded() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "/problems/overloaded",
            "Too much is asked at once",
            "server.max_concurrent_requests are under way and nothing of this one was done; repeat it after \
             the time in `retry-after`, elsewhere if there is another process",
        )
    }

    pub(in crate::api) fn too_many_listeners() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "/problems/too-many-listeners",
            "Too many listen to events",
            "server.events.max_clients listen to this process; come back after the time in `retry-after`, \
             to another one if there is any",
        )
    }

    pub(in crate::api) fn body_too_slow() -> Self {
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "/problems/body-too-slow",
            "The body did not come in time",
            "it was not here whole within server.request_timeout_ms, so nothing was done; send it again, \
             faster or less of it",
        )
        .on("body")
    }

    pub(in crate::api) fn rate_limited(class: &str) -> Self {
        let detail = format!(
            "this was one {class} request too many; wait as long as `retry-after` says, or let an \
             operator raise rate_limits.{class}"
        );
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "/problems/rate-limited",
            "Too many requests",
            detail,
        )
    }
}

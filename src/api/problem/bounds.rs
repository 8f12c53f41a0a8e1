//! Problems of requests that are too many, too slow or too large.

use axum::http::StatusCode;

use super::Problem;

impl Problem {
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

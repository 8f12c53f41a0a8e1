//! What a request is told of its limit.

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::gcra::Verdict;
use crate::api::Problem;

// As the platform's API has them (`standardHeaders` of express-rate-limit), whose clients read them.
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// What the platform's clients know besides.
const CODE: &str = "RATE_LIMIT_EXCEEDED";

/// The answer to one request too many: a problem, and the platform's fields beside it.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct RateLimited {
    #[serde(flatten)]
    problem: Problem,
    #[schema(example = false)]
    success: bool,
    /// The same as `detail`.
    error: &'static str,
    #[schema(example = "RATE_LIMIT_EXCEEDED")]
    code: &'static str,
    /// After how many seconds one more request passes; `retry-after` says the same.
    #[serde(rename = "retryAfter")]
    retry_after: u64,
}

/// One request too many.
pub(super) fn refused(class: &str, verdict: &Verdict) -> Response {
    let wait = verdict.levels.iter().map(|level| level.retry_after()).max();
    let retry_after = seconds(wait.unwrap_or_default()).max(1);
    let body = RateLimited {
        problem: Problem::rate_limited(class),
        success: false,
        error: "Too many requests; wait as long as retry-after says",
        code: CODE,
        retry_after,
    };
    let mut response = (StatusCode::TOO_MANY_REQUESTS, Json(body)).into_response();
    let problem = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(header::CONTENT_TYPE, problem);
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, retry_after.into());
    with_headers(response, verdict)
}

/// Tells of the bucket that is nearest to its end. An answer that tells already is left as it is.
pub(super) fn with_headers(mut response: Response, verdict: &Verdict) -> Response {
    let tightest = verdict.levels.iter().min_by_key(|level| level.remaining());
    let headers = response.headers_mut();
    if let Some(level) = tightest
        && !headers.contains_key(LIMIT)
    {
        let rule = level.rule();
        let policy = format!("{};w={}", rule.requests, seconds(rule.window).max(1));
        if let Ok(policy) = HeaderValue::try_from(policy) {
            headers.insert(POLICY, policy);
        }
        headers.insert(LIMIT, rule.requests.into());
        headers.insert(REMAINING, level.remaining().into());
        headers.insert(RESET, seconds(level.reset()).into());
    }
    response
}

/// Rounded up: whoever waits so long has waited long enough.
fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

//! Queries and headers as nobody sends them: each is answered, with a problem that can be read.

use axum::body::Body;
use axum::http::{HeaderValue, Request, StatusCode};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::Value;

use super::{Answer, Api, KEY};

const QUERIES: [&str; 3] = ["/v1/jobs", "/v1/flows", "/v1/stats"];
/// Where credentials are looked for.
const CREDENTIALS: [&str; 4] = ["authorization", "x-api-key", "x-admin-key", "cookie"];
/// What else is read of a request before any handler.
const HEADERS: [&str; 7] = [
    "x-forwarded-for",
    "forwarded",
    "traceparent",
    "x-correlation-id",
    "x-request-id",
    "if-none-match",
    "idempotency-key",
];

/// Answered as it should be, or with a problem that says what is wrong.
fn check(answer: &Answer, what: &str) -> Result<(), TestCaseError> {
    if answer.status.is_success() || answer.status == StatusCode::NOT_MODIFIED {
        return Ok(());
    }
    prop_assert!(
        answer.status.is_client_error(),
        "{}: {}",
        what,
        answer.status
    );
    let problem: Value = serde_json::from_str(&answer.text).unwrap_or_default();
    let status = u64::from(answer.status.as_u16());
    prop_assert_eq!(
        problem["status"].as_u64(),
        Some(status),
        "{}: {}",
        what,
        answer.text
    );
    Ok(())
}

/// Runs `test` with 256 of what there may be, over one API.
fn with_any<S: Strategy>(
    any: &S,
    test: &impl AsyncFn(&Api, S::Value) -> Result<(), TestCaseError>,
) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let api = runtime.block_on(async { Api::new() });
    let run = |value| runtime.block_on(test(&api, value));
    TestRunner::default().run(any, run).unwrap();
}

fn header(bytes: &[u8]) -> Option<HeaderValue> {
    HeaderValue::from_bytes(bytes).ok()
}

/// Words of the protocols, and anything a header may hold.
fn values() -> impl Strategy<Value = Vec<u8>> {
    let likely = "(Bearer|Basic|bearer)? ?[A-Za-z0-9+/=._~-]{0,40}|adm_[a-z0-9-]{0,36}\\.[a-z0-9]{0,20}|__Host-jobs-session=[^\\x00-\\x1f]{0,30}|eyJ[A-Za-z0-9_-]{0,20}\\.[A-Za-z0-9_-]{0,20}\\.?|00-[0-9a-f]{30,34}-[0-9a-f]{14,18}-[0-9]{2}|([0-9a-f:.]{1,15},? ?){0,5}|for=\"?\\[?[0-9a-f:]{0,20}\\]?\"?;?";
    prop_oneof![
        likely.prop_map(String::into_bytes),
        prop::collection::vec(prop_oneof![Just(9_u8), 32..=126_u8, 128..=255_u8], 0..60),
    ]
}

#[test]
fn any_query_is_answered_or_refused_by_the_name_of_its_field() {
    let names = prop::sample::select(vec![
        "state",
        "kind",
        "queue",
        "tenant",
        "tag",
        "limit",
        "after",
        "correlation",
        "range",
        "step",
        "finished",
        "name",
        "nobody",
    ]);
    let value = "[^\\x00]{0,12}|[0-9]{1,20}|dead|available,dead|[0-9a-f]{32}|-1|1e9";
    let query = prop::collection::vec((names, value), 0..4);
    let path = prop::sample::select(QUERIES.to_vec());
    with_any(&(path, query), &async |api, (path, query)| {
        let query: String = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(query)
            .finish();
        let answer = api.get(&format!("{path}?{query}")).await;
        check(&answer, &query)?;
        let problem: Value = serde_json::from_str(&answer.text).unwrap_or_default();
        let is_told = answer.status.is_success() || problem["field"].is_string();
        prop_assert!(is_told, "{}: {}", query, answer.text);
        Ok(())
    });
}

#[test]
fn no_header_opens_the_door_by_chance() {
    let name = prop::sample::select(CREDENTIALS.to_vec());
    let headers = prop::collection::vec((name, values()), 1..4);
    with_any(&headers, &async |api, headers| {
        let mut request = Request::builder().uri("/v1/jobs");
        for (name, value) in &headers {
            if let Some(value) = header(value) {
                request = request.header(*name, value);
            }
        }
        let answer = api.send(request.body(Body::empty()).unwrap()).await;
        check(&answer, "a credential")?;
        prop_assert!(answer.status.is_client_error(), "{:?}", headers);
        Ok(())
    });
}

#[test]
fn any_header_beside_the_key_is_read_or_refused() {
    let name = prop::sample::select(HEADERS.to_vec());
    let headers = prop::collection::vec((name, values()), 1..4);
    with_any(&headers, &async |api, headers| {
        let mut request = Request::builder()
            .uri("/v1/jobs")
            .header("x-admin-key", KEY);
        for (name, value) in &headers {
            if let Some(value) = header(value) {
                request = request.header(*name, value);
            }
        }
        let answer = api.send(request.body(Body::empty()).unwrap()).await;
        check(&answer, "a header")
    });
}

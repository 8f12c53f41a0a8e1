//! The ids by which one event of the outside world is followed through everything that it sets off.
//!
//! They come in by a request's headers or a message's properties, stand in the rows of its jobs, around
//! each log line, and go out again with every call: [`Cause::current`] is what the present task works for.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

pub use windlass::telemetry::{Cause, is_traced, set_off, trace_id};

/// One request.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Everything that belongs together.
pub const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
/// W3C trace context.
pub const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");

const LONGEST: usize = 128;

/// An id from outside, if it looks like one: it goes into logs, rows and headers.
pub fn id(text: &str) -> Option<&str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.:/+=@".contains(c);
    let valid = !text.is_empty() && text.len() <= LONGEST && text.chars().all(fits);
    valid.then_some(text)
}

/// A new id, for what came without one.
pub fn new_id() -> String {
    Uuid::now_v7().to_string()
}

/// A header's text.
pub fn header<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// A W3C trace context of version 00; anything else is ignored, as the standard asks.
pub fn trace_parent(text: &str) -> Option<&str> {
    trace_id(text).map(|_| text)
}

/// What a call to another service carries, so that its logs can be put beside ours.
pub fn outgoing() -> HeaderMap {
    let cause = Cause::current();
    let carried = [
        (CORRELATION_ID, cause.correlation_id),
        (TRACE_PARENT, cause.trace_parent),
    ];
    carried
        .into_iter()
        // What a job was given otherwise than by a header need not fit into one.
        .filter_map(|(name, value)| Some((name, HeaderValue::try_from(value?).ok()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_does_not_look_like_one_is_none() {
        assert_eq!(
            id("order/7@shop:eu_1.2+3=4"),
            Some("order/7@shop:eu_1.2+3=4")
        );
        let long = "x".repeat(LONGEST + 1);
        for bad in ["", "a b", "a\nb", "ü", "a\"b", "{}", "<script>", &*long] {
            assert_eq!(id(bad), None, "{bad}");
        }
    }

    #[tokio::test]
    async fn calls_carry_what_the_present_task_works_for() {
        assert!(outgoing().is_empty());
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let cause = Cause {
            correlation_id: Some("c-1".to_owned()),
            trace_parent: Some(trace.to_owned()),
        };
        let headers = cause.scope(async { outgoing() }).await;
        assert_eq!(headers[CORRELATION_ID], "c-1");
        assert_eq!(headers[TRACE_PARENT], trace);
        let odd = Cause {
            correlation_id: Some("two\nlines".to_owned()),
            trace_parent: None,
        };
        assert!(odd.scope(async { outgoing() }).await.is_empty());
    }
}

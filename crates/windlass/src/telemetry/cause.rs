//! What work belongs to: carried from a request to the jobs that it makes, and from a job to what it
//! enqueues and calls.

use std::sync::OnceLock;

use tracing::Span;

tokio::task_local! {
    static CAUSE: Cause;
}

static TRACES: OnceLock<Box<dyn Traces>> = OnceLock::new();

/// What the present task works for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cause {
    /// Groups everything that one event in the outside world set off.
    pub correlation_id: Option<String>,
    /// W3C `traceparent` of whoever set it off.
    pub trace_parent: Option<String>,
}

impl Cause {
    /// The present task's; nothing outside of [`Cause::scope`]. While the program traces, the trace
    /// parent is the present span itself.
    pub fn current() -> Self {
        let mut cause = CAUSE.try_with(Clone::clone).unwrap_or_default();
        if let Some(span) = TRACES.get().and_then(|traces| traces.present()) {
            cause.trace_parent = Some(span);
        }
        cause
    }

    /// Does work for this cause. What it spawns does not know of it.
    pub async fn scope<F: Future>(self, work: F) -> F::Output {
        CAUSE.scope(self, work).await
    }
}

/// How the program's traces call spans, for others to refer to.
pub trait Traces: Send + Sync + 'static {
    /// The present span as a W3C `traceparent`.
    fn present(&self) -> Option<String>;
    /// Says that a span was set off by another one, which is over or elsewhere.
    fn link(&self, span: &Span, trace_parent: &str);
    /// The trace that a span is part of, in hex.
    fn trace_id(&self, span: &Span) -> Option<String>;
}

/// From now on spans are traced. The first call counts; the engine itself traces nothing.
pub fn trace_by(traces: impl Traces) {
    let _ = TRACES.set(Box::new(traces));
}

/// Whether somebody traces.
pub fn is_traced() -> bool {
    TRACES.get().is_some()
}

/// A span that was set off elsewhere: links it, and notes its trace for log lines in its field `traceId`.
/// `kind` is OpenTelemetry's, such as `server` or `consumer`, for the field `otel.kind`.
pub fn set_off(span: &Span, kind: &str, trace_parent: Option<&str>) {
    let traces = TRACES.get();
    if traces.is_some() {
        span.record("otel.kind", kind);
    }
    if let (Some(traces), Some(parent)) = (traces, trace_parent) {
        traces.link(span, parent);
    }
    match traces.and_then(|traces| traces.trace_id(span)) {
        Some(own) => span.record("traceId", own),
        None => span.record("traceId", trace_parent.and_then(trace_id)),
    };
}

/// Says by which spans, elsewhere, one was set off.
pub(super) fn link<'t>(span: &Span, trace_parents: impl Iterator<Item = &'t str>) {
    if let Some(traces) = TRACES.get() {
        trace_parents.for_each(|parent| traces.link(span, parent));
    }
}

/// The trace of a `traceparent`; `None` if it is none of version 00, the only one there is.
pub fn trace_id(trace_parent: &str) -> Option<&str> {
    let mut parts = trace_parent.split('-');
    let (version, trace, span, flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hex = |part: &str, digits| {
        part.len() == digits && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let nonzero = |part: &str| part.bytes().any(|b| b != b'0');
    let valid = parts.next().is_none()
        && version == "00"
        && hex(trace, 32)
        && nonzero(trace)
        && hex(span, 16)
        && nonzero(span)
        && hex(flags, 2);
    valid.then_some(trace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_trace_parent_of_the_standards_form_names_a_trace() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(trace_id(good), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
        for bad in [
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "",
        ] {
            assert_eq!(trace_id(bad), None, "{bad}");
        }
    }

    #[tokio::test]
    async fn a_cause_is_known_within_its_scope_only() {
        let cause = Cause {
            correlation_id: Some("c".to_owned()),
            trace_parent: Some("t".to_owned()),
        };
        let within = cause.clone().scope(async { Cause::current() }).await;
        assert_eq!(within, cause);
        assert_eq!(Cause::current(), Cause::default());
    }
}

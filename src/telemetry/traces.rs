//! Traces, by OpenTelemetry's protocol over HTTP, if there is somewhere to send them to.
//!
//! A queue of fixed length lies between the program and the exporter's own thread: when the collector is
//! away the queue overflows, spans are dropped, and nothing else happens.

use std::time::Duration;

use anyhow::Context as _;
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState, TracerProvider as _,
};
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider,
};
use tracing::{Level, Metadata, Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, registry::Registry};
use windlass::telemetry::{Traces, trace_by};

use super::options::TelemetryOptions;

/// What the program is called in traces.
const SERVICE: &str = "metachat-jobs";
/// Spans that wait for the exporter; about a kilobyte each.
const WAITING: usize = 4096;
/// How long one request to the collector may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Whose spans are of interest: libraries have theirs, of every statement and frame.
const OURS: [&str; 2] = ["windlass", "metachat_jobs"];

/// What makes spans and sends them.
#[derive(Debug)]
pub(super) struct Exporter(SdkTracerProvider);

impl Exporter {
    /// None if there is nowhere to send traces to.
    pub(super) fn new(options: &TelemetryOptions) -> anyhow::Result<Option<Self>> {
        if options.otlp_endpoint.is_empty() {
            return Ok(None);
        }
        // The exporter's client asks for the process-wide TLS provider; an earlier choice stands.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let endpoint = format!("{}/v1/traces", options.otlp_endpoint.trim_end_matches('/'));
        let exporter = SpanExporter::builder()
            .with_http()
            .with_endpoint(endpoint)
            .with_timeout(TIMEOUT)
            .build()
            .context("setting telemetry.otlp_endpoint")?;
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(WAITING)
            .with_scheduled_delay(Duration::from_secs(1))
            .build();
        let processor = BatchSpanProcessor::builder(exporter)
            .with_batch_config(batches)
            .build();
        let resource = Resource::builder().with_service_name(SERVICE).build();
        let rate = Sampler::TraceIdRatioBased(options.trace_sample_rate);
        let provider = SdkTracerProvider::builder()
            .with_span_processor(processor)
            .with_sampler(Sampler::ParentBased(Box::new(rate)))
            .with_resource(resource)
            .build();
        trace_by(OpenTelemetry);
        Ok(Some(Self(provider)))
    }

    /// Makes spans of the program's own.
    pub(super) fn layer(&self) -> Box<dyn Layer<Registry> + Send + Sync> {
        let tracer = self.0.tracer(SERVICE);
        let layer = layer().with_tracer(tracer);
        layer.with_filter(filter_fn(is_ours)).boxed()
    }

    /// Sends what waits, for at most so long.
    pub(super) fn end(&self, patience: Duration) {
        // A collector that is away is no reason for the program to fail at its end.
        let _ = self.0.shutdown_with_timeout(patience);
    }
}

fn layer<S>() -> tracing_opentelemetry::OpenTelemetryLayer<S, opentelemetry::trace::noop::NoopTracer>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
{
    tracing_opentelemetry::layer()
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
}

fn is_ours(metadata: &Metadata<'_>) -> bool {
    let krate = metadata.target().split("::").next().unwrap_or_default();
    let most = if metadata.is_span() {
        Level::DEBUG
    } else {
        Level::WARN
    };
    OURS.contains(&krate) && *metadata.level() <= most
}

/// Spans as the standard refers to them.
struct OpenTelemetry;

impl Traces for OpenTelemetry {
    fn present(&self) -> Option<String> {
        let context = Span::current().context();
        let span = context.span();
        let span = span.span_context();
        span.is_valid().then(|| {
            let flags = span.trace_flags().to_u8();
            format!("00-{}-{}-{flags:02x}", span.trace_id(), span.span_id())
        })
    }

    fn link(&self, span: &Span, trace_parent: &str) {
        if let Some(other) = remote(trace_parent) {
            span.add_link(other);
        }
    }

    fn trace_id(&self, span: &Span) -> Option<String> {
        let context = span.context();
        let span = context.span();
        let span = span.span_context();
        span.is_valid().then(|| span.trace_id().to_string())
    }
}

fn remote(trace_parent: &str) -> Option<SpanContext> {
    let mut parts = trace_parent.split('-').skip(1);
    let (trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?);
    Some(SpanContext::new(
        TraceId::from_hex(trace).ok()?,
        SpanId::from_hex(span).ok()?,
        TraceFlags::new(u8::from_str_radix(flags, 16).ok()?),
        true,
        TraceState::default(),
    ))
}

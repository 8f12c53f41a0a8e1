//! What is told of calls to chat models. Never what was asked or answered.
#![expect(
    clippy::disallowed_macros,
    reason = "the one place that names these metrics"
)]

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};
use tracing::{Span, debug_span, field, info, warn};

use super::correlation::{Cause, set_off};

/// Calls to chat models, by provider and outcome.
pub const CALLS: &str = "llm_calls_total";
/// How long they took, by provider, in seconds.
pub const DURATION: &str = "llm_call_duration_seconds";
/// Tokens, by provider and direction.
pub const TOKENS: &str = "llm_tokens_total";
/// What they cost, by provider, in millionths of a US dollar.
pub const COST: &str = "llm_cost_microdollars_total";

pub(super) fn describe() {
    describe_counter!(CALLS, "Calls to chat models");
    describe_histogram!(
        DURATION,
        Unit::Seconds,
        "How long calls to chat models took"
    );
    describe_counter!(TOKENS, "Tokens that chat models read and wrote");
    describe_counter!(COST, "What chat models cost, in millionths of a US dollar");
}

/// Around a call to a model's server, which may be made for work that goes on elsewhere.
pub fn call_span(server: &str) -> Span {
    let span = debug_span!(
        "model_call",
        otel.kind = "client",
        server,
        traceId = field::Empty
    );
    if Span::current().is_none() {
        set_off(&span, "client", Cause::current().trace_parent.as_deref());
    }
    span
}

/// A model answered, or asked for a tool.
pub fn answered(
    provider: &'static str,
    model: &str,
    prompt_tokens: u32,
    completion_tokens: u32,
    cost_usd: Option<f64>,
    took: Duration,
) {
    counter!(CALLS, "provider" => provider, "outcome" => "answered").increment(1);
    histogram!(DURATION, "provider" => provider).record(took);
    counter!(TOKENS, "provider" => provider, "direction" => "prompt")
        .increment(prompt_tokens.into());
    counter!(TOKENS, "provider" => provider, "direction" => "completion")
        .increment(completion_tokens.into());
    if let Some(usd) = cost_usd {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "prices are not negative, and a call costs less than millions"
        )]
        counter!(COST, "provider" => provider).increment((usd * 1e6).round() as u64);
    }
    info!(
        provider,
        model,
        promptTokens = prompt_tokens,
        completionTokens = completion_tokens,
        costUsd = cost_usd,
        durationMs = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        "model answered"
    );
}

/// A call came to nothing.
pub fn failed(provider: &'static str, model: &str, will_pass: bool) {
    let outcome = if will_pass { "unavailable" } else { "rejected" };
    counter!(CALLS, "provider" => provider, "outcome" => outcome).increment(1);
    warn!(provider, model, outcome, "model did not answer");
}

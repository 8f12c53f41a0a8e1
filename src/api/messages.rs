//! `POST /v1/messages`: a chat message becomes the durable job that answers it.

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use windlass::Json;

use super::auth::Caller;
use super::body::Body;
use super::idempotency::{IdempotencyKey, Once};
use super::jobs::{EnqueuedJob, answered};
use super::observe::RequestContext;
use super::schema::{Guarded, WithBody};
use super::{ApiState, Problem};
use crate::ingress::Inbound;

/// The type of the platform's envelope around an inbound message.
const RECEIVED: &str = "message.received";

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(create))
}

/// A message that came in, with whose it is and how it came.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct NewMessage {
    /// Whose it is.
    tenant_id: String,
    channel: Channel,
    /// The platform's NormalizedMessage, or its envelope
    /// `{"type":"message.received","message":{..}}`.
    #[schema(value_type = Object)]
    message: Json,
    /// What it belongs to; the request's `x-correlation-id` if left out.
    correlation_id: Option<String>,
}

/// How it came.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Channel {
    Whatsapp,
    Messenger,
    Webchat,
}

impl Channel {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Whatsapp => "whatsapp",
            Self::Messenger => "messenger",
            Self::Webchat => "webchat",
        }
    }
}

#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "type")]
    kind: Option<String>,
    message: Json,
}

/// Takes in a message and answers it in the background.
///
/// When this answers, the message is durable and will be processed; messages of one conversation are
/// processed in the order they came in.
#[utoipa::path(
    post,
    path = "/v1/messages",
    operation_id = "enqueueMessage",
    tag = "messages",
    params(("idempotency-key" = Option<String>, Header, description = "Makes repeating the request harmless")),
    request_body = NewMessage,
    responses(
        (status = 202, description = "It will be processed", body = EnqueuedJob),
        (status = 200, description = "It was taken in before", body = EnqueuedJob),
        (status = 409, description = "Another job holds the unique key", body = Problem, content_type = "application/problem+json"),
        Guarded, WithBody
    )
)]
async fn create(
    State(state): State<ApiState>,
    Extension(context): Extension<RequestContext>,
    caller: Caller,
    key: IdempotencyKey,
    Body(mut request): Body<NewMessage>,
) -> Result<Response, Problem> {
    caller.within(Some(request.tenant_id.clone()))?;
    let once = key.of("/v1/messages", &request)?;
    request.message = unwrapped(request.message)?;
    let (size, limit) = (
        request.message.as_str().len(),
        state.client.limits().max_args_bytes,
    );
    if size > limit {
        return Err(Problem::args_too_large("message", size, limit));
    }
    let correlation_id = request.correlation_id.unwrap_or(context.correlation_id);
    let inbound = Inbound {
        tenant: &request.tenant_id,
        channel: request.channel.as_str(),
        message: &request.message,
        correlation_id: Some(&correlation_id),
        trace_parent: context.trace_parent.as_deref(),
    };
    let mut job = inbound.job(&state.client).map_err(named)?;
    let keyed = once.is_some();
    job.idempotency = once.map(Once::whole);
    let answer = state.client.insert(job).await.map_err(named)?;
    Ok(answered(answer, StatusCode::ACCEPTED, keyed))
}

/// The message itself, out of its envelope if it came in one.
fn unwrapped(message: Json) -> Result<Json, Problem> {
    let Ok(envelope) = message.decode::<Envelope>() else {
        return Ok(message);
    };
    match envelope.kind.as_deref() {
        None | Some(RECEIVED) => Ok(envelope.message),
        Some(_) => Err(Problem::invalid_field(
            "message.type",
            format!("is not an inbound message's; expected {RECEIVED}"),
        )),
    }
}

/// Faults under the names of this request's fields.
fn named(error: windlass::EnqueueError) -> Problem {
    Problem::from(error)
        .renamed("args", "message")
        .renamed("tenant_id", "tenantId")
        .renamed("correlation_id", "correlationId")
}

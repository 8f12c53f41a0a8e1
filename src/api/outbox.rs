//! `GET /v1/outbox`, `POST /v1/outbox/{id}/resend` and `/mark-sent`: messages that may have been sent,
//! or not, and what an operator decides.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;
use windlass::{JobId, Timestamp};

use super::actor::Actor;
use super::query::{Own, Scope, UuidOfPath, of_tenant};
use super::schema::Guarded;
use super::{ApiState, Problem};
use crate::operations::OperationError;
use crate::operations::outbox::Desk;
use crate::records::{OutboxFilter, Outgoing, Records, SendState};

const LARGEST_PAGE: u32 = 500;
const DEFAULT_PAGE: u32 = 50;

/// What these routes work with.
#[derive(Debug, Clone)]
struct Outbox {
    state: ApiState,
    records: Records,
}

pub(super) fn router(state: ApiState, records: Records) -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(resend))
        .routes(routes!(mark_sent))
        .with_state(Outbox { state, records })
}

/// Which parts. Every one that is given must match.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Query {
    /// In this state: `pending`, `sending`, `sent`, `unknown` or `failed`.
    #[param(value_type = Option<String>)]
    state: Option<SendState>,
    /// Of this tenant.
    tenant: Option<String>,
    /// At most so many, 1 to 500; 50 if left out.
    limit: Option<u32>,
    /// Where the next page starts: `next` of the page before, unchanged.
    cursor: Option<Uuid>,
}

/// What the channel calls a part that it has.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Known {
    /// The channel's id of the part, if it is known.
    provider_id: Option<String>,
    /// Only if it is this tenant's; another one's is answered as if it were not there.
    tenant: Option<String>,
    /// Why, for the audit log.
    reason: Option<String>,
}

of_tenant!(Query, Known);

/// A part of a message on its way to its channel. Not what it says: that is the platform's.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OutboxPart)]
struct PartView {
    #[schema(value_type = String, format = Uuid)]
    id: Uuid,
    #[schema(value_type = String, format = Uuid)]
    job_id: JobId,
    tenant_id: String,
    conversation_id: String,
    message_id: String,
    channel: String,
    /// Which part, counted from 1.
    part: i32,
    /// Of how many.
    parts: i32,
    /// `pending`, `sending`, `sent`, `unknown` or `failed`.
    #[schema(value_type = String)]
    state: SendState,
    /// Requests made.
    attempts: i32,
    /// What the channel calls it.
    provider_id: Option<String>,
    /// What went wrong last.
    error: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// A page of parts, newest first.
#[derive(Debug, Serialize, ToSchema)]
struct OutboxPage {
    parts: Vec<PartView>,
    /// Where the next page starts; none if this is the last.
    #[schema(value_type = Option<String>, format = Uuid)]
    next: Option<Uuid>,
}

/// Parts of messages that are, were or may have been sent, newest first. Those in the state `unknown`
/// wait for a decision.
#[utoipa::path(
    get,
    path = "/v1/outbox",
    operation_id = "listOutbox",
    tag = "delivery",
    params(Query),
    responses((status = 200, description = "A page of parts", body = OutboxPage), Guarded)
)]
async fn list(
    State(outbox): State<Outbox>,
    Own(query): Own<Query>,
) -> Result<Json<OutboxPage>, Problem> {
    let limit = query.limit.unwrap_or(DEFAULT_PAGE);
    if !(1..=LARGEST_PAGE).contains(&limit) {
        let detail = format!("{limit} is out of range; use 1 to {LARGEST_PAGE}");
        return Err(Problem::invalid_parameter("limit", detail));
    }
    let filter = OutboxFilter {
        state: query.state,
        tenant: query.tenant,
    };
    // One more than asked for tells whether there is a next page.
    let mut parts = outbox
        .records
        .outbox(&filter, query.cursor, limit + 1)
        .await?;
    let more = parts.len() > limit as usize;
    parts.truncate(limit as usize);
    Ok(Json(OutboxPage {
        next: parts.last().filter(|_| more).map(|part| part.id),
        parts: parts.into_iter().map(PartView::from).collect(),
    }))
}

/// Has a part sent again: the operator has found that the channel does not have it, or puts up with
/// sending it twice. Its message's job goes on with it.
#[utoipa::path(
    post,
    path = "/v1/outbox/{id}/resend",
    operation_id = "resendPart",
    tag = "delivery",
    params(("id" = String, Path, format = Uuid), Scope),
    responses(
        (status = 200, description = "It is sent again", body = PartView),
        (status = 404, description = "There is no such part", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Its state does not allow it", body = Problem, content_type = "application/problem+json"),
        Guarded
    )
)]
async fn resend(
    State(outbox): State<Outbox>,
    UuidOfPath(id): UuidOfPath,
    Own(scope): Own<Scope>,
    actor: Actor,
) -> Result<Json<PartView>, Problem> {
    let operator = actor.operator(&outbox.state, scope.reason.as_deref());
    let desk = Desk {
        records: &outbox.records,
        client: &outbox.state.client,
        operator: &operator,
        tenant: scope.tenant.as_deref(),
    };
    Ok(Json(desk.resend(id).await?.into()))
}

/// Takes a part for sent: the operator has found that the channel has it. Its message's job goes on
/// with the next part, or ends.
#[utoipa::path(
    post,
    path = "/v1/outbox/{id}/mark-sent",
    operation_id = "markPartSent",
    tag = "delivery",
    params(("id" = String, Path, format = Uuid), Known),
    responses(
        (status = 200, description = "It counts as sent", body = PartView),
        (status = 404, description = "There is no such part", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Its state does not allow it", body = Problem, content_type = "application/problem+json"),
        Guarded
    )
)]
async fn mark_sent(
    State(outbox): State<Outbox>,
    UuidOfPath(id): UuidOfPath,
    Own(known): Own<Known>,
    actor: Actor,
) -> Result<Json<PartView>, Problem> {
    let operator = actor.operator(&outbox.state, known.reason.as_deref());
    let desk = Desk {
        records: &outbox.records,
        client: &outbox.state.client,
        operator: &operator,
        tenant: known.tenant.as_deref(),
    };
    let provider_id = known.provider_id.as_deref().filter(|id| !id.is_empty());
    Ok(Json(desk.mark_sent(id, provider_id).await?.into()))
}

impl From<Outgoing> for PartView {
    fn from(part: Outgoing) -> Self {
        Self {
            id: part.id,
            job_id: part.job,
            tenant_id: part.tenant,
            conversation_id: part.conversation,
            message_id: part.message,
            channel: part.channel,
            part: part.part,
            parts: part.parts,
            state: part.state,
            attempts: part.attempts,
            provider_id: part.provider_id,
            error: part.error,
            created_at: part.created_at,
            updated_at: part.updated_at,
        }
    }
}

impl From<OperationError> for Problem {
    fn from(error: OperationError) -> Self {
        match error {
            OperationError::NotFound { .. } => Self::not_found("id", error.to_string()),
            OperationError::State { .. } => Self::new(
                StatusCode::CONFLICT,
                "/problems/wrong-send-state",
                "The part's state does not allow it",
                error.to_string(),
            ),
            OperationError::Records(error) => error.into(),
            OperationError::Backups(error) => error.into(),
            OperationError::Platform(error) => error.into(),
            OperationError::Enqueue(error) => error.into(),
            OperationError::Operator(error) => error.into(),
            OperationError::Store(error) => error.into(),
        }
    }
}

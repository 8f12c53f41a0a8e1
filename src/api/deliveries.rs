//! `GET /v1/webhooks/{id}/deliveries` and `POST /v1/webhooks/deliveries/{id}/replay`: what tenants'
//! endpoints were told, and telling them again.

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
use super::query::{Named, Own, Scope, UuidOfPath, of_tenant};
use super::schema::Guarded;
use super::{ApiState, Problem};
use crate::operations::webhooks::replay;
use crate::records::{Delivery, Records};

const LARGEST_PAGE: u32 = 500;
const DEFAULT_PAGE: u32 = 50;

/// What these routes work with.
#[derive(Debug, Clone)]
struct Deliveries {
    state: ApiState,
    records: Records,
}

pub(super) fn router(state: ApiState, records: Records) -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(again))
        .with_state(Deliveries { state, records })
}

/// Which attempts.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Query {
    /// Only if the webhook is this tenant's; another one's has none.
    tenant: Option<String>,
    /// At most so many, 1 to 500; 50 if left out.
    limit: Option<u32>,
    /// Where the next page starts: `next` of the page before, unchanged.
    cursor: Option<Uuid>,
}

of_tenant!(Query);

/// An attempt to tell an endpoint of an event.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookDelivery)]
struct DeliveryView {
    #[schema(value_type = String, format = Uuid)]
    id: Uuid,
    #[schema(value_type = String, format = Uuid)]
    job_id: JobId,
    tenant_id: String,
    webhook_id: String,
    event_id: String,
    event_type: String,
    /// Of its job, counted from 1.
    attempt: i32,
    /// What the endpoint answered, if it did.
    status: Option<i32>,
    /// The class of what went wrong, such as `timeout`; none if it was delivered.
    error: Option<String>,
    /// How long it took, in milliseconds.
    duration_ms: i32,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
}

/// A page of attempts, newest first.
#[derive(Debug, Serialize, ToSchema)]
struct DeliveryPage {
    deliveries: Vec<DeliveryView>,
    /// Where the next page starts; none if this is the last.
    #[schema(value_type = Option<String>, format = Uuid)]
    next: Option<Uuid>,
}

/// The job that tells it again.
#[derive(Debug, Serialize, ToSchema)]
struct Replayed {
    #[schema(value_type = String, format = Uuid)]
    job_id: JobId,
}

/// What an endpoint was told, attempt by attempt, newest first.
#[utoipa::path(
    get,
    path = "/v1/webhooks/{id}/deliveries",
    operation_id = "listWebhookDeliveries",
    tag = "delivery",
    params(("id" = String, Path, description = "The webhook"), Query),
    responses((status = 200, description = "A page of attempts", body = DeliveryPage), Guarded)
)]
async fn list(
    State(deliveries): State<Deliveries>,
    Named(webhook): Named<String>,
    Own(query): Own<Query>,
) -> Result<Json<DeliveryPage>, Problem> {
    let limit = query.limit.unwrap_or(DEFAULT_PAGE);
    if !(1..=LARGEST_PAGE).contains(&limit) {
        let detail = format!("{limit} is out of range; use 1 to {LARGEST_PAGE}");
        return Err(Problem::invalid_parameter("limit", detail));
    }
    // One more than asked for tells whether there is a next page.
    let mut page = deliveries
        .records
        .deliveries(&webhook, query.tenant.as_deref(), query.cursor, limit + 1)
        .await?;
    let more = page.len() > limit as usize;
    page.truncate(limit as usize);
    Ok(Json(DeliveryPage {
        next: page.last().filter(|_| more).map(|delivery| delivery.id),
        deliveries: page.into_iter().map(DeliveryView::from).collect(),
    }))
}

/// Tells the endpoint of the same event once more, by a new job behind those that wait for it already.
#[utoipa::path(
    post,
    path = "/v1/webhooks/deliveries/{id}/replay",
    operation_id = "replayWebhookDelivery",
    tag = "delivery",
    params(("id" = String, Path, format = Uuid), Scope),
    responses(
        (status = 202, description = "It will be told", body = Replayed),
        (status = 404, description = "There is no such delivery", body = Problem, content_type = "application/problem+json"),
        Guarded
    )
)]
async fn again(
    State(deliveries): State<Deliveries>,
    UuidOfPath(id): UuidOfPath,
    Own(scope): Own<Scope>,
    actor: Actor,
) -> Result<(StatusCode, Json<Replayed>), Problem> {
    let Deliveries { state, records } = &deliveries;
    let operator = actor.operator(state, scope.reason.as_deref());
    let tenant = scope.tenant.as_deref();
    let job_id = replay(records, &state.client, &operator, id, tenant).await?;
    Ok((StatusCode::ACCEPTED, Json(Replayed { job_id })))
}

impl From<Delivery> for DeliveryView {
    fn from(delivery: Delivery) -> Self {
        Self {
            id: delivery.id,
            job_id: delivery.job,
            tenant_id: delivery.tenant,
            webhook_id: delivery.webhook,
            event_id: delivery.event,
            event_type: delivery.event_type,
            attempt: delivery.attempt,
            status: delivery.status,
            error: delivery.error,
            duration_ms: delivery.duration_ms,
            at: delivery.at,
        }
    }
}

//! `/v1/quarantine`: messages from the broker that could not become jobs.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;
use windlass::model::Enqueued;
use windlass::{JobId, Timestamp};

use super::actor::Actor;
use super::query::{Params, UuidOfPath};
use super::schema::Guarded;
use super::{ApiState, Problem};
use crate::ingress::rabbitmq::{self, NotReplayed, replay};
use crate::platform::Platform;
use crate::records::{NoPlace, QuarantineFilter, Quarantined, Records};

const LARGEST_PAGE: u32 = 500;
const DEFAULT_PAGE: u32 = 50;

/// What the quarantine's routes work with.
#[derive(Debug, Clone)]
pub struct Quarantine {
    /// Where it is.
    pub records: Records,
    /// Whose channels there are.
    pub platform: Platform,
}

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show, discard))
        .routes(routes!(replay_one))
}

/// Which messages.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Query {
    /// Of this tenant, as the queue says.
    tenant: Option<String>,
    /// At most so many, 1 to 500; 50 if left out.
    limit: Option<u32>,
    /// Where the next page starts: `next` of the page before, unchanged.
    cursor: Option<String>,
}

/// What of it to show.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Shown {
    /// Also the body, which may hold what people wrote.
    #[serde(default)]
    body: bool,
}

/// Why it is done.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Why {
    /// For the audit log.
    reason: Option<String>,
}

/// A message that could not become a job.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = QuarantinedMessage)]
struct View {
    id: Uuid,
    /// Whose it is, as the queue says.
    tenant_id: Option<String>,
    /// The queue it came from.
    source: String,
    /// What is wrong with it.
    reason: String,
    /// The headers it came with.
    #[schema(value_type = Object)]
    headers: serde_json::Value,
    /// How long its body is.
    body_bytes: u64,
    #[schema(value_type = String, format = DateTime)]
    taken_at: Timestamp,
    /// Its body, if that was asked for: bytes that are no text are replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    /// Whether that is only the beginning of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    truncated: Option<bool>,
}

/// A page of the quarantine, newest first.
#[derive(Debug, Serialize, ToSchema)]
struct QuarantinePage {
    messages: Vec<View>,
    /// Where the next page starts; none if this is the last.
    next: Option<String>,
}

/// The job that a message became.
#[derive(Debug, Serialize, ToSchema)]
struct Replayed {
    #[schema(value_type = String, format = Uuid)]
    job_id: JobId,
    /// Whether the message had been taken in before, so that this job stands for it already.
    duplicate: bool,
}

/// Messages in quarantine, newest first, without their bodies.
#[utoipa::path(
    get,
    path = "/v1/quarantine",
    operation_id = "listQuarantine",
    tag = "quarantine",
    params(Query),
    responses((status = 200, description = "A page of the quarantine", body = QuarantinePage), Guarded)
)]
async fn list(
    State(state): State<ApiState>,
    Params(query): Params<Query>,
) -> Result<Json<QuarantinePage>, Problem> {
    let limit = query.limit.unwrap_or(DEFAULT_PAGE);
    if !(1..=LARGEST_PAGE).contains(&limit) {
        let detail = format!("{limit} is out of range; use 1 to {LARGEST_PAGE}");
        return Err(Problem::invalid_parameter("limit", detail));
    }
    let place = query.cursor.map(|cursor| cursor.parse()).transpose();
    let before =
        place.map_err(|error: NoPlace| Problem::invalid_parameter("cursor", error.to_string()))?;
    let filter = QuarantineFilter {
        tenant: query.tenant,
        before,
        // One more than asked for tells whether there is a next page.
        limit: limit + 1,
    };
    let mut kept = state
        .quarantine()?
        .records
        .list_quarantined(&filter)
        .await?;
    let more = kept.len() > limit as usize;
    kept.truncate(limit as usize);
    Ok(Json(QuarantinePage {
        next: kept
            .last()
            .filter(|_| more)
            .map(|kept| kept.place().to_string()),
        messages: kept.into_iter().map(View::from).collect(),
    }))
}

/// One message in quarantine.
#[utoipa::path(
    get,
    path = "/v1/quarantine/{id}",
    operation_id = "showQuarantined",
    tag = "quarantine",
    params(("id" = String, Path, format = Uuid), Shown),
    responses(
        (status = 200, description = "The message", body = View),
        (status = 404, description = "Nothing with this id is in quarantine", body = Problem, content_type = "application/problem+json"),
        Guarded
    )
)]
async fn show(
    State(state): State<ApiState>,
    UuidOfPath(id): UuidOfPath,
    Params(shown): Params<Shown>,
) -> Result<Json<View>, Problem> {
    let kept = state.quarantine()?.records.quarantined(id).await?;
    let kept = kept.ok_or_else(Problem::not_in_quarantine)?;
    let body = shown.body.then(|| {
        (
            String::from_utf8_lossy(&kept.body).into_owned(),
            kept.is_truncated(),
        )
    });
    let mut view = View::from(kept);
    if let Some((body, truncated)) = body {
        view.body = Some(body);
        view.truncated = Some(truncated);
    }
    Ok(Json(view))
}

/// Makes a message the job that it could not be, now that the cause is gone.
#[utoipa::path(
    post,
    path = "/v1/quarantine/{id}/replay",
    operation_id = "replayQuarantined",
    tag = "quarantine",
    params(("id" = String, Path, format = Uuid), Why),
    responses(
        (status = 202, description = "It will be processed, and is out of quarantine", body = Replayed),
        (status = 404, description = "Nothing with this id is in quarantine", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It still cannot become a job; it stays in quarantine", body = Problem, content_type = "application/problem+json"),
        Guarded
    )
)]
async fn replay_one(
    State(state): State<ApiState>,
    UuidOfPath(id): UuidOfPath,
    Params(why): Params<Why>,
    actor: Actor,
) -> Result<(StatusCode, Json<Replayed>), Problem> {
    let Quarantine { records, platform } = state.quarantine()?;
    let operator = actor.operator(&state, why.reason.as_deref());
    let enqueued = replay(&state.client, platform, records, &operator, id).await?;
    let replayed = Replayed {
        job_id: enqueued.id(),
        duplicate: !matches!(enqueued, Enqueued::Inserted(_)),
    };
    Ok((StatusCode::ACCEPTED, Json(replayed)))
}

/// Deletes a message for good. The broker's dead-letter queue may still have a copy.
#[utoipa::path(
    delete,
    path = "/v1/quarantine/{id}",
    operation_id = "discardQuarantined",
    tag = "quarantine",
    params(("id" = String, Path, format = Uuid), Why),
    responses(
        (status = 204, description = "It is deleted"),
        (status = 404, description = "Nothing with this id is in quarantine", body = Problem, content_type = "application/problem+json"),
        Guarded
    )
)]
async fn discard(
    State(state): State<ApiState>,
    UuidOfPath(id): UuidOfPath,
    Params(why): Params<Why>,
    actor: Actor,
) -> Result<StatusCode, Problem> {
    let operator = actor.operator(&state, why.reason.as_deref());
    rabbitmq::discard(&state.quarantine()?.records, &operator, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl ApiState {
    pub(super) fn quarantine(&self) -> Result<&Quarantine, Problem> {
        self.quarantine
            .as_ref()
            .ok_or_else(Problem::not_in_quarantine)
    }
}

impl From<NotReplayed> for Problem {
    fn from(error: NotReplayed) -> Self {
        match error {
            NotReplayed::NotFound => Self::not_in_quarantine(),
            NotReplayed::Truncated | NotReplayed::Fault(_) => Self::not_replayed(error.to_string()),
            NotReplayed::Enqueue(error) => error.into(),
            NotReplayed::Records(error) => error.into(),
            NotReplayed::Platform(error) => error.into(),
            NotReplayed::Operator(error) => error.into(),
            NotReplayed::Database(error) => crate::records::Error::from(error).into(),
        }
    }
}

impl From<Quarantined> for View {
    fn from(kept: Quarantined) -> Self {
        Self {
            id: kept.id,
            tenant_id: kept.tenant,
            source: kept.source,
            reason: kept.reason,
            headers: kept.headers,
            body_bytes: kept.body_bytes,
            taken_at: kept.taken_at,
            body: None,
            truncated: None,
        }
    }
}

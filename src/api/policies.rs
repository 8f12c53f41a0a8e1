//! `/v1/queues/{queue}/policy`: limits and fairness of a queue.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use windlass::Timestamp;
use windlass::engine::{PolicyError, StoredPolicy};
use windlass::model::QueuePolicy;

use super::actor::Actor;
use super::body::Body;
use super::query::Named;
use super::schema::Guarded;
use super::{ApiState, Problem};

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(show, set, clear))
}

/// The policy of a queue.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Policy)]
pub(super) struct PolicyView {
    queue: String,
    #[schema(value_type = Object, example = json!({
        "concurrency": 20,
        "rate": {"jobs": 100, "per_ms": 1000, "burst": 25},
        "kinds": {"embed_document": {"concurrency": 2}},
        "per_key": {"concurrency": 5},
        "fair": {"weights": {"a-large-tenant": 2}},
        "ageing_ms": 60000
    }))]
    policy: QueuePolicy,
    /// Another number whenever it has changed; also the `etag`.
    version: i64,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl From<StoredPolicy> for PolicyView {
    fn from(stored: StoredPolicy) -> Self {
        Self {
            queue: stored.queue,
            policy: stored.policy,
            version: stored.version,
            updated_at: stored.updated_at,
        }
    }
}

impl IntoResponse for PolicyView {
    fn into_response(self) -> axum::response::Response {
        let tag = format!("\"{}\"", self.version);
        let mut response = Json(self).into_response();
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response
    }
}

/// The policy of a queue: its limits, turns and ageing.
#[utoipa::path(
    get,
    path = "/v1/queues/{queue}/policy",
    operation_id = "getQueuePolicy",
    tag = "operations",
    params(("queue" = String, Path, description = "The queue")),
    responses(
        (status = 200, description = "The policy", body = PolicyView),
        (status = 404, description = "The queue has no policy", body = Problem),
        Guarded
    )
)]
async fn show(
    State(state): State<ApiState>,
    Named(queue): Named<String>,
) -> Result<PolicyView, Problem> {
    let stored = state.client.policy(&queue).await?;
    stored.map(PolicyView::from).ok_or_else(Problem::no_policy)
}

/// Gives a queue a policy in the place of what it had. Workers go by it within a second.
#[utoipa::path(
    put,
    path = "/v1/queues/{queue}/policy",
    operation_id = "setQueuePolicy",
    tag = "operations",
    params(
        ("queue" = String, Path, description = "The queue"),
        ("if-match" = Option<String>, Header, description = "The `etag` that the policy must have"),
        ("x-actor" = Option<String>, Header, description = "A name to go with the credential's, for the audit log"),
        ("x-reason" = Option<String>, Header, description = "Why, for the audit log"),
    ),
    request_body(content = Object, description = "The policy, as it is shown"),
    responses(
        (status = 200, description = "The policy now", body = PolicyView),
        (status = 412, description = "The policy is at another version", body = Problem),
        (status = 422, description = "The policy cannot be", body = Problem),
        Guarded
    )
)]
async fn set(
    State(state): State<ApiState>,
    Named(queue): Named<String>,
    actor: Actor,
    headers: HeaderMap,
    Body(policy): Body<QueuePolicy>,
) -> Result<PolicyView, Problem> {
    let expected = expected(&headers)?;
    let operator = actor.operator(&state, reason(&headers).as_deref());
    match operator.set_policy(&queue, &policy, expected).await {
        Ok(stored) => Ok(stored.into()),
        Err(PolicyError::Invalid(error)) => Err(Problem::invalid_field(error.field, error.problem)),
        Err(PolicyError::Store(error)) => Err(Problem::from_change(error)),
    }
}

/// Takes a queue's policy away.
#[utoipa::path(
    delete,
    path = "/v1/queues/{queue}/policy",
    operation_id = "clearQueuePolicy",
    tag = "operations",
    params(
        ("queue" = String, Path, description = "The queue"),
        ("if-match" = Option<String>, Header, description = "The `etag` that the policy must have"),
        ("x-actor" = Option<String>, Header, description = "A name to go with the credential's, for the audit log"),
        ("x-reason" = Option<String>, Header, description = "Why, for the audit log"),
    ),
    responses(
        (status = 204, description = "The queue has no policy now"),
        (status = 404, description = "The queue has no policy", body = Problem),
        (status = 412, description = "The policy is at another version", body = Problem),
        Guarded
    )
)]
async fn clear(
    State(state): State<ApiState>,
    Named(queue): Named<String>,
    actor: Actor,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let expected = expected(&headers)?;
    let operator = actor.operator(&state, reason(&headers).as_deref());
    let cleared = operator.clear_policy(&queue, expected).await;
    if cleared.map_err(Problem::from_change)? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::no_policy())
    }
}

/// Why, as the caller says.
fn reason(headers: &HeaderMap) -> Option<String> {
    let said = headers.get("x-reason")?;
    Some(String::from_utf8_lossy(said.as_bytes()).into_owned())
}

fn expected(headers: &HeaderMap) -> Result<Option<i64>, Problem> {
    let Some(value) = headers.get(header::IF_MATCH) else {
        return Ok(None);
    };
    if value.is_empty() {
        return Err(Problem::matches_nothing());
    }
    let version = value.to_str().ok().map(|tag| tag.trim().trim_matches('"'));
    version
        .and_then(|version| version.parse().ok())
        .map(Some)
        .ok_or_else(|| {
            let remedy = "is not an etag of this resource; send the one you were given, or none";
            Problem::invalid_parameter("if-match", remedy)
        })
}

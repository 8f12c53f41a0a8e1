//! `GET /metrics`, as Prometheus reads it.

use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::schema::Guarded;
use crate::telemetry;

/// How long the database may take to count what waits for a decision.
const PATIENCE: Duration = Duration::from_secs(2);
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(show))
}

/// Metrics of this process.
///
/// Let Prometheus send the key: `authorization: { type: Bearer, credentials_file: .. }`.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "showMetrics",
    tag = "operations",
    responses(
        (status = 200, description = "Prometheus text format", body = String, content_type = "text/plain"),
        Guarded
    )
)]
async fn show(State(state): State<ApiState>) -> impl IntoResponse {
    if let Some(records) = &state.records {
        let pool = records.pool_status();
        telemetry::pools::stands(pool.open, pool.idle, pool.most);
        // What waits for a person is a fact of the database, the same whichever process is asked.
        let parts = tokio::time::timeout(PATIENCE, records.count_unknown()).await;
        telemetry::delivery::undecided(parts.ok().and_then(Result::ok));
    }
    (
        [(header::CONTENT_TYPE, CONTENT_TYPE)],
        state.metrics.render(),
    )
}

//! `GET /v1/correlations/{id}`: everything that one request or message set off.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::query::{Named, Own, of_tenant};
use super::schema::Guarded;
use super::{ApiState, Problem};
use crate::operations::correlations::{Correlation, follow};

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(show))
}

/// Whose.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Query {
    /// Only what is this tenant's.
    tenant: Option<String>,
}

of_tenant!(Query);

/// Jobs, attempts, messages, parts of messages, deliveries and messages set aside, in the order of time.
/// Empty if nothing of this id is known (any more).
#[utoipa::path(
    get,
    path = "/v1/correlations/{id}",
    operation_id = "showCorrelation",
    tag = "correlations",
    params(("id" = String, Path, description = "The correlation id"), Query),
    responses((status = 200, description = "What it set off", body = Correlation), Guarded)
)]
async fn show(
    State(state): State<ApiState>,
    Named(id): Named<String>,
    Own(query): Own<Query>,
) -> Result<Json<Correlation>, Problem> {
    let platform = state.quarantine().map_err(|_| Problem::no_such_route())?;
    let (records, platform) = (&platform.records, &platform.platform);
    let tenant = query.tenant.as_deref();
    Ok(Json(
        follow(&state.client, records, platform, &id, tenant).await?,
    ))
}

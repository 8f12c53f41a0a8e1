//! `GET /v1/audit`: who did what, when, to what and why.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use windlass::Timestamp;
use windlass::model::{AuditEntry, AuditFilter};

use super::query::{Own, of_tenant};
use super::schema::Guarded;
use super::{ApiState, Problem};

const LARGEST_PAGE: u32 = 500;
const DEFAULT_PAGE: u32 = 50;

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Which lines. Every one that is given must match.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Query {
    /// By whom.
    actor: Option<String>,
    /// What, such as `job.cancel`.
    action: Option<String>,
    /// To what, such as `queue/mail`.
    subject: Option<String>,
    /// Of this tenant.
    tenant: Option<String>,
    /// At most so many, 1 to 500; 50 if left out.
    limit: Option<u32>,
    /// Where the next page starts: `next` of the page before, unchanged.
    cursor: Option<i64>,
}

/// One act.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEntry)]
struct EntryView {
    id: i64,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    actor: String,
    action: String,
    subject: String,
    tenant_id: Option<String>,
    /// How it was.
    #[schema(schema_with = super::schema::any)]
    before: Option<windlass::Json>,
    /// How it is since.
    #[schema(schema_with = super::schema::any)]
    after: Option<windlass::Json>,
    reason: Option<String>,
}

/// A page of the log, newest first.
#[derive(Debug, Serialize, ToSchema)]
struct AuditPage {
    entries: Vec<EntryView>,
    /// Where the next page starts; none if this is the last.
    next: Option<i64>,
}

of_tenant!(Query);

/// The audit log, newest first.
#[utoipa::path(
    get,
    path = "/v1/audit",
    operation_id = "listAudit",
    tag = "operations",
    params(Query),
    responses((status = 200, description = "A page of the log", body = AuditPage), Guarded)
)]
async fn list(
    State(state): State<ApiState>,
    Own(query): Own<Query>,
) -> Result<Json<AuditPage>, Problem> {
    let limit = query.limit.unwrap_or(DEFAULT_PAGE);
    if !(1..=LARGEST_PAGE).contains(&limit) {
        let detail = format!("{limit} is out of range; use 1 to {LARGEST_PAGE}");
        return Err(Problem::invalid_parameter("limit", detail));
    }
    let filter = AuditFilter {
        actor: query.actor,
        action: query.action,
        subject: query.subject,
        tenant_id: query.tenant,
    };
    // One more than asked for tells whether there is a next page.
    let mut entries = state.client.audit(&filter, query.cursor, limit + 1).await?;
    let more = entries.len() > limit as usize;
    entries.truncate(limit as usize);
    Ok(Json(AuditPage {
        next: entries.last().filter(|_| more).map(|entry| entry.id),
        entries: entries.into_iter().map(EntryView::from).collect(),
    }))
}

impl From<AuditEntry> for EntryView {
    fn from(entry: AuditEntry) -> Self {
        let audit = entry.audit;
        Self {
            id: entry.id,
            at: entry.at,
            actor: audit.actor,
            action: audit.action,
            subject: audit.subject,
            tenant_id: audit.tenant_id,
            before: audit.before,
            after: audit.after,
            reason: audit.reason,
        }
    }
}

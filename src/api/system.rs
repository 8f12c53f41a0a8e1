//! `GET /v1/system`: what everything stands on: versions, the schema, and how the tables stand.

use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::schema::Guarded;
use super::{ApiState, Problem};
use crate::platform::{Advice, Advised, IndexHealth, TableHealth};

/// How long the database may take to tell.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(show))
}

/// What everything stands on.
#[derive(Debug, Serialize, ToSchema)]
struct System {
    /// Of the process that answers.
    version: &'static str,
    /// The engine's store: postgres, sqlite or memory.
    store: &'static str,
    /// How long the database took to tell the time, in milliseconds.
    answered_in_ms: f64,
    schema: SchemaView,
    /// Whether a new job wakes the workers of every process at once; if not, other processes see it when
    /// they look next.
    wakes_every_process: bool,
    /// How long the oldest transaction has been open, in milliseconds: while it lasts, dead rows stay. Not
    /// known on SQLite, nor of transactions of roles that this program's may not see.
    oldest_transaction_ms: Option<u64>,
    /// By size, the largest first. None on SQLite, which looks after itself.
    tables: Vec<TableView>,
    /// By size, the largest first.
    indexes: Vec<IndexView>,
}

/// How the engine's tables stand to the program that answers.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Schema)]
struct SchemaView {
    /// The newest migration that was applied.
    found: i64,
    /// The newest that the program knows.
    needed: i64,
    /// What it needs and was not applied.
    missing: Vec<String>,
}

/// A table.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Table)]
struct TableView {
    name: String,
    /// Without its indexes.
    bytes: i64,
    live_rows: i64,
    /// Rows that were deleted or changed, and are still there.
    dead_rows: i64,
    /// How many dead rows make the server's vacuum begin.
    vacuum_from: i64,
    /// What wants to be done: freeze, vacuum.
    #[schema(value_type = Vec<String>)]
    advice: Vec<Advice>,
}

/// An index.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Index)]
struct IndexView {
    name: String,
    table: String,
    bytes: i64,
    /// How much of it is air, 0 to 1, if that is known.
    bloat: Option<f64>,
    /// What wants to be done: invalid, leftover, bloated.
    #[schema(value_type = Vec<String>)]
    advice: Vec<Advice>,
}

/// What everything stands on: versions, the schema, and how the tables stand.
#[utoipa::path(
    get,
    path = "/v1/system",
    operation_id = "showSystem",
    tag = "operations",
    responses((status = 200, description = "How it stands", body = System), Guarded)
)]
async fn show(State(state): State<ApiState>) -> Result<Json<System>, Problem> {
    let told = tokio::time::timeout(PATIENCE, ask(&state)).await;
    told.map_err(|_| Problem::timed_out())?.map(Json)
}

async fn ask(state: &ApiState) -> Result<System, Problem> {
    let store = state.client.store();
    let asked = Instant::now();
    store.now().await?;
    let answered_in_ms = asked.elapsed().as_secs_f64() * 1000.0;
    let schema = store.schema().await?;
    let mut system = System {
        version: env!("CARGO_PKG_VERSION"),
        store: store.name(),
        answered_in_ms,
        schema: SchemaView {
            found: schema.found,
            needed: schema.needed,
            missing: schema.missing,
        },
        wakes_every_process: store.capabilities().remote_wakes,
        oldest_transaction_ms: None,
        tables: Vec::new(),
        indexes: Vec::new(),
    };
    if let Some(quarantine) = &state.quarantine {
        let mut report = quarantine.platform.tables_report().await?;
        system.oldest_transaction_ms = quarantine.platform.oldest_transaction_ms().await?;
        report.tables.sort_by_key(|table| -table.what.bytes);
        report.indexes.sort_by_key(|index| -index.what.bytes);
        system.tables = report.tables.into_iter().map(TableView::from).collect();
        system.indexes = report.indexes.into_iter().map(IndexView::from).collect();
    }
    Ok(system)
}

impl From<Advised<TableHealth>> for TableView {
    fn from(Advised { what, advice }: Advised<TableHealth>) -> Self {
        Self {
            name: what.name,
            bytes: what.bytes,
            live_rows: what.live_rows,
            dead_rows: what.dead_rows,
            vacuum_from: what.vacuum_from,
            advice,
        }
    }
}

impl From<Advised<IndexHealth>> for IndexView {
    fn from(Advised { what, advice }: Advised<IndexHealth>) -> Self {
        Self {
            name: what.name,
            table: what.table,
            bytes: what.bytes,
            bloat: what.bloat,
            advice,
        }
    }
}

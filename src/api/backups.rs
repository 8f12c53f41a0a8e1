//! `GET /v1/backups` and `GET /v1/backups/{target}/{id}`: which backups there are, how old they are, and
//! what is known of each from having tried it.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use windlass::Timestamp;

use super::query::{Named, Params};
use super::schema::Guarded;
use super::{ApiState, Problem};
use crate::backups::{Backup, BackupId, Backups, Error, Standing};

/// What these routes work with.
#[derive(Debug, Clone)]
struct Shelf {
    state: ApiState,
    backups: Backups,
}

pub(super) fn router(state: ApiState, backups: Backups) -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .with_state(Shelf { state, backups })
}

/// Which.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Query {
    /// Only of this target.
    target: Option<String>,
}

/// Every target, and the backups in its first place.
#[derive(Debug, Serialize, ToSchema)]
struct BackupList {
    targets: Vec<TargetView>,
}

/// How a target stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BackupTarget)]
struct TargetView {
    target: String,
    /// Such as `postgres_logical`.
    kind: String,
    /// Where its backups are, the first place first.
    places: Vec<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    last_success_at: Option<Timestamp>,
    /// When one was last shown to restore.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_verified_at: Option<Timestamp>,
    /// How deep that looked, 0 to 5.
    verify_level: Option<u8>,
    /// How much would be lost if the target were lost now, in seconds.
    rpo_seconds: Option<f64>,
    /// How long the last restore took, in seconds.
    restore_seconds: Option<f64>,
    /// Whether the newest one is older than it may be, or there is none.
    late: bool,
    /// Whether none was shown to restore in time.
    unverified: bool,
    /// Newest first.
    backups: Vec<BackupView>,
}

/// A backup, in short.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BackupSummary)]
struct BackupView {
    id: String,
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    finished_at: Timestamp,
    /// The moment whose data it holds.
    #[schema(value_type = String, format = DateTime)]
    recovery_point: Timestamp,
    files: usize,
    bytes: u64,
    /// What it takes in its place.
    stored_bytes: u64,
    encrypted: bool,
    pinned: bool,
    /// The backup that it builds on.
    parent: Option<String>,
    /// The highest level at which it held, 0 to 5.
    verify_level: Option<u8>,
    /// Why somebody should look at it.
    flags: Vec<String>,
}

/// A backup, in full.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BackupDetail)]
struct DetailView {
    /// In which place it was found.
    place: String,
    /// What it says of itself: see the guide to backups.
    #[schema(value_type = Object)]
    manifest: Value,
    /// Why it is kept, by whom and since when, if somebody said so.
    #[schema(value_type = Option<Object>)]
    pin: Option<Value>,
    /// How often it was tried, oldest first: level, outcome, reason and figures of each.
    #[schema(value_type = Vec<Object>)]
    verifications: Vec<Value>,
}

/// Every target, how it stands, and its backups.
#[utoipa::path(
    get,
    path = "/v1/backups",
    operation_id = "listBackups",
    tag = "backups",
    params(Query),
    responses(
        (status = 200, description = "The targets and their backups", body = BackupList),
        (status = 404, description = "There is no such target", body = Problem, content_type = "application/problem+json"),
        Guarded
    )
)]
async fn list(
    State(shelf): State<Shelf>,
    Params(query): Params<Query>,
) -> Result<Json<BackupList>, Problem> {
    let Shelf { state, backups } = &shelf;
    let now = state.client.now().await?;
    let all = backups.options().targets.keys().cloned();
    let names: Vec<String> = query.target.map_or_else(|| all.collect(), |one| vec![one]);
    let mut targets = Vec::with_capacity(names.len());
    for name in names {
        let standing = backups.standing(&name, now).await?;
        let repositories = backups.repositories(backups.target(&name)?)?;
        let held = repositories[0].list(&name).await?;
        targets.push(TargetView::new(standing, &held));
    }
    Ok(Json(BackupList { targets }))
}

/// One backup: its manifest, and how often it was tried.
#[utoipa::path(
    get,
    path = "/v1/backups/{target}/{id}",
    operation_id = "showBackup",
    tag = "backups",
    params(("target" = String, Path, description = "Its target"), ("id" = String, Path, description = "Its id")),
    responses(
        (status = 200, description = "The backup", body = DetailView),
        (status = 404, description = "There is no such backup", body = Problem, content_type = "application/problem+json"),
        Guarded
    )
)]
async fn show(
    State(shelf): State<Shelf>,
    Named((target, id)): Named<(String, String)>,
) -> Result<Json<DetailView>, Problem> {
    let backups = &shelf.backups;
    let id: BackupId = id.parse().map_err(|error: crate::backups::InvalidId| {
        Problem::impossible_parameter("id", error.to_string())
    })?;
    let mut missing = None;
    for repository in backups.repositories(backups.target(&target)?)? {
        match repository.get(&target, &id).await {
            Ok(found) => return Ok(Json(DetailView::new(repository.place().name(), &found)?)),
            Err(error @ Error::NotFound { .. }) => missing = missing.or(Some(error)),
            Err(other) => return Err(other.into()),
        }
    }
    let told = missing.map_or_else(String::new, |error| error.to_string());
    Err(Problem::not_found("id", told))
}

impl TargetView {
    fn new(standing: Standing, held: &[Backup]) -> Self {
        Self {
            target: standing.target,
            kind: standing.kind.to_string(),
            places: standing.places,
            last_success_at: standing.last_success_at,
            last_verified_at: standing.last_verified_at,
            verify_level: standing.verify_level.map(crate::backups::Level::number),
            rpo_seconds: standing.rpo_seconds,
            restore_seconds: standing.restore_seconds,
            late: standing.late,
            unverified: standing.unverified,
            backups: held.iter().rev().map(BackupView::from).collect(),
        }
    }
}

impl From<&Backup> for BackupView {
    fn from(backup: &Backup) -> Self {
        let manifest = &backup.manifest;
        Self {
            id: manifest.id.to_string(),
            started_at: manifest.started,
            finished_at: manifest.finished,
            recovery_point: manifest.recovery_point,
            files: manifest.files.len(),
            bytes: manifest.size(),
            stored_bytes: manifest.stored_size(),
            encrypted: manifest.encryption.is_some(),
            pinned: backup.pin.is_some(),
            parent: manifest.parent.as_ref().map(ToString::to_string),
            verify_level: backup.level().map(crate::backups::Level::number),
            flags: manifest.flags.clone(),
        }
    }
}

impl DetailView {
    fn new(place: &str, backup: &Backup) -> Result<Self, Problem> {
        let value = |told: serde_json::Result<Value>| told.map_err(|_| Problem::internal());
        Ok(Self {
            place: place.to_owned(),
            manifest: value(serde_json::to_value(&backup.manifest))?,
            pin: backup
                .pin
                .as_ref()
                .map(|pin| value(serde_json::to_value(pin)))
                .transpose()?,
            verifications: backup
                .evidence
                .iter()
                .map(|it| value(serde_json::to_value(it)))
                .collect::<Result<_, _>>()?,
        })
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::UnknownTarget { .. } => Self::not_found("target", error.to_string()),
            Error::NotFound { .. } => Self::not_found("id", error.to_string()),
            other => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "/problems/backups-out-of-reach",
                "The place of the backups cannot be read",
                other.to_string(),
            ),
        }
    }
}

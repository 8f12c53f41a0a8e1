//! `GET /v1/errors`: what fails, grouped by what it says; and `PUT` and `DELETE /v1/errors/{fingerprint}/mute`.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use windlass::model::{Filter, Mute, Page};
use windlass::{JobId, JobRecord, Timestamp};

use super::actor::Actor;
use super::auth::{Caller, Reach};
use super::body::Body;
use super::query::{Named, Own, Params, of_tenant};
use super::schema::{Guarded, WithBody};
use super::{ApiState, Problem};

/// The newest jobs of each state that are looked at: enough to see what is wrong, and never a scan.
const SAMPLE: u32 = 500;
/// The longest message that is told.
const LONGEST: usize = 300;
const HOUR: Duration = Duration::from_hours(1);
const HOURS: u64 = 24;
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(mute, unmute))
}

/// Of which jobs. Every parameter that is given must match.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Query {
    kind: Option<String>,
    queue: Option<String>,
    tenant: Option<String>,
}

of_tenant!(Query);

/// What fails, the most frequent first, and after that what is muted.
#[derive(Debug, Serialize, ToSchema)]
struct ErrorList {
    /// How many jobs were looked at: the newest that are dead, and the newest that wait to be retried.
    sampled: usize,
    /// There are more jobs than were looked at.
    at_least: bool,
    groups: Vec<Group>,
}

/// Jobs whose last error says the same, but for numbers and ids.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ErrorGroup)]
struct Group {
    /// The same for the same error, in any process and at any time.
    fingerprint: String,
    /// What the newest of them says.
    message: String,
    /// How many of them are dead.
    dead: usize,
    /// How many of them wait for another attempt.
    retryable: usize,
    kinds: BTreeSet<String>,
    tenants: BTreeSet<String>,
    #[schema(value_type = String, format = DateTime)]
    first_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    last_at: Timestamp,
    /// How many failed in each of the last 24 hours, oldest first.
    per_hour: Vec<u32>,
    /// Which, newest first.
    #[schema(value_type = Vec<String>)]
    jobs: Vec<JobId>,
    /// An operator knows of it.
    muted: Option<MuteView>,
}

/// Somebody knows of this error: it needs nobody's attention.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Mute)]
struct MuteView {
    reason: Option<String>,
    /// Who muted it.
    by: String,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// When it ends by itself.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
}

/// For how long an error is to be muted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewMute {
    /// Why.
    reason: Option<String>,
    /// When it ends by itself; without, when someone ends it.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
}

/// Why a mute is ended.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Why {
    /// Why, for the audit log.
    reason: Option<String>,
}

/// What fails: dead jobs and those that wait to be retried, grouped by their last error.
///
/// Looks at the newest 500 of each state.
#[utoipa::path(
    get,
    path = "/v1/errors",
    operation_id = "listErrors",
    tag = "jobs",
    params(Query),
    responses((status = 200, description = "The groups", body = ErrorList), Guarded)
)]
async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    Own(query): Own<Query>,
) -> Result<Json<ErrorList>, Problem> {
    let sample = async {
        let mut jobs = Vec::new();
        let mut at_least = false;
        for wanted in [windlass::State::Dead, windlass::State::Retryable] {
            let filter = Filter {
                states: vec![wanted],
                kind: query.kind.clone(),
                queue: query.queue.clone(),
                tenant_id: query.tenant.clone(),
                ..Filter::default()
            };
            let page = Page {
                after: None,
                limit: SAMPLE,
            };
            let found = state.client.list(&filter, page).await?;
            at_least |= found.len() == SAMPLE as usize;
            jobs.extend(found);
        }
        // What operators tell each other is none of a tenant's business.
        let mutes = match caller.reach {
            Reach::All => state.client.mutes().await?,
            Reach::Tenant(_) => Vec::new(),
        };
        Ok::<_, windlass::store::Error>((jobs, at_least, mutes, state.client.now().await?))
    };
    let (jobs, at_least, mutes, now) = tokio::time::timeout(PATIENCE, sample)
        .await
        .map_err(|_| Problem::timed_out())??;
    Ok(Json(ErrorList {
        sampled: jobs.len(),
        at_least,
        groups: grouped(jobs, mutes, now),
    }))
}

/// Says that an error is known: it comes last in the list, and jobs that fail with it are nobody's concern
/// until the mute ends. It changes nothing for the jobs.
#[utoipa::path(
    put,
    path = "/v1/errors/{fingerprint}/mute",
    operation_id = "muteError",
    tag = "operations",
    params(("fingerprint" = String, Path, pattern = "^[0-9a-f]{1,64}$", description = "As the list of errors tells it")),
    request_body = NewMute,
    responses((status = 200, description = "It is muted", body = MuteView), WithBody, Guarded)
)]
async fn mute(
    State(state): State<ApiState>,
    Named(fingerprint): Named<String>,
    actor: Actor,
    Body(new): Body<NewMute>,
) -> Result<Json<MuteView>, Problem> {
    let operator = actor.operator(&state, new.reason.as_deref());
    Ok(Json(operator.mute(&fingerprint, new.until).await?.into()))
}

/// Ends the mute of an error.
#[utoipa::path(
    delete,
    path = "/v1/errors/{fingerprint}/mute",
    operation_id = "unmuteError",
    tag = "operations",
    params(("fingerprint" = String, Path, pattern = "^[0-9a-f]{1,64}$", description = "As the list of errors tells it"), Why),
    responses(
        (status = 204, description = "It is muted no more"),
        (status = 404, description = "It is not muted", body = Problem, content_type = "application/problem+json"),
        Guarded
    )
)]
async fn unmute(
    State(state): State<ApiState>,
    Named(fingerprint): Named<String>,
    actor: Actor,
    Params(why): Params<Why>,
) -> Result<StatusCode, Problem> {
    let operator = actor.operator(&state, why.reason.as_deref());
    if operator.unmute(&fingerprint).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found(
            "error",
            "it is not muted; GET /v1/errors tells what is",
        ))
    }
}

impl From<Mute> for MuteView {
    fn from(mute: Mute) -> Self {
        Self {
            reason: mute.reason,
            by: mute.by,
            at: mute.at,
            until: mute.until,
        }
    }
}

fn grouped(jobs: Vec<JobRecord>, mutes: Vec<(String, Mute)>, now: Timestamp) -> Vec<Group> {
    let mutes: HashMap<String, Mute> = mutes.into_iter().collect();
    let mut groups: HashMap<String, Group> = HashMap::new();
    for job in jobs {
        let (message, at) = last_error(&job);
        let group = groups
            .entry(shape(&message))
            .or_insert_with_key(|shape| Group {
                muted: mutes.get(&fingerprint(shape)).cloned().map(Into::into),
                fingerprint: fingerprint(shape),
                message: String::new(),
                dead: 0,
                retryable: 0,
                kinds: BTreeSet::new(),
                tenants: BTreeSet::new(),
                first_at: at,
                last_at: Timestamp::EPOCH,
                per_hour: vec![0; 24],
                jobs: Vec::new(),
            });
        group.add(job, message, at, now);
    }
    let mut groups: Vec<Group> = groups.into_values().collect();
    groups.sort_unstable_by_key(|group| {
        let count = group.jobs.len();
        (
            group.muted.is_some(),
            std::cmp::Reverse((count, group.last_at)),
            group.fingerprint.clone(),
        )
    });
    groups
}

impl Group {
    fn add(&mut self, job: JobRecord, message: String, at: Timestamp, now: Timestamp) {
        if job.state == windlass::State::Dead {
            self.dead += 1;
        } else {
            self.retryable += 1;
        }
        let hours = now.since(at).as_secs() / HOUR.as_secs();
        let place = HOURS.checked_sub(hours + 1).map(usize::try_from);
        if let Some(hour) = place
            .and_then(Result::ok)
            .and_then(|place| self.per_hour.get_mut(place))
        {
            *hour += 1;
        }
        if at >= self.last_at {
            self.last_at = at;
            self.message = message;
        }
        self.first_at = self.first_at.min(at);
        self.kinds.insert(job.kind);
        self.tenants.extend(job.tenant_id);
        self.jobs.push(job.id);
    }
}

/// What the last attempt that left an error says, and when it ended.
fn last_error(job: &JobRecord) -> (String, Timestamp) {
    let attempts = job.all_attempts();
    let failed = attempts.iter().rev().find_map(|attempt| {
        let error = attempt.error.as_ref()?;
        Some((
            error.message.chars().take(LONGEST).collect(),
            attempt.ended_at,
        ))
    });
    failed.unwrap_or_else(|| {
        let at = job.finished_at.unwrap_or(job.enqueued_at);
        ("(without an error)".to_owned(), at)
    })
}

/// The message without what differs from one to the next: numbers, ids, and what is quoted.
fn shape(message: &str) -> String {
    let mut shape = String::with_capacity(message.len());
    let mut quote = None;
    let mut word = String::new();
    for c in message.chars().chain([' ']) {
        if let Some(end) = quote {
            if c == end {
                quote = None;
                shape.push('?');
            }
            continue;
        }
        if c.is_alphanumeric() || c == '-' || c == '_' {
            word.push(c);
            continue;
        }
        let differs = word.chars().any(|c| c.is_ascii_digit());
        shape.push_str(if differs { "#" } else { &word });
        word.clear();
        if matches!(c, '"' | '`') {
            quote = Some(c);
        } else {
            shape.push(c);
        }
    }
    shape
}

fn fingerprint(shape: &str) -> String {
    hex::encode(&Sha256::digest(shape.as_bytes())[..6])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_one_that_differ_in_numbers_ids_and_quoted_words_only() {
        let same = |a: &str, b: &str| assert_eq!(shape(a), shape(b));
        same("timed out after 30 s", "timed out after 1200 s");
        same(
            "no tenant 0198f2a0-0000-7000-8000-0000000000c4 here",
            "no tenant 550e8400-e29b-41d4-a716-446655440000 here",
        );
        same("no route to `mail`", "no route to `a b`");
        assert_ne!(shape("Graph: token expired"), shape("Graph: rate limited"));
        // An open quote takes nothing with it but the rest of its own message.
        assert_eq!(shape("a \"b"), "a ");
    }
}

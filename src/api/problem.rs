//! What a request that failed is answered with: RFC 9457, naming the field and the remedy.
//!
//! `type` is stable: programs may match on it. No answer repeats what the request carried, beyond
//! the names of fields: bodies hold messages of people.

mod access;
mod bounds;
mod parameters;
mod quarantine;

use std::fmt::Display;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use windlass::engine::{EnqueueError, OperatorError, ScheduleError, SignalError};
use windlass::model::{InvalidJob, InvalidSchedule, RetryRefused};
use windlass::{JobId, State, store};

use crate::{platform, telemetry};

const CONTENT_TYPE: &str = "application/problem+json";
const RETRY_SOON: HeaderValue = HeaderValue::from_static("1");

/// An error as the API tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// What kind of problem it is; stable.
    #[serde(rename = "type")]
    #[schema(example = "/problems/invalid-field")]
    kind: &'static str,
    /// The same for people.
    title: &'static str,
    /// The HTTP status.
    #[serde(serialize_with = "code")]
    #[schema(value_type = u16, example = 422)]
    status: StatusCode,
    /// What is wrong, and what to do.
    detail: String,
    /// The field, parameter or header at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "priority")]
    field: Option<String>,
    /// The job that stands in the way.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Uuid)]
    job_id: Option<JobId>,
    /// The state that does not allow it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = super::schema::state)]
    state: Option<State>,
}

impl Problem {
    pub(super) fn new(
        status: StatusCode,
        kind: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            title,
            status,
            detail: detail.into(),
            field: None,
            job_id: None,
            state: None,
        }
    }

    /// Whether the request may have been right.
    pub(super) fn is_ours(&self) -> bool {
        self.status.is_server_error()
    }

    fn on(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    fn about(mut self, job: JobId) -> Self {
        self.job_id = Some(job);
        self
    }

    /// A field of the body is at fault.
    pub(super) fn invalid_field(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "/problems/invalid-field",
            "A field of the request is not valid",
            detail,
        )
        .on(field)
    }

    pub(super) fn malformed_json(line: usize, column: usize) -> Self {
        let detail = format!(
            "the body is not valid JSON from line {line}, column {column}; send one JSON object"
        );
        Self::new(
            StatusCode::BAD_REQUEST,
            "/problems/malformed-json",
            "The body is not JSON",
            detail,
        )
        .on("body")
    }

    pub(super) fn not_json() -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "/problems/not-json",
            "The body is not declared as JSON",
            "send the body as JSON, with the header `content-type: application/json`",
        )
        .on("content-type")
    }

    pub(super) fn unreadable_body() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "/problems/unreadable-body",
            "The body could not be read",
            "the connection broke off before the whole body was read; send it again",
        )
        .on("body")
    }

    pub(super) fn body_too_large() -> Self {
        let detail = "the body is larger than server.request_body_limit_bytes; send less at once, or \
                      store the data elsewhere and pass a reference";
        Self::too_large("body", detail)
    }

    pub(super) fn args_too_large(field: impl Into<String>, size: usize, limit: usize) -> Self {
        let detail = format!(
            "{size} bytes are more than the limit of {limit}; store the data elsewhere and pass a \
             reference"
        );
        Self::too_large(field, detail)
    }

    fn too_large(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "/problems/too-large",
            "The request is too large",
            detail,
        )
        .on(field)
    }

    pub(super) fn not_signed() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "/problems/not-signed",
            "The webhook's signature is missing or wrong",
            "sign the body with the app's secret, in the header `x-hub-signature-256`; the channel \
             needs that secret as `appSecret`",
        )
        .on("x-hub-signature-256")
    }

    pub(super) fn not_verified() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "/problems/not-verified",
            "The webhook is not verified",
            "`hub.mode` must be `subscribe` and `hub.verify_token` the channel's `verifyToken`",
        )
        .on("hub.verify_token")
    }

    pub(super) fn no_such_channel() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "/problems/no-such-channel",
            "Channel configuration not found",
            "the tenant has no such channel, or it is disabled; webhooks come by `whatsapp` and \
             `messenger`",
        )
    }

    pub(super) fn not_a_webhook(error: &crate::ingress::meta::Unreadable) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "/problems/not-a-webhook",
            "The body cannot be read",
            error.to_string(),
        )
    }

    pub(super) fn no_such_route() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "/problems/no-such-route",
            "There is nothing here",
            "no route has this path; /openapi.json lists them all",
        )
    }

    pub(super) fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "/problems/method-not-allowed",
            "The route does not know this method",
            "use one of the methods in the header `allow`; /openapi.json describes them",
        )
    }

    pub(super) fn job_not_found(id: JobId) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "/problems/job-not-found",
            "There is no such job",
            "no job has this id (for this tenant); it may have been deleted by retention",
        )
        .on("id")
        .about(id)
    }

    pub(super) fn flow_not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "/problems/flow-not-found",
            "There is no such flow",
            "no flow has this id (for this tenant); it may have been deleted by retention",
        )
        .on("id")
    }

    pub(super) fn flow_finished() -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "/problems/flow-finished",
            "The flow has finished",
            "all its steps have ended, so there is nothing to cancel; retry it to run steps again",
        )
    }

    /// A flow was not retried, and nothing of it was changed.
    pub(super) fn of_retry(refused: &RetryRefused) -> Self {
        match refused {
            RetryRefused::UnknownStep(_) => Self::impossible_parameter(
                "from",
                "the flow has no step of this name; GET /v1/flows/{id} lists them",
            ),
            refused => Self::new(
                StatusCode::CONFLICT,
                "/problems/flow-not-retried",
                "The flow cannot be retried so",
                refused.to_string(),
            ),
        }
    }

    /// There is no such thing, which is no job.
    pub(super) fn not_found(field: &str, detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "/problems/not-found",
            "There is no such thing",
            detail,
        )
        .on(field)
    }

    /// What an operator wanted of this job was not done.
    pub(super) fn of_operator(error: OperatorError, id: JobId) -> Self {
        match error {
            OperatorError::NotFound { what: "job", .. } => Self::job_not_found(id),
            OperatorError::Unfinished(state) => Self::wrong_state("rerun", id, state),
            other => other.into(),
        }
    }

    pub(super) fn no_policy() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "/problems/no-policy",
            "The queue has no policy",
            "nothing limits this queue; set a policy with PUT",
        )
        .on("queue")
    }

    /// A setting was not changed.
    pub(super) fn from_change(error: store::Error) -> Self {
        match error {
            store::Error::Conflict {
                expected, found, ..
            } => Self::changed_meanwhile(format!(
                "it is at version {found}, not {expected}; read it again and decide anew"
            )),
            other => other.into(),
        }
    }

    /// A setting was not changed: `if-match` is a list, and an empty one holds no version.
    pub(super) fn matches_nothing() -> Self {
        Self::changed_meanwhile("it names no version; send the etag you were given, or no header")
    }

    fn changed_meanwhile(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::PRECONDITION_FAILED,
            "/problems/changed-meanwhile",
            "Somebody else has changed it",
            detail,
        )
        .on("if-match")
    }

    pub(super) fn wrong_state(verb: &str, id: JobId, state: State) -> Self {
        let detail = match (verb, state) {
            ("rerun", state) => {
                format!("a {state} job has not finished; wait for it, or cancel it first")
            }
            ("discard", State::Running) => {
                "a running job cannot be discarded; cancel it instead".to_owned()
            }
            _ => format!(
                "a {state} job cannot be {}; look at its state first",
                past(verb)
            ),
        };
        let problem = Self::new(
            StatusCode::CONFLICT,
            "/problems/wrong-state",
            "The job's state does not allow it",
            detail,
        );
        Self {
            state: Some(state),
            ..problem.about(id)
        }
    }

    pub(super) fn schedule_not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "/problems/schedule-not-found",
            "There is no such schedule",
            "no schedule has this name; GET /v1/schedules lists them all",
        )
        .on("name")
    }

    pub(super) fn schedule_busy(detail: &'static str) -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "/problems/schedule-busy",
            "The schedule cannot run now",
            detail,
        )
    }

    pub(super) fn unique_key_held(by: JobId) -> Self {
        let detail = format!(
            "job {by} holds the unique key; wait until it has finished and its window is over, or \
             cancel it"
        );
        Self::new(
            StatusCode::CONFLICT,
            "/problems/unique-key-held",
            "Another job holds the unique key",
            detail,
        )
        .on("unique.key")
        .about(by)
    }

    pub(super) fn idempotency_mismatch(made: JobId) -> Self {
        let detail = format!(
            "this key was used for another request within the last 24 hours, which made job {made}; \
             use a new key for a new request"
        );
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "/problems/idempotency-mismatch",
            "The idempotency key was used for another request",
            detail,
        )
        .on("idempotency-key")
        .about(made)
    }

    pub(super) fn flow_mismatch() -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "/problems/idempotency-mismatch",
            "The idempotency key was used for another request",
            "this key is the id of a flow that another request has started; use a new key",
        )
        .on("idempotency-key")
    }

    fn unknown_kind(known: &str) -> Self {
        let detail = match known {
            "" => "this program knows no kinds of jobs".to_owned(),
            known => format!("no job of this kind is known; known are {known}"),
        };
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "/problems/unknown-kind",
            "The kind is not known",
            detail,
        )
        .on("kind")
    }

    pub(super) fn timed_out() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "/problems/timed-out",
            "The request took too long",
            "it was given up (server.request_timeout_ms) and may have happened or not; repeat it, \
             with the same idempotency-key if it enqueues",
        )
    }

    pub(super) fn unavailable() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "/problems/unavailable",
            "The database is out of reach",
            "the database cannot be reached or is busy; repeat the request after the time in \
             `retry-after`, with the same idempotency-key if it enqueues",
        )
    }

    pub(super) fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "/problems/internal",
            "Something is wrong with this program",
            "the request failed for a reason of ours; its x-request-id leads to the log",
        )
    }

    /// The same fault within an item of a list.
    pub(super) fn within(mut self, item: impl Display) -> Self {
        self.field = Some(match self.field {
            Some(field) => format!("{item}.{field}"),
            None => item.to_string(),
        });
        self
    }

    /// The same fault under the name that this request knows the field by.
    pub(super) fn renamed(mut self, from: &str, to: &str) -> Self {
        if self.field.as_deref() == Some(from) {
            self.field = Some(to.to_owned());
        }
        self
    }
}

impl From<InvalidJob> for Problem {
    fn from(error: InvalidJob) -> Self {
        Self::invalid_field(error.field, error.problem)
    }
}

impl From<InvalidSchedule> for Problem {
    fn from(error: InvalidSchedule) -> Self {
        Self::invalid_field(error.field, error.problem)
    }
}

impl From<ScheduleError> for Problem {
    fn from(error: ScheduleError) -> Self {
        match error {
            ScheduleError::NotFound => Self::schedule_not_found(),
            ScheduleError::NotPaused => Self::new(
                StatusCode::CONFLICT,
                "/problems/schedule-not-paused",
                "The schedule is not paused",
                "only a paused schedule can be resumed; look at its status first",
            ),
            ScheduleError::Invalid(invalid) => invalid.into(),
            ScheduleError::Store(error) => error.into(),
            other => {
                tracing::error!(error = %other, "a schedule failed in a way this API does not know");
                Self::internal()
            }
        }
    }
}

impl From<EnqueueError> for Problem {
    fn from(error: EnqueueError) -> Self {
        match error {
            EnqueueError::Invalid(invalid) => invalid.into(),
            EnqueueError::UnknownKind { known } => Self::unknown_kind(&known),
            EnqueueError::Rejected(by) => Self::unique_key_held(by),
            EnqueueError::IdempotencyMismatch(made) => Self::idempotency_mismatch(made),
            EnqueueError::Store(error) => error.into(),
            other => {
                tracing::error!(error = %other, "an enqueue failed in a way this API does not know");
                Self::internal()
            }
        }
    }
}

impl From<SignalError> for Problem {
    fn from(error: SignalError) -> Self {
        match error {
            SignalError::Invalid(invalid) => invalid.into(),
            SignalError::Store(error) => error.into(),
            other => {
                tracing::error!(error = %other, "a signal failed in a way this API does not know");
                Self::internal()
            }
        }
    }
}

impl From<OperatorError> for Problem {
    fn from(error: OperatorError) -> Self {
        match error {
            OperatorError::Invalid(invalid) => invalid.into(),
            OperatorError::Enqueue(error) => error.into(),
            OperatorError::Store(error) => error.into(),
            OperatorError::NotFound { what, .. } => Self::not_found(
                "id",
                format!("there is no {what} of this name; list them first"),
            ),
            other => {
                tracing::error!(error = %other, "an operation failed in a way this API does not know");
                Self::internal()
            }
        }
    }
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        telemetry::http::store_failed(&error);
        if error.is_transient() {
            Self::unavailable()
        } else {
            Self::internal()
        }
    }
}

impl From<platform::Error> for Problem {
    fn from(error: platform::Error) -> Self {
        telemetry::http::platform_failed(&error, error.is_transient());
        if error.is_transient() {
            Self::unavailable()
        } else {
            Self::internal()
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status;
        let mut response = (status, axum::Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, RETRY_SOON);
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

fn past(verb: &str) -> String {
    match verb {
        "cancel" => "cancelled".to_owned(),
        "requeue" => "requeued".to_owned(),
        "snooze" => "snoozed".to_owned(),
        "signal" => "signalled".to_owned(),
        verb => format!("{verb}ed"),
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn code<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

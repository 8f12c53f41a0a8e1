use std::time::Duration;

use super::{InvalidJson, JobId, Json, Timestamp};

/// The most jobs one call may enqueue.
pub const MAX_ENQUEUE: usize = 100_000;

/// When a job is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RunAt {
    /// As soon as it is enqueued.
    #[default]
    Now,
    /// This long after it is enqueued, by the store's clock.
    In(Duration),
    /// At this time.
    At(Timestamp),
}

impl RunAt {
    /// The instant, for a job enqueued at `now`. A time gone by means now: no job jumps the queue
    /// by claiming to be old.
    #[must_use]
    pub fn resolve(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Now => now,
            Self::In(delay) => now + delay,
            Self::At(at) => at.max(now),
        }
    }
}

/// What to do when a unique job already exists.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Conflict {
    /// Leave it alone and say which it is.
    #[default]
    ReturnExisting,
    /// Give it the new args, priority and time, unless it is running or finished; say which it is.
    Replace,
    /// Refuse the new job.
    Reject,
}

/// At most one job per key: while one is unfinished and, with a window, for so long after it was
/// enqueued even if it is finished by then.
///
/// Keys are separate for each kind and tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unique {
    /// The key, at most 512 bytes.
    pub key: String,
    /// For how long after the enqueue, besides while it is unfinished.
    pub window: Option<Duration>,
    /// What a second one gets.
    pub conflict: Conflict,
}

/// Makes repeating a request harmless: the same key within the window gives the same job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// Chosen by the caller, at most 512 bytes.
    pub key: String,
    /// Of what was asked; the same key with another digest is refused.
    pub digest: String,
    /// How long the key is remembered.
    pub window: Duration,
}

/// A job to be enqueued.
///
/// ```
/// use std::time::Duration;
/// use windlass::{Json, NewJob, model::RunAt};
///
/// let mut job = NewJob::new("send_report", Json::parse(r#"{"to":"ops"}"#)?);
/// job.run_at = RunAt::In(Duration::from_secs(60));
/// job.priority = 2;
/// job.validate(&Default::default())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJob {
    /// Its name.
    pub id: JobId,
    /// What is to be done.
    pub kind: String,
    /// With what.
    pub args: Json,
    /// Where it waits.
    pub queue: String,
    /// 0 first .. 9.
    pub priority: u8,
    /// When it is due.
    pub run_at: RunAt,
    /// How many attempts it may have, at least 1.
    pub max_attempts: u16,
    /// Free words to find it by.
    pub tags: Vec<String>,
    /// Whose it is.
    pub tenant_id: Option<String>,
    /// What it belongs to, across services.
    pub correlation_id: Option<String>,
    /// W3C trace context of whoever enqueues it.
    pub trace_parent: Option<String>,
    /// At most one of a key.
    pub unique: Option<Unique>,
    /// Jobs with one key (per tenant) run strictly in order, one at a time.
    pub ordering_key: Option<String>,
    /// What a queue's limits per key count it by; its tenant if it names none.
    pub limit_key: Option<String>,
    /// Makes repeating the enqueue harmless.
    pub idempotency: Option<Idempotency>,
    /// Whether the args are encrypted before they reach a store.
    pub seal: bool,
    /// Args of more bytes than this are compressed before they reach a store.
    pub compress_above: Option<usize>,
}

/// What an enqueue did with one job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Enqueued {
    /// It is a row now.
    Inserted(JobId),
    /// Another job stands for it.
    Duplicate(JobId),
    /// The other job stands for it and took over its args, priority and time.
    Replaced(JobId),
    /// Refused, because this one holds its unique key ([`Conflict::Reject`]).
    Rejected(JobId),
    /// Refused, because its idempotency key was used for another request, which made this job.
    IdempotencyMismatch(JobId),
}

impl Enqueued {
    /// The job that stands for the request now.
    pub const fn id(self) -> JobId {
        match self {
            Self::Inserted(id)
            | Self::Duplicate(id)
            | Self::Replaced(id)
            | Self::Rejected(id)
            | Self::IdempotencyMismatch(id) => id,
        }
    }

    /// Whether a row was made.
    pub const fn is_inserted(self) -> bool {
        matches!(self, Self::Inserted(_))
    }
}

/// Bounds on what may be enqueued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest args, in bytes.
    pub max_args_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_args_bytes: 1024 * 1024,
        }
    }
}

/// Why a job cannot be enqueued: the field, what is wrong with it, what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct InvalidJob {
    /// The field at fault.
    pub field: &'static str,
    /// What is wrong and what would be right.
    pub problem: String,
}

impl InvalidJob {
    /// A fault of a field.
    pub fn new(field: &'static str, problem: impl Into<String>) -> Self {
        Self {
            field,
            problem: problem.into(),
        }
    }
}

impl From<InvalidJson> for InvalidJob {
    fn from(error: InvalidJson) -> Self {
        Self::new("args", error.to_string())
    }
}

impl NewJob {
    /// The queue of jobs that name none.
    pub const DEFAULT_QUEUE: &'static str = "default";
    /// The priority of jobs that name none.
    pub const DEFAULT_PRIORITY: u8 = 5;
    /// The attempts of jobs that name none.
    pub const DEFAULT_MAX_ATTEMPTS: u16 = 10;

    /// A job with default options.
    pub fn new(kind: impl Into<String>, args: Json) -> Self {
        Self {
            id: JobId::new(),
            kind: kind.into(),
            args,
            queue: Self::DEFAULT_QUEUE.to_owned(),
            priority: Self::DEFAULT_PRIORITY,
            run_at: RunAt::Now,
            max_attempts: Self::DEFAULT_MAX_ATTEMPTS,
            tags: Vec::new(),
            tenant_id: None,
            correlation_id: None,
            trace_parent: None,
            unique: None,
            ordering_key: None,
            limit_key: None,
            idempotency: None,
            seal: false,
            compress_above: None,
        }
    }

    /// The full unique key: one space of keys for each kind and tenant.
    pub fn unique_scope(&self) -> Option<String> {
        let unique = self.unique.as_ref()?;
        let tenant = self.tenant_id.as_deref().unwrap_or_default();
        Some(format!(
            "unique\u{1f}{}\u{1f}{tenant}\u{1f}{}",
            self.kind, unique.key
        ))
    }

    /// The full idempotency key: one space of keys for each tenant.
    pub fn idempotency_scope(&self) -> Option<String> {
        let idempotency = self.idempotency.as_ref()?;
        let tenant = self.tenant_id.as_deref().unwrap_or_default();
        Some(format!(
            "idempotency\u{1f}{tenant}\u{1f}{}",
            idempotency.key
        ))
    }

    /// Checks every field; the first fault is named.
    pub fn validate(&self, limits: &Limits) -> Result<(), InvalidJob> {
        name("kind", &self.kind, 128)?;
        name("queue", &self.queue, 128)?;
        if self.priority > 9 {
            let problem = format!(
                "{} is not a priority; use 0 (first) to 9 (last)",
                self.priority
            );
            return Err(InvalidJob::new("priority", problem));
        }
        if self.max_attempts == 0 || self.max_attempts > 1000 {
            let problem = format!("{} is out of range; use 1 to 1000", self.max_attempts);
            return Err(InvalidJob::new("max_attempts", problem));
        }
        let size = self.args.as_str().len();
        if size > limits.max_args_bytes {
            let problem = format!(
                "{size} bytes are more than the limit of {}; store the data elsewhere and pass a \
                 reference",
                limits.max_args_bytes
            );
            return Err(InvalidJob::new("args", problem));
        }
        if self.tags.len() > 32 {
            return Err(InvalidJob::new("tags", "more than 32 tags; use fewer"));
        }
        for tag in &self.tags {
            text("tags", tag, 128)?;
        }
        for (field, value) in [
            ("tenant_id", self.tenant_id.as_deref()),
            ("correlation_id", self.correlation_id.as_deref()),
            ("trace_parent", self.trace_parent.as_deref()),
            ("ordering_key", self.ordering_key.as_deref()),
            ("limit_key", self.limit_key.as_deref()),
            ("unique.key", self.unique.as_ref().map(|u| u.key.as_str())),
            (
                "idempotency_key",
                self.idempotency.as_ref().map(|i| i.key.as_str()),
            ),
        ] {
            if let Some(value) = value {
                text(field, value, 512)?;
            }
        }
        window("unique.window", self.unique.as_ref().and_then(|u| u.window))?;
        window(
            "idempotency.window",
            self.idempotency.as_ref().map(|i| i.window),
        )?;
        Ok(())
    }
}

/// Checks the name and the payload of a signal.
pub(crate) fn validate_signal(
    name: &str,
    payload: &Json,
    limits: Limits,
) -> Result<(), InvalidJob> {
    text("signal", name, 128)?;
    let (size, most) = (payload.as_str().len(), limits.max_args_bytes);
    if size > most {
        let problem = format!("{size} bytes are more than the limit of {most}; pass a reference");
        return Err(InvalidJob::new("payload", problem));
    }
    Ok(())
}

/// A word that appears in metrics, URLs and configuration.
pub(super) fn name(field: &'static str, value: &str, most: usize) -> Result<(), InvalidJob> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_-.:/".contains(c);
    if value.is_empty() || value.len() > most || !value.chars().all(fits) {
        let problem = format!(
            "must be 1 to {most} characters out of letters, digits and _ - . : / (got {} bytes)",
            value.len()
        );
        return Err(InvalidJob::new(field, problem));
    }
    Ok(())
}

/// A window in which nothing fits would be held on one store and free on another.
fn window(field: &'static str, window: Option<Duration>) -> Result<(), InvalidJob> {
    match window {
        Some(window) if window < Duration::from_micros(1) => Err(InvalidJob::new(
            field,
            "is empty; use at least a microsecond, or leave it out",
        )),
        _ => Ok(()),
    }
}

/// Any text that a store can keep and a log line can carry.
pub(super) fn text(field: &'static str, value: &str, most: usize) -> Result<(), InvalidJob> {
    if value.is_empty() || value.len() > most {
        let problem = format!("must be 1 to {most} bytes (got {})", value.len());
        return Err(InvalidJob::new(field, problem));
    }
    if value.chars().any(char::is_control) {
        return Err(InvalidJob::new(
            field,
            "holds control characters; take them out",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(change: impl FnOnce(&mut NewJob)) -> InvalidJob {
        let mut job = NewJob::new("kind", Json::empty_object());
        assert_eq!(job.validate(&Limits::default()), Ok(()));
        change(&mut job);
        job.validate(&Limits::default()).unwrap_err()
    }

    #[test]
    fn each_fault_names_its_field_and_the_remedy() {
        assert_eq!(fault(|j| j.kind = String::new()).field, "kind");
        assert_eq!(fault(|j| j.kind = "a b".into()).field, "kind");
        assert_eq!(fault(|j| j.queue = "x".repeat(129)).field, "queue");
        assert_eq!(
            fault(|j| j.priority = 10).to_string(),
            "priority: 10 is not a priority; use 0 (first) to 9 (last)"
        );
        assert_eq!(fault(|j| j.max_attempts = 0).field, "max_attempts");
        assert_eq!(fault(|j| j.tags = vec!["t".into(); 33]).field, "tags");
        assert_eq!(fault(|j| j.tags = vec!["a\0b".into()]).field, "tags");
        assert_eq!(
            fault(|j| j.ordering_key = Some(String::new())).field,
            "ordering_key"
        );
        let unique = |window| Unique {
            key: "k".into(),
            window: Some(window),
            conflict: Conflict::Reject,
        };
        assert_eq!(
            fault(|j| j.unique = Some(unique(Duration::ZERO))).to_string(),
            "unique.window: is empty; use at least a microsecond, or leave it out"
        );
        assert_eq!(
            fault(|j| {
                j.idempotency = Some(Idempotency {
                    key: "k".into(),
                    digest: "d".into(),
                    window: Duration::from_nanos(999),
                });
            })
            .field,
            "idempotency.window"
        );
        let big = Json::encode(&"x".repeat(1024 * 1024)).unwrap();
        let fault = fault(|j| j.args = big);
        assert_eq!(fault.field, "args");
        assert!(
            fault
                .problem
                .contains("1048578 bytes are more than the limit of 1048576")
        );
    }

    #[test]
    fn a_time_gone_by_means_now() {
        let now = Timestamp::from_micros(1_000);
        assert_eq!(RunAt::At(Timestamp::EPOCH).resolve(now), now);
        assert_eq!(
            RunAt::In(Duration::from_micros(1)).resolve(now),
            Timestamp::from_micros(1_001)
        );
    }
}

use std::future::Future;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::backoff::Backoff;
use super::context::Context;
use crate::model::{InvalidJson, Json, NewJob, Timestamp, Unique};

/// A piece of work that survives the process: a struct that is its own args, and how to do it.
///
/// It runs **at least once**. Whatever it does outside its own database transaction must bear being
/// done again; what must happen exactly once belongs in [`Context::commit`].
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use windlass::{Context, Job, Outcome};
///
/// #[derive(Serialize, Deserialize)]
/// struct Greet { name: String }
///
/// impl Job for Greet {
///     const KIND: &'static str = "greet";
///     type Services = ();
///
///     async fn run(self, _cx: Context<()>) -> anyhow::Result<Outcome> {
///         Ok(Outcome::complete_with(&format!("Hello, {}!", self.name))?)
///     }
/// }
/// ```
pub trait Job: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The name that stored rows carry for ever: rename the struct freely, this never.
    const KIND: &'static str;

    /// Names it had before: rows stored under them still run, and an enqueue under one of them is
    /// stored under [`Job::KIND`]. To rename a kind, put its old name here and leave it.
    const ALIASES: &'static [&'static str] = &[];

    /// What it works with: pools, clients, configuration. Cheap to clone.
    type Services: Clone + Send + Sync + 'static;

    /// How it is queued, retried and bounded.
    fn options() -> JobOptions {
        JobOptions::default()
    }

    /// Jobs with the same key (within a tenant) run strictly in the order they were enqueued, one at
    /// a time.
    fn ordering_key(&self) -> Option<String> {
        None
    }

    /// What its queue's limits per key count it by, such as an account at a provider; its tenant if it
    /// names none. See [`QueuePolicy::per_key`](crate::model::QueuePolicy::per_key).
    fn limit_key(&self) -> Option<String> {
        None
    }

    /// At most one job per key.
    fn unique(&self) -> Option<Unique> {
        None
    }

    /// What of its args, result and progress is hidden from whoever looks at the job: JSON pointers, in
    /// which `*` stands for any member or element.
    ///
    /// ```
    /// # use windlass::engine::redact;
    /// # let args = windlass::Json::parse(r#"{"to":"a","parts":[{"text":"hello"}]}"#).unwrap();
    /// let shown = redact(&args, &["/parts/*/text"]);
    /// assert_eq!(shown.as_str(), r#"{"to":"a","parts":[{"text":"[redacted]"}]}"#);
    /// ```
    fn redact() -> &'static [&'static str] {
        &[]
    }

    /// Whose it is.
    fn tenant(&self) -> Option<&str> {
        None
    }

    /// Does it. The value says what becomes of the job; an error means that this attempt failed and
    /// is retried with backoff, unless it is [`permanent`](super::permanent).
    fn run(
        self,
        cx: Context<Self::Services>,
    ) -> impl Future<Output = anyhow::Result<Outcome>> + Send;
}

/// How jobs of one kind are queued, retried and bounded.
#[derive(Debug, Clone, PartialEq)]
pub struct JobOptions {
    /// Where they wait.
    pub queue: &'static str,
    /// 0 first .. 9.
    pub priority: u8,
    /// How many attempts they get.
    pub max_attempts: u16,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// How long to wait between attempts.
    pub backoff: Backoff,
    /// How long a lease lasts before the job is taken for lost; renewed at a third of it for as long
    /// as the attempt runs. `None` means the engine's own.
    pub lease: Option<Duration>,
    /// Whether args, results and checkpoints are encrypted at rest; needs a
    /// [`KeyRing`](super::KeyRing). Progress and errors are not: keep them free of secrets.
    pub seal: bool,
    /// Args, results and checkpoints of more bytes than this are stored compressed.
    pub compress_above: Option<usize>,
}

impl Default for JobOptions {
    fn default() -> Self {
        Self {
            queue: NewJob::DEFAULT_QUEUE,
            priority: NewJob::DEFAULT_PRIORITY,
            max_attempts: NewJob::DEFAULT_MAX_ATTEMPTS,
            timeout: Duration::from_mins(5),
            backoff: Backoff::default(),
            lease: None,
            seal: false,
            compress_above: None,
        }
    }
}

/// What becomes of a job whose attempt did not fail.
#[derive(Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// Done.
    Complete {
        /// Kept with the finished job.
        result: Option<Json>,
    },
    /// Run again after this long; uses no attempt.
    Snooze(Duration),
    /// Run again once a signal has come: see [`Outcome::await_signal`].
    AwaitSignal {
        /// Which.
        name: String,
        /// How long at most.
        at_most: Duration,
    },
    /// Run again at this time; uses the attempt.
    RetryAt(Timestamp),
    /// Stop for good: there is no longer a need.
    Cancel {
        /// Kept with the attempt.
        reason: String,
    },
    /// Set aside as a dead letter: it can never succeed.
    Discard {
        /// Kept with the attempt.
        reason: String,
    },
    /// Already recorded as completed by [`Context::commit`].
    Committed(Committed),
}

/// Proof that a job's completion is durable. Only [`Context::commit`] makes one.
#[derive(Debug)]
pub struct Committed(pub(super) ());

impl Outcome {
    /// Done.
    pub const fn complete() -> Self {
        Self::Complete { result: None }
    }

    /// Done, with a result to keep.
    pub fn complete_with<T: Serialize + ?Sized>(result: &T) -> Result<Self, InvalidJson> {
        Ok(Self::Complete {
            result: Some(Json::encode(result)?),
        })
    }

    /// Run again after this long; uses no attempt.
    pub const fn snooze(delay: Duration) -> Self {
        Self::Snooze(delay)
    }

    /// Stop for good.
    pub fn cancel(reason: impl Into<String>) -> Self {
        Self::Cancel {
            reason: reason.into(),
        }
    }

    /// Set aside as a dead letter.
    pub fn discard(reason: impl Into<String>) -> Self {
        Self::Discard {
            reason: reason.into(),
        }
    }
}

use std::fmt::{self, Write as _};

use serde::Serialize;
use serde_json::Value;

use super::all;
use crate::engine::{Client, Job};
use crate::model::{JobRecord, State};
use crate::store::Error;

/// Jobs as they stood at one moment, oldest first.
pub struct Jobs {
    jobs: Vec<(JobRecord, Option<Value>)>,
}

/// All jobs of a store, finished ones too: up to 1000.
pub async fn jobs(client: &Client) -> Result<Jobs, Error> {
    Ok(Jobs::new(client, all(&**client.store()).await?))
}

/// Which job is looked for: of a kind, and with whatever else is said.
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// # use windlass::{Context, Job, Outcome};
/// # use windlass::testing::Expect;
/// # #[derive(Serialize, Deserialize)]
/// # struct Greet { name: String }
/// # impl Job for Greet {
/// #     const KIND: &'static str = "greet";
/// #     type Services = ();
/// #     async fn run(self, _: Context<()>) -> anyhow::Result<Outcome> { Ok(Outcome::complete()) }
/// # }
/// let expected = Expect::of::<Greet>()
///     .args(&serde_json::json!({"name": "Ada"}))
///     .tenant("acme")
///     .times(1);
/// assert_eq!(expected.to_string(), r#"1 greet of tenant acme with args {"name":"Ada"}"#);
/// ```
#[derive(Debug, Clone)]
pub struct Expect {
    kind: &'static str,
    args: Option<Value>,
    queue: Option<String>,
    tenant: Option<String>,
    tag: Option<String>,
    state: Option<State>,
    times: Option<usize>,
}

impl Expect {
    /// A job of this kind.
    #[must_use]
    pub fn of<J: Job>() -> Self {
        Self {
            kind: J::KIND,
            args: None,
            queue: None,
            tenant: None,
            tag: None,
            state: None,
            times: None,
        }
    }

    /// With these args: of an object the members that are given, else the whole value.
    ///
    /// # Panics
    /// If the value cannot be written as JSON.
    #[must_use]
    pub fn args<T: Serialize + ?Sized>(mut self, args: &T) -> Self {
        self.args = Some(serde_json::to_value(args).expect("expected args must be JSON"));
        self
    }

    /// In this queue.
    #[must_use]
    pub fn queue(mut self, queue: impl Into<String>) -> Self {
        self.queue = Some(queue.into());
        self
    }

    /// Of this tenant.
    #[must_use]
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    /// With this tag.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tag = Some(tag.into());
        self
    }

    /// In this state.
    #[must_use]
    pub fn state(mut self, state: State) -> Self {
        self.state = Some(state);
        self
    }

    /// Exactly so often; at least once if this is left out.
    #[must_use]
    pub fn times(mut self, times: usize) -> Self {
        self.times = Some(times);
        self
    }

    /// What of it a job does not meet.
    fn unmet(&self, job: &JobRecord, args: Option<&Value>) -> Vec<&'static str> {
        let asked = |name, wrong: bool| wrong.then_some(name);
        let tags = |tag: &String| !job.tags.contains(tag);
        [
            asked(
                "args",
                self.args
                    .as_ref()
                    .is_some_and(|part| !args.is_some_and(|all| holds(all, part))),
            ),
            asked(
                "queue",
                self.queue.as_ref().is_some_and(|queue| *queue != job.queue),
            ),
            asked(
                "tenant",
                self.tenant.is_some() && self.tenant != job.tenant_id,
            ),
            asked("tag", self.tag.as_ref().is_some_and(tags)),
            asked("state", self.state.is_some_and(|state| state != job.state)),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.times {
            Some(times) => write!(f, "{times} {}", self.kind)?,
            None => write!(f, "a {}", self.kind)?,
        }
        let state = self.state.map(State::as_str);
        for (word, value) in [
            ("in queue", self.queue.as_deref()),
            ("of tenant", self.tenant.as_deref()),
            ("tagged", self.tag.as_deref()),
            ("in state", state),
        ] {
            if let Some(value) = value {
                write!(f, " {word} {value}")?;
            }
        }
        match &self.args {
            Some(args) => write!(f, " with args {args}"),
            None => Ok(()),
        }
    }
}

impl Jobs {
    pub(super) fn new(client: &Client, newest_first: Vec<JobRecord>) -> Self {
        let jobs = newest_first.into_iter().rev().map(|job| {
            let args = client.args_of(&job).ok();
            let args = args.and_then(|args| args.decode().ok());
            (job, args)
        });
        Self {
            jobs: jobs.collect(),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Each, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &JobRecord> {
        self.jobs.iter().map(|(job, _)| job)
    }

    /// The jobs that are looked for, oldest first.
    ///
    /// # Panics
    /// If there are none, or not as many as were said; tells what there is instead.
    #[track_caller]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a sentence, said once: assert_enqueued(Expect::of..)"
    )]
    pub fn assert_enqueued(&self, expected: Expect) -> Vec<&JobRecord> {
        let found = self.matching(&expected);
        let enough = expected
            .times
            .map_or(!found.is_empty(), |times| found.len() == times);
        assert!(enough, "{}", self.instead(&expected, found.len()));
        found
    }

    /// # Panics
    /// If there is such a job.
    #[track_caller]
    pub fn assert_not_enqueued(&self, expected: Expect) {
        self.assert_enqueued(expected.times(0));
    }

    fn matching(&self, expected: &Expect) -> Vec<&JobRecord> {
        let of_kind = self
            .jobs
            .iter()
            .filter(|(job, _)| job.kind == expected.kind);
        of_kind
            .filter(|(job, args)| expected.unmet(job, args.as_ref()).is_empty())
            .map(|(job, _)| job)
            .collect()
    }

    fn instead(&self, expected: &Expect, found: usize) -> String {
        let mut told = format!(
            "expected {expected}; found {found} among {} jobs:",
            self.jobs.len()
        );
        for (job, args) in &self.jobs {
            let unmet = if job.kind == expected.kind {
                expected.unmet(job, args.as_ref())
            } else {
                vec!["kind"]
            };
            let verdict = if unmet.is_empty() {
                "matches".to_owned()
            } else {
                format!("other {}", unmet.join(", "))
            };
            let args = args
                .as_ref()
                .map_or_else(|| "(unreadable)".to_owned(), Value::to_string);
            let (kind, queue, state) = (&job.kind, &job.queue, job.state);
            let tenant = job.tenant_id.as_deref().unwrap_or("no tenant");
            let _ = write!(
                told,
                "\n  {verdict}: {kind} in {queue}, {state}, {tenant}, {args}"
            );
        }
        told
    }
}

/// Whether `part` is all or some of `all`: members of objects may be left out, elements of arrays not.
fn holds(all: &Value, part: &Value) -> bool {
    match (all, part) {
        (Value::Object(all), Value::Object(part)) => part
            .iter()
            .all(|(name, part)| all.get(name).is_some_and(|all| holds(all, part))),
        (Value::Array(all), Value::Array(part)) => {
            all.len() == part.len() && all.iter().zip(part).all(|(all, part)| holds(all, part))
        }
        _ => all == part,
    }
}

impl fmt::Debug for Jobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

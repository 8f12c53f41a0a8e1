use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::context::Context;
use super::failure::permanent;
use super::job::{Job, JobOptions, Outcome};
use crate::model::{InvalidJob, Json, NewJob};

type Run<S> =
    Arc<dyn Fn(Context<S>, &Json) -> BoxFuture<'static, anyhow::Result<Outcome>> + Send + Sync>;
type Prepare = fn(Json) -> Result<NewJob, InvalidJob>;

/// The kinds of jobs this program knows, each under its name.
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// # use windlass::{Context, Job, Outcome, Registry};
/// # #[derive(Serialize, Deserialize)]
/// # struct Greet {}
/// # impl Job for Greet {
/// #     const KIND: &'static str = "greet";
/// #     type Services = ();
/// #     async fn run(self, _: Context<()>) -> anyhow::Result<Outcome> { Ok(Outcome::complete()) }
/// # }
/// let registry = Registry::new(()).register::<Greet>();
/// assert_eq!(registry.catalogue().kinds().collect::<Vec<_>>(), ["greet"]);
/// ```
pub struct Registry<S> {
    services: S,
    runners: BTreeMap<&'static str, Run<S>>,
    catalogue: Catalogue,
}

/// What is known of each kind, for whoever enqueues: no handler, no services.
#[derive(Debug, Clone, Default)]
pub struct Catalogue(Arc<BTreeMap<&'static str, KindInfo>>);

/// What is known of one kind.
#[derive(Clone)]
pub struct KindInfo {
    /// How its jobs are queued, retried and bounded.
    pub options: JobOptions,
    prepare: Prepare,
}

impl<S: Clone + Send + Sync + 'static> Registry<S> {
    /// No kinds yet; `services` is what every job gets to work with.
    pub fn new(services: S) -> Self {
        Self {
            services,
            runners: BTreeMap::new(),
            catalogue: Catalogue::default(),
        }
    }

    /// Adds a kind.
    ///
    /// # Panics
    /// If the kind is there already: two handlers for one name is a mistake that must not start.
    #[must_use]
    pub fn register<J: Job<Services = S>>(mut self) -> Self {
        let run: Run<S> = Arc::new(|cx, args| match args.decode::<J>() {
            Ok(job) => Box::pin(job.run(cx)),
            // No repetition makes stored args decode; a newer program may, by requeue.
            Err(error) => Box::pin(std::future::ready(Err(permanent(undecodable::<J>(&error))))),
        });
        assert!(
            self.runners.insert(J::KIND, run).is_none(),
            "kind {} registered twice",
            J::KIND
        );
        let info = KindInfo {
            options: J::options(),
            prepare: prepare_args::<J>,
        };
        Arc::make_mut(&mut self.catalogue.0).insert(J::KIND, info);
        self
    }

    /// What is known of each kind.
    pub fn catalogue(&self) -> Catalogue {
        self.catalogue.clone()
    }

    /// What every job gets to work with.
    pub(super) fn services(&self) -> &S {
        &self.services
    }

    pub(super) fn runner(&self, kind: &str) -> Option<&Run<S>> {
        self.runners.get(kind)
    }
}

impl Catalogue {
    /// Every kind, sorted.
    pub fn kinds(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }

    /// One kind.
    pub fn get(&self, kind: &str) -> Option<&KindInfo> {
        self.0.get(kind)
    }
}

impl KindInfo {
    /// A job of this kind with its own options and keys; args that do not decode are refused.
    pub fn prepare(&self, args: Json) -> Result<NewJob, InvalidJob> {
        (self.prepare)(args)
    }
}

/// A job as its kind wants it enqueued.
pub(super) fn prepare<J: Job>(job: &J) -> Result<NewJob, InvalidJob> {
    Ok(with_options(job, Json::encode(job)?))
}

fn prepare_args<J: Job>(args: Json) -> Result<NewJob, InvalidJob> {
    let job: J = args
        .decode()
        .map_err(|error| InvalidJob::new("args", undecodable::<J>(&error).to_string()))?;
    Ok(with_options(&job, args))
}

fn with_options<J: Job>(job: &J, args: Json) -> NewJob {
    let options = J::options();
    NewJob {
        queue: options.queue.to_owned(),
        priority: options.priority,
        max_attempts: options.max_attempts,
        tenant_id: job.tenant().map(ToOwned::to_owned),
        unique: job.unique(),
        ordering_key: job.ordering_key(),
        ..NewJob::new(J::KIND, args)
    }
}

/// Says which field is at fault, never what it holds: args may carry message bodies.
fn undecodable<J: Job>(error: &serde_json::Error) -> anyhow::Error {
    let text = error.to_string();
    let safe = ["missing field", "unknown field", "duplicate field"]
        .iter()
        .any(|known| text.starts_with(known));
    if safe {
        anyhow::anyhow!("args of {} do not decode: {text}", J::KIND)
    } else {
        anyhow::anyhow!(
            "args of {} do not decode: a value at line {}, column {} has the wrong type or form",
            J::KIND,
            error.line(),
            error.column()
        )
    }
}

impl<S> fmt::Debug for Registry<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.runners.keys()).finish()
    }
}

impl fmt::Debug for KindInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.options.fmt(f)
    }
}

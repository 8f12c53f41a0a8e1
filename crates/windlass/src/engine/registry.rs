use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};

use super::bulk::is_internal;
use super::bulk::{self, Bulk};
use super::bulk_job::{BulkJob, BulkWindow, Collector};
use super::context::Context;
use super::executor::Ended;
use super::failure::permanent;
use super::job::{Job, JobOptions, Outcome};
use super::redact;
use super::runtime::InvalidOptions;
use super::sealing::{KeyRing, NoKeys};
use crate::model::{InvalidJob, Json, NewJob};

type Run<S> =
    Arc<dyn Fn(Context<S>, &Json) -> BoxFuture<'static, Result<Outcome, Ended>> + Send + Sync>;
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
#[derive(Clone)]
pub struct Registry<S> {
    services: S,
    runners: BTreeMap<&'static str, Run<S>>,
    catalogue: Catalogue,
}

/// What is known of each kind, for whoever enqueues: no handler, no services.
#[derive(Debug, Clone, Default)]
pub struct Catalogue(Arc<Kinds>);

#[derive(Debug, Clone, Default)]
struct Kinds {
    infos: BTreeMap<&'static str, KindInfo>,
    aliases: BTreeMap<&'static str, &'static str>,
}

/// What is known of one kind.
#[derive(Clone)]
pub struct KindInfo {
    /// Its name.
    pub kind: &'static str,
    /// Names it had before.
    pub aliases: &'static [&'static str],
    /// What is hidden from whoever looks at its jobs; see [`Job::redact`].
    pub redact: &'static [&'static str],
    /// How its jobs are queued, retried and bounded.
    pub options: JobOptions,
    /// Which of its jobs are done together; `None` if they are done one by one.
    pub window: Option<BulkWindow>,
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
    /// If the kind, or one of its aliases, is there already: two handlers for one name is a mistake that
    /// must not start.
    #[must_use]
    pub fn register<J: Job<Services = S>>(self) -> Self {
        let run: Run<S> = Arc::new(|cx, args| match decoded::<J>(args) {
            Ok(job) => async move { job.run(cx).await.map_err(Ended::failed) }.boxed(),
            Err(ended) => ready(Err(ended)).boxed(),
        });
        self.add::<J>(&run, None)
    }

    /// Adds a kind whose jobs are done many at once; see [`BulkJob`].
    ///
    /// # Panics
    /// As [`Registry::register`] does.
    #[must_use]
    pub fn register_bulk<J: BulkJob<Services = S>>(self) -> Self {
        let window = J::window();
        let collector = Collector::<J>::new(window);
        let run: Run<S> = Arc::new(move |cx, args| match decoded::<J>(args) {
            Ok(job) => Arc::clone(&collector).join(job, cx).boxed(),
            Err(ended) => ready(Err(ended)).boxed(),
        });
        self.add::<J>(&run, Some(window))
    }

    fn add<J: Job<Services = S>>(mut self, run: &Run<S>, window: Option<BulkWindow>) -> Self {
        for name in [J::KIND].iter().chain(J::ALIASES) {
            assert!(
                self.runners.insert(name, Arc::clone(run)).is_none(),
                "kind {name} registered twice"
            );
        }
        let info = KindInfo {
            kind: J::KIND,
            aliases: J::ALIASES,
            redact: J::redact(),
            options: J::options(),
            window,
            prepare: prepare_args::<J>,
        };
        let kinds = Arc::make_mut(&mut self.catalogue.0);
        kinds.infos.insert(J::KIND, info);
        kinds
            .aliases
            .extend(J::ALIASES.iter().map(|alias| (*alias, J::KIND)));
        self
    }

    /// Seals these kinds too, whatever their own options say: for programs that leave it to whoever runs
    /// them.
    pub fn seal<'a>(
        mut self,
        kinds: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, InvalidOptions> {
        let known = Arc::make_mut(&mut self.catalogue.0);
        for kind in kinds {
            let Some(info) = known.infos.get_mut(kind) else {
                let all = known.infos.keys().copied().collect::<Vec<_>>().join(", ");
                return Err(InvalidOptions {
                    field: "seal",
                    problem: format!("there is no kind {kind}; known are {all}"),
                });
            };
            info.options.seal = true;
        }
        Ok(self)
    }

    /// Adds what the engine runs for itself. It is in no catalogue: nobody enqueues it by name.
    pub(super) fn with_internal(mut self) -> Self {
        let run: Run<S> = Arc::new(|cx, args| match args.decode::<Bulk>() {
            Ok(bulk) => async move { bulk.run(cx).await.map_err(Ended::failed) }.boxed(),
            Err(error) => ready(Err(Ended::failed(permanent(error)))).boxed(),
        });
        self.runners.insert(bulk::KIND, run);
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
        self.0.infos.keys().copied()
    }

    /// One kind, by its name or one it had before.
    pub fn get(&self, kind: &str) -> Option<&KindInfo> {
        let name = self.0.aliases.get(kind).copied().unwrap_or(kind);
        self.0.infos.get(name)
    }

    /// Refuses kinds that are to be sealed with a ring that holds no key.
    pub fn check_keys(&self, keys: &KeyRing) -> Result<(), NoKeys> {
        match self.0.infos.values().find(|info| info.options.seal) {
            Some(info) if keys.is_empty() => Err(NoKeys {
                kind: info.kind.to_owned(),
            }),
            _ => Ok(()),
        }
    }

    /// A value of a job as anyone may see it who may see the job: what its kind redacts is hidden, and
    /// of a sealed value all. Of a kind that nobody registered only the shape is shown; the engine's own
    /// hold filters and counts, and nothing to hide.
    pub fn redacted(&self, kind: &str, json: &Json) -> Json {
        let own: Option<&[&str]> = is_internal(kind).then_some(&[]);
        redact::shown(own.or_else(|| self.get(kind).map(|info| info.redact)), json)
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
        limit_key: job.limit_key(),
        seal: options.seal,
        compress_above: options.compress_above,
        ..NewJob::new(J::KIND, args)
    }
}

fn decoded<J: Job>(args: &Json) -> Result<J, Ended> {
    // No repetition makes stored args decode; a newer program may, by requeue.
    args.decode()
        .map_err(|error| Ended::failed(permanent(undecodable::<J>(&error))))
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

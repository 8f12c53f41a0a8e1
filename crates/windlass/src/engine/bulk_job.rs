//! Kinds whose jobs are done many at once: what they are, and how their attempts come together.
//!
//! Each attempt stays what it is, with its own slot, lease, deadline and end; only where it would run its
//! job it joins others, whose jobs one call of the handler does.

use std::future::Future;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use super::context::{Attempt, Context};
use super::executor::{Ended, caught};
use super::job::{Job, Outcome};
use super::registry::Catalogue;
use super::runtime::InvalidOptions;
use crate::model::Lease;
use crate::telemetry;

/// A [`Job`] of which many are done at once, such as rows to insert or texts to embed.
///
/// [`Registry::register_bulk`](super::Registry::register_bulk) gives a worker's jobs of the kind to
/// [`run_many`](Self::run_many), as many as come together in a [`window`](Self::window). Each keeps its own
/// attempt, lease, time-out, cancellation and outcome. Registered with
/// [`Registry::register`](super::Registry::register), they are done one by one.
///
/// ```
/// use std::time::Duration;
///
/// use serde::{Deserialize, Serialize};
/// use windlass::engine::{BulkJob, BulkWindow};
/// use windlass::{Context, Job, Outcome, Registry};
///
/// #[derive(Serialize, Deserialize)]
/// struct Index { document: u64 }
///
/// impl Job for Index {
///     const KIND: &'static str = "index";
///     type Services = ();
///
///     async fn run(self, cx: Context<()>) -> anyhow::Result<Outcome> {
///         self.run_alone(cx).await
///     }
/// }
///
/// impl BulkJob for Index {
///     fn window() -> BulkWindow {
///         BulkWindow { max: 20, wait: Duration::from_millis(50) }
///     }
///
///     async fn run_many(jobs: Vec<(Self, Context<()>)>) -> Vec<anyhow::Result<Outcome>> {
///         jobs.iter().map(|_| Ok(Outcome::complete())).collect()
///     }
/// }
///
/// let registry = Registry::new(()).register_bulk::<Index>();
/// # assert_eq!(registry.catalogue().get("index").unwrap().window, Some(Index::window()));
/// ```
pub trait BulkJob: Job {
    /// How many at once, and how long the first waits for others.
    fn window() -> BulkWindow;

    /// Does them. Answers for each, in their order, what [`Job::run`] would: a job's error is its alone.
    /// Another number of answers, or a panic, fails them all.
    ///
    /// Each context tells when *its* job is to end. Of a job that was told to and is not given up, the
    /// answer no longer counts after a short grace; the others go on. When nobody waits for any of them
    /// any more, this is dropped.
    fn run_many(
        jobs: Vec<(Self, Context<Self::Services>)>,
    ) -> impl Future<Output = Vec<anyhow::Result<Outcome>>> + Send;

    /// Does this one by itself: what [`Job::run`] of such a kind is.
    fn run_alone(
        self,
        cx: Context<Self::Services>,
    ) -> impl Future<Output = anyhow::Result<Outcome>> + Send {
        async move {
            let mut outcomes = Self::run_many(vec![(self, cx)]).await;
            match outcomes.pop() {
                Some(outcome) if outcomes.is_empty() => outcome,
                Some(_) => Err(miscounted::<Self>(outcomes.len() + 1, 1)),
                None => Err(miscounted::<Self>(0, 1)),
            }
        }
    }
}

/// Which jobs of a kind are done together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BulkWindow {
    /// At most so many. Each holds a slot, so their queue needs as many.
    pub max: usize,
    /// How long the first waits for others; it counts towards the kind's time-out.
    pub wait: Duration,
}

/// Refuses windows that cannot be kept with so many slots.
pub(super) fn check(
    catalogue: &Catalogue,
    queues: &[(String, usize)],
) -> Result<(), InvalidOptions> {
    let windows = catalogue
        .kinds()
        .filter_map(|kind| catalogue.get(kind))
        .filter_map(|info| Some((info, info.window?)));
    for (info, window) in windows {
        let invalid = |field, problem| Err(InvalidOptions { field, problem });
        let (kind, options) = (info.kind, &info.options);
        if window.max == 0 {
            let problem = format!("{kind} takes at most 0 jobs at once; use at least 1");
            return invalid("window", problem);
        }
        if window.wait >= options.timeout {
            let problem = format!(
                "{kind} waits {:?} for others and times out after {:?}; use a shorter wait",
                window.wait, options.timeout
            );
            return invalid("window", problem);
        }
        let queue = queues.iter().find(|(name, _)| name == options.queue);
        if let Some((queue, slots)) = queue.filter(|(_, slots)| *slots < window.max) {
            let problem = format!(
                "{kind} takes up to {} jobs at once, each in a slot, and its queue {queue} has {slots}; \
                 give it more slots or the window a smaller max",
                window.max
            );
            return invalid("queues", problem);
        }
    }
    Ok(())
}

type End = Result<Outcome, Ended>;

/// Where attempts of one kind come together.
pub(super) struct Collector<J: BulkJob> {
    window: BulkWindow,
    open: Mutex<Open<J>>,
}

/// The batch that can still be joined.
struct Open<J: BulkJob> {
    members: Vec<Member<J>>,
    /// Gone if there is none, or if nobody waits for it any more.
    batch: Weak<Batch>,
    full: Option<oneshot::Sender<Vec<Member<J>>>>,
}

struct Member<J: BulkJob> {
    job: J,
    cx: Context<J::Services>,
    answer: oneshot::Sender<End>,
}

/// What does a batch, held by its members: when the last of them has gone it is of no use to anybody.
type Batch = AbortOnDropHandle<()>;

impl<J: BulkJob> Collector<J> {
    pub(super) fn new(window: BulkWindow) -> Arc<Self> {
        let open = Open {
            members: Vec::new(),
            batch: Weak::new(),
            full: None,
        };
        Arc::new(Self {
            window,
            open: Mutex::new(open),
        })
    }

    /// Has a job done together with others.
    pub(super) async fn join(self: Arc<Self>, job: J, cx: Context<J::Services>) -> End {
        let (lease, cancelled) = (cx.job().lease(), cx.cancelled().clone());
        let (_batch, mut answer) = self.add(job, cx);
        let answered = tokio::select! {
            biased;
            answered = &mut answer => answered,
            () = cancelled.cancelled() => {
                if self.withdraw(lease) {
                    let error = anyhow::anyhow!("was told to end before its batch began");
                    return Err(Ended::failed(error));
                }
                answer.await
            }
        };
        // Without an answer the runtime is ending, and this attempt with it.
        answered.unwrap_or(Err(Ended::Stopped))
    }

    fn open(&self) -> MutexGuard<'_, Open<J>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(
        self: &Arc<Self>,
        job: J,
        cx: Context<J::Services>,
    ) -> (Arc<Batch>, oneshot::Receiver<End>) {
        let (answer, answered) = oneshot::channel();
        let mut open = self.open();
        let batch = open.batch.upgrade().unwrap_or_else(|| {
            let (full, filled) = oneshot::channel();
            let task = tokio::spawn(Arc::clone(self).run(filled));
            let batch = Arc::new(AbortOnDropHandle::new(task));
            *open = Open {
                members: Vec::new(),
                batch: Arc::downgrade(&batch),
                full: Some(full),
            };
            batch
        });
        open.members.push(Member { job, cx, answer });
        if open.members.len() >= self.window.max
            && let Some(full) = open.full.take()
        {
            open.batch = Weak::new();
            // Its receiver lives as long as the batch, which is held here, unless the runtime ends.
            drop(full.send(std::mem::take(&mut open.members)));
        }
        (batch, answered)
    }

    /// Takes a job back whose batch has not begun; `false` if it has.
    fn withdraw(&self, lease: Lease) -> bool {
        let mut open = self.open();
        let place = open
            .members
            .iter()
            .position(|member| member.cx.job().lease() == lease);
        place.map(|place| open.members.remove(place)).is_some()
    }

    /// Waits for the batch to fill or its time to pass, and does it.
    async fn run(self: Arc<Self>, mut full: oneshot::Receiver<Vec<Member<J>>>) {
        let waited = tokio::time::timeout(self.window.wait, &mut full).await;
        let members = match waited {
            Ok(filled) => filled.ok(),
            Err(_) => self.close(&mut full),
        };
        let members: Vec<_> = members.into_iter().flatten().collect();
        let waiting = members.into_iter().filter(|one| !one.answer.is_closed());
        let (jobs, answers): (Vec<_>, Vec<_>) = waiting
            .map(|one| {
                let attempt = Arc::clone(&one.cx.attempt);
                ((one.job, one.cx), (attempt, one.answer))
            })
            .unzip();
        if !jobs.is_empty() {
            let span = telemetry::batch_span(J::KIND, jobs.len());
            answer_all::<J>(answers, caught(J::run_many(jobs)).instrument(span).await);
        }
    }

    /// Lets nobody else join, if it is this one's batch that is open: it may just have been filled, or
    /// given up by all and replaced.
    fn close(&self, full: &mut oneshot::Receiver<Vec<Member<J>>>) -> Option<Vec<Member<J>>> {
        let mut open = self.open();
        match full.try_recv() {
            Ok(members) => Some(members),
            Err(oneshot::error::TryRecvError::Closed) => None,
            Err(oneshot::error::TryRecvError::Empty) => {
                open.batch = Weak::new();
                open.full = None;
                Some(std::mem::take(&mut open.members))
            }
        }
    }
}

/// Tells each member how its own attempt ended. One that has been given up meanwhile does not listen.
fn answer_all<J: BulkJob>(
    members: Vec<(Arc<Attempt>, oneshot::Sender<End>)>,
    ended: Result<Vec<anyhow::Result<Outcome>>, crate::model::AttemptError>,
) {
    let many = members.len();
    match ended {
        Ok(outcomes) if outcomes.len() == many => {
            for ((attempt, answer), outcome) in members.into_iter().zip(outcomes) {
                drop(answer.send(own(&attempt, outcome)));
            }
        }
        Ok(outcomes) => {
            for (_, answer) in members {
                let error = miscounted::<J>(outcomes.len(), many);
                drop(answer.send(Err(Ended::failed(error))));
            }
        }
        Err(panic) => {
            for (_, answer) in members {
                drop(answer.send(Err(Ended::Panicked(panic.clone()))));
            }
        }
    }
}

/// The outcome, unless it is proof of another job's commit: this one would then be left without any.
fn own(attempt: &Attempt, outcome: anyhow::Result<Outcome>) -> End {
    match outcome {
        Ok(Outcome::Committed(_)) if !attempt.committing.load(Ordering::Acquire) => {
            let error = "its outcome is the commit of another job; answer each with its own";
            Err(Ended::failed(anyhow::anyhow!(error)))
        }
        outcome => outcome.map_err(Ended::failed),
    }
}

fn miscounted<J: BulkJob>(outcomes: usize, jobs: usize) -> anyhow::Error {
    anyhow::anyhow!(
        "run_many of {} answered {outcomes} outcomes for {jobs} jobs; it must answer one for each",
        J::KIND
    )
}

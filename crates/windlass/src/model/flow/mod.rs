//! Flows: jobs that wait for other jobs.

use std::collections::{BTreeSet, HashMap};

use super::enqueue::text;
use super::{InvalidJob, JobId, Limits, NewJob, State};

mod id;
mod record;
mod retry;
mod settle;

pub use id::{FlowId, InvalidFlowId};
pub use record::{FlowFilter, FlowRecord, FlowState, Parent, StepRecord};
pub use retry::{Edge, Retried, RetryRefused, StepState, retry};
pub use settle::{Cause, Link, Settled, settle};

/// The most steps of one flow.
pub const MAX_STEPS: usize = 100_000;
/// The most times that a step of one flow names a parent.
pub const MAX_EDGES: usize = 500_000;

/// When a step runs, seen from its parents. A step without parents runs at once.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum After {
    /// Once every parent has completed; cancelled as soon as one has not.
    #[default]
    Success,
    /// As soon as one parent has failed; skipped when none has.
    Failure,
    /// Once every parent has ended, in whatever way.
    Finished,
}

impl After {
    /// The word used in SQL and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Finished => "finished",
        }
    }

    /// The other way round.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Success, Self::Failure, Self::Finished]
            .into_iter()
            .find(|after| after.as_str() == word)
    }
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// Done.
    Completed,
    /// Stopped, or a parent that it needed did not complete: it failed.
    Cancelled,
    /// Set aside: it failed.
    Dead,
    /// There was no need for it, because nothing failed.
    Skipped,
}

impl End {
    /// The word used in SQL and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Dead => "dead",
            Self::Skipped => "skipped",
        }
    }

    /// The other way round.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Completed, Self::Cancelled, Self::Dead, Self::Skipped]
            .into_iter()
            .find(|end| end.as_str() == word)
    }

    /// How a step ended whose job is in this state; `None` if it is unfinished.
    pub const fn of(state: State) -> Option<Self> {
        match state {
            State::Completed => Some(Self::Completed),
            State::Cancelled => Some(Self::Cancelled),
            State::Dead => Some(Self::Dead),
            _ => None,
        }
    }

    /// The state of the step's job.
    pub const fn state(self) -> State {
        match self {
            Self::Completed => State::Completed,
            Self::Cancelled | Self::Skipped => State::Cancelled,
            Self::Dead => State::Dead,
        }
    }

    /// Whether what follows a failure follows it.
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Cancelled | Self::Dead)
    }
}

/// One job of a flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewStep {
    /// Its name within the flow.
    pub name: String,
    /// What is to be done.
    pub job: NewJob,
    /// The names of the steps it waits for.
    pub parents: Vec<String>,
    /// When it runs.
    pub after: After,
}

/// Jobs that wait for each other, to be started in one transaction.
///
/// ```
/// use windlass::model::NewFlow;
/// use windlass::{Json, NewJob};
///
/// let job = |kind: &str| NewJob::new(kind, Json::empty_object());
/// let flow = NewFlow::new("report")
///     .step("sales", job("query"))
///     .step("costs", job("query"))
///     .step("report", job("write_report")).after(["sales", "costs"])
///     .step("alarm", job("alert")).after_failure(["sales", "costs", "report"]);
/// flow.validate(&Default::default())?;
/// # Ok::<(), windlass::model::InvalidFlow>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFlow {
    /// Its name among all flows. To start one id twice starts one flow.
    pub id: FlowId,
    /// What it is.
    pub name: String,
    /// Whose it is. Taken over from the first step that has a tenant.
    pub tenant_id: Option<String>,
    /// What it belongs to, across services. Steps that have none take it over.
    pub correlation_id: Option<String>,
    /// Its jobs.
    pub steps: Vec<NewStep>,
}

impl NewFlow {
    /// A flow without steps.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            id: FlowId::new(),
            name: name.into(),
            tenant_id: None,
            correlation_id: None,
            steps: Vec::new(),
        }
    }

    /// Steps that run one after the other, each once the one before has completed.
    pub fn chain<N: Into<String>>(
        name: impl Into<String>,
        steps: impl IntoIterator<Item = (N, NewJob)>,
    ) -> Self {
        let mut flow = Self::new(name);
        for (name, job) in steps {
            let before = flow.steps.last().map(|step| step.name.clone());
            flow = flow.step(name, job);
            if let Some(before) = before {
                flow = flow.after([before]);
            }
        }
        flow
    }

    /// Jobs that run all at once, named by their numbers from 1. What comes of them is for
    /// [`NewFlow::on_success`], [`NewFlow::on_failure`] and [`NewFlow::on_finished`].
    pub fn batch(name: impl Into<String>, jobs: impl IntoIterator<Item = NewJob>) -> Self {
        let mut flow = Self::new(name);
        for (job, number) in jobs.into_iter().zip(1_u32..) {
            flow = flow.step(number.to_string(), job);
        }
        flow
    }

    /// Adds a step. It runs at once, unless parents are named next.
    #[must_use]
    pub fn step(mut self, name: impl Into<String>, job: NewJob) -> Self {
        if self.tenant_id.is_none() {
            self.tenant_id.clone_from(&job.tenant_id);
        }
        self.steps.push(NewStep {
            name: name.into(),
            job,
            parents: Vec::new(),
            after: After::Success,
        });
        self
    }

    /// The last step waits until all of these have completed.
    ///
    /// # Panics
    /// If there is no step yet.
    #[must_use]
    pub fn after<N: Into<String>>(self, parents: impl IntoIterator<Item = N>) -> Self {
        self.waits(After::Success, parents)
    }

    /// The last step runs as soon as one of these has failed, and never if none does.
    ///
    /// # Panics
    /// If there is no step yet.
    #[must_use]
    pub fn after_failure<N: Into<String>>(self, parents: impl IntoIterator<Item = N>) -> Self {
        self.waits(After::Failure, parents)
    }

    /// The last step waits until all of these have ended, in whatever way.
    ///
    /// # Panics
    /// If there is no step yet.
    #[must_use]
    pub fn after_finished<N: Into<String>>(self, parents: impl IntoIterator<Item = N>) -> Self {
        self.waits(After::Finished, parents)
    }

    /// Adds a job that runs once every step without a callback's name has completed: the step
    /// `on_success`.
    #[must_use]
    pub fn on_success(self, job: NewJob) -> Self {
        self.callback("on_success", After::Success, job)
    }

    /// Adds a job that runs as soon as one of them has failed: the step `on_failure`.
    #[must_use]
    pub fn on_failure(self, job: NewJob) -> Self {
        self.callback("on_failure", After::Failure, job)
    }

    /// Adds a job that runs once all of them have ended: the step `on_finished`.
    #[must_use]
    pub fn on_finished(self, job: NewJob) -> Self {
        self.callback("on_finished", After::Finished, job)
    }

    /// Gives the flow's tenant and correlation id to the steps that have none.
    pub(crate) fn hand_down(&mut self) {
        for step in &mut self.steps {
            let job = &mut step.job;
            if job.tenant_id.is_none() {
                job.tenant_id.clone_from(&self.tenant_id);
            }
            if job.correlation_id.is_none() {
                job.correlation_id.clone_from(&self.correlation_id);
            }
        }
    }

    /// Who waits for whom.
    pub(crate) fn edges(&self) -> impl Iterator<Item = Edge> {
        let jobs: HashMap<&str, JobId> = self
            .steps
            .iter()
            .map(|step| (step.name.as_str(), step.job.id))
            .collect();
        self.steps.iter().flat_map(move |step| {
            let parents: Vec<Edge> = step
                .parents
                .iter()
                .filter_map(|parent| jobs.get(parent.as_str()))
                .map(|parent| Edge {
                    parent: *parent,
                    child: step.job.id,
                })
                .collect();
            parents
        })
    }

    fn callback(self, name: &str, after: After, job: NewJob) -> Self {
        const CALLBACKS: [&str; 3] = ["on_success", "on_failure", "on_finished"];
        let names = self.steps.iter().map(|step| step.name.clone());
        let members: Vec<String> = names
            .filter(|name| !CALLBACKS.contains(&name.as_str()))
            .collect();
        self.step(name, job).waits(after, members)
    }

    fn waits<N: Into<String>>(
        mut self,
        after: After,
        parents: impl IntoIterator<Item = N>,
    ) -> Self {
        let last = self
            .steps
            .last_mut()
            .expect("name a step, then its parents");
        last.after = after;
        last.parents.extend(parents.into_iter().map(Into::into));
        self
    }

    /// Checks every step and how they wait for each other; the first fault is named.
    pub fn validate(&self, limits: &Limits) -> Result<(), InvalidFlow> {
        text("name", &self.name, 128)?;
        for (field, value) in [
            ("tenant_id", &self.tenant_id),
            ("correlation_id", &self.correlation_id),
        ] {
            if let Some(value) = value {
                text(field, value, 512)?;
            }
        }
        if self.steps.is_empty() {
            return Err(InvalidFlow::Empty);
        }
        if self.steps.len() > MAX_STEPS {
            return Err(InvalidFlow::TooManySteps(self.steps.len()));
        }
        let edges = self.steps.iter().map(|step| step.parents.len()).sum();
        if edges > MAX_EDGES {
            return Err(InvalidFlow::TooManyEdges(edges));
        }
        let places = self.places()?;
        for step in &self.steps {
            self.validate_step(step, &places, *limits)?;
        }
        self.find_cycle(&places).map_or(Ok(()), Err)
    }

    /// Every step's place, by its name.
    fn places(&self) -> Result<HashMap<&str, usize>, InvalidFlow> {
        let mut places = HashMap::with_capacity(self.steps.len());
        for (place, step) in self.steps.iter().enumerate() {
            text("step", &step.name, 128)?;
            if places.insert(step.name.as_str(), place).is_some() {
                return Err(InvalidFlow::DuplicateStep(step.name.clone()));
            }
        }
        Ok(places)
    }

    fn validate_step(
        &self,
        step: &NewStep,
        places: &HashMap<&str, usize>,
        limits: Limits,
    ) -> Result<(), InvalidFlow> {
        let invalid = |fault: InvalidJob| InvalidFlow::Step {
            step: step.name.clone(),
            fault,
        };
        step.job.validate(&limits).map_err(invalid)?;
        if step.job.unique.is_some() || step.job.idempotency.is_some() {
            let problem = "a step cannot have one: it might be no job at all; start the flow under \
                           an id of your own instead";
            return Err(invalid(InvalidJob::new("unique", problem)));
        }
        if step.job.tenant_id.is_some() && step.job.tenant_id != self.tenant_id {
            let problem = "is not the flow's; all steps of a flow belong to one tenant";
            return Err(invalid(InvalidJob::new("tenant_id", problem)));
        }
        let mut seen = BTreeSet::new();
        for parent in &step.parents {
            if !places.contains_key(parent.as_str()) {
                return Err(InvalidFlow::UnknownParent {
                    step: step.name.clone(),
                    parent: parent.clone(),
                });
            }
            if !seen.insert(parent) {
                return Err(InvalidFlow::DuplicateParent {
                    step: step.name.clone(),
                    parent: parent.clone(),
                });
            }
        }
        Ok(())
    }

    /// Takes away steps that nothing waits for any more; what is left goes round.
    fn find_cycle(&self, places: &HashMap<&str, usize>) -> Option<InvalidFlow> {
        let parents: Vec<Vec<usize>> = self
            .steps
            .iter()
            .map(|step| {
                step.parents
                    .iter()
                    .map(|name| places[name.as_str()])
                    .collect()
            })
            .collect();
        let mut children = vec![0_usize; self.steps.len()];
        for parent in parents.iter().flatten() {
            children[*parent] += 1;
        }
        let mut free: Vec<usize> = (0..children.len()).filter(|n| children[*n] == 0).collect();
        let mut left = children.len() - free.len();
        while let Some(step) = free.pop() {
            for parent in &parents[step] {
                children[*parent] -= 1;
                if children[*parent] == 0 {
                    free.push(*parent);
                    left -= 1;
                }
            }
        }
        if left == 0 {
            return None;
        }
        // Each of them has a child among them: whoever goes from child to child comes round.
        let mut child_of: HashMap<usize, usize> = HashMap::new();
        for (child, parents) in parents.iter().enumerate().filter(|(n, _)| children[*n] > 0) {
            for parent in parents {
                child_of.insert(*parent, child);
            }
        }
        let mut at = *child_of.values().next()?;
        let mut way = Vec::new();
        while !way.contains(&at) {
            way.push(at);
            at = *child_of.get(&at)?;
        }
        let start = way.iter().position(|step| *step == at)?;
        way.drain(..start);
        way.push(at);
        let names = way.into_iter().map(|step| self.steps[step].name.clone());
        Some(InvalidFlow::Cycle(names.collect()))
    }
}

/// Why a flow cannot be started: what is wrong, and what would be right. Nothing of it was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidFlow {
    /// A field of the flow itself.
    #[error(transparent)]
    Field(#[from] InvalidJob),
    /// No steps.
    #[error("steps: there are none; a flow needs at least one")]
    Empty,
    /// More than [`MAX_STEPS`].
    #[error("steps: {0} are more than {MAX_STEPS}; start several flows")]
    TooManySteps(usize),
    /// More than [`MAX_EDGES`].
    #[error("steps: they name {0} parents, more than {MAX_EDGES}; put a step in between")]
    TooManyEdges(usize),
    /// Two steps have one name.
    #[error("steps: two are named {0:?}; names are unique within a flow")]
    DuplicateStep(String),
    /// A parent that is no step of the flow.
    #[error("steps: {step:?} waits for {parent:?}, which is no step of this flow")]
    UnknownParent {
        /// Whose.
        step: String,
        /// Which.
        parent: String,
    },
    /// A parent that is named twice.
    #[error("steps: {step:?} names its parent {parent:?} twice")]
    DuplicateParent {
        /// Whose.
        step: String,
        /// Which.
        parent: String,
    },
    /// Steps that wait for each other.
    #[error("steps: they wait for each other: {}", .0.join(" -> "))]
    Cycle(Vec<String>),
    /// A step's job is at fault.
    #[error("step {step:?}: {fault}")]
    Step {
        /// Which.
        step: String,
        /// What is wrong.
        fault: InvalidJob,
    },
}

#[cfg(test)]
mod tests;

//! Running parts of a flow again.

use std::collections::{HashMap, HashSet};

use super::settle::{Decision, Tally};
use super::{After, Cause, End, Link, Settled, settle};
use crate::model::JobId;

/// A step, as far as a retry has to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepState {
    /// Its job.
    pub job: JobId,
    /// Its name.
    pub name: String,
    /// When it runs.
    pub after: After,
    /// How it ended.
    pub ended_as: Option<End>,
    /// Whether it waits for its parents.
    pub blocked: bool,
}

/// Who waits for whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Edge {
    /// The parent.
    pub parent: JobId,
    /// The step that waits for it.
    pub child: JobId,
}

/// What a retry comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Retried {
    /// Ended steps that are unfinished again, and how many parents each waits for.
    pub reset: Vec<(JobId, u32)>,
    /// What follows for these, and for the steps that waited for them all along.
    pub settled: Settled,
}

/// Why a flow cannot be retried.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RetryRefused {
    /// No step has failed.
    #[error("no step has failed; name a step to run again from")]
    NothingFailed,
    /// No such step.
    #[error("there is no step {0:?}")]
    UnknownStep(String),
    /// A step that would run again has not ended.
    #[error("step {0:?} has not ended; wait for it, or cancel it first")]
    NotEnded(String),
    /// The step to run again from would not run.
    #[error("step {step:?} would not run again: {reason}")]
    WouldNotRun {
        /// Which.
        step: String,
        /// Why not.
        reason: String,
    },
    /// A step's job has been deleted by retention.
    #[error("the job of step {0:?} is no longer kept")]
    Pruned(String),
}

/// Steps to run again: without `from` all that failed, and what was skipped because of them; with
/// it that step and everything after it.
pub fn retry(
    steps: &[StepState],
    edges: &[Edge],
    from: Option<&str>,
) -> Result<Retried, RetryRefused> {
    let by_job: HashMap<JobId, &StepState> = steps.iter().map(|step| (step.job, step)).collect();
    let mut children: HashMap<JobId, Vec<JobId>> = HashMap::new();
    let mut parents: HashMap<JobId, Vec<JobId>> = HashMap::new();
    for edge in edges {
        children.entry(edge.parent).or_default().push(edge.child);
        parents.entry(edge.child).or_default().push(edge.parent);
    }
    let again = match from {
        Some(name) => from_step(name, steps, &by_job, &children)?,
        None => failed(steps, &by_job, &children)?,
    };
    let none = Vec::new();
    let mut retried = Retried::default();
    let (mut links, mut ended) = (Vec::new(), Vec::new());
    // Those that waited all along wait for more now.
    let affected = steps
        .iter()
        .filter(|step| again.contains(&step.job) || step.blocked);
    for step in affected {
        let mine = parents.get(&step.job).unwrap_or(&none);
        let mut tally = Tally::default();
        let mut pending = 0_u32;
        for parent in mine {
            match by_job.get(parent).and_then(|parent| parent.ended_as) {
                Some(end) if !again.contains(parent) => tally.add(*parent, end),
                _ => pending += 1,
            }
        }
        if again.contains(&step.job) {
            retried.reset.push((step.job, pending));
        } else {
            retried.settled.waiting.insert(step.job, pending);
        }
        let decision = if mine.is_empty() {
            Decision::Release
        } else {
            tally.decide(step.after, pending)
        };
        match decision {
            Decision::Wait => links.extend(mine.iter().map(|parent| Link {
                parent: *parent,
                child: step.job,
                after: step.after,
                pending,
            })),
            Decision::Release => retried.settled.released.push(step.job),
            Decision::End(_, cause) if Some(step.name.as_str()) == from => {
                let name_of = |job| by_job.get(&job).map_or(String::new(), |s| s.name.clone());
                return Err(RetryRefused::WouldNotRun {
                    step: step.name.clone(),
                    reason: cause.describe(name_of),
                });
            }
            Decision::End(end, cause) => ended.push((step.job, end, cause)),
        }
    }
    let more = settle(&links, ended.iter().map(|(job, end, _)| (*job, *end)));
    retried.settled.waiting.extend(more.waiting);
    retried.settled.released.extend(more.released);
    retried.settled.ended.extend(ended);
    retried.settled.ended.extend(more.ended);
    let settled = &mut retried.settled;
    for job in settled
        .released
        .iter()
        .chain(settled.ended.iter().map(|(job, ..)| job))
    {
        settled.waiting.remove(job);
    }
    Ok(retried)
}

type Children = HashMap<JobId, Vec<JobId>>;

/// A step and everything after it, all of which must have ended or wait for their parents.
fn from_step(
    name: &str,
    steps: &[StepState],
    by_job: &HashMap<JobId, &StepState>,
    children: &Children,
) -> Result<HashSet<JobId>, RetryRefused> {
    let first = steps
        .iter()
        .find(|step| step.name == name)
        .ok_or_else(|| RetryRefused::UnknownStep(name.to_owned()))?;
    if first.ended_as.is_none() {
        return Err(RetryRefused::NotEnded(first.name.clone()));
    }
    let mut again = HashSet::new();
    for job in descendants([first.job], children) {
        match by_job.get(&job) {
            Some(step) if step.ended_as.is_some() => {
                again.insert(job);
            }
            Some(step) if !step.blocked => {
                return Err(RetryRefused::NotEnded(step.name.clone()));
            }
            _ => {}
        }
    }
    Ok(again)
}

/// All that failed, and what was skipped after them.
fn failed(
    steps: &[StepState],
    by_job: &HashMap<JobId, &StepState>,
    children: &Children,
) -> Result<HashSet<JobId>, RetryRefused> {
    let is_failed = |step: &&StepState| step.ended_as.is_some_and(End::is_failure);
    let mut again: HashSet<JobId> = steps
        .iter()
        .filter(is_failed)
        .map(|step| step.job)
        .collect();
    if again.is_empty() {
        return Err(RetryRefused::NothingFailed);
    }
    let skipped = |job: &JobId| {
        by_job
            .get(job)
            .is_some_and(|s| s.ended_as == Some(End::Skipped))
    };
    let after = descendants(again.iter().copied(), children);
    again.extend(after.into_iter().filter(skipped));
    Ok(again)
}

fn descendants(first: impl IntoIterator<Item = JobId>, children: &Children) -> HashSet<JobId> {
    let mut open: Vec<JobId> = first.into_iter().collect();
    let mut found: HashSet<JobId> = open.iter().copied().collect();
    while let Some(job) = open.pop() {
        for child in children.get(&job).into_iter().flatten() {
            if found.insert(*child) {
                open.push(*child);
            }
        }
    }
    found
}

impl Cause {
    /// The reason in words.
    pub fn describe(self, name_of: impl Fn(JobId) -> String) -> String {
        match self {
            Self::Parent(parent, end) => match end {
                End::Skipped => format!("not needed: step {:?} was skipped", name_of(parent)),
                End::Dead => format!("step {:?} is dead", name_of(parent)),
                _ => format!("step {:?} was cancelled", name_of(parent)),
            },
            Self::NothingFailed => "not needed: no step before it failed".to_owned(),
        }
    }
}

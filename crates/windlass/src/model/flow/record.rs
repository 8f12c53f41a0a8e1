//! How flows and their steps stand.

use super::{After, End, FlowId};
use crate::model::{JobId, Json, State, Timestamp};

/// A flow as a whole.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct FlowRecord {
    /// Which.
    pub id: FlowId,
    /// What it is.
    pub name: String,
    /// Whose it is.
    pub tenant_id: Option<String>,
    /// What it belongs to, across services.
    pub correlation_id: Option<String>,
    /// When it was started.
    pub created_at: Timestamp,
    /// When its last step ended, if all have.
    pub finished_at: Option<Timestamp>,
    /// Its steps.
    pub steps: u32,
    /// Those that completed.
    pub completed: u32,
    /// Those that are cancelled or dead.
    pub failed: u32,
    /// Those there was no need for.
    pub skipped: u32,
}

/// How a flow stands as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FlowState {
    /// Some steps have not ended.
    Running,
    /// All have ended, and none has failed.
    Completed,
    /// All have ended, and some have failed.
    Failed,
}

impl FlowRecord {
    /// How it stands.
    pub const fn state(&self) -> FlowState {
        match (self.finished_at, self.failed) {
            (None, _) => FlowState::Running,
            (Some(_), 0) => FlowState::Completed,
            (Some(_), _) => FlowState::Failed,
        }
    }

    /// Steps that have not ended.
    pub const fn unfinished(&self) -> u32 {
        self.steps - self.completed - self.failed - self.skipped
    }
}

/// One step as it stands.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct StepRecord {
    /// Its place in the flow, from 0.
    pub position: u32,
    /// Its name.
    pub name: String,
    /// Its job.
    pub job: JobId,
    /// What is to be done.
    pub kind: String,
    /// When it runs.
    pub after: After,
    /// The names of its parents, at most [`StepRecord::MOST_PARENTS`] of them.
    pub parents: Vec<String>,
    /// How many of its parents have not ended: what it waits for.
    pub pending: u32,
    /// Where its job stands.
    pub state: State,
    /// How it ended, if it has.
    pub ended_as: Option<End>,
    /// Why it ended without having run.
    pub reason: Option<String>,
}

impl StepRecord {
    /// How many parents are named.
    pub const MOST_PARENTS: usize = 100;

    /// What it waits for, in words; `None` if it waits for no parent.
    pub fn waits_for(&self) -> Option<String> {
        if self.ended_as.is_some() || self.state != State::Waiting || self.pending == 0 {
            return None;
        }
        let parents = match self.pending {
            1 => "1 parent".to_owned(),
            many => format!("{many} parents"),
        };
        Some(match self.after {
            After::Success => format!("waits for {parents} to complete"),
            After::Failure => format!("waits for one of {parents} to fail"),
            After::Finished => format!("waits for {parents} to end"),
        })
    }
}

/// What a child sees of a parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parent {
    /// Its name within the flow.
    pub name: String,
    /// Its job.
    pub job: JobId,
    /// What it did.
    pub kind: String,
    /// How it ended; `None` if it has not, which a step that runs after a failure may see.
    pub ended_as: Option<End>,
    /// What it recorded, as it is stored.
    pub result: Option<Json>,
}

/// Which flows to list. Every field that is set must match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FlowFilter {
    /// Of this tenant. Callers that act for a tenant must set it.
    pub tenant_id: Option<String>,
    /// Of this name.
    pub name: Option<String>,
    /// Only those that have, or have not, finished.
    pub finished: Option<bool>,
}

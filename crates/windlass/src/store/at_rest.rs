//! Values as they are stored: how what is sealed gets another key while everything runs.

use async_trait::async_trait;

use super::Error;
use crate::model::{JobId, Json};

/// Walks the jobs of a store by id.
#[derive(Debug, Clone, Copy)]
pub struct Walk {
    /// Those after this one; from the first if none.
    pub after: Option<JobId>,
    /// At most so many.
    pub limit: u32,
    /// Finished ones too.
    pub finished: bool,
}

/// One job of a walk, with those of its values that may be sealed or compressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AtRest {
    /// Which job.
    pub id: JobId,
    /// What it is.
    pub kind: String,
    /// Whose it is.
    pub tenant_id: Option<String>,
    /// Its args, if they begin with `{"$`.
    pub args: Option<Json>,
    /// Its result, likewise.
    pub result: Option<Json>,
    /// Its checkpoint, likewise.
    pub checkpoint: Option<Json>,
}

/// Another form of a job's values, which mean the same as before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewrite {
    /// Which job.
    pub id: JobId,
    /// Its args as they are and as they are to be.
    pub args: Option<(Json, Json)>,
    /// Its result, likewise.
    pub result: Option<(Json, Json)>,
    /// Its checkpoint, likewise.
    pub checkpoint: Option<(Json, Json)>,
}

/// The part of the contract that changes how values are stored, and never what they mean.
#[async_trait]
pub trait Values {
    /// The next jobs of a walk, by id. It meets every job that is there from its begin to its end, also
    /// one that finishes meanwhile if finished ones are asked for.
    async fn walk(&self, walk: Walk) -> Result<Vec<AtRest>, Error>;

    /// Puts values in another form, each job's only if all are still as they were; says of which, in
    /// order. A job may be in any state: whoever runs it has its own copy, and its lease is untouched.
    async fn rewrite(&self, rewrites: &[Rewrite]) -> Result<Vec<bool>, Error>;
}

//! What outlives an attempt, and what ties jobs together: checkpoints, flows, signals.

use std::time::Duration;

use async_trait::async_trait;

use super::{Changed, Error, Prune};
use crate::db;
use crate::model::{
    FlowFilter, FlowId, FlowRecord, JobId, Json, Lease, NewFlow, Parent, Recorded, RetryRefused,
    Signal, StepRecord, Timestamp,
};

/// The largest page of flows or steps.
pub(super) const MAX_PAGE: u32 = 1000;

/// Why a step that had not run ended with its flow.
pub(super) const FLOW_CANCELLED: &str = "the flow was cancelled";

/// How long a finished flow is kept: as long as its jobs.
pub(super) fn kept_for(failed: bool, prune: &Prune) -> Duration {
    if failed {
        prune.cancelled.max(prune.dead)
    } else {
        prune.completed
    }
}

/// What a start came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Started {
    /// The flow and all its jobs are rows now.
    Started,
    /// A flow of this id was there already; nothing was changed.
    Duplicate,
}

/// What an operator's wish did to a flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlowChanged {
    /// It is done, to so many steps. Running ones have been asked to stop.
    Done(u64),
    /// Its last step has ended: there is nothing to cancel.
    Finished,
    /// It cannot be retried so; nothing was changed.
    Refused(RetryRefused),
    /// There is no such flow (for this tenant).
    NotFound,
}

/// Checkpoints, flows and signals: the part of the contract that goes beyond one attempt of one job.
#[async_trait]
pub trait Flows {
    /// Keeps a running job's note, under its lease. It takes the place of the one before, comes with
    /// every later claim however the attempt ended, and is gone once the job has finished.
    async fn checkpoint(&self, lease: Lease, checkpoint: &Json) -> Result<Recorded, Error>;

    /// The same within the caller's transaction: the work done and the note of it happen together.
    async fn checkpoint_in(
        &self,
        tx: &mut db::Tx,
        lease: Lease,
        checkpoint: &Json,
    ) -> Result<Recorded, Error>;

    /// Makes a flow and all its jobs durable, all or none. It has been validated. Steps with parents
    /// wait for them; whoever records the end of a parent, in whatever way it ends, lets its children
    /// go, or ends them too, in the same transaction.
    ///
    /// A step that waits is in no line of an ordering key: it joins when its parents let it go.
    async fn start(&self, flow: &NewFlow, now: Option<Timestamp>) -> Result<Started, Error>;

    /// The same within the caller's transaction.
    async fn start_in(
        &self,
        tx: &mut db::Tx,
        flow: &NewFlow,
        now: Option<Timestamp>,
    ) -> Result<Started, Error>;

    /// One flow.
    async fn flow(&self, id: FlowId, tenant: Option<&str>) -> Result<Option<FlowRecord>, Error>;

    /// Up to `limit` (1 to 1000) flows that match, newest first, older than `before`.
    async fn flows(
        &self,
        filter: &FlowFilter,
        before: Option<FlowId>,
        limit: u32,
    ) -> Result<Vec<FlowRecord>, Error>;

    /// Up to `limit` (1 to 1000) steps of a flow by their place, from place `from` on.
    async fn steps(
        &self,
        id: FlowId,
        tenant: Option<&str>,
        from: u32,
        limit: u32,
        now: Option<Timestamp>,
    ) -> Result<Vec<StepRecord>, Error>;

    /// The parents of a step's job, by their place; none of a job that is no step.
    async fn parents(&self, job: JobId) -> Result<Vec<Parent>, Error>;

    /// Cancels every step that has not ended, or asks it to stop if it runs.
    async fn cancel_flow(
        &self,
        id: FlowId,
        tenant: Option<&str>,
        now: Option<Timestamp>,
    ) -> Result<FlowChanged, Error>;

    /// Runs steps again, with all their attempts: those that [`crate::model::retry`] names.
    async fn retry_flow(
        &self,
        id: FlowId,
        tenant: Option<&str>,
        from: Option<&str>,
        now: Option<Timestamp>,
    ) -> Result<FlowChanged, Error>;

    /// Leaves a message for an unfinished job, and makes it available if it waits for one of this
    /// name. A later message of the same name takes the place of an earlier one.
    async fn signal(
        &self,
        job: JobId,
        tenant: Option<&str>,
        name: &str,
        payload: &Json,
        now: Option<Timestamp>,
    ) -> Result<Changed, Error>;

    /// What is known of a signal: whether it came, and until when the job has waited for it.
    async fn signalled(&self, job: JobId, name: &str) -> Result<Signal, Error>;
}

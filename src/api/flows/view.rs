//! How a flow is shown. Never with args or results: `GET /v1/jobs/{id}` shows those of a step, redacted.

use serde::Serialize;
use utoipa::ToSchema;
use windlass::model::{After, End, FlowId, FlowRecord, FlowState, StepRecord};
use windlass::{JobId, Timestamp};

/// A flow as it stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Flow)]
pub(super) struct FlowView {
    #[schema(value_type = String, format = Uuid)]
    id: FlowId,
    name: String,
    /// running, completed, or failed: all steps have ended, and some have failed.
    #[schema(value_type = String)]
    state: FlowState,
    tenant_id: Option<String>,
    correlation_id: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When its last step ended, if all have.
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Timestamp>,
    /// How many steps it has.
    total: u32,
    completed: u32,
    /// Cancelled or dead.
    failed: u32,
    /// Not needed.
    skipped: u32,
    /// Waiting or running.
    unfinished: u32,
}

/// A flow and a page of its steps.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FlowDetail {
    #[serde(flatten)]
    pub(super) flow: FlowView,
    /// In the order in which they were given.
    pub(super) steps: Vec<StepView>,
    /// Pass as `after` for the next page; none on the last.
    pub(super) next: Option<u32>,
}

/// One page of flows.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FlowPage {
    /// Newest first.
    pub(super) flows: Vec<FlowView>,
    /// Pass as `after` for the next page; none on the last.
    #[schema(value_type = Option<String>, format = Uuid)]
    pub(super) next: Option<FlowId>,
}

/// A step as it stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Step)]
pub(super) struct StepView {
    /// Its place in the flow, from 0.
    position: u32,
    name: String,
    /// Its job.
    #[schema(value_type = String, format = Uuid)]
    job_id: JobId,
    kind: String,
    #[schema(schema_with = crate::api::schema::state)]
    state: windlass::State,
    /// When it runs, seen from its parents: success, failure or finished.
    #[schema(value_type = String)]
    runs_after: After,
    /// Its parents, at most 100 of them.
    parents: Vec<String>,
    /// How many of them have not ended.
    pending: u32,
    /// completed, cancelled, dead or skipped, if it has ended.
    #[schema(value_type = Option<String>)]
    ended_as: Option<End>,
    /// What it waits for, or why it ended without having run.
    reason: Option<String>,
}

impl From<FlowRecord> for FlowView {
    fn from(flow: FlowRecord) -> Self {
        Self {
            state: flow.state(),
            unfinished: flow.unfinished(),
            id: flow.id,
            name: flow.name,
            tenant_id: flow.tenant_id,
            correlation_id: flow.correlation_id,
            created_at: flow.created_at,
            finished_at: flow.finished_at,
            total: flow.steps,
            completed: flow.completed,
            failed: flow.failed,
            skipped: flow.skipped,
        }
    }
}

impl From<StepRecord> for StepView {
    fn from(step: StepRecord) -> Self {
        Self {
            reason: step.waits_for().or(step.reason),
            position: step.position,
            name: step.name,
            job_id: step.job,
            kind: step.kind,
            state: step.state,
            runs_after: step.after,
            parents: step.parents,
            pending: step.pending,
            ended_as: step.ended_as,
        }
    }
}

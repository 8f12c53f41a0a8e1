//! What operators do to flows and to jobs that wait for a message, recorded.

use super::flow::SignalError;
use super::operator::Operator;
use crate::model::{Audit, FlowId, JobId, Json, RetryRefused, validate_signal};
use crate::store::{self, Changed, FlowChanged};

/// The longest name of a step, in bytes.
const MAX_STEP: usize = 128;

impl Operator {
    /// Cancels every step that has not ended, or asks it to stop if it runs. Recorded before it is done.
    pub async fn cancel_flow(
        &self,
        id: FlowId,
        tenant: Option<&str>,
    ) -> Result<FlowChanged, store::Error> {
        let Some(flow) = self.client.flow(id, tenant).await? else {
            return Ok(FlowChanged::NotFound);
        };
        if flow.finished_at.is_some() {
            return Ok(FlowChanged::Finished);
        }
        self.record("flow.cancel", format!("flow/{id}"), flow.tenant_id, None)
            .await?;
        self.client.cancel_flow(id, tenant).await
    }

    /// Runs steps again: without `from` those that failed and what was skipped because of them; with
    /// it that step and everything after it. Recorded before it is done; so a wish that is refused
    /// because of how the steps stand is in the log too.
    pub async fn retry_flow(
        &self,
        id: FlowId,
        tenant: Option<&str>,
        from: Option<&str>,
    ) -> Result<FlowChanged, store::Error> {
        let Some(flow) = self.client.flow(id, tenant).await? else {
            return Ok(FlowChanged::NotFound);
        };
        let refused = match from {
            // No step can be called so, and no store needs to be asked.
            Some(step) if step.len() > MAX_STEP || step.chars().any(char::is_control) => {
                Some(RetryRefused::UnknownStep(step.to_owned()))
            }
            None if flow.failed == 0 => Some(RetryRefused::NothingFailed),
            _ => None,
        };
        if let Some(refused) = refused {
            return Ok(FlowChanged::Refused(refused));
        }
        let wish = from.map(|step| serde_json::json!({ "from": step }).to_string());
        let after = wish.map(Json::trusted);
        self.record("flow.retry", format!("flow/{id}"), flow.tenant_id, after)
            .await?;
        self.client.retry_flow(id, tenant, from).await
    }

    /// Leaves a message for an unfinished job, and wakes it if it waits for one of this name. Recorded
    /// before it is done: that it was left, and never what it says.
    pub async fn signal(
        &self,
        job: JobId,
        tenant: Option<&str>,
        name: &str,
        payload: &Json,
    ) -> Result<Changed, SignalError> {
        validate_signal(name, payload, self.client.limits())?;
        let Some(record) = self.client.get(job, tenant).await? else {
            return Ok(Changed::NotFound);
        };
        if record.state.is_finished() {
            return Ok(Changed::Refused(record.state));
        }
        let after = Json::trusted(serde_json::json!({ "signal": name }).to_string());
        let subject = format!("job/{job}");
        self.record("job.signal", subject, record.tenant_id, Some(after))
            .await?;
        self.client.signal_raw(job, tenant, name, payload).await
    }

    /// Records an act that is not one of the engine's own, such as on a row of the application's, in
    /// the same audit log. To be called before the act, so that none is done unrecorded.
    pub async fn record(
        &self,
        action: &str,
        subject: String,
        tenant_id: Option<String>,
        after: Option<Json>,
    ) -> Result<(), store::Error> {
        let audit = Audit {
            tenant_id,
            after,
            ..self.audit(action, subject)
        };
        self.client.store().record_audit(&audit, None).await
    }
}

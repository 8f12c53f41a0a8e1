use serde::Serialize;
use windlass::engine::EnqueueError;
use windlass::{Client, Json, NewJob};

/// The kind that answers messages.
const KIND: &str = "process_message";

/// A message that came in, by whichever door.
#[derive(Debug, Clone, Copy)]
pub struct Inbound<'a, M> {
    /// Whose it is.
    pub tenant: &'a str,
    /// How it came.
    pub channel: &'a str,
    /// What was written, in the platform's form.
    pub message: &'a M,
    /// What it belongs to, across services.
    pub correlation_id: Option<&'a str>,
    /// W3C trace context of whoever brought it.
    pub trace_parent: Option<&'a str>,
}

/// What the kind is given.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Args<'a, M> {
    tenant_id: &'a str,
    channel: &'a str,
    message: &'a M,
}

impl<M: Serialize> Inbound<'_, M> {
    /// The job that answers it, checked and ready to be enqueued.
    pub fn job(&self, client: &Client) -> Result<NewJob, EnqueueError> {
        let args = Json::encode(&Args {
            tenant_id: self.tenant,
            channel: self.channel,
            message: self.message,
        })
        .map_err(windlass::model::InvalidJob::from)?;
        let mut job = client.prepare_raw(KIND, args)?;
        job.tenant_id.get_or_insert_with(|| self.tenant.to_owned());
        job.correlation_id = self.correlation_id.map(ToOwned::to_owned);
        job.trace_parent = self.trace_parent.map(ToOwned::to_owned);
        Ok(job)
    }
}

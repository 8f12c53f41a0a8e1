//! Tells an endpoint again.

use serde_json::json;
use uuid::Uuid;
use windlass::engine::Operator;
use windlass::model::Enqueued;
use windlass::{Client, JobId, NewJob};

use super::{OperationError, encode};
use crate::records::Records;

/// The kind that tells endpoints.
const KIND: &str = "deliver_webhook";

/// Tells the endpoint of a logged attempt of the same event once more, whatever came of it: a new job,
/// behind those that wait for the endpoint already.
pub async fn replay(
    records: &Records,
    client: &Client,
    operator: &Operator,
    id: Uuid,
    tenant: Option<&str>,
) -> Result<JobId, OperationError> {
    let delivery = records
        .delivery(id, tenant)
        .await?
        .ok_or(OperationError::NotFound {
            what: "delivery of a webhook",
        })?;
    let args = json!({
        "tenantId": delivery.tenant,
        "webhookId": delivery.webhook,
        "eventId": delivery.event,
    });
    let job = client.prepare_raw(KIND, encode(&args)?)?;
    // The first job of this event may hold its key.
    let job = NewJob {
        unique: None,
        ..job
    };
    let after = json!({"job": job.id, "webhook": delivery.webhook, "event": delivery.event});
    operator
        .record(
            "webhook.replay",
            format!("delivery/{id}"),
            Some(delivery.tenant.clone()),
            Some(encode(&after)?),
        )
        .await?;
    Ok(client.insert(job).await.map(Enqueued::id)?)
}

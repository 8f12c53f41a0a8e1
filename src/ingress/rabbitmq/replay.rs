//! What was set aside, once more: by an operator who has removed the cause.

use uuid::Uuid;
use windlass::engine::{EnqueueError, Operator, OperatorError};
use windlass::model::Enqueued;
use windlass::{Client, db};

use super::is_open;
use super::message::{self, Fault, Raw};
use crate::platform::{self, Platform};
use crate::records::{self, Records};
use crate::services::broker::topology;

/// Why a message stays in quarantine.
#[derive(Debug, thiserror::Error)]
pub enum NotReplayed {
    /// There is none of this id.
    #[error("nothing with this id is in quarantine")]
    NotFound,
    /// Only its beginning was kept.
    #[error(
        "only the beginning of its body was kept; replay the dead-letter queue, which has all of it"
    )]
    Truncated,
    /// Its cause is still there.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The engine did not take it.
    #[error(transparent)]
    Enqueue(#[from] EnqueueError),
    /// The quarantine could not be read or written.
    #[error(transparent)]
    Records(#[from] records::Error),
    /// The tenant could not be looked up.
    #[error(transparent)]
    Platform(#[from] platform::Error),
    /// Who did it could not be kept on record.
    #[error(transparent)]
    Operator(#[from] OperatorError),
    /// The transaction did not end well.
    #[error(transparent)]
    Database(#[from] db::Error),
}

/// Makes a message in quarantine the job that it could not be: both happen in one transaction. Who does so
/// is on record before.
pub async fn replay(
    client: &Client,
    platform: &Platform,
    records: &Records,
    operator: &Operator,
    id: Uuid,
) -> Result<Enqueued, NotReplayed> {
    let kept = records
        .quarantined(id)
        .await?
        .ok_or(NotReplayed::NotFound)?;
    if kept.is_truncated() {
        return Err(NotReplayed::Truncated);
    }
    let (tenant, channel) = topology::inbound(&kept.source).ok_or(Fault::NoOrigin)?;
    let kind = channel.parse().map_err(|_| Fault::NoOrigin)?;
    is_open(platform, tenant, kind).await??;
    let mut headers = kept.headers.as_object().cloned().unwrap_or_default();
    message::agreed((tenant, channel), &headers)?;
    // The operator starts anew.
    headers.remove(message::RETRIES);
    let job = message::job(
        client,
        Raw {
            tenant,
            channel,
            body: &kept.body,
            headers: &headers,
        },
    )?;
    operator
        .record(
            "quarantine.replay",
            format!("quarantine/{id}"),
            kept.tenant.clone(),
            None,
        )
        .await
        .map_err(OperatorError::from)?;
    let mut tx = platform.begin(tenant).await?;
    if !records.release(&mut tx, id).await? {
        return Err(NotReplayed::NotFound);
    }
    let enqueued = client.insert_in(&mut tx, job).await?;
    tx.commit().await?;
    Ok(enqueued)
}

/// Deletes a message in quarantine for good, and keeps on record who did.
pub async fn discard(records: &Records, operator: &Operator, id: Uuid) -> Result<(), NotReplayed> {
    let kept = records
        .quarantined(id)
        .await?
        .ok_or(NotReplayed::NotFound)?;
    operator
        .record(
            "quarantine.discard",
            format!("quarantine/{id}"),
            kept.tenant,
            None,
        )
        .await
        .map_err(OperatorError::from)?;
    if records.discard_quarantined(id).await? {
        Ok(())
    } else {
        Err(NotReplayed::NotFound)
    }
}

//! Everything that one correlation id set off, in the order of time.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use windlass::model::{AttemptRecord, Filter, Page};
use windlass::{Client, JobId, JobRecord, Timestamp};

use super::OperationError;
use crate::platform::Platform;
use crate::records::Records;

/// The most jobs that are shown of one id.
pub const MOST_JOBS: u32 = 500;

/// The kinds that leave more behind than their attempts.
const ANSWERS: &str = "process_message";
const DELIVERS: &str = "deliver_message";
const TELLS: &str = "deliver_webhook";

/// What a correlation id set off.
#[derive(Debug, Serialize, ToSchema)]
pub struct Correlation {
    /// The id.
    pub correlation_id: String,
    /// What happened, oldest first.
    pub entries: Vec<CorrelationEntry>,
    /// Whether there are more jobs of this id than are shown.
    pub truncated: bool,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CorrelationEntry {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// What it is.
    pub what: EntryKind,
    /// Its own id; an attempt has its job's.
    pub id: String,
    /// Whose it is.
    pub tenant_id: Option<String>,
    /// The job that it belongs to.
    #[schema(value_type = Option<String>, format = Uuid)]
    pub job_id: Option<JobId>,
    /// A job's kind, a message's direction, a part's channel, a delivery's event, a broker's queue.
    pub name: String,
    /// How it stands or ended.
    pub state: String,
    /// What else is to be said. Never what people wrote.
    pub detail: Option<String>,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum EntryKind {
    /// A message that could not become a job.
    Quarantine,
    /// A job was enqueued.
    Job,
    /// An attempt began.
    Attempt,
    /// A message stands in its conversation.
    Message,
    /// A part of a message is on its way to its channel.
    Outbox,
    /// A tenant's endpoint was told, or was to be.
    Delivery,
}

impl EntryKind {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Quarantine => "quarantine",
            Self::Job => "job",
            Self::Attempt => "attempt",
            Self::Message => "message",
            Self::Outbox => "outbox",
            Self::Delivery => "delivery",
        }
    }
}

/// Follows an id; of a tenant only what is its own. Nothing is found of an id that set nothing off.
pub async fn follow(
    client: &Client,
    records: &Records,
    platform: &Platform,
    id: &str,
    tenant: Option<&str>,
) -> Result<Correlation, OperationError> {
    let filter = Filter {
        correlation_id: Some(id.to_owned()),
        tenant_id: tenant.map(ToOwned::to_owned),
        ..Filter::default()
    };
    let page = Page {
        after: None,
        limit: MOST_JOBS + 1,
    };
    let mut jobs = client.list(&filter, page).await?;
    let truncated = jobs.len() > MOST_JOBS as usize;
    jobs.truncate(MOST_JOBS as usize);
    let mut entries = Vec::new();
    for message in records.quarantined_of(id, tenant).await? {
        entries.push(CorrelationEntry {
            at: message.taken_at,
            what: EntryKind::Quarantine,
            id: message.id.to_string(),
            tenant_id: message.tenant,
            job_id: None,
            name: message.source,
            state: "set aside".to_owned(),
            detail: Some(message.reason),
        });
    }
    for job in &jobs {
        entries.push(enqueued(job));
        entries.extend(attempts(job));
        match job.kind.as_str() {
            ANSWERS => entries.extend(messages(client, platform, job).await?),
            DELIVERS => entries.extend(parts(records, job).await?),
            TELLS => entries.extend(told(records, job).await?),
            _ => {}
        }
    }
    entries.sort_by(|a, b| (a.at, a.what, &a.id).cmp(&(b.at, b.what, &b.id)));
    Ok(Correlation {
        correlation_id: id.to_owned(),
        entries,
        truncated,
    })
}

fn of_job(job: &JobRecord, at: Timestamp, what: EntryKind) -> CorrelationEntry {
    CorrelationEntry {
        at,
        what,
        id: job.id.to_string(),
        tenant_id: job.tenant_id.clone(),
        job_id: Some(job.id),
        name: job.kind.clone(),
        state: job.state.to_string(),
        detail: None,
    }
}

fn enqueued(job: &JobRecord) -> CorrelationEntry {
    CorrelationEntry {
        detail: Some(format!("queue {}", job.queue)),
        ..of_job(job, job.enqueued_at, EntryKind::Job)
    }
}

fn attempts(job: &JobRecord) -> Vec<CorrelationEntry> {
    let entry = |attempt: AttemptRecord| {
        let took = attempt.ended_at.since(attempt.started_at).as_millis();
        let error = attempt.error.map(|error| format!(": {}", error.message));
        let by = format!(
            "{took} ms by {}{}",
            attempt.worker,
            error.unwrap_or_default()
        );
        CorrelationEntry {
            state: attempt.outcome.as_str().to_owned(),
            detail: Some(format!("attempt {}, {by}", attempt.attempt)),
            ..of_job(job, attempt.started_at, EntryKind::Attempt)
        }
    };
    job.all_attempts().into_iter().map(entry).collect()
}

/// The message that was answered, and the answer, by the ids that the job's result names.
async fn messages(
    client: &Client,
    platform: &Platform,
    job: &JobRecord,
) -> Result<Vec<CorrelationEntry>, OperationError> {
    // One that cannot be opened, for want of its key, is shown without what it led to.
    let result = client.result_of(job).ok().flatten();
    let result: Option<Value> = result.and_then(|result| result.decode().ok());
    let (Some(result), Some(tenant)) = (result, &job.tenant_id) else {
        return Ok(Vec::new());
    };
    let Some(conversation) = result["conversationId"].as_str() else {
        return Ok(Vec::new());
    };
    let mut entries = Vec::new();
    for id in ["inboundId", "outboundId"] {
        let Some(id) = result[id].as_str() else {
            continue;
        };
        let message = platform.message(tenant, conversation, id).await?;
        entries.extend(message.map(|message| CorrelationEntry {
            id: id.to_owned(),
            name: message.direction.as_str().to_owned(),
            state: "recorded".to_owned(),
            detail: Some(format!("conversation {conversation}")),
            ..of_job(job, message.at, EntryKind::Message)
        }));
    }
    Ok(entries)
}

async fn parts(
    records: &Records,
    job: &JobRecord,
) -> Result<Vec<CorrelationEntry>, OperationError> {
    let parts = records.outbox_of_job(job.id).await?;
    let entry = |part: crate::records::Outgoing| CorrelationEntry {
        id: part.id.to_string(),
        name: part.channel,
        state: part.state.to_string(),
        detail: Some(format!(
            "message {}, part {} of {}, {} requests",
            part.message, part.part, part.parts, part.attempts
        )),
        ..of_job(job, part.updated_at, EntryKind::Outbox)
    };
    Ok(parts.into_iter().map(entry).collect())
}

async fn told(records: &Records, job: &JobRecord) -> Result<Vec<CorrelationEntry>, OperationError> {
    let deliveries = records.deliveries_of_job(job.id).await?;
    let entry = |delivery: crate::records::Delivery| {
        let status = delivery.status.map(|status| format!(", answered {status}"));
        CorrelationEntry {
            id: delivery.id.to_string(),
            name: delivery.event_type,
            state: delivery.error.unwrap_or_else(|| "delivered".to_owned()),
            detail: Some(format!(
                "webhook {}, event {}, {} ms{}",
                delivery.webhook,
                delivery.event,
                delivery.duration_ms,
                status.unwrap_or_default()
            )),
            ..of_job(job, delivery.at, EntryKind::Delivery)
        }
    };
    Ok(deliveries.into_iter().map(entry).collect())
}

use std::time::Duration;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::Instant;
use windlass::{Context, Job, JobOptions, NewJob, Outcome};

use super::document_walk::{Place, Walk};
use super::{IngestDocument, Services};
use crate::platform::{DocumentStatus, ExaminedDocument};

/// How long it works before it lets go of its slot, so that a pause is heeded and others get a turn.
const SPELL: Duration = Duration::from_secs(20);
/// Behind what people have just uploaded.
const PRIORITY: u8 = 7;

/// Indexes ready documents once more: those whose vectors another model made, or all. Each keeps being
/// found by its old chunks until the new ones replace them.
///
/// It only hands out the work, page by page, and notes how far it is; the documents' own jobs may be
/// paused, limited and watched like any other.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ReindexDocuments {
    /// Only this tenant's; of all tenants if none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
    /// Whatever model made their vectors, as after a change of how documents are cut.
    pub all: bool,
}

/// How far it is.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Done {
    place: Place,
    checked: u64,
    enqueued: u64,
}

impl Job for ReindexDocuments {
    const KIND: &'static str = "reindex_documents";
    type Services = Services;

    fn options() -> JobOptions {
        JobOptions {
            queue: "maintenance",
            timeout: Duration::from_mins(5),
            ..JobOptions::default()
        }
    }

    fn tenant(&self) -> Option<&str> {
        self.tenant_id.as_deref()
    }

    async fn run(self, cx: Context<Services>) -> anyhow::Result<Outcome> {
        let began = Instant::now();
        let mut done: Done = cx.resume()?.unwrap_or_default();
        let Services {
            platform, models, ..
        } = cx.services();
        let model = models.embedder.name();
        let place = done.place.clone();
        let mut walk = Walk::from(platform, self.tenant_id.as_deref(), place).await?;
        while let Some(page) = walk.next().await? {
            let jobs = page
                .documents
                .iter()
                .filter(|document| self.wants(document, model))
                .map(|document| job_for(&cx, &page.tenant, document))
                .collect::<anyhow::Result<Vec<NewJob>>>()?;
            if !jobs.is_empty() {
                // Handed out again after a crash, they are the same jobs, or find their work done.
                let handed_out = cx.client().insert_many(&jobs).await;
                handed_out.context("failed to enqueue the documents' jobs")?;
            }
            done.checked += page.documents.len() as u64;
            done.enqueued += jobs.len() as u64;
            done.place = walk.place().clone();
            cx.checkpoint(&done).await?;
            cx.progress(&done.figures()).await?;
            if cx.cancelled().is_cancelled() || began.elapsed() >= SPELL {
                return Ok(Outcome::snooze(Duration::ZERO));
            }
        }
        Ok(Outcome::complete_with(&done.figures())?)
    }
}

impl ReindexDocuments {
    fn wants(&self, document: &ExaminedDocument, model: &str) -> bool {
        let other = document.embedding_model.as_deref() != Some(model);
        document.status == DocumentStatus::Ready && (self.all || other)
    }
}

impl Done {
    fn figures(&self) -> serde_json::Value {
        json!({"checked": self.checked, "enqueued": self.enqueued})
    }
}

fn job_for(
    cx: &Context<Services>,
    tenant: &str,
    document: &ExaminedDocument,
) -> anyhow::Result<NewJob> {
    let mut job = cx.follow_up(&IngestDocument {
        tenant_id: tenant.to_owned(),
        document_id: document.id.clone(),
    })?;
    job.priority = PRIORITY;
    Ok(job)
}

use std::time::Duration;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use serde_json::json;
use windlass::{Context, Job, JobOptions, Outcome};

use super::failure::from_platform;
use super::{IngestDocument, Services};
use crate::platform::{Adoptions, Failure, Idle, Private, UnfinishedDocument};
use crate::telemetry;

/// Documents taken over in one run; the next is a minute away.
const MOST: u32 = 500;
/// How often one text of a document is taken over before it is what kills its jobs.
const MOST_ADOPTIONS: u32 = 3;
/// How far back a change of a ready document is looked for; `check_documents` looks at all.
const RECENT: Duration = Duration::from_hours(24);

/// Takes over documents that wait, or that somebody began and left: whoever made them died, or was the
/// platform's API, which starts work on a document only once.
///
/// One whose job has died again and again is marked as failed instead, with the job's name.
///
/// A document that anybody touched between the look and the taking is left to whoever that was.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AdoptDocuments {
    /// How long a document that waits is left to the platform's API.
    pub pending_after_seconds: u32,
    /// How long one that is being processed may go untouched.
    pub processing_after_seconds: u32,
}

impl Default for AdoptDocuments {
    fn default() -> Self {
        Self {
            pending_after_seconds: 120,
            processing_after_seconds: 900,
        }
    }
}

impl Job for AdoptDocuments {
    const KIND: &'static str = "adopt_documents";
    type Services = Services;

    fn options() -> JobOptions {
        JobOptions {
            queue: "maintenance",
            timeout: Duration::from_mins(5),
            ..JobOptions::default()
        }
    }

    async fn run(self, cx: Context<Services>) -> anyhow::Result<Outcome> {
        let ago = |seconds: u32| cx.now().minus(Duration::from_secs(seconds.into()));
        let idle = Idle {
            pending: ago(self.pending_after_seconds),
            processing: ago(self.processing_after_seconds),
            changed_after: cx.now().minus(RECENT),
        };
        let platform = &cx.services().platform;
        let found = platform.unfinished_documents(&idle, MOST).await;
        let (mut adopted, mut left, mut waiting, mut given_up) = (0, 0, 0, 0);
        for document in found.map_err(from_platform)? {
            match adopt(&cx, &document).await? {
                Adopted::Enqueued => adopted += 1,
                Adopted::Waiting => waiting += 1,
                Adopted::Touched => left += 1,
                Adopted::GivenUp => given_up += 1,
            }
        }
        telemetry::documents::adopted(adopted);
        Ok(Outcome::complete_with(&json!({
            "adopted": adopted,
            "waiting": waiting,
            "left": left,
            "givenUp": given_up,
        }))?)
    }
}

/// What became of a document that looked forsaken.
pub(super) enum Adopted {
    /// It has a job now.
    Enqueued,
    /// It has had one all the time.
    Waiting,
    /// Somebody else was faster.
    Touched,
    /// Its jobs die of it: it is marked as failed.
    GivenUp,
}

/// The mark on the document and the job become durable together.
pub(super) async fn adopt(
    cx: &Context<Services>,
    document: &UnfinishedDocument,
) -> anyhow::Result<Adopted> {
    let platform = &cx.services().platform;
    let mut tx = platform
        .begin(&document.tenant)
        .await
        .map_err(from_platform)?;
    let before = platform.adopt_document(&mut tx, document).await;
    let Some(before) = before.map_err(from_platform)? else {
        return Ok(Adopted::Touched);
    };
    let job = IngestDocument {
        tenant_id: document.tenant.clone(),
        document_id: document.id.clone(),
    };
    let enqueued = cx.enqueue_in(&mut tx, &job).await;
    let enqueued = enqueued.context("failed to enqueue the document's job")?;
    // One that waits in its queue has died of nothing.
    if enqueued.is_inserted() {
        if before.count >= MOST_ADOPTIONS {
            let rolled_back = tx.rollback().await;
            rolled_back.map_err(|error| from_platform(error.into()))?;
            return give_up(cx, document, &before).await;
        }
        platform
            .note_adoption(&mut tx, document, before.count + 1, enqueued.id())
            .await
            .map_err(from_platform)?;
    }
    tx.commit()
        .await
        .map_err(|error| from_platform(error.into()))?;
    Ok(if enqueued.is_inserted() {
        Adopted::Enqueued
    } else {
        Adopted::Waiting
    })
}

/// Marks a document as failed whose jobs ended without a word on it: they crashed, or were cancelled.
async fn give_up(
    cx: &Context<Services>,
    document: &UnfinishedDocument,
    before: &Adoptions,
) -> anyhow::Result<Adopted> {
    let Adoptions { count, last } = before;
    let job = last.as_deref().unwrap_or_default();
    let failure = Failure {
        error: format!(
            "its job ended {count} times without indexing it, the last time as job {job}: look at why \
             (`jobctl show {job}`), then upload it again or in parts"
        ),
        at: cx.now(),
        kept: Private(json!({})),
    };
    let platform = &cx.services().platform;
    let (tenant, id) = (&document.tenant, &document.id);
    let mut tx = platform.begin(tenant).await.map_err(from_platform)?;
    let failed = platform
        .fail_document(&mut tx, tenant, id, document.version, &failure)
        .await
        .map_err(from_platform)?;
    tx.commit()
        .await
        .map_err(|error| from_platform(error.into()))?;
    if failed {
        telemetry::documents::failed(tenant, id);
    }
    Ok(Adopted::GivenUp)
}

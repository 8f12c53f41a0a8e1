use std::time::Duration;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use serde_json::json;
use windlass::{Context, Job, JobOptions, Outcome};

use super::failure::from_platform;
use super::{IngestDocument, Services};
use crate::platform::{Idle, UnfinishedDocument};
use crate::telemetry;

/// Documents taken over in one run; the next is a minute away.
const MOST: u32 = 500;
/// How far back a change of a ready document is looked for; `check_documents` looks at all.
const RECENT: Duration = Duration::from_hours(24);

/// Takes over documents that wait, or that somebody began and left: whoever made them died, or was the
/// platform's API, which starts work on a document only once.
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
        let (mut adopted, mut left, mut waiting) = (0, 0, 0);
        for document in found.map_err(from_platform)? {
            match adopt(&cx, &document).await? {
                Adopted::Enqueued => adopted += 1,
                Adopted::Waiting => waiting += 1,
                Adopted::Touched => left += 1,
            }
        }
        telemetry::documents::adopted(adopted);
        let result = json!({"adopted": adopted, "waiting": waiting, "left": left});
        Ok(Outcome::complete_with(&result)?)
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
    let ours = platform.adopt_document(&mut tx, document).await;
    if !ours.map_err(from_platform)? {
        return Ok(Adopted::Touched);
    }
    let job = IngestDocument {
        tenant_id: document.tenant.clone(),
        document_id: document.id.clone(),
    };
    let enqueued = cx.enqueue_in(&mut tx, &job).await;
    let enqueued = enqueued.context("failed to enqueue the document's job")?;
    tx.commit()
        .await
        .map_err(|error| from_platform(error.into()))?;
    Ok(if enqueued.is_inserted() {
        Adopted::Enqueued
    } else {
        Adopted::Waiting
    })
}

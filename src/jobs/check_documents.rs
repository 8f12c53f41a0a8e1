use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use windlass::engine::RetryAfter;
use windlass::{Context, Job, JobOptions, Outcome, Timestamp};

use super::Services;
use super::adopt_documents::{Adopted, adopt};
use super::document_walk::{Place, Walk};
use crate::platform::{DocumentStatus, ExaminedDocument, UnfinishedDocument};
use crate::telemetry;

/// How long it works before it lets go of its slot, so that a pause is heeded and others get a turn.
const SPELL: Duration = Duration::from_secs(20);
/// How long a document may be untouched in a state that somebody should end.
const LEFT_ALONE: Duration = Duration::from_mins(15);
/// Documents that are named in the result.
const EXAMPLES: usize = 50;

/// Looks at every document for what does not fit together. What indexing it once more puts right is put
/// right, the rest is reported. A healthy document is not touched, and one that cannot be dealt with
/// holds none of the others.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CheckDocuments {
    /// Only this tenant's; of all tenants if none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
}

/// What was found so far.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Report {
    checked: u64,
    /// How many were, or wait to be, indexed once more, by what was wrong.
    healed: BTreeMap<String, u64>,
    /// How many a person should look at, by what is wrong.
    reported: BTreeMap<String, u64>,
    /// How many could not be dealt with.
    errors: u64,
    examples: Vec<Example>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Example {
    tenant_id: String,
    document_id: String,
    problem: String,
}

/// What is to be done about a document.
#[derive(Debug, PartialEq, Eq)]
enum Finding {
    Healthy,
    /// Indexing it once more puts it right.
    Heal(&'static str),
    /// It does not.
    Report(&'static str),
}

impl Job for CheckDocuments {
    const KIND: &'static str = "check_documents";
    type Services = Services;

    fn options() -> JobOptions {
        JobOptions {
            queue: "maintenance",
            timeout: Duration::from_mins(5),
            ..JobOptions::default()
        }
    }

    async fn run(self, cx: Context<Services>) -> anyhow::Result<Outcome> {
        let began = Instant::now();
        let (place, mut report): (Place, Report) = cx.resume()?.unwrap_or_default();
        let Services {
            platform, models, ..
        } = cx.services();
        let model = models.embedder.name();
        let mut walk = Walk::from(platform, self.tenant_id.as_deref(), place).await?;
        while let Some(page) = walk.next().await? {
            for document in &page.documents {
                let finding = examine(document, model, cx.now());
                report
                    .deal_with(&cx, &page.tenant, document, finding)
                    .await?;
            }
            cx.checkpoint(&(walk.place(), &report)).await?;
            cx.progress(&report.figures()).await?;
            if cx.cancelled().is_cancelled() || began.elapsed() >= SPELL {
                return Ok(Outcome::snooze(Duration::ZERO));
            }
        }
        let sum = |counts: &BTreeMap<String, u64>| counts.values().sum();
        telemetry::documents::checked(report.checked, sum(&report.healed), sum(&report.reported));
        Ok(Outcome::complete_with(&report)?)
    }
}

impl Report {
    async fn deal_with(
        &mut self,
        cx: &Context<Services>,
        tenant: &str,
        document: &ExaminedDocument,
        finding: Finding,
    ) -> anyhow::Result<()> {
        self.checked += 1;
        let problem = match finding {
            Finding::Healthy => return Ok(()),
            Finding::Report(problem) => {
                *self.reported.entry(problem.to_owned()).or_default() += 1;
                problem
            }
            Finding::Heal(problem) => {
                let seen = UnfinishedDocument {
                    tenant: tenant.to_owned(),
                    id: document.id.clone(),
                    version: document.version,
                    updated_at: document.updated_at,
                };
                match adopt(cx, &seen).await {
                    Ok(Adopted::Enqueued | Adopted::Waiting) => {
                        *self.healed.entry(problem.to_owned()).or_default() += 1;
                    }
                    // Somebody is at it.
                    Ok(Adopted::Touched) => return Ok(()),
                    Ok(Adopted::GivenUp) => {
                        *self.reported.entry("given_up".to_owned()).or_default() += 1;
                    }
                    // The database is away: everything waits.
                    Err(error) if error.is::<RetryAfter>() => return Err(error),
                    Err(_) => self.errors += 1,
                }
                problem
            }
        };
        if self.examples.len() < EXAMPLES {
            self.examples.push(Example {
                tenant_id: tenant.to_owned(),
                document_id: document.id.clone(),
                problem: problem.to_owned(),
            });
        }
        Ok(())
    }

    fn figures(&self) -> serde_json::Value {
        serde_json::json!({
            "checked": self.checked,
            "healed": self.healed,
            "reported": self.reported,
            "errors": self.errors,
        })
    }
}

/// The whole judgement.
fn examine(document: &ExaminedDocument, model: &str, now: Timestamp) -> Finding {
    let left_alone = now.since(document.updated_at) > LEFT_ALONE;
    match &document.status {
        DocumentStatus::Ready => examine_ready(document, model),
        DocumentStatus::Pending | DocumentStatus::Processing if left_alone => {
            Finding::Heal("left_alone")
        }
        DocumentStatus::Pending | DocumentStatus::Processing => Finding::Healthy,
        // The old integrity check looked for files that were never written.
        DocumentStatus::Stale if document.has_text => Finding::Heal("stale_with_text"),
        DocumentStatus::Stale => Finding::Report("stale"),
        DocumentStatus::Failed if document.has_text => Finding::Report("failed"),
        DocumentStatus::Failed => Finding::Report("failed_without_text"),
        DocumentStatus::Other(_) => Finding::Report("unknown_status"),
    }
}

fn examine_ready(document: &ExaminedDocument, model: &str) -> Finding {
    let indexed = document.indexed_version.unwrap_or(1);
    let other = |name: &String| name != model;
    if document.chunks == 0 {
        Finding::Heal("ready_without_chunks")
    } else if document.positions < document.chunks {
        Finding::Heal("doubled_chunks")
    } else if document
        .chunk_count
        .is_some_and(|count| count != document.chunks)
    {
        Finding::Heal("chunks_missing")
    } else if document.embedded < document.chunks {
        Finding::Heal("chunks_without_vectors")
    } else if document.version > indexed && document.failed_version == Some(document.version) {
        Finding::Report("failed")
    } else if document.version > indexed {
        Finding::Heal("changed_since_indexed")
    } else if document.embedding_model.as_ref().is_some_and(other) {
        Finding::Report("other_model")
    } else {
        Finding::Healthy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn healthy() -> ExaminedDocument {
        ExaminedDocument {
            id: "d".into(),
            version: 2,
            status: DocumentStatus::Ready,
            updated_at: Timestamp::EPOCH,
            has_text: true,
            chunk_count: Some(3),
            indexed_version: Some(2),
            failed_version: None,
            embedding_model: Some("m".into()),
            chunks: 3,
            positions: 3,
            embedded: 3,
        }
    }

    #[test]
    fn each_fault_of_a_ready_document_is_told() {
        let faulty = |fault: fn(&mut ExaminedDocument)| {
            let mut document = healthy();
            fault(&mut document);
            examine(&document, "m", Timestamp::MAX)
        };
        assert_eq!(faulty(|_| ()), Finding::Healthy);
        assert_eq!(
            faulty(|d| d.chunks = 0),
            Finding::Heal("ready_without_chunks")
        );
        assert_eq!(faulty(|d| d.positions = 2), Finding::Heal("doubled_chunks"));
        assert_eq!(
            faulty(|d| d.chunk_count = Some(4)),
            Finding::Heal("chunks_missing")
        );
        assert_eq!(
            faulty(|d| d.embedded = 2),
            Finding::Heal("chunks_without_vectors")
        );
        assert_eq!(
            faulty(|d| d.version = 3),
            Finding::Heal("changed_since_indexed")
        );
        assert_eq!(
            faulty(|d| (d.version, d.failed_version) = (3, Some(3))),
            Finding::Report("failed"),
            "it would fail again"
        );
        assert_eq!(
            faulty(|d| d.embedding_model = Some("n".into())),
            Finding::Report("other_model")
        );
        assert_eq!(
            faulty(|d| {
                d.version = 1;
                d.indexed_version = None;
                d.chunk_count = None;
                d.embedding_model = None;
            }),
            Finding::Healthy,
            "what the platform's own program wrote is not held against it"
        );
    }

    #[test]
    fn each_other_state_is_dealt_with() {
        let with = |status, has_text, now| {
            let document = ExaminedDocument {
                status,
                has_text,
                ..healthy()
            };
            examine(&document, "m", now)
        };
        let (soon, late) = (Timestamp::EPOCH, Timestamp::MAX);
        assert_eq!(with(DocumentStatus::Pending, true, soon), Finding::Healthy);
        assert_eq!(
            with(DocumentStatus::Processing, true, late),
            Finding::Heal("left_alone")
        );
        assert_eq!(
            with(DocumentStatus::Stale, true, soon),
            Finding::Heal("stale_with_text")
        );
        assert_eq!(
            with(DocumentStatus::Stale, false, soon),
            Finding::Report("stale")
        );
        assert_eq!(
            with(DocumentStatus::Failed, false, soon),
            Finding::Report("failed_without_text")
        );
        let indexed = DocumentStatus::Other("indexed".into());
        assert_eq!(with(indexed, true, soon), Finding::Report("unknown_status"));
    }
}

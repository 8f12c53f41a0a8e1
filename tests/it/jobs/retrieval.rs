//! Whether questions find what answers them: this project's own pages, and questions whose answers are
//! known to stand in one of them. The embedder is the offline one, which matches words.

use std::fmt::Write as _;
use std::sync::Arc;

use metachat_jobs::jobs::retrieve;
use metachat_jobs::platform::RagSettings;
use metachat_jobs::services::models::{ModelOptions, Models};

use super::rig::{Rig, TENANT, on_postgres, on_sqlite};

macro_rules! page {
    ($path:literal) => {
        ($path, include_str!(concat!("../../../", $path)))
    };
}

const PAGES: &[(&str, &str)] = &[
    page!("docs/adr/0001-apalis-is-the-runtime-not-the-store.md"),
    page!("docs/adr/0002-live-and-finished-tables.md"),
    page!("docs/adr/0003-sql-in-files.md"),
    page!("docs/adr/0004-document-search.md"),
    page!("docs/adr/0005-ordering-keys-by-hand-off.md"),
    page!("docs/adr/0006-rescue-by-lease-and-fence.md"),
    page!("docs/adr/0007-governed-queues.md"),
    page!("docs/guides/apalis.md"),
    page!("docs/guides/bulk-jobs.md"),
    page!("docs/guides/data-at-rest.md"),
    page!("docs/guides/flows.md"),
    page!("docs/guides/limits.md"),
    page!("docs/guides/operating.md"),
    page!("docs/guides/schedules.md"),
    page!("docs/guides/testing.md"),
    page!("docs/guides/upgrades.md"),
    page!("docs/guides/writing-jobs.md"),
];

/// A question, and a word of the page that answers it.
const QUESTIONS: &[(&str, &str)] = &[
    ("Which layers does a job pass through in apalis?", "0001"),
    (
        "Why not use the SQL backends that come with apalis?",
        "0001",
    ),
    ("Where do finished jobs go on PostgreSQL?", "0002"),
    (
        "Why are completed jobs kept in tables of their own?",
        "0002",
    ),
    ("Where is the SQL of a statement written?", "0003"),
    ("Why is sqlite-vec not used for vector search?", "0004"),
    (
        "How are words searched in documents of any language?",
        "0004",
    ),
    ("How is strict order kept between jobs of one key?", "0005"),
    ("What happens to a job when its worker crashes?", "0006"),
    (
        "What keeps a late worker from recording an outcome?",
        "0006",
    ),
    ("What does a claim cost in a queue with limits?", "0007"),
    (
        "Can I run apalis-cron or apalis-board on windlass?",
        "guides/apalis",
    ),
    ("How do I embed many texts in one call?", "bulk-jobs"),
    ("How long does a batch wait for more jobs?", "bulk-jobs"),
    ("How are args encrypted at rest?", "data-at-rest"),
    ("How do I rotate the sealing keys?", "data-at-rest"),
    ("How can a job wait for several parents?", "flows"),
    ("How do I retry a flow from one of its steps?", "flows"),
    (
        "How do I limit how many jobs of a tenant run at once?",
        "limits",
    ),
    (
        "How do I keep one busy tenant from starving the others?",
        "limits",
    ),
    ("How do I pause a queue for an hour?", "operating"),
    ("How can I drain a worker before a deploy?", "operating"),
    (
        "What happens to a tick that was missed while everything was down?",
        "schedules",
    ),
    (
        "What do schedules do when the clocks change in spring?",
        "schedules",
    ),
    ("How do I test a job without a database?", "testing"),
    ("How can a test set the time?", "testing"),
    ("Can older programs work on newer tables?", "upgrades"),
    ("How do I mark an error as permanent?", "writing-jobs"),
    (
        "How do I snooze a job without using an attempt?",
        "writing-jobs",
    ),
    (
        "How does a job complete in its own transaction?",
        "writing-jobs",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn known_answers_are_found_on_postgres() {
    on_postgres(ModelOptions::default(), known_answers_are_found).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn known_answers_are_found_on_sqlite() {
    on_sqlite(ModelOptions::default(), known_answers_are_found).await;
}

async fn known_answers_are_found(rig: Arc<Rig>) {
    let mut jobs = Vec::new();
    for (path, text) in PAGES {
        jobs.push(rig.add_document(path, text).await.0);
    }
    for job in jobs {
        rig.result(job).await;
    }
    let fused = recall(&rig, &RagSettings::default()).await;
    let by_meaning = recall(&rig, &weights(1.0, 0.0)).await;
    let by_words = recall(&rig, &weights(0.0, 1.0)).await;
    let figures = format!(
        "of {}: fused {}, vectors alone {}, words alone {}\n{}",
        QUESTIONS.len(),
        fused.found,
        by_meaning.found,
        by_words.found,
        fused.missed
    );
    // Pages change; the figures of the day stand in docs/guides/documents.md.
    assert!(fused.found * 100 >= QUESTIONS.len() * 85, "{figures}");
    assert!(by_words.found * 100 >= QUESTIONS.len() * 75, "{figures}");
}

fn weights(vector: f64, keyword: f64) -> RagSettings {
    RagSettings {
        vector_weight: vector,
        keyword_weight: keyword,
        ..RagSettings::default()
    }
}

struct Recall {
    found: usize,
    missed: String,
}

/// For how many questions the right page is among the best five pieces.
async fn recall(rig: &Rig, settings: &RagSettings) -> Recall {
    let models = Models::new(&ModelOptions::default()).unwrap();
    let settings = RagSettings {
        top_k: 5,
        ..settings.clone()
    };
    let mut recall = Recall {
        found: 0,
        missed: String::new(),
    };
    for (question, page) in QUESTIONS {
        let found = retrieve(&rig.platform, &models, TENANT, &settings, question).await;
        let pages: Vec<String> = found
            .unwrap()
            .into_iter()
            .map(|found| found.hit.document_name)
            .collect();
        if pages.iter().any(|name| name.contains(page)) {
            recall.found += 1;
        } else {
            writeln!(recall.missed, "{question} ({page}): {pages:?}").unwrap();
        }
    }
    recall
}

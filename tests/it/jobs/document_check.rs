//! Documents that do not fit together, and documents that another model indexed.

use std::sync::Arc;

use metachat_jobs::jobs::{CheckDocuments, ReindexDocuments};
use metachat_jobs::platform::DocumentStatus;
use metachat_jobs::services::models::ModelOptions;
use serde_json::{Value, json};
use windlass::Job;
use windlass::model::{Filter, Page};

use super::rig::{Rig, TENANT, on_postgres, on_sqlite};
use crate::platform::records::{DOCUMENTS, execute, insert};

macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod postgres { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::on_postgres(super::ModelOptions::default(), super::$name).await; })* }
        mod sqlite { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::on_sqlite(super::ModelOptions::default(), super::$name).await; })* }
    };
}

on_both! {
    what_indexing_puts_right_is_put_right_and_the_rest_reported,
    what_another_model_indexed_is_indexed_once_more,
}

async fn run<J: Job>(rig: &Rig, job: &J) -> Value {
    let id = rig.client.enqueue(job).await.unwrap().id();
    rig.result(id).await
}

async fn row(rig: &Rig, tenant: &str, id: &str, status: &str, metadata: Value) {
    let row = json!([
        id,
        tenant,
        "a.txt",
        "text/plain",
        "",
        "00",
        status,
        metadata,
        0
    ]);
    insert(&rig.platform, tenant, &DOCUMENTS, &[row]).await;
}

/// Waits until every document has been processed.
async fn all_done(rig: &Rig) {
    let ingests = Filter {
        kind: Some("ingest_document".into()),
        ..Filter::default()
    };
    for job in rig.client.list(&ingests, Page::default()).await.unwrap() {
        rig.finished(job.id).await;
    }
}

async fn status(rig: &Rig, id: &str) -> DocumentStatus {
    let document = rig.platform.document(TENANT, id).await.unwrap();
    document.expect("the document is there").status
}

async fn what_indexing_puts_right_is_put_right_and_the_rest_reported(rig: Arc<Rig>) {
    let (job, doubled) = rig.add_document("doubled", "A doubled marmalade.").await;
    rig.result(job).await;
    // As two programs at once do it.
    execute(
        &rig.platform,
        TENANT,
        r#"insert into chunks (id, "tenantId", "documentId", content, embedding, position, metadata, "createdAt")
           select 'again', "tenantId", "documentId", content, embedding, position, metadata, "createdAt" from chunks"#,
    )
    .await;
    let (job, good) = rig.add_document("good", "A good pineapple.").await;
    rig.result(job).await;
    let before = rig.platform.document(TENANT, &good).await.unwrap().unwrap();
    let text = || json!({"content": "A forgotten zeppelin."});
    for (id, state, metadata) in [
        ("1-empty", "ready", text()),
        ("2-begun", "processing", text()),
        ("3-stale", "stale", text()),
        ("4-lost", "stale", json!({})),
        ("5-failed", "failed", json!({"error": "x"})),
        ("6-odd", "indexed", text()),
        (
            "7-blank",
            "ready",
            json!({"content": " ", "chunkCount": "many"}),
        ),
    ] {
        row(&rig, TENANT, id, state, metadata).await;
    }
    let report = run(&rig, &CheckDocuments::default()).await;
    assert_eq!(report["checked"], 9);
    assert_eq!(report["errors"], 0);
    assert_eq!(
        report["healed"],
        json!({
            "doubled_chunks": 1, "left_alone": 1, "ready_without_chunks": 2, "stale_with_text": 1,
        })
    );
    assert_eq!(
        report["reported"],
        json!({"failed_without_text": 1, "stale": 1, "unknown_status": 1})
    );
    let examples = report["examples"].as_array().unwrap();
    assert_eq!(examples.len(), 8, "each but the good one: {examples:?}");

    all_done(&rig).await;
    for id in ["1-empty", "2-begun", "3-stale", &doubled] {
        assert_eq!(status(&rig, id).await, DocumentStatus::Ready, "{id}");
    }
    assert_eq!(status(&rig, "7-blank").await, DocumentStatus::Failed);
    let found = rig.platform.keyword(TENANT, "marmalade", 9).await.unwrap();
    assert_eq!(found.len(), 1, "no longer doubled");
    let found = rig.platform.keyword(TENANT, "zeppelin", 9).await.unwrap();
    assert_eq!(found.len(), 3);
    let after = rig.platform.document(TENANT, &good).await.unwrap().unwrap();
    assert_eq!(after, before, "a healthy one is not touched");
    let report = run(&rig, &CheckDocuments::default()).await;
    assert_eq!(report["healed"], json!({}), "nothing is healed twice");
}

async fn what_another_model_indexed_is_indexed_once_more(rig: Arc<Rig>) {
    let (job, _) = rig.add_document("ours", "A modern pineapple.").await;
    rig.result(job).await;
    rig.create_tenant("other", &json!({})).await;
    let old = |word: &str| json!({"content": format!("An old {word}."), "embeddingModel": "old"});
    row(&rig, TENANT, "old", "ready", old("marmalade")).await;
    row(&rig, "other", "theirs", "ready", old("zeppelin")).await;
    // More than a page of what does not count.
    let failed: Vec<Value> = (0..205)
        .map(|n| {
            let id = format!("failed-{n:03}");
            json!([id, TENANT, "a.txt", "text/plain", "", "00", "failed", {}, 0])
        })
        .collect();
    insert(&rig.platform, TENANT, &DOCUMENTS, &failed).await;
    let done = run(&rig, &ReindexDocuments::default()).await;
    assert_eq!(done, json!({"checked": 208, "enqueued": 2}));
    all_done(&rig).await;
    for (tenant, id, word) in [
        (TENANT, "old", "marmalade"),
        ("other", "theirs", "zeppelin"),
    ] {
        let document = rig.platform.document(tenant, id).await.unwrap().unwrap();
        assert_eq!(document.metadata["embeddingModel"], "hash-1");
        assert_eq!(
            rig.platform.keyword(tenant, word, 9).await.unwrap().len(),
            1
        );
    }
    let done = run(&rig, &ReindexDocuments::default()).await;
    assert_eq!(done, json!({"checked": 208, "enqueued": 0}));
    let report = run(&rig, &CheckDocuments::default()).await;
    assert_eq!(report["checked"], 208);
    assert_eq!(
        report["examples"].as_array().unwrap().len(),
        50,
        "and no more"
    );
    let one = ReindexDocuments {
        tenant_id: Some("other".into()),
        all: true,
    };
    assert_eq!(run(&rig, &one).await, json!({"checked": 1, "enqueued": 1}));
}

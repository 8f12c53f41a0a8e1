use metachat_jobs::platform::{
    Adoptions, DocumentStatus, Failure, Finished, Idle, Indexed, Platform, UnfinishedDocument,
};
use serde_json::json;
use windlass::Timestamp;

use super::fixture::{chunk, document, failure, indexed, ready, tenant, vector};
use super::records::{METRICS, execute, insert};

super::on_all!(
    a_document_is_processed_from_pending_to_ready,
    a_failure_keeps_the_text_and_success_clears_the_failure,
    a_late_failure_never_hides_a_ready_document,
    a_new_text_that_fails_is_noted_and_the_old_one_stays_findable,
    an_older_run_never_wins,
    chunks_are_swapped_in_one_step,
    chunks_of_the_wrong_shape_change_nothing,
    a_document_is_taken_over_by_whoever_is_first,
    a_text_that_changed_after_it_was_indexed_is_found,
    a_text_that_was_written_over_meanwhile_comes_back,
);

super::on_both!(documents_that_nobody_touches_are_found_again);

async fn pending(platform: &Platform, content: &str) -> String {
    tenant(platform, "acme").await;
    let mut tx = platform.begin("acme").await.unwrap();
    let new = document("Price list 2026", content);
    let id = platform
        .insert_document(&mut tx, "acme", &new)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    id
}

/// Row security hides tenants; those with figures are known nevertheless.
async fn make_known(platform: &Platform) {
    let row = json!(["acme", null, 1, 1, false, null, null, false, false]);
    insert(platform, "acme", &METRICS, &[row]).await;
}

async fn mark(platform: &Platform, id: &str, version: i32) -> bool {
    let mut tx = platform.begin("acme").await.unwrap();
    let marked = platform.mark_processing(&mut tx, "acme", id, version).await;
    tx.commit().await.unwrap();
    marked.unwrap()
}

async fn fail(platform: &Platform, id: &str, version: i32) -> bool {
    let mut tx = platform.begin("acme").await.unwrap();
    let failed = platform
        .fail_document(&mut tx, "acme", id, version, &failure("no model"))
        .await;
    tx.commit().await.unwrap();
    failed.unwrap()
}

async fn finish(platform: &Platform, id: &str, version: i32, text: &str) -> Finished {
    let mut tx = platform.begin("acme").await.unwrap();
    let chunks = [chunk(0, text, &[1.0])];
    let finished = platform
        .finish_document(&mut tx, "acme", id, version, &chunks, &indexed())
        .await;
    tx.commit().await.unwrap();
    finished.unwrap()
}

/// What a search finds.
async fn visible(platform: &Platform) -> Vec<String> {
    let hits = platform
        .nearest("acme", &vector(&[1.0]), 10, 0.0)
        .await
        .unwrap();
    hits.into_iter()
        .map(|hit| hit.content.into_inner())
        .collect()
}

async fn a_document_is_processed_from_pending_to_ready(platform: Platform) {
    let id = pending(&platform, "one").await;
    let read = platform.document("acme", &id).await.unwrap().unwrap();
    assert_eq!(read.name, "Price list 2026");
    assert_eq!(read.filename, "Price_list_2026.txt");
    assert_eq!(read.version, 1);
    assert_eq!(read.status, DocumentStatus::Pending);
    assert_eq!(read.content.as_deref().map(String::as_str), Some("one"));
    let sha256_of_one = "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed";
    assert_eq!(read.checksum, sha256_of_one);

    assert!(mark(&platform, &id, 1).await);
    let read = platform.document("acme", &id).await.unwrap().unwrap();
    assert_eq!(read.status, DocumentStatus::Processing);
    assert_eq!(visible(&platform).await, Vec::<String>::new());

    assert_eq!(finish(&platform, &id, 1, "chunk").await, Finished::Stored);
    let read = platform.document("acme", &id).await.unwrap().unwrap();
    assert_eq!(read.status, DocumentStatus::Ready);
    assert_eq!(read.content.as_deref().map(String::as_str), Some("one"));
    assert_eq!(read.metadata["chunkCount"], 1);
    assert_eq!(read.metadata["embeddingModel"], "hash");
    assert_eq!(read.metadata["embeddingDimensions"], 1024);
    assert_eq!(read.metadata["language"], "hr");
    assert_eq!(read.metadata["processedAt"], "2026-01-15T12:00:00.000Z");
    assert_eq!(visible(&platform).await, ["chunk"]);
}

async fn a_failure_keeps_the_text_and_success_clears_the_failure(platform: Platform) {
    let id = pending(&platform, "one").await;
    assert!(mark(&platform, &id, 1).await);
    assert!(fail(&platform, &id, 1).await);
    let read = platform.document("acme", &id).await.unwrap().unwrap();
    assert_eq!(read.status, DocumentStatus::Failed);
    assert_eq!(read.content.as_deref().map(String::as_str), Some("one"));
    assert_eq!(read.metadata["error"], "no model");
    assert_eq!(read.metadata["failedAt"], "2026-01-15T12:00:00.000Z");
    assert_eq!(read.metadata["name"], "Price list 2026");

    assert!(mark(&platform, &id, 1).await);
    assert_eq!(finish(&platform, &id, 1, "chunk").await, Finished::Stored);
    let read = platform.document("acme", &id).await.unwrap().unwrap();
    assert_eq!(read.status, DocumentStatus::Ready);
    assert_eq!(read.metadata.get("error"), None);
    assert_eq!(read.metadata.get("failedAt"), None);
}

async fn a_late_failure_never_hides_a_ready_document(platform: Platform) {
    let id = pending(&platform, "one").await;
    assert_eq!(finish(&platform, &id, 1, "chunk").await, Finished::Stored);
    assert!(!fail(&platform, &id, 1).await);
    assert!(mark(&platform, &id, 1).await, "processed once more");
    assert_eq!(visible(&platform).await, ["chunk"], "and found meanwhile");
    assert!(!fail(&platform, &id, 1).await);
    assert_eq!(visible(&platform).await, ["chunk"]);
}

/// Or its new text would be tried again and again.
async fn a_new_text_that_fails_is_noted_and_the_old_one_stays_findable(platform: Platform) {
    let id = pending(&platform, "one").await;
    make_known(&platform).await;
    assert_eq!(finish(&platform, &id, 1, "chunk").await, Finished::Stored);
    let theirs = r#"update documents set version = version + 1 where "tenantId" = 'acme'"#;
    execute(&platform, "acme", theirs).await;
    assert!(fail(&platform, &id, 2).await);
    let read = platform.document("acme", &id).await.unwrap().unwrap();
    assert_eq!(read.status, DocumentStatus::Ready);
    assert_eq!(read.metadata["error"], "no model");
    assert_eq!(read.metadata["failedVersion"], 2);
    assert_eq!(visible(&platform).await, ["chunk"]);
    let idle = Idle {
        pending: Timestamp::MAX,
        processing: Timestamp::MAX,
        changed_after: Timestamp::EPOCH,
    };
    assert_eq!(platform.unfinished_documents(&idle, 10).await.unwrap(), []);
    let examined = platform.examine_documents("acme", "", 10).await.unwrap();
    assert_eq!(examined[0].failed_version, Some(2));
    // Another text is another chance.
    execute(&platform, "acme", theirs).await;
    let found = platform.unfinished_documents(&idle, 10).await.unwrap();
    assert_eq!(ids(&found), [("acme", id.as_str())]);
    assert_eq!(finish(&platform, &id, 3, "newer").await, Finished::Stored);
    let read = platform.document("acme", &id).await.unwrap().unwrap();
    for gone in ["error", "failedAt", "failedVersion"] {
        assert_eq!(read.metadata.get(gone), None, "{gone}");
    }
}

async fn an_older_run_never_wins(platform: Platform) {
    let id = pending(&platform, "one").await;
    let mut tx = platform.begin("acme").await.unwrap();
    let version = platform
        .replace_content(&mut tx, "acme", &id, "two")
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(version, 2);
    assert!(!mark(&platform, &id, 1).await);
    assert!(!fail(&platform, &id, 1).await);
    assert_eq!(finish(&platform, &id, 1, "old").await, Finished::Superseded);
    assert_eq!(finish(&platform, &id, 2, "new").await, Finished::Stored);
    assert_eq!(finish(&platform, &id, 1, "old").await, Finished::Superseded);
    assert_eq!(finish(&platform, "nowhere", 1, "old").await, Finished::Gone);
    assert_eq!(visible(&platform).await, ["new"]);
    let read = platform.document("acme", &id).await.unwrap().unwrap();
    assert_eq!(read.content.as_deref().map(String::as_str), Some("two"));
    assert_eq!(read.name, "Price list 2026");
}

async fn chunks_are_swapped_in_one_step(platform: Platform) {
    tenant(&platform, "acme").await;
    let id = ready(
        &platform,
        "acme",
        "FAQ",
        &[chunk(0, "old 1", &[1.0]), chunk(1, "old 2", &[1.0, 0.1])],
    )
    .await;
    let before = ["old 1", "old 2"];
    let new = [chunk(0, "new 1", &[1.0])];

    let mut tx = platform.begin("acme").await.unwrap();
    let swapped = platform.replace_chunks(&mut tx, "acme", &id, 1, &new).await;
    assert_eq!(swapped.unwrap(), Finished::Stored);
    assert_eq!(visible(&platform).await, before, "not committed yet");
    tx.rollback().await.unwrap();
    assert_eq!(visible(&platform).await, before, "never committed");

    let mut tx = platform.begin("acme").await.unwrap();
    let swapped = platform.replace_chunks(&mut tx, "acme", &id, 1, &new).await;
    assert_eq!(swapped.unwrap(), Finished::Stored);
    tx.commit().await.unwrap();
    assert_eq!(visible(&platform).await, ["new 1"]);
    let words = platform.keyword("acme", "old", 10).await.unwrap();
    assert_eq!(words, []);
}

async fn chunks_of_the_wrong_shape_change_nothing(platform: Platform) {
    tenant(&platform, "acme").await;
    let id = ready(&platform, "acme", "FAQ", &[chunk(0, "good", &[1.0])]).await;
    let mut short = chunk(0, "bad", &[1.0]);
    short.embedding.pop();
    let mut tx = platform.begin("acme").await.unwrap();
    let refused = platform
        .replace_chunks(&mut tx, "acme", &id, 1, &[short])
        .await;
    let problem = refused.unwrap_err().to_string();
    assert!(problem.contains("1024 numbers, this one 1023"), "{problem}");
    tx.commit().await.unwrap();
    assert_eq!(visible(&platform).await, ["good"]);
}

async fn documents_that_nobody_touches_are_found_again(platform: Platform) {
    let waiting = pending(&platform, "one").await;
    tenant(&platform, "other").await;
    ready(&platform, "other", "FAQ", &[]).await;
    let mut tx = platform.begin("other").await.unwrap();
    let new = document("Stuck", "two");
    let stuck = platform
        .insert_document(&mut tx, "other", &new)
        .await
        .unwrap();
    let failed = platform
        .insert_document(&mut tx, "other", &new)
        .await
        .unwrap();
    assert!(
        platform
            .mark_processing(&mut tx, "other", &stuck, 1)
            .await
            .unwrap()
    );
    let error = platform
        .fail_document(&mut tx, "other", &failed, 1, &failure("no"))
        .await;
    assert!(error.unwrap());
    tx.commit().await.unwrap();

    let idle = |since| Idle {
        pending: since,
        processing: since,
        changed_after: Timestamp::EPOCH,
    };
    let untouched = platform
        .unfinished_documents(&idle(Timestamp::EPOCH), 10)
        .await
        .unwrap();
    assert_eq!(untouched, [], "all of them were touched since 1970");
    let found = platform
        .unfinished_documents(&idle(Timestamp::MAX), 10)
        .await
        .unwrap();
    assert_eq!(ids(&found), [("acme", waiting.as_str()), ("other", &stuck)]);
    let one = platform
        .unfinished_documents(&idle(Timestamp::MAX), 1)
        .await
        .unwrap();
    assert_eq!(ids(&one), [("acme", waiting.as_str())]);
    let fresh = Idle {
        processing: Timestamp::EPOCH,
        ..idle(Timestamp::MAX)
    };
    let found = platform.unfinished_documents(&fresh, 10).await.unwrap();
    assert_eq!(ids(&found), [("acme", waiting.as_str())]);
}

fn ids(found: &[UnfinishedDocument]) -> Vec<(&str, &str)> {
    found
        .iter()
        .map(|document| (document.tenant.as_str(), document.id.as_str()))
        .collect()
}

async fn a_document_is_taken_over_by_whoever_is_first(platform: Platform) {
    let id = pending(&platform, "one").await;
    make_known(&platform).await;
    let idle = Idle {
        pending: Timestamp::MAX,
        processing: Timestamp::EPOCH,
        changed_after: Timestamp::EPOCH,
    };
    let found = platform.unfinished_documents(&idle, 10).await.unwrap();
    assert_eq!(ids(&found), [("acme", id.as_str())]);
    let adopt = async |seen: &UnfinishedDocument| {
        let mut tx = platform.begin("acme").await.unwrap();
        let taken = platform.adopt_document(&mut tx, seen).await.unwrap();
        tx.commit().await.unwrap();
        taken
    };
    let older = UnfinishedDocument {
        updated_at: Timestamp::from_micros(found[0].updated_at.as_micros() - 1000),
        ..found[0].clone()
    };
    assert_eq!(adopt(&older).await, None, "somebody touched it since");
    let other = UnfinishedDocument {
        version: 2,
        ..found[0].clone()
    };
    assert_eq!(adopt(&other).await, None, "it has another text by now");
    assert_eq!(adopt(&found[0]).await, Some(Adoptions::default()));
    let read = platform.document("acme", &id).await.unwrap().unwrap();
    assert_eq!(read.status, DocumentStatus::Processing);
    assert_eq!(read.content.as_deref().map(String::as_str), Some("one"));
}

async fn a_text_that_changed_after_it_was_indexed_is_found(platform: Platform) {
    let id = pending(&platform, "one").await;
    make_known(&platform).await;
    assert_eq!(finish(&platform, &id, 1, "chunk").await, Finished::Stored);
    let idle = Idle {
        pending: Timestamp::MAX,
        processing: Timestamp::MAX,
        changed_after: Timestamp::EPOCH,
    };
    let found = platform.unfinished_documents(&idle, 10).await.unwrap();
    assert_eq!(found, []);
    // As the platform's API does it: a new text and version, and the status stays.
    let theirs = r#"update documents set version = version + 1 where "tenantId" = 'acme'"#;
    execute(&platform, "acme", theirs).await;
    let found = platform.unfinished_documents(&idle, 10).await.unwrap();
    assert_eq!(ids(&found), [("acme", id.as_str())]);
    assert_eq!(visible(&platform).await, ["chunk"], "found meanwhile");
    assert_eq!(finish(&platform, &id, 2, "newer").await, Finished::Stored);
    let found = platform.unfinished_documents(&idle, 10).await.unwrap();
    assert_eq!(found, []);
}

/// The platform's own attempt at the same document fails, and replaces all metadata by its error.
async fn a_text_that_was_written_over_meanwhile_comes_back(platform: Platform) {
    for fails in [false, true] {
        let id = pending(&platform, "the only copy").await;
        let read = platform.document("acme", &id).await.unwrap().unwrap();
        let theirs = r#"update documents set status = 'failed', metadata = '{"error": "theirs", "failedAt": "now"}'"#;
        execute(&platform, "acme", theirs).await;
        let mut tx = platform.begin("acme").await.unwrap();
        if fails {
            let failure = Failure {
                kept: read.stored(),
                ..failure("ours")
            };
            let failed = platform
                .fail_document(&mut tx, "acme", &id, 1, &failure)
                .await;
            assert!(failed.unwrap());
        } else {
            let indexed = Indexed {
                kept: read.stored(),
                ..indexed()
            };
            let chunks = [chunk(0, "chunk", &[1.0])];
            let finished = platform
                .finish_document(&mut tx, "acme", &id, 1, &chunks, &indexed)
                .await;
            assert_eq!(finished.unwrap(), Finished::Stored);
        }
        tx.commit().await.unwrap();
        let read = platform.document("acme", &id).await.unwrap().unwrap();
        assert_eq!(
            read.content.as_deref().map(String::as_str),
            Some("the only copy")
        );
        assert_eq!(read.name, "Price list 2026");
        let error = read.metadata.get("error").and_then(|error| error.as_str());
        assert_eq!(error, fails.then_some("ours"));
        execute(&platform, "acme", "delete from tenants where id = 'acme'").await;
    }
}

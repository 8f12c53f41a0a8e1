use metachat_jobs::platform::{DocumentStatus, Finished, Platform, UnfinishedDocument};
use windlass::Timestamp;

use super::fixture::{at, chunk, document, indexed, ready, tenant, vector};

super::on_all!(
    a_document_is_processed_from_pending_to_ready,
    a_failure_keeps_the_text_and_success_clears_the_failure,
    a_late_failure_never_hides_a_ready_document,
    an_older_run_never_wins,
    chunks_are_swapped_in_one_step,
    chunks_of_the_wrong_shape_change_nothing,
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

async fn mark(platform: &Platform, id: &str, version: i32) -> bool {
    let mut tx = platform.begin("acme").await.unwrap();
    let marked = platform.mark_processing(&mut tx, "acme", id, version).await;
    tx.commit().await.unwrap();
    marked.unwrap()
}

async fn fail(platform: &Platform, id: &str, version: i32) -> bool {
    let mut tx = platform.begin("acme").await.unwrap();
    let failed = platform
        .fail_document(&mut tx, "acme", id, version, "no model", at(0))
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
        .fail_document(&mut tx, "other", &failed, 1, "no", at(0))
        .await;
    assert!(error.unwrap());
    tx.commit().await.unwrap();

    let untouched = platform
        .unfinished_documents(Timestamp::EPOCH, 10)
        .await
        .unwrap();
    assert_eq!(untouched, [], "all of them were touched since 1970");
    let found = platform
        .unfinished_documents(Timestamp::MAX, 10)
        .await
        .unwrap();
    let unfinished = |tenant: &str, id: &str| UnfinishedDocument {
        tenant: tenant.to_owned(),
        id: id.to_owned(),
        version: 1,
    };
    assert_eq!(
        found,
        [unfinished("acme", &waiting), unfinished("other", &stuck)]
    );
    assert_eq!(
        platform
            .unfinished_documents(Timestamp::MAX, 1)
            .await
            .unwrap()
            .len(),
        1
    );
}

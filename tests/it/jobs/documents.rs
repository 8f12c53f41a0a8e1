use std::sync::Arc;

use metachat_jobs::jobs::IngestDocument;
use metachat_jobs::platform::DocumentStatus;
use metachat_jobs::services::models::ModelOptions;
use windlass::State;

use super::rig::{Rig, TENANT, on_postgres, on_sqlite};

macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod postgres { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::on_postgres(super::ModelOptions::default(), super::$name).await; })* }
        mod sqlite { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::on_sqlite(super::ModelOptions::default(), super::$name).await; })* }
    };
}

on_both! {
    a_document_becomes_findable_and_keeps_its_text,
    a_document_without_text_fails_and_can_be_mended,
    a_new_version_replaces_the_old_chunks,
}

async fn a_document_becomes_findable_and_keeps_its_text(rig: Arc<Rig>) {
    let text =
        "# Title\n\nFirst part.\n\n".to_owned() + &"A long sentence about whales. ".repeat(200);
    let (job, id) = rig.add_document("whales.md", &text).await;
    let chunks = rig.result(job).await["chunks"].as_u64().unwrap();
    assert!(chunks > 3);
    let document = rig.platform.document(TENANT, &id).await.unwrap().unwrap();
    assert_eq!(document.status, DocumentStatus::Ready);
    assert_eq!(document.content.unwrap().0, text);
    assert_eq!(document.metadata["chunkCount"], chunks);
    assert_eq!(document.metadata["embeddingModel"], "hash-1");
    let job = rig.finished(job).await;
    assert!(job.progress.unwrap().as_str().contains("embedded"));
    let hits = rig.platform.keyword(TENANT, "whales", 50).await.unwrap();
    assert!(hits.iter().all(|hit| text.contains(&*hit.content)));
}

async fn a_document_without_text_fails_and_can_be_mended(rig: Arc<Rig>) {
    let (job, id) = rig.add_document("empty.md", "  \n ").await;
    let job = rig.finished(job).await;
    assert_eq!((job.state, job.attempt), (State::Dead, 1));
    let document = rig.platform.document(TENANT, &id).await.unwrap().unwrap();
    assert_eq!(document.status, DocumentStatus::Failed);
    assert!(
        document.metadata["error"]
            .as_str()
            .unwrap()
            .contains("holds no text")
    );
    assert_eq!(document.content.unwrap().0, "  \n ", "the text is kept");

    let mut tx = rig.platform.begin(TENANT).await.unwrap();
    rig.platform
        .replace_content(&mut tx, TENANT, &id, "Now it says something.")
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let again = IngestDocument {
        tenant_id: TENANT.to_owned(),
        document_id: id.clone(),
    };
    let job = rig.client.enqueue(&again).await.unwrap();
    assert!(job.is_inserted(), "a dead job holds no key");
    assert_eq!(rig.result(job.id()).await["chunks"], 1);
    let document = rig.platform.document(TENANT, &id).await.unwrap().unwrap();
    assert_eq!(document.status, DocumentStatus::Ready);
}

async fn a_new_version_replaces_the_old_chunks(rig: Arc<Rig>) {
    let (job, id) = rig
        .add_document("price.md", "The umbrella costs ten euros.")
        .await;
    rig.result(job).await;
    let mut tx = rig.platform.begin(TENANT).await.unwrap();
    let text = "The umbrella costs twelve euros.";
    let version = rig
        .platform
        .replace_content(&mut tx, TENANT, &id, text)
        .await
        .unwrap();
    let again = IngestDocument {
        tenant_id: TENANT.to_owned(),
        document_id: id.clone(),
    };
    let job = rig.client.enqueue_in(&mut tx, &again).await.unwrap().id();
    tx.commit().await.unwrap();
    assert_eq!(rig.result(job).await["version"], version);
    let hits = rig.platform.keyword(TENANT, "umbrella", 10).await.unwrap();
    let texts: Vec<&str> = hits.iter().map(|hit| hit.content.as_str()).collect();
    assert_eq!(texts, [text]);
}

//! What a model server is asked when documents are indexed, and what it is not.

use std::sync::Arc;

use metachat_jobs::jobs::{IngestDocument, PruneEmbeddings};
use metachat_jobs::platform::DocumentStatus;
use metachat_jobs::services::models::{ModelOptions, OllamaOptions};
use serde_json::json;
use windlass::{JobId, State};

use super::model_server::{Cost, ModelServer};
use super::rig::{Rig, TENANT, on_postgres, on_sqlite};

macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod postgres { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let server = super::ModelServer::start(super::Cost::default()).await;
                let options = super::patient(&server);
                super::on_postgres(options, move |rig| super::$name(rig, server)).await;
            })* }
        mod sqlite { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let server = super::ModelServer::start(super::Cost::default()).await;
                let options = super::patient(&server);
                super::on_sqlite(options, move |rig| super::$name(rig, server)).await;
            })* }
    };
}

on_both! {
    chunks_are_embedded_in_few_calls_and_unchanged_ones_not_again,
    documents_that_are_indexed_together_share_calls,
    an_outage_in_the_middle_loses_no_page_that_was_embedded,
    vectors_of_the_wrong_length_fail_the_document_and_say_why,
    a_tenants_own_model_has_nothing_to_do_with_embedding,
    forgotten_vectors_are_made_again,
}

/// Waits long enough for whatever runs at the same time.
fn patient(server: &ModelServer) -> ModelOptions {
    let options = server.options();
    ModelOptions {
        ollama: OllamaOptions {
            embed_window_ms: 400,
            ..options.ollama
        },
        ..options
    }
}

/// One chunk each: sections are never put together.
fn sections(count: usize, edition: impl Fn(usize) -> usize) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for n in 0..count {
        let edition = edition(n);
        write!(
            text,
            "# Article {n}\n\nThis is what edition {edition} says of article {n}. It goes on for a \
             while, so that it is long enough to stand alone and nobody joins it to another one.\n\n"
        )
        .unwrap();
    }
    text
}

async fn replace(rig: &Rig, id: &str, text: &str) -> JobId {
    let mut tx = rig.platform.begin(TENANT).await.unwrap();
    rig.platform
        .replace_content(&mut tx, TENANT, id, text)
        .await
        .unwrap();
    let again = IngestDocument {
        tenant_id: TENANT.to_owned(),
        document_id: id.to_owned(),
    };
    let job = rig.client.enqueue_in(&mut tx, &again).await.unwrap().id();
    tx.commit().await.unwrap();
    job
}

async fn chunks_are_embedded_in_few_calls_and_unchanged_ones_not_again(
    rig: Arc<Rig>,
    server: ModelServer,
) {
    let (job, id) = rig.add_document("book.md", &sections(700, |_| 1)).await;
    assert_eq!(rig.result(job).await["chunks"], 700);
    let (calls, texts) = server.take();
    assert_eq!(texts, 700);
    assert!(calls <= 12, "{calls} calls for 700 texts");
    let job = rig.finished(job).await;
    assert_eq!(
        job.progress.unwrap().decode::<serde_json::Value>().unwrap(),
        json!({"embedded": 700, "of": 700})
    );

    let changed = sections(700, |n| if n % 100 == 50 { 2 } else { 1 });
    let job = replace(&rig, &id, &changed).await;
    assert_eq!(rig.result(job).await["chunks"], 700);
    assert_eq!(server.take(), (1, 7), "one call, with what changed");
    let hits = rig.platform.keyword(TENANT, "50", 5).await.unwrap();
    assert!(hits.iter().any(|hit| hit.content.contains("edition 2")));

    let job = replace(&rig, &id, &sections(700, |_| 1)).await;
    rig.result(job).await;
    assert_eq!(server.take(), (0, 0), "the old edition is still known");
}

async fn documents_that_are_indexed_together_share_calls(rig: Arc<Rig>, server: ModelServer) {
    let mut jobs = Vec::new();
    for n in 0..24 {
        let text = format!("# Note {n}\n\nThis is what note number {n} of many has to say.");
        jobs.push(rig.add_document(&format!("{n}.md"), &text).await.0);
    }
    for job in jobs {
        assert_eq!(rig.result(job).await["chunks"], 1);
    }
    let (calls, texts) = server.take();
    assert_eq!(texts, 24);
    assert!(calls <= 12, "{calls} calls for 24 documents");
}

async fn an_outage_in_the_middle_loses_no_page_that_was_embedded(
    rig: Arc<Rig>,
    server: ModelServer,
) {
    server.break_after(512, 2); // both calls of the second page
    let (job, id) = rig.add_document("book.md", &sections(600, |_| 1)).await;
    let job = rig.finished(job).await;
    assert_eq!((job.state, job.attempt), (State::Completed, 1));
    assert_eq!(
        job.attempts.len(),
        1,
        "it waited once, which uses no attempt"
    );
    let (_, texts) = server.take();
    assert_eq!(texts, 600, "none was embedded twice");
    let document = rig.platform.document(TENANT, &id).await.unwrap().unwrap();
    assert_eq!(document.status, DocumentStatus::Ready);
}

async fn vectors_of_the_wrong_length_fail_the_document_and_say_why(
    rig: Arc<Rig>,
    server: ModelServer,
) {
    server.answer_with(768);
    let (job, id) = rig.add_document("short.md", "A short vector.").await;
    let job = rig.finished(job).await;
    assert_eq!((job.state, job.attempt), (State::Dead, 1));
    let document = rig.platform.document(TENANT, &id).await.unwrap().unwrap();
    assert_eq!(document.status, DocumentStatus::Failed);
    let told = document.metadata["error"].as_str().unwrap();
    assert!(told.contains("its vectors have 768 numbers"), "{told}");
    assert!(
        told.contains("vectors of 1024 numbers, such as mxbai-embed-large"),
        "{told}"
    );
    assert_eq!(document.content.unwrap().0, "A short vector.");

    server.answer_with(1024);
    let (job, _) = rig.add_document("long.md", "A long vector.").await;
    assert_eq!(rig.result(job).await["chunks"], 1, "the others go on");
}

async fn a_tenants_own_model_has_nothing_to_do_with_embedding(rig: Arc<Rig>, server: ModelServer) {
    let settings =
        json!({"llm": {"provider": "openai", "model": "gpt", "baseUrl": "http://127.0.0.1:1"}});
    rig.create_tenant("other", &settings).await;
    let document = metachat_jobs::platform::NewDocument {
        name: "theirs".into(),
        mime_type: "text/plain".into(),
        content: "A tenant with a model of its own.".into(),
        metadata: serde_json::Map::new().into(),
    };
    let mut tx = rig.platform.begin("other").await.unwrap();
    let id = rig
        .platform
        .insert_document(&mut tx, "other", &document)
        .await;
    let ingest = IngestDocument {
        tenant_id: "other".into(),
        document_id: id.unwrap(),
    };
    let job = rig.client.enqueue_in(&mut tx, &ingest).await.unwrap().id();
    tx.commit().await.unwrap();
    assert_eq!(rig.result(job).await["chunks"], 1);
    assert_eq!(server.take(), (1, 1));
}

async fn forgotten_vectors_are_made_again(rig: Arc<Rig>, server: ModelServer) {
    let (job, id) = rig.add_document("book.md", &sections(20, |_| 1)).await;
    rig.result(job).await;
    assert_eq!(server.take().1, 20);
    let prune = async |prune: PruneEmbeddings| {
        let job = rig.client.enqueue(&prune).await.unwrap().id();
        rig.result(job).await
    };
    assert_eq!(
        prune(PruneEmbeddings::default()).await,
        json!({"forgotten": 0})
    );
    let few = PruneEmbeddings {
        most: 5,
        ..PruneEmbeddings::default()
    };
    let forgotten = prune(few).await["forgotten"].as_u64().unwrap();
    assert!(
        forgotten >= 15,
        "those used in one moment go together: {forgotten}"
    );
    let job = replace(&rig, &id, &sections(20, |_| 1)).await;
    rig.result(job).await;
    assert_eq!(server.take().1 as u64, forgotten);
}

//! Documents that are files, documents that cannot be read, and documents that nobody finished.

use std::io::{Cursor, Write as _};
use std::sync::Arc;
use std::time::Duration;

use metachat_jobs::jobs::{AdoptDocuments, IngestDocument};
use metachat_jobs::platform::{Document, DocumentStatus};
use metachat_jobs::services::models::ModelOptions;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use windlass::model::{Filter, Page};
use windlass::{JobRecord, State};

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
    files_of_each_kind_become_findable,
    each_bad_document_says_what_is_wrong_with_it_and_the_others_go_on,
    what_the_platform_stores_as_text_is_read_as_text,
    documents_that_nobody_works_on_are_taken_over,
    a_document_whose_jobs_die_is_given_up_with_the_last_ones_name,
}

/// A row as the platform's upload writes it, and its file.
async fn upload(rig: &Rig, id: &str, name: &str, mime_type: &str, bytes: &[u8]) {
    let path = format!("{TENANT}/{id}/v1/{name}");
    let file = rig.storage.path().join(&path);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, bytes).unwrap();
    let checksum = hex::encode(Sha256::digest(bytes));
    row(
        rig,
        json!([
            id,
            TENANT,
            name,
            mime_type,
            path,
            checksum,
            "pending",
            {},
            0
        ]),
    )
    .await;
}

async fn row(rig: &Rig, row: Value) {
    insert(&rig.platform, TENANT, &DOCUMENTS, &[row]).await;
}

async fn ingest(rig: &Rig, id: &str) -> (JobRecord, Document) {
    let job = IngestDocument {
        tenant_id: TENANT.to_owned(),
        document_id: id.to_owned(),
    };
    let job = rig.client.enqueue(&job).await.unwrap().id();
    let job = rig.finished(job).await;
    let document = rig.platform.document(TENANT, id).await.unwrap();
    (job, document.expect("the document is there"))
}

async fn finds(rig: &Rig, word: &str) -> Vec<String> {
    let hits = rig.platform.keyword(TENANT, word, 10).await.unwrap();
    hits.into_iter().map(|hit| hit.document_id).collect()
}

fn docx(words: &str) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    archive.start_file("word/document.xml", options).unwrap();
    write!(
        archive,
        "<w:document xmlns:w=\"w\"><w:body><w:p><w:r><w:t>{words}</w:t></w:r></w:p></w:body></w:document>"
    )
    .unwrap();
    archive.finish().unwrap().into_inner()
}

fn pdf(words: &str) -> Vec<u8> {
    let content = format!("BT /F1 12 Tf 72 700 Td ({words}) Tj ET");
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R \
         /Resources << /Font << /F1 5 0 R >> >> >>"
            .to_owned(),
        format!(
            "<< /Length {} >>\nstream\n{content}\nendstream",
            content.len()
        ),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"
            .to_owned(),
    ];
    let mut file = b"%PDF-1.4\n".to_vec();
    let mut places = Vec::new();
    for (number, object) in objects.iter().enumerate() {
        places.push(file.len());
        write!(file, "{} 0 obj\n{object}\nendobj\n", number + 1).unwrap();
    }
    let table = file.len();
    write!(file, "xref\n0 6\n0000000000 65535 f \n").unwrap();
    for place in places {
        writeln!(file, "{place:010} 00000 n ").unwrap();
    }
    write!(
        file,
        "trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n"
    )
    .unwrap();
    file
}

async fn files_of_each_kind_become_findable(rig: Arc<Rig>) {
    let croatian = "Dostava kišobrana je besplatna za sve narudžbe iznad pedeset eura.";
    for (id, name, mime_type, bytes, word) in [
        ("a", "a.txt", "text/plain", croatian.into(), "narudžbe"),
        (
            "b",
            "b.md",
            "text/markdown",
            b"# Prices\n\nA marmalade costs ten.".to_vec(),
            "marmalade",
        ),
        (
            "c",
            "c.html",
            "text/html",
            b"<p>A <b>pineapple</b> costs two.</p>".to_vec(),
            "pineapple",
        ),
        (
            "d",
            "d.pdf",
            "application/pdf",
            pdf("A quincunx costs nine euros."),
            "quincunx",
        ),
        (
            "e",
            "e.docx",
            "application/octet-stream",
            docx("A zeppelin costs more."),
            "zeppelin",
        ),
    ] {
        upload(&rig, id, name, mime_type, &bytes).await;
        let (job, document) = ingest(&rig, id).await;
        assert_eq!(job.state, State::Completed, "{id}: {:?}", job.attempts);
        assert_eq!(document.status, DocumentStatus::Ready);
        assert_eq!(document.metadata["chunkCount"], 1);
        assert_eq!(document.metadata["indexedVersion"], 1);
        assert_eq!(finds(&rig, word).await, [id]);
    }
    let read = rig.platform.document(TENANT, "a").await.unwrap().unwrap();
    assert_eq!(read.metadata["language"], "hr");
    assert_eq!(read.metadata["languageDetectionMethod"], "auto");
    let hits = rig.platform.keyword(TENANT, "narudžbe", 1).await.unwrap();
    assert_eq!(hits[0].metadata["language"], "hr");
}

async fn each_bad_document_says_what_is_wrong_with_it_and_the_others_go_on(rig: Arc<Rig>) {
    upload(&rig, "png", "a.png", "image/png", b"\x89PNG").await;
    upload(&rig, "pdf", "a.pdf", "application/pdf", b"%PDF-1.7 no").await;
    upload(
        &rig,
        "docx",
        "a.docx",
        "application/octet-stream",
        b"PK\x03\x04",
    )
    .await;
    upload(&rig, "latin1", "a.txt", "text/plain", b"\xe8aj").await;
    upload(&rig, "blank", "a.txt", "text/plain", b" \n ").await;
    upload(
        &rig,
        "large",
        "a.txt",
        "text/plain",
        &vec![b'a'; (1 << 20) + 1],
    )
    .await;
    upload(&rig, "changed", "a.txt", "text/plain", b"before").await;
    let changed = format!("{TENANT}/changed/v1/a.txt");
    std::fs::write(rig.storage.path().join(changed), "after").unwrap();
    std::fs::write(rig.storage.path().join("secret"), "secret").unwrap();
    for (id, path) in [
        ("gone", "acme/gone/v1/a.txt"),
        ("escapes", "acme/../secret"),
    ] {
        let file = json!([
            id,
            TENANT,
            "a.txt",
            "text/plain",
            path,
            "00",
            "pending",
            {},
            0
        ]);
        row(&rig, file).await;
    }
    let empty =
        json!(["empty", TENANT, "a.txt", "text/plain", "", "00", "pending", {"content": ""}, 0]);
    row(&rig, empty).await;

    for (id, problem) in [
        (
            "png",
            "mimeType: `image/png` is not a kind of document that can be read; upload text",
        ),
        (
            "pdf",
            "the file is not a PDF that can be read: it is damaged, or something else",
        ),
        ("docx", "the file is not a DOCX that can be read"),
        (
            "latin1",
            "the file is not text in UTF-8 or UTF-16; save it as UTF-8",
        ),
        ("blank", "the text holds no text"),
        (
            "large",
            "the file is larger than 1048576 bytes; upload it in parts",
        ),
        (
            "changed",
            "checksum: the file is not the one that was uploaded; upload it again",
        ),
        (
            "gone",
            "metadata.content: the document's text is not there; path: there is no such file",
        ),
        ("escapes", "path: leads out of the tenant's folder"),
        ("empty", "metadata.content: the document holds no text"),
    ] {
        let (job, document) = ingest(&rig, id).await;
        assert_eq!((job.state, job.attempt), (State::Dead, 1), "{id}");
        assert_eq!(document.status, DocumentStatus::Failed, "{id}");
        let told = document.metadata["error"].as_str().unwrap();
        assert!(told.starts_with(problem), "{id}: {told}");
        let recorded = job.attempts[0].error.clone().unwrap().message;
        assert_eq!(recorded, told, "{id}");
        let folder = rig.storage.path().to_str().unwrap();
        assert!(!told.contains(folder), "{id} tells where it lies: {told}");
    }
    upload(
        &rig,
        "good",
        "a.txt",
        "text/plain",
        b"And this one is findable.",
    )
    .await;
    assert_eq!(ingest(&rig, "good").await.0.state, State::Completed);
    assert_eq!(finds(&rig, "findable").await, ["good"]);
}

async fn what_the_platform_stores_as_text_is_read_as_text(rig: Arc<Rig>) {
    for (id, mime_type, content, word, gone) in [
        (
            "pdf",
            "application/pdf",
            "Somebody took this quincunx out already.",
            "quincunx",
            "x-none",
        ),
        (
            "odd",
            "application/x-odd",
            "An odd marmalade.",
            "marmalade",
            "x-none",
        ),
        (
            "html",
            "text/html",
            "<p>A <b>pineapple</b></p><script>sesame</script>",
            "pineapple",
            "sesame",
        ),
    ] {
        let metadata = json!({"content": content});
        row(
            &rig,
            json!([
                id, TENANT, "a.txt", mime_type, "", "00", "pending", metadata, 0
            ]),
        )
        .await;
        let (job, document) = ingest(&rig, id).await;
        assert_eq!(job.state, State::Completed, "{id}: {:?}", job.attempts);
        assert_eq!(document.content.unwrap().0, content);
        assert_eq!(finds(&rig, word).await, [id]);
        assert_eq!(finds(&rig, gone).await, Vec::<String>::new());
    }
}

async fn adopt(rig: &Rig) -> Value {
    let job = rig.client.enqueue(&AdoptDocuments::default()).await;
    rig.result(job.unwrap().id()).await
}

async fn documents_that_nobody_works_on_are_taken_over(rig: Arc<Rig>) {
    let text = json!({"content": "A forsaken marmalade."});
    for (id, status) in [
        ("waits", "pending"),
        ("begun", "processing"),
        ("failed", "failed"),
    ] {
        row(
            &rig,
            json!([id, TENANT, "a.txt", "text/plain", "", "00", status, text, 0]),
        )
        .await;
    }
    let now = rig.client.now().await.unwrap().as_micros() / 1000;
    row(
        &rig,
        json!([
            "new",
            TENANT,
            "a.txt",
            "text/plain",
            "",
            "00",
            "pending",
            text,
            now
        ]),
    )
    .await;
    assert_eq!(
        adopt(&rig).await,
        json!({"adopted": 2, "waiting": 0, "left": 0, "givenUp": 0})
    );
    // The new one is left to the platform's API.
    found_soon(&rig, "marmalade", &["begun", "waits"]).await;
    assert_eq!(
        adopt(&rig).await,
        json!({"adopted": 0, "waiting": 0, "left": 0, "givenUp": 0})
    );

    // The API gives a ready document a new text and does not index it.
    let theirs = r#"update documents set version = 2, metadata = '{"content": "A newer zeppelin."}', "updatedAt" = "createdAt" where id = 'waits'"#;
    execute(&rig.platform, TENANT, theirs).await;
    let young = AdoptDocuments {
        pending_after_seconds: 0,
        ..AdoptDocuments::default()
    };
    let job = rig.client.enqueue(&young).await.unwrap().id();
    let result = rig.result(job).await;
    assert_eq!(
        result["adopted"], 2,
        "the changed one, and by now the new one: {result}"
    );
    found_soon(&rig, "zeppelin", &["waits"]).await;
    found_soon(&rig, "marmalade", &["begun", "new"]).await;
}

/// While its storage is away a document waits and uses no attempt; and one whose jobs an operator has
/// cancelled, or that kills their processes, is not tried for ever.
async fn a_document_whose_jobs_die_is_given_up_with_the_last_ones_name(rig: Arc<Rig>) {
    upload(&rig, "a", "a.txt", "text/plain", b"A marmalade.").await;
    let away = rig.storage.path().with_extension("away");
    std::fs::rename(rig.storage.path(), &away).unwrap();
    let mut last = None;
    for times in 1..=3 {
        let taken = adopt_hastily(&rig).await;
        assert_eq!(taken["adopted"], 1, "{times}: {taken}");
        let filter = Filter {
            kind: Some("ingest_document".to_owned()),
            ..Filter::default()
        };
        let jobs = rig.client.list(&filter, Page::default()).await.unwrap();
        assert_eq!(jobs.len(), times);
        let waits = rig
            .until(jobs[0].id, |job| job.state == State::Scheduled)
            .await;
        assert_eq!(waits.attempt, 0, "waiting uses no attempt");
        let told = waits.attempts[0].error.clone().unwrap().message;
        assert!(
            told.contains("the document storage cannot be read"),
            "{told}"
        );
        untouched(&rig).await;
        let taken = adopt_hastily(&rig).await;
        assert_eq!(taken["waiting"], 1, "its job is alive: {taken}");
        rig.client.cancel(jobs[0].id, None).await.unwrap();
        untouched(&rig).await;
        last = Some(jobs[0].id);
    }
    let taken = adopt_hastily(&rig).await;
    assert_eq!(taken["givenUp"], 1, "{taken}");
    let document = rig.platform.document(TENANT, "a").await.unwrap().unwrap();
    assert_eq!(document.status, DocumentStatus::Failed);
    let told = document.metadata["error"].as_str().unwrap();
    assert!(told.contains(&last.unwrap().to_string()), "{told}");
    untouched(&rig).await;
    let nothing = json!({"adopted": 0, "waiting": 0, "left": 0, "givenUp": 0});
    assert_eq!(adopt_hastily(&rig).await, nothing);

    // The storage is back, and somebody asks for it once more.
    std::fs::rename(&away, rig.storage.path()).unwrap();
    assert_eq!(ingest(&rig, "a").await.0.state, State::Completed);
    assert_eq!(finds(&rig, "marmalade").await, ["a"]);
}

async fn adopt_hastily(rig: &Rig) -> Value {
    let hasty = AdoptDocuments {
        pending_after_seconds: 0,
        processing_after_seconds: 0,
    };
    let job = rig.client.enqueue(&hasty).await.unwrap().id();
    rig.result(job).await
}

/// Makes documents look forsaken.
async fn untouched(rig: &Rig) {
    let theirs = r#"update documents set "updatedAt" = "createdAt""#;
    execute(&rig.platform, TENANT, theirs).await;
}

/// Waits until exactly these documents hold the word.
async fn found_soon(rig: &Rig, word: &str, expected: &[&str]) {
    let mut pulse = tokio::time::interval(Duration::from_millis(10));
    let wait = async {
        loop {
            let mut found = finds(rig, word).await;
            found.sort();
            if found == expected {
                return;
            }
            pulse.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), wait)
        .await
        .expect("they were not found");
}

//! Copies in other places, encryption, and sizes that should make somebody look.

use age::secrecy::ExposeSecret;
use metachat_jobs::backups::Error;
use windlass::State;

use super::rig::{Rig, entries, why};

const TWO_PLACES: &str = "
    [backups.places.other]
    kind = \"folder\"
    path = \"{folder}/other\"
    [backups.targets.documents]
    kind = \"folder\"
    place = \"local\"
    copies = [\"other\"]
    minimum_bytes = 10
";

async fn with_documents(settings: &str, bytes: usize) -> Rig {
    let rig = Rig::new(settings).await;
    std::fs::create_dir_all(rig.path("documents")).unwrap();
    documents(&rig, bytes);
    rig
}

/// The documents are so large now.
fn documents(rig: &Rig, bytes: usize) {
    std::fs::write(rig.path("documents/a"), vec![7; bytes]).unwrap();
}

#[tokio::test]
async fn a_copy_is_the_same_backup_in_another_place() {
    let rig = with_documents(TWO_PLACES, 100_000).await;
    let backup = rig.created("documents").await.manifest;
    assert_eq!(rig.list("other", "documents").await[0].manifest, backup);
    let copy = rig.fetch("other", &backup).await;
    assert_eq!(std::fs::read(copy.join("a")).unwrap(), vec![7; 100_000]);
}

#[tokio::test]
async fn a_copy_that_fails_fails_the_job_and_the_next_attempt_only_copies() {
    let rig = with_documents(TWO_PLACES, 100_000).await;
    // Something is in the way of the other place.
    std::fs::write(rig.path("other"), "not a folder").unwrap();
    let failed = rig.create("documents").await;
    assert_eq!(failed.state, State::Retryable, "{failed:?}");
    let made = rig.list("local", "documents").await;
    assert_eq!(made.len(), 1, "the backup itself is made");
    std::fs::remove_file(rig.path("other")).unwrap();
    let operator = rig.client.operator("test", None);
    operator.requeue(failed.id, None).await.unwrap();
    rig.drain().await;
    let job = rig.client.get(failed.id, None).await.unwrap().unwrap();
    assert_eq!(job.state, State::Completed, "{}", why(&job));
    assert_eq!(
        rig.list("local", "documents").await.len(),
        1,
        "it was not made again"
    );
    assert_eq!(
        rig.list("other", "documents").await[0].manifest,
        made[0].manifest
    );
}

#[tokio::test]
async fn what_leaves_the_machine_is_encrypted_and_only_the_key_opens_it() {
    let identity = age::x25519::Identity::generate();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, identity.to_string().expose_secret()).unwrap();
    let keys = format!(
        "recipients = [\"{}\"]\nidentity_file = \"{}\"\n",
        identity.to_public(),
        file.display()
    );
    let rig = Rig::with_backups(&keys, TWO_PLACES).await;
    std::fs::create_dir_all(rig.path("documents")).unwrap();
    std::fs::write(rig.path("documents/a"), "a very secret document").unwrap();
    let backup = rig.created("documents").await.manifest;
    let encryption = backup.encryption.as_ref().unwrap();
    assert_eq!(
        (encryption.format.as_str(), &encryption.keys[0]),
        ("age", &identity.to_public().to_string())
    );
    for place in ["local", "other"] {
        let stored = rig
            .path(place)
            .join("documents")
            .join(backup.id.as_str())
            .join(&backup.files[0].stored.path);
        let stored = std::fs::read(stored).unwrap();
        assert!(stored.starts_with(b"age-encryption.org/v1"));
        assert!(!stored.windows(6).any(|part| part == b"secret"));
        let opened = age::decrypt(&identity, &stored).unwrap();
        assert_eq!(opened, b"a very secret document");
        let fetched = rig.fetch(place, &backup).await;
        assert_eq!(
            std::fs::read_to_string(fetched.join("a")).unwrap(),
            "a very secret document"
        );
    }
    // With another key there is nothing to be had, and nothing is left of the try.
    std::fs::write(
        &file,
        age::x25519::Identity::generate()
            .to_string()
            .expose_secret(),
    )
    .unwrap();
    let to = rig.path("wrong");
    let place = rig.backups().repository("local").unwrap();
    let refused = place
        .fetch("documents", &backup.id, &to, &super::rig::transfer())
        .await
        .unwrap_err();
    assert!(matches!(refused, Error::Sealed { .. }), "{refused}");
}

#[tokio::test]
async fn a_size_unlike_the_last_one_is_told() {
    let rig = with_documents(TWO_PLACES, 1000).await;
    rig.created("documents").await;
    documents(&rig, 2000);
    let grown = rig.created("documents").await.manifest;
    assert!(
        grown.flags[0].starts_with("it is larger than the last one"),
        "{:?}",
        grown.flags
    );
    documents(&rig, 1000);
    let job = rig.create("documents").await;
    assert_eq!(job.state, State::Dead, "{job:?}");
    let told = why(&job);
    assert!(
        told.contains("it is smaller than the last one by more than 40 %: 1000 bytes after 2000"),
        "{told}"
    );
    // It is kept, in both places: it may be all there is.
    for place in ["local", "other"] {
        assert_eq!(rig.list(place, "documents").await.len(), 3);
    }
    // The next one of that size is nothing to tell of.
    assert!(rig.created("documents").await.manifest.flags.is_empty());
    // What is no backup at all is not kept.
    documents(&rig, 9);
    let job = rig.create("documents").await;
    assert_eq!(job.state, State::Dead);
    let told = why(&job);
    assert!(told.contains("has 9 bytes and must have 10"), "{told}");
    assert_eq!(rig.list("local", "documents").await.len(), 4);
    // What it left the next run removes.
    documents(&rig, 1000);
    rig.created("documents").await;
    assert_eq!(entries(&rig.path("local/documents")).len(), 5);
}

//! What a place gives back, and what it does not take for a backup.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use age::secrecy::ExposeSecret;
use tokio_util::sync::CancellationToken;

use super::manifest::tests::manifest;
use super::stream::Keys;
use super::*;

/// A folder with a place, and a backup's files of several shapes.
struct Rig {
    folder: tempfile::TempDir,
}

impl Rig {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = folder.path().join("files");
        std::fs::create_dir_all(files.join("below")).unwrap();
        // More than one request, and no whole number of anything.
        let long: Vec<u8> = (0..9_000_001_u32).map(|n| (n % 251) as u8).collect();
        std::fs::write(files.join("long"), long).unwrap();
        std::fs::write(files.join("empty"), "").unwrap();
        std::fs::write(files.join("below/töst #1 100%"), "odd").unwrap();
        Self { folder }
    }

    fn place(&self, name: &str, keys: Keys) -> Repository {
        let path = self.folder.path().join(name);
        let place = Place::open(name, &PlaceOptions::Folder { path }).unwrap();
        Repository::new(place, keys)
    }

    fn files(&self) -> PathBuf {
        self.folder.path().join("files")
    }

    fn keys(&self) -> Keys {
        let identity = age::x25519::Identity::generate();
        let file = self.folder.path().join(identity.to_public().to_string());
        std::fs::write(&file, identity.to_string().expose_secret()).unwrap();
        Keys {
            recipients: [identity.to_public()].into(),
            identity_file: Some(file.into()),
        }
    }

    async fn backup(&self, to: &Repository) -> Manifest {
        let mut draft = manifest(Vec::new());
        to.upload(&mut draft, &self.files(), &transfer())
            .await
            .unwrap();
        to.publish(&draft, &transfer()).await.unwrap()
    }

    async fn fetch(&self, from: &Repository, name: &str) -> Result<PathBuf, Error> {
        let folder = self.folder.path().join(name);
        let id = manifest(Vec::new()).id;
        from.fetch("main", &id, &folder, &transfer()).await?;
        Ok(folder)
    }
}

fn transfer() -> Transfer {
    Transfer::new(CancellationToken::new(), 0)
}

fn same(a: &Path, b: &Path) {
    for file in ["long", "empty", "below/töst #1 100%"] {
        assert_eq!(
            std::fs::read(a.join(file)).unwrap(),
            std::fs::read(b.join(file)).unwrap()
        );
    }
}

#[tokio::test]
async fn what_is_put_there_comes_back() {
    let rig = Rig::new();
    for (name, keys) in [("plain", Keys::default()), ("sealed", rig.keys())] {
        let place = rig.place(name, keys.clone());
        let written = rig.backup(&place).await;
        let fetched = rig.fetch(&place, &format!("{name}-back")).await.unwrap();
        same(&rig.files(), &fetched);
        assert_eq!(written.files.len(), 3);
        assert_eq!(written.encryption.is_some(), name == "sealed");
        let mode = std::fs::metadata(rig.folder.path().join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o700);
        // And from its copy, which is the same bytes.
        let copy = rig.place(&format!("{name}-copy"), keys);
        place.copy_to(&copy, &written, &transfer()).await.unwrap();
        let fetched = rig
            .fetch(&copy, &format!("{name}-copy-back"))
            .await
            .unwrap();
        same(&rig.files(), &fetched);
        assert_eq!(copy.list("main").await.unwrap()[0].manifest, written);
    }
}

#[tokio::test]
async fn one_changed_bit_is_found_and_its_file_named() {
    let rig = Rig::new();
    for (name, keys) in [("plain", Keys::default()), ("sealed", rig.keys())] {
        let place = rig.place(name, keys);
        let written = rig.backup(&place).await;
        for file in written.files.iter().filter(|file| file.stored.size > 0) {
            let stored = rig
                .folder
                .path()
                .join(name)
                .join("main")
                .join(written.id.as_str());
            let stored = stored.join(&file.stored.path);
            let whole = std::fs::read(&stored).unwrap();
            let mut flipped = whole.clone();
            let middle = flipped.len() / 2;
            flipped[middle] ^= 1;
            for broken in [flipped, whole[..whole.len() - 1].to_vec()] {
                std::fs::write(&stored, broken).unwrap();
                let found = place.check(&written, &transfer()).await.unwrap_err();
                assert!(matches!(found, Error::Damaged { .. }), "{found}");
                assert!(found.to_string().contains(&file.stored.path), "{found}");
                let back = format!("{name}-{}", uuid::Uuid::new_v4());
                let found = rig.fetch(&place, &back).await.unwrap_err();
                assert!(matches!(found, Error::Damaged { .. }), "{found}");
                assert!(found.to_string().contains(&file.stored.path), "{found}");
            }
            std::fs::remove_file(&stored).unwrap();
            let found = place.check(&written, &transfer()).await.unwrap_err();
            assert!(found.to_string().contains("it is not there"), "{found}");
            std::fs::write(&stored, whole).unwrap();
        }
        place.check(&written, &transfer()).await.unwrap();
    }
}

#[tokio::test]
async fn a_wrong_key_is_said_to_be_one() {
    let rig = Rig::new();
    let place = rig.place("sealed", rig.keys());
    rig.backup(&place).await;
    let wrong = rig.place("sealed", rig.keys());
    let refused = rig.fetch(&wrong, "back").await.unwrap_err();
    assert!(matches!(refused, Error::Sealed { .. }), "{refused}");
    let keyless = rig.place("sealed", Keys::default());
    let refused = rig.fetch(&keyless, "again").await.unwrap_err();
    assert!(
        refused.to_string().starts_with("backups.identity_file: "),
        "{refused}"
    );
}

#[tokio::test]
async fn without_a_manifest_there_is_no_backup() {
    let rig = Rig::new();
    let place = rig.place("plain", Keys::default());
    let mut draft = manifest(Vec::new());
    place
        .upload(&mut draft, &rig.files(), &transfer())
        .await
        .unwrap();
    let home = rig.folder.path().join("plain/main").join(draft.id.as_str());
    // What a process leaves that was killed while it wrote.
    std::fs::write(home.join("files/long#1"), "half").unwrap();
    let holdings = place.holdings("main").await.unwrap();
    assert_eq!((holdings.backups.len(), holdings.leftovers.len()), (0, 1));
    assert_eq!(place.sweep("main").await.unwrap().len(), 1);
    assert!(!home.exists());
    // A manifest that was changed is neither a backup nor swept away.
    let written = rig.backup(&place).await;
    let file = home.join("manifest.json");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(
        &file,
        text.replace("\"public.messages\": 12", "\"public.messages\": 21"),
    )
    .unwrap();
    let holdings = place.holdings("main").await.unwrap();
    assert!(holdings.backups.is_empty());
    assert!(
        holdings.damaged[0].1.contains("was changed"),
        "{:?}",
        holdings.damaged
    );
    assert_eq!(place.sweep("main").await.unwrap(), []);
    std::fs::write(&file, text).unwrap();
    place.delete("main", &written.id).await.unwrap();
    assert!(!home.exists());
    let gone = place.get("main", &written.id).await.unwrap_err();
    assert!(matches!(gone, Error::NotFound { .. }), "{gone}");
}

#[tokio::test]
async fn what_is_known_of_a_backup_lies_beside_it() {
    let rig = Rig::new();
    let place = rig.place("plain", Keys::default());
    let written = rig.backup(&place).await;
    let pin = Pin {
        by: "ops".into(),
        at: written.started,
        reason: "before the move".into(),
    };
    place.pin("main", &written.id, &pin).await.unwrap();
    let evidence = |level, outcome, seconds| Evidence {
        target: "main".into(),
        backup: written.id.clone(),
        manifest_sha256: written.sha256.clone(),
        level,
        outcome,
        reason: (outcome == Verdict::Failed).then(|| "broken".into()),
        started: written.started,
        finished: written.started + std::time::Duration::from_secs(seconds),
        job: uuid::Uuid::nil(),
        program: "1.0.0".into(),
        figures: [(Evidence::RESTORE_SECONDS.to_owned(), 1.5)].into(),
        checks: Vec::new(),
    };
    for tried in [
        evidence(Level::Contents, Verdict::Passed, 1),
        evidence(Level::Hashes, Verdict::Passed, 2),
        evidence(Level::Started, Verdict::Failed, 3),
    ] {
        place.record(&tried).await.unwrap();
    }
    let found = place.get("main", &written.id).await.unwrap();
    assert_eq!(found.pin, Some(pin));
    assert_eq!(found.evidence.len(), 3);
    assert_eq!(found.level(), Some(Level::Contents));
    assert_eq!(found.verified(Level::Hashes).unwrap().level, Level::Hashes);
    assert_eq!(
        found.verified(Level::Restored).unwrap().level,
        Level::Contents
    );
    assert!(found.verified(Level::Started).is_none());
    assert!(place.unpin("main", &written.id).await.unwrap());
    assert!(!place.unpin("main", &written.id).await.unwrap());
}

#[tokio::test]
async fn a_folder_that_lets_others_in_is_refused() {
    let rig = Rig::new();
    let open = rig.folder.path().join("open");
    std::fs::create_dir(&open).unwrap();
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o750)).unwrap();
    let refused = rig
        .place("open", Keys::default())
        .list("main")
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("chmod 700"), "{refused}");
}

#[tokio::test]
async fn a_limit_is_kept() {
    let rig = Rig::new();
    let place = rig.place("slow", Keys::default());
    let began = tokio::time::Instant::now();
    let transfer = Transfer::new(CancellationToken::new(), 18_000_000);
    place
        .upload(&mut manifest(Vec::new()), &rig.files(), &transfer)
        .await
        .unwrap();
    let took = began.elapsed();
    assert!(took >= std::time::Duration::from_millis(350), "{took:?}");
    assert_eq!(transfer.passed(), 9_000_004);
    transfer.cancelled().cancel();
    let stopped = place
        .upload(&mut manifest(Vec::new()), &rig.files(), &transfer)
        .await
        .unwrap_err();
    assert!(matches!(stopped, Error::Cancelled { .. }), "{stopped}");
}

//! Whatever is done to a backup is found, and told by the name of the part.

use std::fs;
use std::path::{Path, PathBuf};

use age::secrecy::ExposeSecret as _;
use metachat_jobs::backups::verify::{SAMPLE, WHOLE};
use metachat_jobs::backups::{Backups, Evidence, Kind, Level, Manifest, Verdict};

use super::rig::{PLACE, Rig, TARGET, options, verify};
use crate::support;

/// What is done to a whole backup's files in the place, who must find it, and what he must say.
struct Tampering {
    what: &'static str,
    how: fn(&Path, &Manifest),
    says: &'static [&'static str],
}

/// The file of the dump that holds most.
fn data(home: &Path) -> PathBuf {
    let files = fs::read_dir(home.join("files/dump")).unwrap();
    let data = files
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "gz"));
    data.max_by_key(|path| fs::metadata(path).unwrap().len())
        .unwrap()
}

fn flip(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(file, bytes).unwrap();
}

const IN_THE_PLACE: &[Tampering] = &[
    Tampering {
        what: "a bit of the data",
        how: |home, _| flip(&data(home)),
        says: &[".dat.gz is damaged", "its SHA-256 is"],
    },
    Tampering {
        what: "a bit of the table of contents",
        how: |home, _| flip(&home.join("files/dump/toc.dat")),
        says: &["dump/toc.dat is damaged"],
    },
    Tampering {
        what: "a bit of the roles",
        how: |home, _| flip(&home.join("files/globals.sql")),
        says: &["globals.sql is damaged"],
    },
    Tampering {
        what: "a truncated file",
        how: |home, _| {
            let file = data(home);
            let bytes = fs::read(&file).unwrap();
            fs::write(&file, &bytes[..bytes.len() * 6 / 10]).unwrap();
        },
        says: &[".dat.gz is damaged", "bytes, and had"],
    },
    Tampering {
        what: "a missing file",
        how: |home, _| fs::remove_file(home.join("files/globals.sql")).unwrap(),
        says: &["globals.sql is damaged: it is not there"],
    },
    Tampering {
        what: "a changed manifest",
        how: |home, manifest| {
            let file = home.join("manifest.json");
            let text = fs::read_to_string(&file).unwrap();
            let rows = manifest.rows["public.messages"];
            let other = text.replace(
                &format!("\"public.messages\": {rows}"),
                "\"public.messages\": 7",
            );
            assert_ne!(other, text);
            fs::write(&file, other).unwrap();
        },
        says: &[
            "manifest.json is damaged",
            "was changed after it was written",
        ],
    },
];

#[track_caller]
fn failed(what: &str, evidence: &Evidence, level: Level, says: &[&str]) {
    let reason = evidence.reason.as_deref().unwrap_or_default();
    assert_eq!(
        (evidence.outcome, evidence.level),
        (Verdict::Failed, level),
        "{what}: {reason}"
    );
    for part in says {
        assert!(
            reason.contains(part),
            "{what}: {part:?} is not in {reason:?}"
        );
    }
}

#[tokio::test]
async fn every_tampering_with_what_lies_in_the_place_is_found() {
    support::with_postgres(async |url| {
        let rig = Rig::new(url, &[]).await;
        for tampering in IN_THE_PLACE {
            let backup = rig.backup(&[], |_| {}).await;
            let whole = rig.verify(&backup.id, Level::Hashes).await;
            assert_eq!(whole.outcome, Verdict::Passed, "{}", tampering.what);
            (tampering.how)(&rig.home(&backup), &backup);
            let evidence = rig.verify(&backup.id, Level::Structure).await;
            failed(tampering.what, &evidence, Level::Hashes, tampering.says);
        }
    })
    .await;
}

/// What is done to a manifest before it is published.
type Change = fn(&mut Manifest);
/// What is wrong, how the dump is made, what is done to the manifest, who finds it and what he says.
type Case = (
    &'static str,
    &'static [&'static str],
    Change,
    Level,
    &'static [&'static str],
);

/// Backups whose bytes are as their manifests say, and which are no good all the same.
#[tokio::test]
async fn a_backup_of_the_wrong_thing_is_found() {
    support::with_postgres(async |url| {
        let rig = Rig::new(url, &[]).await;
        let keep: Change = |_| {};
        let cases: [Case; 9] = [
            (
                "a dump of the wrong database",
                &[],
                |manifest| manifest.database = Some("the_other".into()),
                Level::Structure,
                &[
                    "dump/toc.dat: it is a dump of the database it_",
                    "not of the_other",
                ],
            ),
            (
                "an empty dump",
                &[
                    "--exclude-schema=public",
                    "--exclude-schema=jobs",
                    "--exclude-extension=*",
                ],
                keep,
                Level::Structure,
                &["dump/toc.dat: the ", "rows of table jobs."],
            ),
            (
                "a schema-only dump",
                &["--schema-only"],
                keep,
                Level::Structure,
                &[
                    "dump/toc.dat: the ",
                    "rows of table ",
                    "are not in the dump",
                ],
            ),
            (
                "a dump without one table's rows",
                &["--exclude-table-data=public.messages"],
                keep,
                Level::Structure,
                &["dump/toc.dat: the 2000 rows of table public.messages are not in the dump"],
            ),
            (
                "a dump without the tables",
                &["--data-only"],
                keep,
                Level::Restored,
                &["pg_restore failed", "does not exist"],
            ),
            (
                "fewer rows than there were",
                &[],
                |manifest| *manifest.rows.get_mut("public.messages").unwrap() += 1,
                Level::Contents,
                &["table public.messages has 2000 rows; the backup says 2001"],
            ),
            (
                "other rows than there were",
                &[],
                |manifest| {
                    let sample = format!("{SAMPLE}public.tenants");
                    manifest.details.insert(sample, "0".repeat(32));
                },
                Level::Contents,
                &["table public.tenants: its first and last rows are not those"],
            ),
            (
                "one row that is another",
                &[],
                |manifest| {
                    let whole = format!("{WHOLE}public.messages");
                    let digest = manifest.details.get_mut(&whole).unwrap();
                    assert!(digest.starts_with("2000:"), "{digest}");
                    digest.push('0');
                },
                Level::Contents,
                &["table public.messages: its rows are not those"],
            ),
            (
                "rows of a later time",
                &[],
                |manifest| {
                    let hour = std::time::Duration::from_hours(1);
                    manifest.recovery_point = manifest.recovery_point.minus(hour);
                },
                Level::Contents,
                &["after the moment that was backed up"],
            ),
        ];
        for (what, args, change, level, says) in cases {
            let backup = rig.backup(args, change).await;
            let evidence = rig.verify(&backup.id, Level::Started).await;
            failed(what, &evidence, level, says);
        }
    })
    .await;
}

#[tokio::test]
async fn a_dump_that_is_cut_off_passes_no_structure() {
    support::with_postgres(async |url| {
        let rig = Rig::new(url, &[]).await;
        let backup = rig.backup(&[], |_| {}).await;
        // As if it had been cut off before it was hashed.
        let folder = tempfile::tempdir().unwrap();
        let files = rig.home(&backup).join("files");
        copy(&files, folder.path());
        let cut = data(&rig.home(&backup));
        let cut = folder.path().join("dump").join(cut.file_name().unwrap());
        let bytes = fs::read(&cut).unwrap();
        fs::write(&cut, &bytes[..bytes.len() * 6 / 10]).unwrap();
        let mut manifest = super::rig::manifest(Kind::PostgresLogical);
        manifest.database.clone_from(&backup.database);
        manifest.rows.clone_from(&backup.rows);
        let backup = rig.publish(manifest, folder.path()).await;
        let evidence = rig.verify(&backup.id, Level::Structure).await;
        failed(
            "a truncated dump",
            &evidence,
            Level::Structure,
            &["pg_restore failed"],
        );
    })
    .await;
}

#[tokio::test]
async fn a_wrong_key_opens_nothing() {
    let key = |name: &str| {
        let identity = age::x25519::Identity::generate();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(name);
        let secret = identity.to_string();
        fs::write(&file, secret.expose_secret()).unwrap();
        (
            identity.to_public().to_string(),
            file.to_str().unwrap().to_owned(),
            folder,
        )
    };
    let (public, own, _own) = key("own");
    let (_, other, _other) = key("other");
    support::with_postgres(async move |url| {
        let sealed = [
            ("backups.recipients", public.as_str()),
            ("backups.identity_file", own.as_str()),
        ];
        let rig = Rig::new(url, &sealed).await;
        let backup = rig.backup(&[], |_| {}).await;
        let evidence = rig.verify(&backup.id, Level::Structure).await;
        assert_eq!(evidence.reason, None);
        let wrong = [("backups.identity_file", other.as_str())];
        let wrong = options(&rig.place, Kind::PostgresLogical, &wrong);
        let evidence = verify(
            &Backups::new(&wrong, serde_json::json!({})).unwrap(),
            &backup.id,
            Level::Structure,
        )
        .await;
        failed(
            "a wrong key",
            &evidence,
            Level::Hashes,
            &["cannot be decrypted"],
        );
        let known = rig.backups.repository(PLACE).unwrap();
        let known = known.get(TARGET, &backup.id).await.unwrap();
        assert_eq!(known.evidence.len(), 2);
    })
    .await;
}

fn copy(from: &Path, to: &Path) {
    let status = std::process::Command::new("cp")
        .arg("-r")
        .arg(from.join("."))
        .arg(to)
        .status();
    assert!(status.unwrap().success());
}

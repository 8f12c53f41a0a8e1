//! Archived log goes with the backups that needed it, and never before.

use std::path::PathBuf;

use metachat_jobs::backups::retention::{self, Deleted};
use metachat_jobs::backups::{BackupId, Kind, Manifest, Pin, Repository};
use metachat_jobs::jobs::PruneBackups;
use serde_json::{Value, json};
use windlass::model::AuditFilter;

use super::operate::jobctl;
use super::rig::{Rig, transfer};
use crate::trials::rig::manifest;

const TARGET: &str = "cluster";
const PLACES: [&str; 2] = ["local", "other"];
const SETTINGS: &str = "
    [backups.keep]
    days = 0
    last = 1
    daily = 0
    weekly = 0
    monthly = 0
    floor = 1
    [backups.places.other]
    kind = \"folder\"
    path = \"{folder}/other\"
    [backups.targets.cluster]
    kind = \"postgres_physical\"
    url = \"postgres://nobody@127.0.0.1:1/nothing\"
    place = \"local\"
    copies = [\"other\"]
    wal = { folder = \"{folder}/wal\" }
";

fn segment(number: u32) -> String {
    format!("0000000100000000{number:08X}")
}

/// A backup that begins in this segment, in every place.
async fn publish(rig: &Rig, segment: u32, age_s: u64) -> BackupId {
    let mut made: Manifest = manifest(Kind::PostgresPhysical);
    TARGET.clone_into(&mut made.target);
    made.started = made.started.minus(std::time::Duration::from_secs(age_s));
    made.id = BackupId::new(made.started, made.job);
    made.start_lsn = Some(format!("0/{segment:X}000028"));
    made.timeline = Some(1);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("base.tar"), "files").unwrap();
    for place in PLACES {
        let place = rig.backups().repository(place).unwrap();
        place
            .upload(&mut made, folder.path(), &transfer())
            .await
            .unwrap();
        place.publish(&made, &transfer()).await.unwrap();
    }
    made.id
}

async fn archive(rig: &Rig, name: &str) {
    let file: PathBuf = rig.path(name);
    std::fs::write(&file, name).unwrap();
    for place in PLACES {
        let place = rig.backups().repository(place).unwrap();
        let at = rig.client.now().await.unwrap();
        place
            .put_segment(TARGET, file.clone(), at, &transfer())
            .await
            .unwrap();
    }
}

async fn pin(rig: &Rig, id: &BackupId) {
    let pin = Pin {
        by: "ops".to_owned(),
        at: rig.client.now().await.unwrap(),
        reason: "a test".to_owned(),
    };
    for place in PLACES {
        let place = rig.backups().repository(place).unwrap();
        place.pin(TARGET, id, &pin).await.unwrap();
    }
}

async fn archived(place: &Repository) -> Vec<String> {
    place.segments(TARGET).await.unwrap()
}

#[tokio::test]
async fn archived_log_is_deleted_once_no_kept_backup_needs_it() {
    let rig = Rig::new(SETTINGS).await;
    for number in 1..=9 {
        archive(&rig, &segment(number)).await;
    }
    archive(&rig, &format!("{}.partial", segment(10))).await;
    archive(&rig, "00000001.history").await;
    publish(&rig, 3, 300).await;
    let pinned = publish(&rig, 5, 200).await;
    publish(&rig, 7, 100).await;
    pin(&rig, &pinned).await;
    // What is left of a deletion that was broken off.
    let home = rig.path("local").join(TARGET).join("wal");
    std::fs::remove_file(home.join(format!("{}.json", segment(1)))).unwrap();

    let (_, shown, _) = jobctl(&rig, &["backup", "prune"]).await;
    assert_eq!(
        shown.matches("log: 4 segments").count(),
        2,
        "the pinned backup needs the fifth:\n{shown}"
    );
    let local = rig.backups().repository("local").unwrap();
    assert_eq!(archived(local).await.len(), 10, "it was only shown");

    rig.client.enqueue(&PruneBackups::default()).await.unwrap();
    rig.drain().await;
    let left = [
        vec!["00000001.history".to_owned()],
        (5..=9).map(segment).collect(),
        vec![format!("{}.partial", segment(10))],
    ]
    .concat();
    for place in PLACES {
        let place = rig.backups().repository(place).unwrap();
        assert_eq!(archived(place).await, left);
        assert_eq!(place.list(TARGET).await.unwrap().len(), 2);
    }
    assert!(!home.join(segment(1)).exists(), "data of no description");
    let audit = rig.client.audit(&AuditFilter::default(), None, 10).await;
    let told = audit.unwrap()[0].audit.after.clone().unwrap();
    let told: Value = serde_json::from_str(told.as_str()).unwrap();
    let expected = json!({"segments": 4, "neededFrom": segment(5)});
    assert_eq!(told["log"], expected);

    // Somebody pins a backup between the plan and its being done.
    let other = rig.backups().repository("other").unwrap();
    for place in [local, other] {
        assert!(place.unpin(TARGET, &pinned).await.unwrap());
    }
    let now = rig.client.now().await.unwrap();
    let plans = retention::plans(rig.backups(), TARGET, now).await.unwrap();
    assert_eq!(plans[0].log_goes(), [segment(5), segment(6)]);
    pin(&rig, &pinned).await;
    let gone = retention::apply(rig.backups(), &plans[0]).await.unwrap();
    assert_eq!(gone, Deleted::default());
    assert_eq!(archived(local).await, left);

    // A backup that cannot be read may need any of it.
    local.unpin(TARGET, &pinned).await.unwrap();
    let manifest = rig.path("local").join(TARGET).join(pinned.as_str());
    std::fs::write(manifest.join("manifest.json"), "{").unwrap();
    let plans = retention::plans(rig.backups(), TARGET, now).await.unwrap();
    assert_eq!((&plans[0].log, plans[0].log_goes().len()), (&None, 0));
}

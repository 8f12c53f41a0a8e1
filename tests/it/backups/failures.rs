//! What goes wrong is told for what it is, leaves nothing that looks like a backup, and tells no secret.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use windlass::{JobRecord, State};

use super::rig::{Rig, entries, pg_bin, why};
use crate::support::with_postgres;

/// A folder of PostgreSQL's programs in which `pg_dump` begins as it should and then does this.
fn programs(folder: &Path, then: &str) -> String {
    let bin = folder.join("bin");
    std::fs::create_dir(&bin).unwrap();
    let real = pg_bin();
    for tool in ["pg_dump", "pg_dumpall"] {
        let script = format!(
            "#!/bin/sh\nif [ \"$1\" = --version ]; then exec {real}/{tool} --version; fi\n{}\n",
            if tool == "pg_dump" { then } else { "exit 0" }
        );
        let file = bin.join(tool);
        std::fs::write(&file, script).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    bin.display().to_string()
}

/// Dumps a database with such programs; how the job ended.
async fn dump_with(url: &str, then: &str, timeout_ms: u64) -> (JobRecord, Rig) {
    let folder = tempfile::tempdir().unwrap();
    let bin = programs(folder.path(), then);
    let settings = format!(
        "[backups.targets.main]\nkind = \"postgres_logical\"\nplace = \"local\"\nurl = \"{url}\"\n"
    );
    let more = format!("timeout_ms = {timeout_ms}\n");
    let rig = Rig::with(folder, &more, &format!("pg_bin = \"{bin}\""), &settings).await;
    let job = rig.create("main").await;
    (job, rig)
}

async fn nothing_is_left(rig: &Rig) {
    assert!(rig.list("local", "main").await.is_empty());
    assert!(
        rig.left_in_scratch().is_empty(),
        "{:?}",
        rig.left_in_scratch()
    );
}

#[tokio::test]
async fn a_dump_that_stands_still_ends_with_its_time() {
    with_postgres(async |url| {
        let began = std::time::Instant::now();
        let (job, rig) = dump_with(&url, "kill -STOP $$", 1500).await;
        assert_eq!(job.state, State::Retryable, "{job:?}");
        let told = why(&job);
        assert!(told.contains("did not end within"), "{told}");
        assert!(began.elapsed() < Duration::from_secs(30));
        nothing_is_left(&rig).await;
    })
    .await;
}

#[tokio::test]
async fn a_dump_that_is_killed_is_no_backup() {
    with_postgres(async |url| {
        let (job, rig) = dump_with(&url, "mkdir -p \"${0%/*}/x\"; kill -KILL $$", 60_000).await;
        let told = why(&job);
        assert!(
            told.contains("pg_dump failed (killed by signal 9)"),
            "{told}"
        );
        nothing_is_left(&rig).await;
    })
    .await;
}

#[tokio::test]
async fn a_tool_older_than_the_server_is_refused_before_it_runs() {
    with_postgres(async |url| {
        let folder = tempfile::tempdir().unwrap();
        let bin = programs(folder.path(), "exit 1");
        let old = "#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6.24'\n";
        std::fs::write(Path::new(&bin).join("pg_dump"), old).unwrap();
        let settings = format!(
            "[backups.targets.main]\nkind = \"postgres_logical\"\nplace = \"local\"\nurl = \"{url}\"\n"
        );
        let rig = Rig::with(folder, "", &format!("pg_bin = \"{bin}\""), &settings).await;
        let job = rig.create("main").await;
        assert_eq!(job.state, State::Dead);
        let told = why(&job);
        assert!(told.contains("pg_dump is of version 9.6.24 and the server of version"), "{told}");
    })
    .await;
}

#[tokio::test]
async fn a_missing_tool_is_named_with_the_remedy() {
    with_postgres(async |url| {
        let folder = tempfile::tempdir().unwrap();
        let settings = format!(
            "[backups.targets.main]\nkind = \"postgres_logical\"\nplace = \"local\"\nurl = \"{url}\"\n"
        );
        let rig = Rig::with(folder, "", "pg_bin = \"/nowhere\"", &settings).await;
        let job = rig.create("main").await;
        assert_eq!(job.state, State::Dead);
        let told = why(&job);
        assert!(told.contains("pg_dump was not found (at /nowhere/pg_dump)"), "{told}");
        assert!(told.contains("backups.tools.pg_bin"), "{told}");
    })
    .await;
}

#[tokio::test]
async fn a_wrong_password_is_told_without_being_told() {
    // The test's server trusts everybody, so what refuses the password is a user that is not there.
    let server = url::Url::parse(&super::rig::variable("TEST_DATABASE_URL")).unwrap();
    let mut wrong = server.clone();
    wrong.set_username("nobody_of_that_name").unwrap();
    wrong.set_password(Some("hunter2-hunter2")).unwrap();
    let settings = format!(
        "[backups.targets.main]\nkind = \"postgres_logical\"\nplace = \"local\"\nurl = \"{wrong}\"\n"
    );
    let rig = Rig::new(&settings).await;
    let job = rig.create("main").await;
    let told = format!("{job:?}");
    assert!(told.contains("nobody_of_that_name"), "{told}");
    assert!(!told.contains("hunter2"), "{told}");
    nothing_is_left(&rig).await;
    // A program that tells its password is cleaned of it.
    let (job, _) = {
        let mut known = server;
        known.set_password(Some("hunter2-hunter2")).unwrap();
        dump_with(
            known.as_str(),
            "echo \"password is $PGPASSWORD\" >&2; exit 1",
            60_000,
        )
        .await
    };
    let told = format!("{job:?}");
    assert!(told.contains("password is (secret)"), "{told}");
    assert!(!told.contains("hunter2"), "{told}");
}

#[tokio::test]
async fn a_full_disk_fails_the_backup_and_leaves_nothing() {
    with_postgres(async |url| {
        // The real program, which may write no file of more than half a kilobyte: a file system that is
        // full would need the rights to mount one.
        let then = format!(
            "trap '' XFSZ; ulimit -f 1; exec {}/pg_dump \"$@\"",
            pg_bin()
        );
        let (job, rig) = dump_with(&url, &then, 60_000).await;
        assert_eq!(job.state, State::Retryable);
        let told = why(&job);
        assert!(told.contains("File too large"), "{told}");
        nothing_is_left(&rig).await;
    })
    .await;
}

#[tokio::test]
async fn a_place_that_cannot_be_written_fails_the_backup() {
    let rig =
        Rig::new("[backups.targets.settings]\nkind = \"configuration\"\nplace = \"local\"\n").await;
    std::fs::write(rig.path("local"), "not a folder").unwrap();
    let job = rig.create("settings").await;
    assert_eq!(job.state, State::Retryable, "{job:?}");
    assert!(entries(&rig.path("scratch")).is_empty());
}

#[tokio::test]
async fn files_that_are_taken_away_meanwhile_fail_nothing_and_are_told() {
    let slow = "bandwidth_bytes = 2000000\n";
    let settings = "[backups.targets.documents]\nkind = \"folder\"\nplace = \"local\"\n";
    let rig = Rig::with_backups(slow, settings).await;
    std::fs::create_dir_all(rig.path("documents")).unwrap();
    std::fs::write(rig.path("documents/long"), vec![7; 6_000_000]).unwrap();
    std::fs::write(rig.path("documents/short"), "short").unwrap();
    let taken_away = async {
        // The first file is on its way: the list was made.
        let mut looks = tokio::time::interval(Duration::from_millis(5));
        while entries(&rig.path("local").join("documents")).is_empty() {
            looks.tick().await;
        }
        std::fs::remove_file(rig.path("documents/short")).unwrap();
    };
    let (backup, ()) = tokio::join!(rig.created("documents"), taken_away);
    let manifest = backup.manifest;
    assert_eq!(manifest.files.len(), 1);
    assert_eq!(
        manifest.details["vanished"],
        "1 files, such as short, were taken away meanwhile"
    );
    rig.fetch("local", &manifest).await;
}

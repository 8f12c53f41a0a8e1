//! A disk that is full: a real one, of a megabyte.
//!
//! Only root may mount one; whoever else runs the tests has `a_full_disk_fails_the_backup_and_leaves_nothing`.

use std::path::{Path, PathBuf};
use std::process::Command;

use sqlx::{Connection as _, Executor as _, PgConnection};
use windlass::State;

use super::rig::{Rig, pg_bin, why};
use crate::support::with_postgres;

/// Text that does not compress.
const DATA: &str = "
    create table large as
    select n, (select string_agg(md5(n::text || part::text), '') from generate_series(1, 20) part) as body
    from generate_series(1, 8000) n;
";

/// A disk of its own, gone with this value.
struct Disk(PathBuf);

impl Disk {
    /// None if this user may not mount any.
    fn mount(at: &Path) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let mounted = Self::run(
            "mount",
            &["-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs"],
            at,
        );
        assert!(mounted || !rustix::process::geteuid().is_root());
        mounted.then(|| Self(at.to_owned()))
    }

    /// Somebody made room.
    fn grow(&self) {
        assert!(Self::run("mount", &["-o", "remount,size=64m"], &self.0));
    }

    fn run(program: &str, args: &[&str], at: &Path) -> bool {
        let told = Command::new(program).args(args).arg(at).output().unwrap();
        told.status.success()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        Self::run("umount", &["--lazy"], &self.0);
    }
}

fn entries(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names
        .filter(|name| name != "metachat-jobs-trials")
        .collect()
}

#[tokio::test]
async fn a_dump_that_fills_the_disk_is_no_backup_and_is_cleared_away() {
    with_postgres(async |url| {
        let mut connection = PgConnection::connect(&url).await.unwrap();
        connection.execute(sqlx::raw_sql(DATA)).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().join("scratch");
        let Some(disk) = Disk::mount(&at) else {
            return;
        };
        let settings = format!(
            "[backups.targets.main]\nkind = \"postgres_logical\"\nplace = \"local\"\nurl = \"{url}\"\n"
        );
        let tools = format!("pg_bin = \"{}\"", pg_bin());
        let rig = Rig::with(folder, "", &tools, &settings).await;
        let job = rig.create("main").await;
        assert_eq!(job.state, State::Retryable, "{job:?}");
        let told = why(&job);
        assert!(told.contains("No space left on device"), "{told}");
        assert!(rig.list("local", "main").await.is_empty());
        assert_eq!(entries(&at), Vec::<String>::new());
        disk.grow();
        let operator = rig.client.operator("test", None);
        operator.requeue(job.id, None).await.unwrap();
        rig.drain().await;
        assert_eq!(rig.list("local", "main").await.len(), 1);
        // Before the folder that it is in.
        drop(disk);
    })
    .await;
}

#[tokio::test]
async fn a_place_that_is_full_holds_no_half_backup_and_the_next_run_clears_it() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(&folder.path().join("local")) else {
        return;
    };
    let settings = "[backups.targets.documents]\nkind = \"folder\"\nplace = \"local\"\n";
    let rig = Rig::with(folder, "", "", settings).await;
    std::fs::create_dir_all(rig.path("documents")).unwrap();
    for name in ["a", "b", "c"] {
        std::fs::write(rig.path("documents").join(name), vec![7; 700_000]).unwrap();
    }
    let job = rig.create("documents").await;
    assert_eq!(job.state, State::Retryable, "{job:?}");
    let told = why(&job);
    assert!(told.contains("place local: writing documents/"), "{told}");
    assert!(told.contains("No space left on device"), "{told}");
    assert!(rig.list("local", "documents").await.is_empty());

    disk.grow();
    let operator = rig.client.operator("test", None);
    operator.requeue(job.id, None).await.unwrap();
    rig.drain().await;
    let place = rig.backups().repository("local").unwrap();
    let holdings = place.holdings("documents").await.unwrap();
    assert_eq!((holdings.backups.len(), holdings.leftovers.len()), (1, 0));
    drop(disk);
}

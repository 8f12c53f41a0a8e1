//! `kill -9` of a worker that makes or tries out a backup: nothing of it stays, and the next one finishes it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use metachat_jobs::backups::Level;
use metachat_jobs::backups::restore::Restore;
use metachat_jobs::jobs::{CreateBackup, RestoreBackup, VerifyBackup};
use sqlx::{Connection as _, Executor as _, PgConnection};
use windlass::State;

use super::database::{Database, Server, var};
use super::process::Process;

const PATIENCE: Duration = Duration::from_mins(2);
/// What takes a second or two to restore.
const BULK: &str = "
    create table bulk as select n, md5(n::text) as body from generate_series(1, 400000) n;
    alter table bulk add primary key (n)";

/// A folder that PostgreSQL's account can reach, gone with this value.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        // Short: a socket's path has few bytes.
        let name = uuid::Uuid::new_v4().simple().to_string();
        let folder = Path::new(&var("TEST_PG_SCRATCH")).join(format!("k-{}", &name[..8]));
        std::fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// What is in it, but for locks.
    pub(crate) fn left(&self) -> Vec<String> {
        let trials = self.0.join("metachat-jobs-trials");
        let mut left = Vec::new();
        for folder in [self.0.as_path(), &trials] {
            for entry in std::fs::read_dir(folder).into_iter().flatten() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                if name != "metachat-jobs-trials" && !name.ends_with("lock") {
                    left.push(name);
                }
            }
        }
        left
    }

    /// Whether a server that is tried out runs in it.
    fn has_server(&self) -> bool {
        let trials = std::fs::read_dir(self.0.join("metachat-jobs-trials"));
        trials
            .into_iter()
            .flatten()
            .any(|entry| entry.unwrap().path().join("data/postmaster.pid").exists())
    }

    /// The processes that work in it.
    fn processes(&self) -> Vec<String> {
        let all = std::fs::read_dir("/proc").unwrap();
        let works_here = |entry: std::io::Result<std::fs::DirEntry>| {
            let path = entry.ok()?.path();
            let works_in = std::fs::read_link(path.join("cwd")).ok()?;
            let here = works_in.starts_with(&self.0);
            here.then(|| path.display().to_string())
        };
        all.filter_map(works_here).collect()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

async fn soon(what: &str, is: impl Fn() -> bool) {
    let mut pulse = tokio::time::interval(Duration::from_millis(5));
    let waited = tokio::time::timeout(PATIENCE, async {
        while !is() {
            pulse.tick().await;
        }
    });
    waited
        .await
        .unwrap_or_else(|_| panic!("not in time: {what}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_trial_leaves_nothing_and_is_done_again() {
    let server = Server::start();
    // Something to back up, and for some time.
    Database::postgres(server.url()).await;
    let mut live = PgConnection::connect(&server.url()).await.unwrap();
    live.execute(BULK).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let scratch = Scratch::new();
    let place = folder.path().join("backups");
    let database = Database::sqlite(folder.path()).await;
    let run_as = format!("{}:{}", var("TEST_PG_UID"), var("TEST_PG_GID"));
    let (url, bin) = (server.url(), var("TEST_PG_BIN"));
    let settings = [
        ("database.url", database.url.as_str()),
        ("security.admin_key", "a-key-for-this-test-only"),
        ("server.port", "0"),
        ("engine.lease_ms", "2000"),
        // It is killed more often than chance would.
        ("engine.max_crashes", "100"),
        ("backups.scratch", scratch.0.to_str().unwrap()),
        ("backups.run_as", run_as.as_str()),
        ("backups.tools.pg_bin", bin.as_str()),
        ("backups.places.local.kind", "folder"),
        ("backups.places.local.path", place.to_str().unwrap()),
        ("backups.targets.main.kind", "postgres_logical"),
        ("backups.targets.main.place", "local"),
        ("backups.targets.main.url", url.as_str()),
    ];
    let start = || Process::start("all", folder.path(), &settings);
    let mut worker = start();
    let backup = CreateBackup {
        target: "main".to_owned(),
    };
    let made = database.client.enqueue(&backup).await.unwrap().id();
    let made = database
        .until(made, PATIENCE, |job| job.state.is_finished())
        .await;
    assert_eq!(made.state, State::Completed, "{made:?}\n{}", worker.log());

    let verify = VerifyBackup::newest("main", Level::Started);
    let tried = database.client.enqueue(&verify).await.unwrap().id();
    soon("a server is tried out", || scratch.has_server()).await;
    worker.kill();
    soon("nothing of it runs", || scratch.processes().is_empty()).await;

    let mut worker = start();
    let tried = database
        .until(tried, PATIENCE, |job| job.state.is_finished())
        .await;
    assert_eq!(tried.state, State::Completed, "{tried:?}\n{}", worker.log());
    assert!(
        tried.all_attempts().len() > 1,
        "the kill hit nothing: {tried:?}"
    );
    worker.signal("TERM");
    assert!(worker.wait().success(), "{}", worker.log());
    assert_eq!(scratch.left(), Vec::<String>::new());
    assert_eq!(scratch.processes(), Vec::<String>::new());

    a_killed_restore_is_begun_anew(&server, &database, &scratch, &start).await;
}

/// The same with a restore: what is half restored has no name that anybody asks for, and the next attempt clears it.
async fn a_killed_restore_is_begun_anew(
    server: &Server,
    database: &Database,
    scratch: &Scratch,
    start: &impl Fn() -> Process,
) {
    let restore = Restore {
        target: "main".to_owned(),
        backup: None,
        place: None,
        to: "brought_back".to_owned(),
        table: None,
        to_time: None,
        overwrite: None,
    };
    let mut worker = start();
    let job = RestoreBackup(restore);
    let restoring = database.client.enqueue(&job).await.unwrap().id();
    let mut live = PgConnection::connect(&server.url()).await.unwrap();
    let names = "select datname from pg_database where datname like 'brought_back%'";
    for moment in [0, 100, 200] {
        soon_async("half of it is there", async || {
            let there: Vec<String> = sqlx::query_scalar(names)
                .fetch_all(&mut live)
                .await
                .unwrap();
            there == ["brought_back.restoring"]
        })
        .await;
        tokio::time::sleep(Duration::from_millis(moment)).await;
        worker.kill();
        soon("nothing of it runs", || scratch.processes().is_empty()).await;
        let job = database.client.get(restoring, None).await.unwrap().unwrap();
        assert!(!job.state.is_finished(), "too late: {job:?}");
        worker = start();
        let attempts = job.all_attempts().len();
        let next = database.until(restoring, PATIENCE, |job| {
            job.state.is_finished() || job.all_attempts().len() > attempts
        });
        if next.await.state.is_finished() {
            break;
        }
    }
    let done = database
        .until(restoring, PATIENCE, |job| job.state.is_finished())
        .await;
    assert_eq!(done.state, State::Completed, "{done:?}\n{}", worker.log());
    assert!(
        done.all_attempts().len() > 1,
        "the kill hit nothing: {done:?}"
    );
    let there: Vec<String> = sqlx::query_scalar(names)
        .fetch_all(&mut live)
        .await
        .unwrap();
    assert_eq!(there, ["brought_back"]);
    let copy = server.url_of("brought_back");
    let mut copy = PgConnection::connect(&copy).await.unwrap();
    let tenants: i64 = sqlx::query_scalar("select count(*) from tenants")
        .fetch_one(&mut copy)
        .await
        .unwrap();
    assert_eq!(tenants, 1);
    worker.signal("TERM");
    assert!(worker.wait().success(), "{}", worker.log());
    assert_eq!(scratch.left(), Vec::<String>::new());
}

pub(crate) async fn soon_async(what: &str, mut is: impl AsyncFnMut() -> bool) {
    let mut pulse = tokio::time::interval(Duration::from_millis(5));
    let waited = tokio::time::timeout(PATIENCE, async {
        while !is().await {
            pulse.tick().await;
        }
    });
    waited
        .await
        .unwrap_or_else(|_| panic!("not in time: {what}"));
}

//! `kill -9` of the worker in the middle of a backup, at random moments: no half backup is ever listed, the next
//! run clears what was left, and nothing goes on for nobody.

use std::path::Path;
use std::time::Duration;

use metachat_jobs::backups::Backups;
use metachat_jobs::compose;
use metachat_jobs::config::{Config, Sources};
use metachat_jobs::jobs::CreateBackup;
use rand::Rng;
use sqlx::{Connection, Executor, PgConnection};
use tokio_util::sync::CancellationToken;
use windlass::State;

use super::database::{Database, Server, var};
use super::process::Process;

const KILLS: usize = 12;
const PATIENCE: Duration = Duration::from_mins(2);
/// Text that does not compress: a dump of some seconds' work.
const DATA: &str = "
    create table chaos (id int, body text);
    insert into chaos
    select n, (select string_agg(md5(n::text || part::text), '') from generate_series(1, 20) part)
    from generate_series(1, 40000) n;
    create table more as select * from chaos;
";

/// Whether any process has this in its command.
fn somebody_has(text: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let commands = processes.filter_map(|it| std::fs::read(it.path().join("cmdline")).ok());
    let mut told = commands.map(|it| String::from_utf8_lossy(&it).into_owned());
    told.any(|command| command.contains(text))
}

fn settings(folder: &Path, server: &Server) -> std::path::PathBuf {
    let here = folder.display();
    let file = folder.join("settings.toml");
    let text = format!(
        "[backups]\nscratch = \"{here}/scratch\"\n[backups.tools]\npg_bin = \"{}\"\n\
         [backups.places.local]\nkind = \"folder\"\npath = \"{here}/local\"\n\
         [backups.targets.main]\nkind = \"postgres_logical\"\nplace = \"local\"\nurl = \"{}\"\n",
        var("TEST_PG_BIN"),
        server.url()
    );
    std::fs::write(&file, text).unwrap();
    file
}

fn backups(file: &Path) -> Backups {
    let sources = Sources {
        file: Some(file.to_owned()),
        ..Sources::default()
    };
    compose::backups(&Config::load(&sources).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_in_the_middle_of_a_backup_leave_nothing_that_looks_like_one() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let mut connection = PgConnection::connect(&server.url()).await.unwrap();
    connection.execute(sqlx::raw_sql(DATA)).await.unwrap();
    let database = Database::sqlite(folder.path()).await;
    let file = settings(folder.path(), &server);
    let backups = backups(&file);
    let place = backups.repository("local").unwrap();
    let scratch = folder.path().join("scratch").display().to_string();
    let flags = [
        ("database.url", database.url.as_str()),
        ("security.admin_key", "a-key-for-this-test-only"),
        ("server.port", "0"),
        ("engine.lease_ms", "1000"),
        // Chance may hit one job more than three times: that is another promise's test.
        ("engine.max_crashes", "100"),
    ];
    let start = || Process::start_with(&file, "all", folder.path(), &flags);
    let ask = async || {
        let job = CreateBackup {
            target: "main".to_owned(),
        };
        database.client.enqueue(&job).await.unwrap().id()
    };
    let mut worker = start();
    let mut caught = 0;
    for _ in 0..KILLS {
        let job = ask().await;
        database
            .until(job, PATIENCE, |job| job.state != State::Available)
            .await;
        let moment = Duration::from_millis(rand::rng().random_range(0..2500));
        tokio::time::sleep(moment).await;
        let running =
            database.client.get(job, None).await.unwrap().unwrap().state == State::Running;
        worker.kill();
        // What it ran is gone with it, though nobody was left to end it.
        let gone = async {
            let mut pulse = tokio::time::interval(Duration::from_millis(5));
            while somebody_has(&scratch) {
                pulse.tick().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), gone)
            .await
            .expect("pg_dump goes on for nobody");
        caught += usize::from(running);
        let holdings = place.holdings("main").await.unwrap();
        assert!(holdings.damaged.is_empty(), "{:?}", holdings.damaged);
        for backup in &holdings.backups {
            let all = metachat_jobs::backups::Transfer::new(CancellationToken::new(), 0);
            place.check(&backup.manifest, &all).await.unwrap();
            assert_eq!(backup.manifest.rows["public.chaos"], 40_000);
        }
        worker = start();
    }
    assert!(
        caught > 0,
        "no kill hit a running backup: the test shows nothing"
    );
    let job = ask().await;
    let job = database
        .until(job, PATIENCE, |job| job.state.is_finished())
        .await;
    assert_eq!(job.state, State::Completed, "{job:?}");
    let holdings = place.holdings("main").await.unwrap();
    assert!(!holdings.backups.is_empty());
    assert!(holdings.leftovers.is_empty(), "{:?}", holdings.leftovers);
    let left = std::fs::read_dir(&scratch).unwrap();
    let left: Vec<_> = left
        .map(|entry| entry.unwrap().file_name())
        // The folder in which backups are tried out stays; tests/chaos/trials.rs looks into it.
        .filter(|name| name != "metachat-jobs-trials")
        .collect();
    assert!(left.is_empty(), "{left:?}");
    worker.signal("TERM");
    assert!(worker.wait().success(), "{}", worker.log());
}

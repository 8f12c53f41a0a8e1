//! Backups of every other kind: good ones pass, and whatever is done to any one file is told by its name.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use metachat_jobs::backups::verify::Verification;
use metachat_jobs::backups::{Backup, Evidence, Level, Verdict};
use tokio_util::sync::CancellationToken;

use super::rig::{now, var};
use crate::backups::rig::Rig;

async fn verify(rig: &Rig, target: &str, backup: &Backup, level: Level) -> Evidence {
    let verification = Verification {
        target: target.to_owned(),
        backup: Some(backup.manifest.id.clone()),
        place: None,
        level,
        job: uuid::Uuid::now_v7(),
        moment: None,
    };
    let never = CancellationToken::new();
    verification.run(rig.backups(), now, &never).await.unwrap()
}

/// Makes a backup, which must pass; then flips a bit of each file, cuts each off and takes each away.
async fn whatever_is_done_to_a_file_is_told(rig: &Rig, target: &str) -> (Backup, Evidence) {
    let backup = rig.created(target).await;
    let whole = verify(rig, target, &backup, Level::Started).await;
    assert_eq!((whole.outcome, &whole.reason), (Verdict::Passed, &None));
    let home = rig
        .path("local")
        .join(target)
        .join(backup.manifest.id.as_str());
    assert!(!backup.manifest.files.is_empty());
    for file in &backup.manifest.files {
        let at = home.join(&file.stored.path);
        let bytes = std::fs::read(&at).unwrap();
        let mut cases = vec![(None, "it is not there")];
        if bytes.is_empty() {
            // A set that is being rewritten begins with an empty log.
            cases.push((Some(b"more".to_vec()), "bytes, and had"));
        } else {
            let mut flipped = bytes.clone();
            flipped[bytes.len() / 2] ^= 1;
            cases.push((Some(flipped), "its SHA-256 is"));
            cases.push((Some(bytes[..bytes.len() / 2].to_vec()), "bytes, and had"));
        }
        for (done, says) in cases {
            match done {
                Some(other) => std::fs::write(&at, other).unwrap(),
                None => std::fs::remove_file(&at).unwrap(),
            }
            for level in [Level::Hashes, Level::Structure] {
                let evidence = verify(rig, target, &backup, level).await;
                let reason = evidence.reason.unwrap_or_default();
                assert_eq!(evidence.outcome, Verdict::Failed, "{}", file.path);
                assert!(
                    reason.contains(&file.path) && reason.contains(says),
                    "{}: {reason}",
                    file.path
                );
            }
            std::fs::write(&at, &bytes).unwrap();
        }
    }
    let again = verify(rig, target, &backup, Level::Hashes).await;
    assert_eq!(again.outcome, Verdict::Passed);
    (backup, whole)
}

/// The settings with which backups are tried out.
fn keys() -> String {
    format!("run_as = \"{}:{}\"", var("TEST_PG_UID"), var("TEST_PG_GID"))
}

#[tokio::test]
async fn a_sqlite_file() {
    let settings = "[backups.targets.jobs]\nkind = \"sqlite\"\nplace = \"local\"\n";
    let rig = Rig::with_backups(&keys(), settings).await;
    let (_, evidence) = whatever_is_done_to_a_file_is_told(&rig, "jobs").await;
    assert_eq!(evidence.level, Level::Started);
}

#[tokio::test]
async fn documents_and_settings() {
    let rig = Rig::with_backups(
        &keys(),
        "[backups.targets.documents]\nkind = \"folder\"\nplace = \"local\"\n\
         [backups.targets.settings]\nkind = \"configuration\"\nplace = \"local\"\n",
    )
    .await;
    std::fs::create_dir_all(rig.path("documents/acme")).unwrap();
    for name in ["one.txt", "acme/two.pdf", "acme/three.docx"] {
        let words = format!("what {name} holds ").repeat(20);
        std::fs::write(rig.path("documents").join(name), words).unwrap();
    }
    for target in ["documents", "settings"] {
        let (_, evidence) = whatever_is_done_to_a_file_is_told(&rig, target).await;
        assert_eq!(evidence.level, Level::Structure, "there is no more to it");
    }
}

/// A Redis of the test's own, with an append-only set.
struct Redis {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Redis {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--appendonly", "yes", "--save", "", "--dir"])
            .arg(folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let redis = Self {
            child,
            port,
            folder,
        };
        let mut looks = tokio::time::interval(Duration::from_millis(20));
        let answers = async {
            while redis.connect().await.is_err() {
                looks.tick().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), answers)
            .await
            .expect("redis-server does not start");
        redis
    }

    async fn connect(&self) -> redis::RedisResult<redis::aio::MultiplexedConnection> {
        // Its disk may be slow and the machine busy; half a second, which is the default, is not for either.
        let patient = redis::AsyncConnectionConfig::new()
            .set_connection_timeout(Some(Duration::from_secs(10)))
            .set_response_timeout(Some(Duration::from_mins(1)));
        let client = redis::Client::open(self.url())?;
        client
            .get_multiplexed_async_connection_with_config(&patient)
            .await
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    fn set(&self) -> PathBuf {
        self.folder.path().join("appendonlydir")
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

async fn write(connection: &mut redis::aio::MultiplexedConnection, n: u32) {
    let () = redis::cmd("SET")
        .arg(format!("key-{n}"))
        .arg("a value ".repeat(20))
        .query_async(connection)
        .await
        .unwrap();
}

#[tokio::test]
async fn redis_with_its_append_only_set_while_it_is_written_to() {
    let server = Redis::start().await;
    let mut connection = server.connect().await.unwrap();
    for n in 0..2000 {
        write(&mut connection, n).await;
    }
    let settings = format!(
        "[backups.targets.cache]\nkind = \"redis\"\nplace = \"local\"\nurl = \"{}\"\npath = \"{}\"\n",
        server.url(),
        server.set().display()
    );
    let rig = Rig::with_backups(&keys(), &settings).await;
    let writing = tokio::spawn(async move {
        for n in 2000.. {
            write(&mut connection, n).await;
            if n % 500 == 0 {
                // It is also rewritten meanwhile; one at a time, so that a second one is refused.
                let rewrite = redis::cmd("BGREWRITEAOF");
                let asked: redis::RedisResult<()> = rewrite.query_async(&mut connection).await;
                drop(asked);
            }
        }
    });
    let mut other = server.connect().await.unwrap();
    let mut quickest = Duration::MAX;
    for _ in 0..3 {
        rig.created("cache").await;
        let began = std::time::Instant::now();
        write(&mut other, 0).await;
        quickest = quickest.min(began.elapsed());
    }
    // They are held for five seconds at most, and no longer than it takes to open the files.
    assert!(quickest < Duration::from_secs(3), "writes are still held");
    let (backup, evidence) = whatever_is_done_to_a_file_is_told(&rig, "cache").await;
    writing.abort();
    assert_eq!(evidence.level, Level::Restored);
    let told = evidence.checks.join("\n");
    for check in [
        "redis-check-rdb read dump.rdb",
        "redis-check-aof read appendonlydir/appendonly.aof.manifest",
        "redis-server loaded dump.rdb",
        "redis-server loaded appendonlydir/appendonly.aof",
    ] {
        assert!(told.contains(check), "{check} is not in {told}");
    }
    let keys = |name: &str| evidence.figures[name];
    assert!(keys("keys") >= 2000.0, "{:?}", evidence.figures);
    // Redis may be seconds behind in writing it down; what was there before is.
    assert!(keys("append_only_keys") >= 2000.0, "{:?}", evidence.figures);
    let paths: Vec<&str> = backup
        .manifest
        .files
        .iter()
        .map(|it| it.path.as_str())
        .collect();
    assert!(paths.len() >= 4, "{paths:?}");
}

#[tokio::test]
async fn a_folder_without_an_append_only_set_is_told_with_the_remedy() {
    let settings = format!(
        "[backups.targets.cache]\nkind = \"redis\"\nplace = \"local\"\nurl = \"{}\"\npath = \"{{folder}}\"\n",
        var("TEST_REDIS_URL")
    );
    let rig = Rig::with_backups("", &settings).await;
    let job = rig.create("cache").await;
    assert_eq!(job.state, windlass::State::Dead);
    let told = crate::backups::rig::why(&job);
    assert!(
        told.contains("holds no append-only set") && told.contains("appendonly yes"),
        "{told}"
    );
    assert!(!Path::new(&rig.path("scratch")).join("dump.rdb").exists());
}

//! A database for one test: what the program is given, and what the test looks at it with.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use metachat_jobs::platform::{ChannelType, Platform, Prepared};
use serde_json::json;
use windlass::db::{Db, Postgres, PostgresOptions, Sqlite, SqliteOptions};
use windlass::store::postgres::{PgStore, PgStoreOptions};
use windlass::store::sqlite::SqliteStore;
use windlass::{Client, JobId, JobRecord, Store, Timestamp};

pub(crate) const TENANT: &str = "acme";

/// A database with the engine's and the platform's tables and one tenant.
pub(crate) struct Database {
    pub(crate) url: String,
    pub(crate) client: Client,
    pub(crate) platform: Platform,
    pub(crate) db: Db,
}

impl Database {
    pub(crate) async fn sqlite(folder: &Path) -> Self {
        let file = folder.join("chaos.db");
        let sqlite = Sqlite::new(&file, &SqliteOptions::default());
        let store = Arc::new(SqliteStore::new(sqlite.clone()));
        Self::prepare(
            format!("sqlite:{}", file.display()),
            Db::Sqlite(sqlite),
            store,
        )
        .await
    }

    pub(crate) async fn postgres(url: String) -> Self {
        let db = Postgres::new(&url, &PostgresOptions::default()).unwrap();
        let store = Arc::new(PgStore::connect(&url, &PgStoreOptions::default()).unwrap());
        Self::prepare(url, Db::Postgres(db), store).await
    }

    async fn prepare(url: String, db: Db, store: Arc<dyn Store>) -> Self {
        store.migrate().await.unwrap();
        let platform = Platform::new(db.clone());
        assert_eq!(platform.prepare().await.unwrap(), Prepared::Ours);
        let mut tx = platform.begin(TENANT).await.unwrap();
        platform
            .create_tenant(&mut tx, TENANT, "Acme", &json!({}))
            .await
            .unwrap();
        platform
            .create_channel(&mut tx, TENANT, ChannelType::Webchat, &json!({}))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        Self {
            url,
            client: Client::new(store),
            platform,
            db,
        }
    }

    /// Enqueues the message `id` of a conversation of its own.
    pub(crate) async fn send(&self, id: &str) -> Result<JobId, windlass::EnqueueError> {
        let job = metachat_jobs::jobs::ProcessMessage {
            tenant_id: TENANT.to_owned(),
            channel: "webchat".to_owned(),
            message: serde_json::from_value(json!({
                "id": id, "from": id, "type": "text", "content": {"text": id},
            }))
            .unwrap(),
        };
        Ok(self.client.enqueue(&job).await?.id())
    }

    /// Waits until a job is as it should be.
    pub(crate) async fn until(
        &self,
        id: JobId,
        patience: Duration,
        what: impl Fn(&JobRecord) -> bool,
    ) -> JobRecord {
        let mut pulse = tokio::time::interval(Duration::from_millis(5));
        let mut last = None;
        let wait = async {
            loop {
                pulse.tick().await;
                // The database may be away on purpose.
                if let Ok(found) = self.client.get(id, None).await {
                    let job = found.expect("the job is lost");
                    if what(&job) {
                        return job;
                    }
                    last = Some(job);
                }
            }
        };
        match tokio::time::timeout(patience, wait).await {
            Ok(job) => job,
            Err(late) => panic!("not there after {patience:?} ({late}): {last:?}"),
        }
    }

    /// Rows of a message's conversation: inbound, outbound, metrics.
    pub(crate) async fn rows(&self, conversation: &str) -> (i64, i64, i64) {
        const MESSAGES: &str =
            "select count(*) from messages where \"conversationId\" = $1 and direction = $2";
        const METRICS: &str = "select count(*) from message_metrics where conversation_id = $1";
        match &self.db {
            Db::Postgres(db) => {
                let count = async |direction| {
                    let query = sqlx::query_scalar(MESSAGES)
                        .bind(conversation)
                        .bind(direction);
                    query.fetch_one(db.pool()).await.unwrap()
                };
                let metrics = sqlx::query_scalar(METRICS).bind(conversation);
                let metrics = metrics.fetch_one(db.pool()).await.unwrap();
                (count("inbound").await, count("outbound").await, metrics)
            }
            Db::Sqlite(db) => {
                let count = async |direction| {
                    let query = sqlx::query_scalar(MESSAGES)
                        .bind(conversation)
                        .bind(direction);
                    query.fetch_one(db.readers()).await.unwrap()
                };
                let metrics = sqlx::query_scalar(METRICS).bind(conversation);
                let metrics = metrics.fetch_one(db.readers()).await.unwrap();
                (count("inbound").await, count("outbound").await, metrics)
            }
            _ => unreachable!("two dialects"),
        }
    }
}

/// A PostgreSQL server of the test's own, which it may stop and start.
pub(crate) struct Server {
    bin: PathBuf,
    data: PathBuf,
    port: u16,
    /// Settings of it alone.
    further: String,
    /// Ends it with the test, however the test ends: what it waits for closes with our process.
    _guard: Child,
    folder: tempfile::TempDir,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// With further settings.
    pub(crate) fn start_with(settings: &[&str]) -> Self {
        let scratch = PathBuf::from(var("TEST_PG_SCRATCH"));
        let name = format!("chaos-{}", uuid::Uuid::new_v4().simple());
        let server = Self::at(scratch.join(name), settings);
        server.run(
            "initdb",
            &["-U", "postgres", "-A", "trust", "-D", server.data()],
        );
        server.up();
        server
    }

    /// On a data folder that is there already.
    pub(crate) fn on(data: PathBuf) -> Self {
        let server = Self::at(data, &[]);
        server.up();
        server
    }

    fn at(data: PathBuf, settings: &[&str]) -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let bin = PathBuf::from(var("TEST_PG_BIN"));
        let guard = Command::new("sh")
            .args([
                "-c",
                "read -r _; \"$0\" -D \"$1\" -m immediate stop; rm -rf \"$1\"",
            ])
            .args([&bin.join("pg_ctl"), &data])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        Self {
            _guard: guard,
            bin,
            data,
            port: free.local_addr().unwrap().port(),
            further: settings.iter().flat_map(|it| [" -c ", it]).collect(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// Of another of its databases.
    pub(crate) fn url_of(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    pub(crate) fn up(&self) {
        let options = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''{}",
            self.port, self.further
        );
        let log = self.data.join("server.log");
        let log = log.to_str().unwrap();
        self.run(
            "pg_ctl",
            &["-D", self.data(), "-w", "-l", log, "-o", &options, "start"],
        );
    }

    /// `kill -9`, and its disk is gone as well.
    pub(crate) fn lose(&self) {
        let pid = std::fs::read_to_string(self.data.join("postmaster.pid")).unwrap();
        let pid = pid.lines().next().unwrap();
        let killed = Command::new("kill").args(["-9", pid]).status().unwrap();
        assert!(killed.success());
        // Its processes end by themselves, and write until then.
        let began = std::time::Instant::now();
        while let Err(error) = std::fs::remove_dir_all(&self.data) {
            assert!(began.elapsed() < Duration::from_secs(30), "{error}");
            std::thread::yield_now();
        }
    }

    /// Like a crash: no checkpoint, connections cut.
    pub(crate) fn down(&self) {
        self.run(
            "pg_ctl",
            &["-D", self.data(), "-m", "immediate", "-w", "stop"],
        );
    }

    fn data(&self) -> &str {
        self.data.to_str().unwrap()
    }

    fn run(&self, program: &str, args: &[&str]) {
        let log = std::fs::File::create(self.folder.path().join("pg.log")).unwrap();
        let status = Command::new(self.bin.join(program))
            .args(args)
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .status()
            .unwrap();
        let said = std::fs::read_to_string(self.folder.path().join("pg.log")).unwrap();
        assert!(status.success(), "{program}: {said}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Best effort: a test that failed may have left it down.
        let stop = ["-D", self.data(), "-m", "immediate", "-w", "stop"];
        drop(Command::new(self.bin.join("pg_ctl")).args(stop).output());
        drop(std::fs::remove_dir_all(&self.data));
    }
}

/// Whether the long form of a test is asked for, by `CHAOS=full`.
#[expect(
    clippy::disallowed_methods,
    reason = "tests have no config to read it from"
)]
pub(crate) fn is_full() -> bool {
    std::env::var("CHAOS").is_ok_and(|size| size == "full")
}

#[expect(clippy::disallowed_methods, reason = "a test has no clock of its own")]
pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp::from_micros(i64::try_from(since.unwrap().as_micros()).unwrap())
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests have no config to read it from"
)]
pub(crate) fn var(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: run scripts/services up, eval its env"))
}

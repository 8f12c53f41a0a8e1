//! A large store, and the program over it.

use std::net::TcpListener;
use std::process::Stdio;
use std::time::{Duration, Instant};

use metachat_jobs::compose;
use metachat_jobs::config::{Config, Sources};
use reqwest::Method;
use serde_json::Value;
use sqlx::migrate::MigrateDatabase;
use sqlx::{Executor, PgPool};
use tokio::process::{Child, Command};

pub(crate) const KEY: &str = "a-key-of-the-bench-0123456789";
const PATIENCE: Duration = Duration::from_mins(1);

/// Ended by [`House::close`]; its processes end with it however the bench does.
pub(crate) struct House {
    pub(crate) url: String,
    database: String,
    pool: PgPool,
    http: reqwest::Client,
    log_from: u64,
    _api: Child,
    _scheduler: Child,
}

impl House {
    pub(crate) async fn build(finished: i64, live: i64, dead: i64) -> Self {
        let database = fresh_url();
        sqlx::Postgres::create_database(&database).await.unwrap();
        migrate(&database).await;
        let pool = PgPool::connect(&database).await.unwrap();
        let began = Instant::now();
        for (statement, rows) in [
            (include_str!("sql/completed.sql"), finished - dead),
            (include_str!("sql/dead.sql"), dead),
            (include_str!("sql/live.sql"), live),
        ] {
            let filled = sqlx::query(statement).bind(rows).execute(&pool).await;
            assert_eq!(
                filled.unwrap().rows_affected(),
                rows.unsigned_abs(),
                "{statement}"
            );
        }
        pool.execute(include_str!("sql/tallies.sql")).await.unwrap();
        pool.execute("vacuum (analyze)").await.unwrap();
        println!("seeded in {:.0?}", began.elapsed());
        // From here on the server says what takes it long.
        pool.execute(include_str!("sql/log_slow.sql"))
            .await
            .unwrap();
        let log_from = log().map_or(0, |log| log.len() as u64);
        let port = free_port();
        let house = Self {
            url: format!("http://127.0.0.1:{port}"),
            _api: program("api", port, &database),
            _scheduler: program("scheduler", free_port(), &database),
            database,
            pool,
            http: reqwest::Client::new(),
            log_from,
        };
        let began = Instant::now();
        while house.get("/health/ready").await.is_err() {
            assert!(began.elapsed() < PATIENCE, "the program does not come up");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        house
    }

    pub(crate) async fn size(&self) -> String {
        let size = include_str!("sql/size.sql");
        sqlx::query_scalar(size)
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }

    /// Exactly: the API counts up to a bound.
    pub(crate) async fn dead_webhooks(&self) -> u64 {
        let count: i64 = sqlx::query_scalar(include_str!("sql/dead_webhooks.sql"))
            .fetch_one(&self.pool)
            .await
            .unwrap();
        count.unsigned_abs()
    }

    pub(crate) async fn get(&self, path: &str) -> reqwest::Result<Value> {
        self.ask(Method::GET, path, None).await
    }

    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> reqwest::Result<Value> {
        let request = self
            .http
            .request(method, format!("{}{path}", self.url))
            .header("x-admin-key", KEY);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        request.send().await?.error_for_status()?.json().await
    }

    /// What the server wrote of statements that took it more than 100 ms.
    pub(crate) fn slow_statements(&self) {
        let Some(log) = log() else {
            println!("slow statements: not looked at, as POSTGRES_LOG names no file");
            return;
        };
        let since = &log[usize::try_from(self.log_from).unwrap()..];
        let slow: Vec<&str> = since
            .lines()
            .filter(|line| line.contains("duration: "))
            .collect();
        println!("statements of more than 100 ms: {}", slow.len());
        for line in slow {
            println!("  {line}");
        }
    }

    pub(crate) async fn close(self) {
        self.pool.close().await;
        sqlx::Postgres::force_drop_database(&self.database)
            .await
            .unwrap();
    }
}

fn log() -> Option<String> {
    let file = std::env::var_os("POSTGRES_LOG")?;
    Some(String::from_utf8_lossy(&std::fs::read(file).unwrap()).into_owned())
}

fn fresh_url() -> String {
    let base = std::env::var("TEST_DATABASE_URL").expect("eval \"$(scripts/services env)\" first");
    let (server, _) = base.rsplit_once('/').unwrap();
    format!("{server}/dashboard_bench_{}", std::process::id())
}

async fn migrate(url: &str) {
    let sources = Sources {
        environment: std::collections::BTreeMap::new(),
        flags: vec![("database.url".to_owned(), url.to_owned())],
        file: None,
    };
    let config = Config::load(&sources).unwrap();
    let database = compose::open(&config.database).unwrap();
    compose::migrate(&database).await.unwrap();
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// With its defaults, but for who may ask how often: one person here is as quick as a hundred.
fn program(role: &str, port: u16, database: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_metachat-jobs"))
        .args(["run", "--role", role])
        .env("DATABASE_URL", database)
        .env("METACHAT_JOBS__SERVER__PORT", port.to_string())
        .env("METACHAT_JOBS__SECURITY__ADMIN_KEY", KEY)
        .env("METACHAT_JOBS__RATE_LIMITS__ENABLED", "false")
        .env("METACHAT_JOBS__LOG__LEVEL", "warn")
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

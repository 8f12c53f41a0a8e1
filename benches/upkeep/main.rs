//! The daily figures of a large platform, and the clean-up of its old metrics beside its inserts.
//!
//! ```sh
//! eval "$(scripts/services env)"
//! cargo bench --bench upkeep                       # both, of the stated size
//! cargo bench --bench upkeep -- analytics 5000000  # messages, of 200 tenants
//! cargo bench --bench upkeep -- clean-up 10000000  # old metrics
//! ```
//!
//! The jobs run in an engine with the program's defaults, in a database of their own on `TEST_DATABASE_URL`,
//! whose role must be a superuser: the rows are made without checking what they refer to.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench that cannot go on has failed; it prints, and has no config to read from"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use metachat_jobs::compose;
use metachat_jobs::config::{Config, Sources};
use metachat_jobs::jobs::{AggregateAnalytics, PruneMessageMetrics, Services};
use sqlx::migrate::MigrateDatabase;
use sqlx::postgres::PgPoolOptions;
use sqlx::{Executor, PgPool};
use tokio_util::sync::CancellationToken;
use windlass::{Client, Engine, Job};

const TENANTS: i64 = 200;
const CONVERSATIONS: i64 = 500;
/// Longer, and a run is stuck.
const PATIENCE: Duration = Duration::from_mins(20);
/// How often a row is inserted beside the clean-up.
const PULSE: Duration = Duration::from_millis(2);

#[tokio::main]
async fn main() {
    let arguments = std::env::args().skip(1).filter(|a| a != "--bench");
    let arguments: Vec<String> = arguments.collect();
    let part = arguments.first().map(String::as_str);
    let rows = |default| {
        arguments
            .get(1)
            .map_or(default, |text| text.parse().unwrap())
    };
    if part.is_none_or(|part| part == "analytics") {
        on_fresh(async |platform| analytics(&platform, rows(5_000_000)).await).await;
    }
    if part.is_none_or(|part| part == "clean-up") {
        on_fresh(async |platform| clean_up(&platform, rows(10_000_000)).await).await;
    }
}

/// A platform of its own with a running engine.
struct Running {
    pool: PgPool,
    client: Client,
}

async fn on_fresh(measure: impl AsyncFnOnce(Running)) {
    let url = fresh_url();
    sqlx::Postgres::create_database(&url).await.unwrap();
    let sources = Sources {
        environment: BTreeMap::new(),
        flags: vec![("database.url".to_owned(), url.clone())],
        file: None,
    };
    let config = Config::load(&sources).unwrap();
    let database = compose::open(&config.database).unwrap();
    compose::migrate(&database).await.unwrap();
    let services = compose::services(&config, &database).unwrap();
    let registry = compose::registry(&config, services).unwrap();
    let options = compose::engine_options(&config).unwrap();
    let engine = Engine::new(Arc::clone(&database.store), registry, options).unwrap();
    let (client, stop) = (engine.client(), CancellationToken::new());
    let engine = tokio::spawn(engine.run(stop.clone()));
    let pool = PgPoolOptions::new()
        .max_connections(4)
        .after_connect(|connection, _| {
            Box::pin(async move {
                connection.execute("set time zone 'UTC'").await?;
                connection
                    .execute("set session_replication_role = replica")
                    .await?;
                Ok(())
            })
        })
        .connect(&url)
        .await
        .unwrap();
    measure(Running {
        pool: pool.clone(),
        client,
    })
    .await;
    stop.cancel();
    engine.await.unwrap();
    pool.close().await;
    sqlx::Postgres::force_drop_database(&url).await.unwrap();
}

async fn analytics(platform: &Running, messages: i64) {
    let pool = &platform.pool;
    fill(pool, include_str!("sql/tenants.sql"), &[TENANTS]).await;
    let conversations = include_str!("sql/conversations.sql");
    fill(pool, conversations, &[TENANTS, CONVERSATIONS]).await;
    let sizes = [messages, TENANTS, CONVERSATIONS];
    fill(pool, include_str!("sql/messages.sql"), &sizes).await;
    fill(pool, include_str!("sql/answers.sql"), &sizes).await;
    pool.execute("analyze").await.unwrap();
    let took = platform.run(&AggregateAnalytics::default()).await;
    println!("analytics: {TENANTS} tenants, {messages} messages: {took:.1?}");
    let first: String = number(pool, include_str!("sql/figures.sql")).await;
    let again = platform.run(&AggregateAnalytics::default()).await;
    let second: String = number(pool, include_str!("sql/figures.sql")).await;
    assert_eq!(first, second, "made again, the figures are the same");
    let differences: i64 = number(pool, include_str!("sql/differences.sql")).await;
    assert_eq!(
        differences, 0,
        "days whose figures are not those of the rows"
    );
    println!("analytics, made again: {again:.1?}; equal to those of the rows");
}

async fn clean_up(platform: &Running, metrics: i64) {
    let pool = &platform.pool;
    fill(pool, include_str!("sql/tenants.sql"), &[20]).await;
    fill(pool, include_str!("sql/old_metrics.sql"), &[metrics]).await;
    fill(pool, include_str!("sql/aggregated.sql"), &[]).await;
    pool.execute("analyze").await.unwrap();
    let alone = inserts(pool, tokio::time::sleep(Duration::from_secs(10))).await;
    println!("inserts without a clean-up: {alone}");
    let began = Instant::now();
    let beside = inserts(pool, platform.run(&PruneMessageMetrics::default())).await;
    let took = began.elapsed();
    let left = "select count(*) from message_metrics where created_at < now() - interval '90 days'";
    let left: i64 = number(pool, left).await;
    assert_eq!(left, 0, "old metrics left");
    println!("clean-up of {metrics} metrics: {took:.1?}; inserts beside it: {beside}");
}

/// How long inserts of one row took, one every few milliseconds while something else goes on.
async fn inserts(pool: &PgPool, meanwhile: impl Future) -> String {
    let stop = CancellationToken::new();
    let inserting = tokio::spawn({
        let (pool, stop) = (pool.clone(), stop.clone());
        async move {
            let mut connection = pool.acquire().await.unwrap();
            let mut pulse = tokio::time::interval(PULSE);
            let mut took = Vec::new();
            while !stop.is_cancelled() {
                pulse.tick().await;
                let began = Instant::now();
                connection
                    .execute("insert into message_metrics (tenant_id, response_time_ms) values ('tenant-1', 7)")
                    .await
                    .unwrap();
                took.push(began.elapsed());
            }
            took
        }
    });
    meanwhile.await;
    stop.cancel();
    let mut took = inserting.await.unwrap();
    took.sort_unstable();
    let at = |part: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a place in a list"
        )]
        let place = ((took.len() - 1) as f64 * part) as usize;
        took[place]
    };
    format!(
        "{} of them, median {:.1?}, 99.9 % within {:.1?}, longest {:.1?}",
        took.len(),
        at(0.5),
        at(0.999),
        at(1.0)
    )
}

impl Running {
    /// Enqueues a job and waits until it and all it enqueued are done.
    async fn run(&self, job: &impl Job<Services = Services>) -> Duration {
        let began = Instant::now();
        self.client.enqueue(job).await.unwrap();
        let jobs = include_str!("sql/unfinished.sql");
        loop {
            let (open, failed): (i64, i64) =
                sqlx::query_as(jobs).fetch_one(&self.pool).await.unwrap();
            assert_eq!(failed, 0, "jobs ended badly");
            if open == 0 {
                return began.elapsed();
            }
            assert!(began.elapsed() < PATIENCE, "{open} jobs are not done");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn fill(pool: &PgPool, statement: &'static str, parameters: &[i64]) {
    let query = sqlx::query(statement);
    let query = parameters.iter().fold(query, |query, n| query.bind(*n));
    query.execute(pool).await.unwrap();
}

async fn number<T>(pool: &PgPool, statement: &'static str) -> T
where
    T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    sqlx::query_scalar(statement).fetch_one(pool).await.unwrap()
}

fn fresh_url() -> String {
    let server = std::env::var("TEST_DATABASE_URL")
        .expect("TEST_DATABASE_URL is not set: run scripts/services up, eval its env");
    let (server, parameters) = server.split_once('?').unwrap_or((&server, ""));
    let (server, _) = server.rsplit_once('/').expect("a database URL has a path");
    format!(
        "{server}/bench_{}?{parameters}",
        uuid::Uuid::new_v4().simple()
    )
}

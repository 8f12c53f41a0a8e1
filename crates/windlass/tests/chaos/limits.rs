//! Limits and turns across processes: exact, whatever dies; and nobody waits for another's backlog.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use windlass::db::Db;
use windlass::model::{Audit, QueuePolicy};
use windlass::store::ChangeSetting;
use windlass::{Context, Job, JobOptions, Json, NewJob, Outcome};

use crate::database::Database;
use crate::worker::Worker;

/// The queue of which each worker runs ten at once.
pub(crate) const TEN: &str = "ten";
const QUEUE: &str = NewJob::DEFAULT_QUEUE;

/// Takes a while, and writes down when.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Limited {
    tenant: String,
    key: Option<String>,
    takes_ms: u64,
    /// Whether it is written down.
    noted: bool,
}

/// The same under another kind.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LimitedToo(Limited);

impl Job for Limited {
    const KIND: &'static str = "limited";
    type Services = Db;

    fn options() -> JobOptions {
        JobOptions {
            max_attempts: 1000,
            ..JobOptions::default()
        }
    }

    fn tenant(&self) -> Option<&str> {
        Some(&self.tenant)
    }

    fn limit_key(&self) -> Option<String> {
        self.key.clone()
    }

    async fn run(self, cx: Context<Db>) -> anyhow::Result<Outcome> {
        self.run_as(Self::KIND, cx).await
    }
}

impl Job for LimitedToo {
    const KIND: &'static str = "limited_too";
    type Services = Db;

    fn options() -> JobOptions {
        Limited::options()
    }

    fn tenant(&self) -> Option<&str> {
        self.0.tenant()
    }

    fn limit_key(&self) -> Option<String> {
        self.0.limit_key()
    }

    async fn run(self, cx: Context<Db>) -> anyhow::Result<Outcome> {
        self.0.run_as(Self::KIND, cx).await
    }
}

impl Limited {
    async fn run_as(self, kind: &str, cx: Context<Db>) -> anyhow::Result<Outcome> {
        let Db::Postgres(db) = cx.services() else {
            anyhow::bail!("these cases are PostgreSQL's");
        };
        let mut run = 0_i64;
        if self.noted {
            run = sqlx::query_scalar(BEGIN)
                .bind(i64::from(std::process::id()))
                .bind(kind)
                .bind(self.key.as_deref().unwrap_or(&self.tenant))
                .bind(cx.job().id.as_uuid())
                .fetch_one(db.pool())
                .await?;
        }
        tokio::time::sleep(Duration::from_millis(self.takes_ms)).await;
        if self.noted {
            sqlx::query(END).bind(run).execute(db.pool()).await?;
        }
        Ok(Outcome::complete())
    }
}

const RUNS: &str = "create table runs (
    run bigint generated always as identity primary key, process bigint not null, kind text not null,
    key text not null, job uuid not null, began_at timestamptz not null, ended_at timestamptz)";
const BEGIN: &str = "insert into runs (process, kind, key, job, began_at)
    values ($1, $2, $3, $4, clock_timestamp()) returning run";
const END: &str = "update runs set ended_at = clock_timestamp() where run = $1";
/// What a process ran when it was killed has ended, too.
const DIED: &str =
    "update runs set ended_at = clock_timestamp() where process = $1 and ended_at is null";

async fn set(database: &Database, queue: &str, policy: &str) {
    let read: QueuePolicy = serde_json::from_str(policy).unwrap();
    read.validate().unwrap();
    let change = ChangeSetting {
        space: QueuePolicy::SPACE,
        name: queue,
        value: Some(&Json::parse(policy).unwrap()),
        expected: None,
        audit: &Audit::new("test", "policy.set", "queue"),
        now: None,
    };
    database.store.change_setting(change).await.unwrap();
}

fn job(database: &Database, tenant: &str, takes_ms: u64, noted: bool) -> NewJob {
    let job = Limited {
        tenant: tenant.to_owned(),
        key: None,
        takes_ms,
        noted,
    };
    database.client().prepare(&job).unwrap()
}

fn pool(database: &Database) -> &sqlx::PgPool {
    match &database.db {
        Db::Postgres(db) => db.pool(),
        _ => unreachable!("these cases are PostgreSQL's"),
    }
}

pub(crate) async fn every_limit_holds_under_eight_processes_and_kill_9() {
    const JOBS: u32 = 1500;
    let database = Database::postgres().await;
    database.execute(RUNS).await;
    set(
        &database,
        QUEUE,
        r#"{"concurrency": 12, "kinds": {"limited_too": {"concurrency": 3}},
            "per_key": {"concurrency": 5}, "keys": {"key 0": {"concurrency": 2}}}"#,
    )
    .await;
    let client = database.client();
    let jobs: Vec<NewJob> = (0..JOBS)
        .map(|number| {
            let job = Limited {
                tenant: format!("tenant {}", number % 3),
                key: Some(format!("key {}", number % 4)),
                takes_ms: 10 + u64::from(number % 7) * 5,
                noted: true,
            };
            if number % 5 == 0 {
                client.prepare(&LimitedToo(job)).unwrap()
            } else {
                client.prepare(&job).unwrap()
            }
        })
        .collect();
    client.insert_many(&jobs).await.unwrap();
    let mut workers: Vec<Worker> = (0..8).map(|_| Worker::start(&database)).collect();
    for victim in [0, 3, 6] {
        runs_beyond(&database, i64::from(JOBS) * (victim + 1) / 10).await;
        let victim = &mut workers[usize::try_from(victim).unwrap()];
        let process = victim.kill_and_restart();
        let died = sqlx::query(DIED).bind(i64::from(process));
        died.execute(pool(&database)).await.unwrap();
    }
    database.until_idle(Duration::from_mins(3)).await;

    // At the beginning of each run: how many were under way, of all and of its own sort.
    let most = "select max(n) from (
        select count(*) n from runs one join runs other
            on other.began_at <= one.began_at and other.ended_at > one.began_at
         group by one.run) as counted";
    assert_eq!(
        database.number(most).await,
        12,
        "the queue's limit, used up"
    );
    let most_of_kind = "select max(n) from (
        select count(*) n from runs one join runs other
            on other.began_at <= one.began_at and other.ended_at > one.began_at
           and one.kind = 'limited_too' and other.kind = one.kind
         group by one.run) as counted";
    assert_eq!(database.number(most_of_kind).await, 3);
    let most_of_key = "select max(n) from (
        select count(*) n from runs one join runs other
            on other.began_at <= one.began_at and other.ended_at > one.began_at
           and other.key = one.key and one.key <> 'key 0'
         group by one.run) as counted";
    assert_eq!(database.number(most_of_key).await, 5);
    let most_of_one_key = "select max(n) from (
        select count(*) n from runs one join runs other
            on other.began_at <= one.began_at and other.ended_at > one.began_at
           and other.key = one.key and one.key = 'key 0'
         group by one.run) as counted";
    assert_eq!(database.number(most_of_one_key).await, 2);
    let done = database
        .number("select count(distinct job) from runs")
        .await;
    assert_eq!(done, i64::from(JOBS));
}

async fn runs_beyond(database: &Database, runs: i64) {
    let mut pulse = tokio::time::interval(Duration::from_millis(50));
    let beyond = async {
        while database.number("select count(*) from runs").await < runs {
            pulse.tick().await;
        }
    };
    let patience = Duration::from_mins(2);
    tokio::time::timeout(patience, beyond)
        .await
        .expect("jobs run");
}

pub(crate) async fn a_hundred_a_second_are_six_thousand_in_a_minute() {
    let database = Database::postgres().await;
    set(
        &database,
        QUEUE,
        // Half a second's worth may be made up for: as long as a busy machine may leave the workers waiting.
        r#"{"rate": {"jobs": 100, "per_ms": 1000, "burst": 50}}"#,
    )
    .await;
    let jobs: Vec<NewJob> = (0..6_500).map(|_| job(&database, "a", 0, false)).collect();
    database.client().insert_many(&jobs).await.unwrap();
    let _workers: Vec<Worker> = (0..3).map(|_| Worker::start(&database)).collect();
    let over = "select count(*) from jobs.completed_jobs
        where claimed_at > (select min(claimed_at) from jobs.completed_jobs) + interval '60 s'";
    let mut pulse = tokio::time::interval(Duration::from_millis(200));
    let patience = async {
        while database.number(over).await == 0 {
            pulse.tick().await;
        }
    };
    let patience = tokio::time::timeout(Duration::from_mins(2), patience).await;
    patience.expect("more than a minute's worth");
    let started = database
        .number(
            "select count(*) from jobs.completed_jobs
              where claimed_at <= (select min(claimed_at) from jobs.completed_jobs) + interval '60 s'",
        )
        .await;
    assert!((5_940..=6_060).contains(&started), "{started}");
    // Nor in any single second more than its worth and a burst.
    let busiest = database
        .number(
            "select max(n) from (
                select (select count(*) from jobs.completed_jobs other
                         where other.claimed_at >= one.claimed_at
                           and other.claimed_at < one.claimed_at + interval '1 s') as n
                  from (select distinct claimed_at from jobs.completed_jobs) as one) as counted",
        )
        .await;
    assert!(busiest <= 151, "{busiest}");
}

pub(crate) async fn three_tenants_get_their_shares_of_three_processes() {
    let database = Database::postgres().await;
    set(&database, QUEUE, r#"{"fair": {"weights": {"c": 2}}}"#).await;
    let mut jobs = Vec::new();
    for tenant in ["a", "b", "c"] {
        jobs.extend((0..3_000).map(|_| job(&database, tenant, 5, false)));
    }
    database.client().insert_many(&jobs).await.unwrap();
    let _workers: Vec<Worker> = (0..3).map(|_| Worker::start(&database)).collect();
    database.until_idle(Duration::from_mins(2)).await;
    // While everyone had something waiting: the first two thirds, less the time until all was known
    // to be governed.
    let mut shares = Vec::new();
    for tenant in ["a", "b", "c"] {
        let share: i64 = sqlx::query_scalar(
            "select count(*) from (
                select tenant_id from jobs.completed_jobs order by claimed_at offset 1000 limit 4000) as one
              where tenant_id = $1",
        )
        .bind(tenant)
        .fetch_one(pool(&database))
        .await
        .unwrap();
        shares.push(share);
    }
    let within = |share: i64, of: i64| (share - of).abs() <= 120;
    assert!(
        within(shares[0], 1000) && within(shares[1], 1000) && within(shares[2], 2000),
        "{shares:?} of 4000"
    );
}

pub(crate) async fn a_single_job_does_not_wait_for_anothers_million() {
    const SAMPLES: usize = 40;
    let database = Database::postgres().await;
    database.execute(RUNS).await;
    set(&database, TEN, r#"{"fair": {}}"#).await;
    let args = job(&database, "large", 20, false).args;
    sqlx::query(
        "insert into jobs.jobs (id, run_at, enqueued_at, priority, max_attempts, state, kind, queue, args,
                tenant_id, governed)
         select jobs.new_id(), now(), now(), 5, 10, 'available', 'limited', $1, $2::json, 'large', true
           from generate_series(1, 1000000)",
    )
    .bind(TEN)
    .bind(args.as_str())
    .execute(pool(&database))
    .await
    .unwrap();
    let _worker = Worker::start(&database);
    let busy = "select count(*) from jobs.completed_jobs";
    let mut pulse = tokio::time::interval(Duration::from_millis(50));
    while database.number(busy).await < 500 {
        pulse.tick().await;
    }
    for number in 1..=SAMPLES {
        pulse.tick().await;
        let single = NewJob {
            queue: TEN.to_owned(),
            ..job(&database, "small", 0, true)
        };
        database.client().insert(single).await.unwrap();
        runs_beyond(&database, i64::try_from(number).unwrap()).await;
    }
    let waits: Vec<i64> = sqlx::query_scalar(
        "select (extract(epoch from began_at - enqueued_at) * 1000)::bigint
           from runs join jobs.completed_jobs on id = job order by 1",
    )
    .fetch_all(pool(&database))
    .await
    .unwrap();
    let left = database
        .number("select count(*) from jobs.jobs where tenant_id = 'large'")
        .await;
    assert!(left > 900_000, "{left} still waited");
    // All but those in which the machine, which other tests share, was elsewhere.
    let within = waits.iter().filter(|wait| **wait <= 50).count();
    assert!(within >= waits.len() * 9 / 10, "{waits:?} ms");
    assert!(waits.len() >= SAMPLES - 1, "{waits:?}");
}

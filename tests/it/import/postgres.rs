//! The tables are made by hand, as the migrations of apalis-postgres and apalis-sql leave them: those need the
//! extensions pgcrypto and hstore, which the tests' server lacks. Metadata, which is hstore in 1.0, is jsonb
//! here, as it was before; both come out of PostgreSQL as the same JSON.

use metachat_jobs::import::postgres::Postgres;
use sqlx::{Connection, Executor, PgConnection};

use super::Here;
use crate::support::with_postgres;

/// apalis-postgres 1.0, as far as workers and importers see it.
const NEW: &str = "
    create schema apalis;
    create table apalis.workers (id text primary key, worker_type text not null, storage_name text not null,
        layers text not null default '', last_seen timestamptz not null default now(), started_at timestamptz);
    create table apalis.jobs (job bytea not null, id text primary key, job_type text not null,
        status text not null default 'Pending', attempts integer not null default 0,
        max_attempts integer not null default 25, run_at timestamptz not null default now(), last_result jsonb,
        lock_at timestamptz, lock_by text references apalis.workers (id), done_at timestamptz,
        priority integer default 0, metadata jsonb, idempotency_key text, unique (job_type, idempotency_key));";

/// apalis-sql before it.
const OLD: &str = "
    create schema apalis;
    create table apalis.workers (id text primary key);
    create table apalis.jobs (job jsonb not null, id text not null unique, job_type text not null,
        status text not null default 'Pending', attempts integer not null default 0,
        max_attempts integer not null default 25, run_at timestamptz not null default now(), last_error text,
        lock_at timestamptz, lock_by text references apalis.workers (id), done_at timestamptz);";

/// Tables of 1.0 with so many jobs.
pub(super) async fn fill(url: &str, jobs: i32) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    connection.execute(NEW).await.unwrap();
    let fill = "insert into apalis.jobs (job, id, job_type) \
                select convert_to('{\"to\":\"ada\",\"number\":' || n || '}', 'utf8'), 'job ' || n, 'mails' \
                from generate_series(1, $1) n";
    sqlx::query(fill)
        .bind(jobs)
        .execute(&mut connection)
        .await
        .unwrap();
}

async fn count(url: &str, status: &str) -> i64 {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let count = sqlx::query_scalar("select count(*) from apalis.jobs where status = $1");
    count.bind(status).fetch_one(&mut connection).await.unwrap()
}

#[tokio::test]
async fn a_stock_store_is_moved() {
    with_postgres(async |url| {
        fill(&url, 700).await;
        let mut connection = PgConnection::connect(&url).await.unwrap();
        connection
            .execute(
                "insert into apalis.workers (id, worker_type, storage_name) values ('w', 'mails', 's');
                 update apalis.jobs set status = 'Running', lock_by = 'w', lock_at = now() where id = 'job 1';
                 update apalis.jobs set status = 'Queued' where id = 'job 2';
                 update apalis.jobs set run_at = now() + interval '1 hour', priority = 1, attempts = 5,
                     status = 'Failed', metadata = '{\"source\":\"web\"}', idempotency_key = 'once'
                 where id = 'job 3';
                 update apalis.jobs set status = 'Done' where id = 'job 4';
                 update apalis.jobs set job = '\\xff' where id = 'job 5'",
            )
            .await
            .unwrap();
        let here = Here::new().await;
        let mut source = Postgres::open(&url, &["mails".into()], false).unwrap();
        let report = here.import(&mut source).await;
        assert_eq!((report.found, report.imported, report.left), (698, 697, 1));
        assert!(report.named[0].reason.contains("JSON codec"), "{report:?}");
        let mails = here.mails().await;
        let third = &mails[&3];
        assert_eq!((third.max_attempts, third.priority), (20, 4));
        assert!(third.tags.contains(&"source=web".to_owned()));
        assert_eq!(third.unique_key.as_deref(), Some("once"));
        assert!(third.run_at.since(third.enqueued_at).as_secs() > 3500);
        assert!(!mails.contains_key(&1) && !mails.contains_key(&4) && mails.contains_key(&2));
        assert_eq!((count(&url, "Killed").await, count(&url, "Running").await), (697, 1));
        assert_eq!(here.import(&mut source).await.imported, 0);
    })
    .await;
}

#[tokio::test]
async fn a_store_of_apalis_sql_is_moved() {
    with_postgres(async |url| {
        let mut connection = PgConnection::connect(&url).await.unwrap();
        connection.execute(OLD).await.unwrap();
        connection
            .execute(
                "insert into apalis.jobs (job, id, job_type) values
                 ('{\"to\":\"ada\",\"number\":1}', 'JID-1', 'mails'), ('\"text\"', 'JID-2', 'mails'),
                 ('{}', 'JID-3', 'other')",
            )
            .await
            .unwrap();
        let here = Here::new().await;
        let mut source = Postgres::open(&url, &["mails".into()], false).unwrap();
        let report = here.import(&mut source).await;
        assert_eq!((report.found, report.imported, report.left), (2, 1, 1));
        assert_eq!(here.mails().await.len(), 1);
        assert_eq!(count(&url, "Pending").await, 2, "those of another type, and the strange one");
    })
    .await;
}

use std::time::Duration;

use sqlx::Connection;
use windlass::model::{Recorded, Verdict};
use windlass::store::{Prune, Store};

use super::claim;
use crate::backend::Postgres;
use crate::fixture::{Backend, ended, job};

const DAY: Duration = Duration::from_hours(24);

async fn count(database: &Postgres, query: &'static str) -> i64 {
    sqlx::query_scalar(query)
        .fetch_one(&mut database.connection().await)
        .await
        .unwrap()
}

const PARTITIONS: &str =
    "select count(*) from pg_inherits where inhparent = 'jobs.completed_jobs'::regclass";
const IN_DEFAULT: &str = "select count(*) from jobs.completed_jobs_default";

async fn complete_one(store: &impl Store) {
    store.enqueue(&[job()], None).await.unwrap();
    let lease = claim(store, 1).await[0].lease();
    let end = ended(lease, Verdict::Complete { result: None });
    assert_eq!(store.finish(&[end], None).await.unwrap(), [Recorded::Yes]);
}

#[tokio::test]
async fn days_are_made_ahead() {
    let database = Postgres::open().await;
    let store = database.store();
    store.maintain(None).await.unwrap();
    // Today, fourteen days, and the default one; one more if the template is of yesterday.
    assert!((16..=17).contains(&count(&database, PARTITIONS).await));
    complete_one(&store).await;
    assert_eq!(count(&database, IN_DEFAULT).await, 0);
    database.close().await;
}

#[tokio::test]
async fn a_missing_day_stops_no_completion_and_takes_over_later() {
    let database = Postgres::open().await;
    let store = database.store();
    sqlx::query("do $$ begin while jobs.drop_partition(now() + interval '100 days') is not null loop end loop; end $$")
        .execute(&mut database.connection().await)
        .await
        .unwrap();
    assert_eq!(count(&database, PARTITIONS).await, 1);
    complete_one(&store).await;
    assert_eq!(count(&database, IN_DEFAULT).await, 1);

    store.maintain(None).await.unwrap();
    assert_eq!(count(&database, PARTITIONS).await, 16);
    assert_eq!(count(&database, IN_DEFAULT).await, 0);
    let kept = count(&database, "select count(*) from jobs.completed_jobs").await;
    assert_eq!(kept, 1, "moved, not lost");
    database.close().await;
}

#[tokio::test]
async fn a_day_that_is_over_is_dropped_as_a_whole() {
    let database = Postgres::open().await;
    let store = database.store();
    complete_one(&store).await;
    complete_one(&store).await;
    let before = count(&database, PARTITIONS).await;
    let prune = Prune {
        completed: 2 * DAY,
        cancelled: 90 * DAY,
        dead: 90 * DAY,
        limit: 0,
        now: Some(store.now().await.unwrap() + 4 * DAY),
    };
    assert_eq!(
        store.prune(prune).await.unwrap(),
        2,
        "without deleting a row"
    );
    assert!(count(&database, PARTITIONS).await < before);
    assert_eq!(
        count(&database, "select count(*) from jobs.finished_jobs").await,
        0
    );
    database.close().await;
}

#[tokio::test]
async fn a_day_that_is_being_read_is_left_for_next_time() {
    let database = Postgres::open().await;
    let store = database.store();
    complete_one(&store).await;
    let mut reader = database.connection().await;
    let mut reading = reader.begin().await.unwrap();
    sqlx::query("select count(*) from jobs.finished_jobs")
        .execute(&mut *reading)
        .await
        .unwrap();
    let prune = Prune {
        completed: DAY,
        cancelled: DAY,
        dead: DAY,
        limit: 0,
        now: Some(store.now().await.unwrap() + 4 * DAY),
    };
    assert_eq!(store.prune(prune).await.unwrap(), 0);
    reading.rollback().await.unwrap();
    assert_eq!(store.prune(prune).await.unwrap(), 1);
    database.close().await;
}

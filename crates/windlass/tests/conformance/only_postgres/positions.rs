use std::time::Duration;

use windlass::NewJob;
use windlass::model::{Finish, Recorded, RunAt};
use windlass::store::{Store, Wake};

use super::claim;
use crate::backend::Postgres;
use crate::fixture::{Backend, job, job_with};

/// Longer than any of these takes.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_job_that_commits_late_is_found_and_announced() {
    let database = Postgres::open().await;
    let (store, other) = (database.store(), database.store());
    let mut tx = other.begin().await.unwrap();
    let late = job();
    other
        .enqueue_in(&mut tx, std::slice::from_ref(&late), None)
        .await
        .unwrap();
    // Meanwhile others come and go for longer than the margin.
    for _ in 0..4 {
        store.enqueue(&[job()], None).await.unwrap();
        let claimed = claim(&store, 10).await;
        assert_eq!(claimed.len(), 1);
        database_sleep(&database, "0.1").await;
    }
    let mut wakes = store.wakes();
    tx.commit().await.unwrap();
    let found = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Some(job) = claim(&store, 10).await.pop() {
                return job;
            }
            wakes.recv().await;
        }
    });
    assert_eq!(found.await.unwrap().id, late.id);
    database.close().await;
}

#[tokio::test]
async fn a_job_that_another_process_hands_back_is_found() {
    let database = Postgres::open().await;
    let (store, other) = (database.store(), database.store());
    let first = job();
    other
        .enqueue(std::slice::from_ref(&first), None)
        .await
        .unwrap();
    let lease = claim(&other, 1).await[0].lease();
    for _ in 0..4 {
        store.enqueue(&[job()], None).await.unwrap();
        assert_eq!(claim(&store, 1).await.len(), 1);
        database_sleep(&database, "0.1").await;
    }
    let recorded = other.finish(&[Finish::release(lease)], None).await.unwrap();
    assert_eq!(recorded, [Recorded::Yes]);
    let mut wakes = store.wakes();
    let found = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Some(job) = claim(&store, 10).await.pop() {
                return job;
            }
            wakes.recv().await;
        }
    });
    assert_eq!(found.await.unwrap().id, first.id, "in its old place");
    database.close().await;
}

#[tokio::test]
async fn next_due_sees_what_lies_ahead_of_the_position() {
    let database = Postgres::open().await;
    let store = database.store();
    store.enqueue(&[job()], None).await.unwrap();
    assert_eq!(claim(&store, 1).await.len(), 1);
    let later = job_with(|job| job.run_at = RunAt::In(Duration::from_hours(1)));
    store.enqueue(&[later], None).await.unwrap();
    let due = store.next_due(NewJob::DEFAULT_QUEUE, None).await.unwrap();
    let due = due.unwrap();
    assert!(
        due > Duration::from_mins(59) && due <= Duration::from_hours(1),
        "{due:?}"
    );
    database.close().await;
}

#[tokio::test]
async fn listeners_are_woken_when_they_are_heard_again() {
    let database = Postgres::open().await;
    let store = database.store();
    let mut wakes = store.wakes();
    let first = tokio::time::timeout(PATIENCE, wakes.recv()).await.unwrap();
    assert_eq!(first, Wake::All, "connected");
    sqlx::query("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'windlass listener' and datname = current_database()")
        .execute(&mut database.connection().await)
        .await
        .unwrap();
    let again = tokio::time::timeout(PATIENCE, wakes.recv()).await.unwrap();
    assert_eq!(again, Wake::All, "reconnected");
    database.close().await;
}

/// Time passes by the database's clock, which is the one that counts here.
pub(super) async fn database_sleep(database: &Postgres, seconds: &'static str) {
    sqlx::query("select pg_sleep($1::text::float8)")
        .bind(seconds)
        .execute(&mut database.connection().await)
        .await
        .unwrap();
}

//! Enqueueing one job in a caller's transaction is one call, unless its key was taken before.

use std::slice::from_ref;
use std::time::Duration;

use windlass::NewJob;
use windlass::model::{Conflict, Enqueued, Finish, Unique};
use windlass::store::Store;
use windlass::store::postgres::PgStore;

use super::claim;
use crate::backend::Postgres;
use crate::fixture::{Backend, job_with};

fn keyed(window: Option<Duration>) -> NewJob {
    job_with(|job| {
        job.unique = Some(Unique {
            key: "once".to_owned(),
            window,
            conflict: Conflict::ReturnExisting,
        });
    })
}

async fn enqueue(store: &PgStore, job: &NewJob, commit: bool) -> Enqueued {
    let mut tx = store.begin().await.unwrap();
    let answers = store
        .enqueue_in(&mut tx, from_ref(job), None)
        .await
        .unwrap();
    if commit {
        tx.commit().await.unwrap();
    } else {
        tx.rollback().await.unwrap();
    }
    answers[0]
}

async fn complete_next(store: &PgStore) {
    let running = claim(store, 9).await;
    assert_eq!(running.len(), 1);
    let finishes = [Finish::complete(running[0].lease(), None)];
    store.finish(&finishes, None).await.unwrap();
}

#[tokio::test]
async fn a_key_is_held_until_its_job_ends() {
    let database = Postgres::open().await;
    let store = database.store();
    let (undone, first, second) = (keyed(None), keyed(None), keyed(None));
    assert_eq!(
        enqueue(&store, &undone, false).await,
        Enqueued::Inserted(undone.id)
    );
    assert_eq!(
        enqueue(&store, &first, true).await,
        Enqueued::Inserted(first.id),
        "what was rolled back holds nothing"
    );
    assert_eq!(
        enqueue(&store, &second, true).await,
        Enqueued::Duplicate(first.id)
    );
    complete_next(&store).await;
    let third = keyed(None);
    assert_eq!(
        enqueue(&store, &third, true).await,
        Enqueued::Inserted(third.id)
    );
    database.close().await;
}

#[tokio::test]
async fn a_window_outlives_the_job() {
    let database = Postgres::open().await;
    let store = database.store();
    let first = keyed(Some(Duration::from_hours(1)));
    enqueue(&store, &first, true).await;
    complete_next(&store).await;
    let second = keyed(Some(Duration::from_hours(1)));
    assert_eq!(
        enqueue(&store, &second, true).await,
        Enqueued::Duplicate(first.id)
    );
    database.close().await;
}

#[tokio::test]
async fn the_callers_planner_is_told_nothing() {
    let database = Postgres::open().await;
    let store = database.store();
    let mut tx = store.begin().await.unwrap();
    let settings = async |tx: &mut windlass::db::Tx| -> (String, String) {
        let connection = tx.postgres().unwrap();
        sqlx::query_as(
            "select current_setting('enable_seqscan'), current_setting('plan_cache_mode')",
        )
        .fetch_one(connection)
        .await
        .unwrap()
    };
    let before = settings(&mut tx).await;
    for job in [keyed(None), keyed(None)] {
        store
            .enqueue_in(&mut tx, from_ref(&job), None)
            .await
            .unwrap();
        assert_eq!(settings(&mut tx).await, before);
    }
    tx.commit().await.unwrap();
    database.close().await;
}

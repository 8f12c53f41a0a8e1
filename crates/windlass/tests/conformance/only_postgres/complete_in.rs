//! Completing in a caller's transaction is one call: it does all that finishing does.

use std::slice::from_ref;

use windlass::model::{Conflict, Finish, Lease, NewFlow, Recorded, State, Unique};
use windlass::store::postgres::PgStore;
use windlass::store::{Flows, Store};
use windlass::{Json, NewJob};

use super::claim;
use crate::backend::Postgres;
use crate::fixture::{Backend, job, job_with};

async fn complete(store: &PgStore, lease: Lease, commit: bool) -> Recorded {
    let mut tx = store.begin().await.unwrap();
    let result = Json::encode(&[1]).unwrap();
    let finish = Finish::complete(lease, Some(result));
    let recorded = store.finish_in(&mut tx, &finish, None).await.unwrap();
    if commit {
        tx.commit().await.unwrap();
    } else {
        tx.rollback().await.unwrap();
    }
    recorded
}

async fn keys(database: &Postgres) -> i64 {
    let keys = sqlx::query_scalar("select count(*) from jobs.unique_keys");
    keys.fetch_one(&mut database.connection().await)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_job_in_line_with_a_key_lets_both_go() {
    let database = Postgres::open().await;
    let store = database.store();
    let in_line = |key: Option<&str>| {
        job_with(|job| {
            job.tenant_id = Some("acme".to_owned());
            job.ordering_key = Some("line".to_owned());
            job.unique = key.map(|key| Unique {
                key: key.to_owned(),
                window: None,
                conflict: Conflict::Reject,
            });
        })
    };
    let jobs = [in_line(Some("once")), in_line(None)];
    store.enqueue(&jobs, None).await.unwrap();
    let running = claim(&store, 9).await;
    assert_eq!(running.len(), 1, "the other waits for it");
    let lease = running[0].lease();

    assert_eq!(complete(&store, lease, false).await, Recorded::Yes);
    assert_eq!((claim(&store, 9).await, keys(&database).await), (vec![], 1));

    assert_eq!(complete(&store, lease, true).await, Recorded::Yes);
    let done = store.get(jobs[0].id, None, None).await.unwrap().unwrap();
    assert_eq!(done.state, State::Completed);
    assert_eq!(done.result.unwrap().as_str(), "[1]");
    assert_eq!(keys(&database).await, 0);
    assert_eq!(complete(&store, lease, true).await, Recorded::LeaseLost);
    let next = claim(&store, 9).await;
    assert_eq!(next.len(), 1);
    assert_eq!(next[0].id, jobs[1].id);
    database.close().await;
}

#[tokio::test]
async fn a_step_lets_its_children_go() {
    let database = Postgres::open().await;
    let store = database.store();
    let step = || NewJob {
        tenant_id: None,
        ..job()
    };
    let flow = NewFlow::new("pair")
        .step("first", step())
        .step("second", step())
        .after(["first"]);
    store.start(&flow, None).await.unwrap();
    let running = claim(&store, 9).await;
    assert_eq!(running.len(), 1);
    let lease = running[0].lease();
    assert_eq!(complete(&store, lease, true).await, Recorded::Yes);
    assert_eq!(complete(&store, lease, true).await, Recorded::LeaseLost);
    let record = store.flow(flow.id, None).await.unwrap().unwrap();
    assert_eq!(record.completed, 1);
    assert_eq!(claim(&store, 9).await.len(), 1);
    database.close().await;
}

#[tokio::test]
async fn a_plain_job_is_moved() {
    let database = Postgres::open().await;
    let store = database.store();
    let plain = job();
    store.enqueue(from_ref(&plain), None).await.unwrap();
    let lease = claim(&store, 9).await[0].lease();
    assert_eq!(complete(&store, lease, true).await, Recorded::Yes);
    let done = store.get(plain.id, None, None).await.unwrap().unwrap();
    assert_eq!(
        (done.state, done.attempt, done.finished_at.is_some()),
        (State::Completed, 1, true)
    );
    database.close().await;
}

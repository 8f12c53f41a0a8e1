//! Hints reach whoever listens, on this handle and, where the store says so, on others.

use std::sync::Arc;
use std::time::Duration;

use windlass::model::{State, Verdict};
use windlass::store::{Wake, WakeReceiver};
use windlass::{JobId, NewJob};

use crate::fixture::{Fixture, job};

/// Far longer than any hint takes; only a hint that never comes waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

async fn is_woken(wakes: &mut WakeReceiver, queue: &str) -> bool {
    wakes.wait(queue, PATIENCE).await
}

fn into(queue: &str) -> NewJob {
    let queue = queue.to_owned();
    NewJob { queue, ..job() }
}

pub(crate) async fn an_enqueue_wakes_its_queue(fx: &Fixture) {
    let mut wakes = fx.store.wakes();
    fx.enqueue(&[into("a"), into("b")]).await;
    assert!(is_woken(&mut wakes, "a").await);
    let mut wakes = fx.store.wakes();
    fx.enqueue(&[into("a"), into("b")]).await;
    assert!(is_woken(&mut wakes, "b").await);
}

pub(crate) async fn whatever_makes_a_job_due_wakes_its_queue(fx: &Fixture) {
    let id = fx.add(into("released")).await;
    let lease = fx.claim_from("released", 1).await[0].lease();
    let mut wakes = fx.store.wakes();
    fx.end(lease, Verdict::Release).await;
    assert!(is_woken(&mut wakes, "released").await);

    fx.claim_from("released", 1).await;
    let mut wakes = fx.store.wakes();
    fx.crash().await;
    assert!(is_woken(&mut wakes, "released").await);
    assert_eq!(fx.state(id).await, State::Available);

    for state in [State::Scheduled, State::Retryable, State::Dead] {
        let id = fx.one_in(state).await;
        let mut wakes = fx.store.wakes();
        let now = Some(fx.now());
        fx.store.requeue(id, None, now).await.unwrap();
        assert!(is_woken(&mut wakes, state.as_str()).await, "{state}");
    }
}

async fn line_of_two(fx: &Fixture) -> (JobId, JobId) {
    let of_key = |job: NewJob| NewJob {
        ordering_key: Some("k".into()),
        ..job
    };
    let first = fx.add(of_key(into("first"))).await;
    let second = fx.add(of_key(into("second"))).await;
    (first, second)
}

pub(crate) async fn whoever_is_next_in_line_is_woken(fx: &Fixture) {
    let (_, second) = line_of_two(fx).await;
    let lease = fx.claim_from("first", 1).await[0].lease();
    let mut wakes = fx.store.wakes();
    fx.complete(lease).await;
    assert!(is_woken(&mut wakes, "second").await);
    fx.store.cancel(second, None, Some(fx.now())).await.unwrap();

    let (first, _) = line_of_two(fx).await;
    let mut wakes = fx.store.wakes();
    fx.store.cancel(first, None, Some(fx.now())).await.unwrap();
    assert!(is_woken(&mut wakes, "second").await);
}

pub(crate) async fn everyone_who_listens_is_woken(fx: &Fixture) {
    let mut listeners = [fx.store.wakes(), fx.store.wakes(), fx.store.wakes()];
    fx.add(job()).await;
    for wakes in &mut listeners {
        assert!(is_woken(wakes, "default").await);
    }
}

pub(crate) async fn hints_reach_other_handles_where_the_store_says_so(fx: &Fixture) {
    if !fx.store.capabilities().remote_wakes {
        // The job is there all the same: polling finds it.
        fx.add(job()).await;
        let due = fx.other.next_due("default", Some(fx.now())).await.unwrap();
        assert_eq!(due, Some(Duration::ZERO));
        return;
    }
    let mut wakes = fx.other.wakes();
    // Whoever starts to listen is first told to look around, when the connection stands.
    assert!(is_woken(&mut wakes, "any").await);
    fx.add(into("a")).await;
    assert!(is_woken(&mut wakes, "a").await);
}

pub(crate) async fn a_committed_enqueue_wakes_and_a_rolled_back_one_does_not(fx: &Fixture) {
    if !fx.store.capabilities().transactions {
        let mut wakes = fx.store.wakes();
        fx.add(into("a")).await;
        assert!(is_woken(&mut wakes, "a").await);
        return;
    }
    let now = Some(fx.now());
    let mut wakes = fx.store.wakes();
    let mut tx = fx.begin().await;
    let undone = [into("undone")];
    fx.store.enqueue_in(&mut tx, &undone, now).await.unwrap();
    tx.rollback().await.unwrap();
    let mut tx = fx.begin().await;
    let done = [into("done")];
    fx.store.enqueue_in(&mut tx, &done, now).await.unwrap();
    tx.commit().await.unwrap();
    loop {
        let wake = tokio::time::timeout(PATIENCE, wakes.recv()).await.unwrap();
        assert_ne!(wake, Wake::Queue(Arc::from("undone")));
        if wake == Wake::Queue(Arc::from("done")) {
            break;
        }
    }
}

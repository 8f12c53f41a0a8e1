//! Several handles see the same data, and what is durable outlives them.

use std::slice::from_ref;

use windlass::model::{Enqueued, State};
use windlass::store::{Beat, Changed, Elect};

use crate::fixture::{Fixture, LEASE, job};

pub(crate) async fn see_each_others_jobs(fx: &Fixture) {
    let now = Some(fx.now());
    let job = job();
    fx.add(job.clone()).await;
    let seen = fx.other.get(job.id, None, now).await.unwrap();
    assert_eq!(seen, Some(fx.get(job.id).await));
    let again = fx.other.enqueue(from_ref(&job), now).await.unwrap();
    assert_eq!(again, [Enqueued::Duplicate(job.id)]);
}

pub(crate) async fn share_leases(fx: &Fixture) {
    fx.add(job()).await;
    let lease = fx.claim_one().await.lease();
    let heartbeat = windlass::store::Heartbeat {
        leases: &[lease],
        lease: LEASE,
        now: Some(fx.now()),
    };
    assert_eq!(fx.other.heartbeat(heartbeat).await.unwrap(), []);
    let now = Some(fx.now());
    let asked = fx.other.cancel(lease.job, None, now).await.unwrap();
    assert_eq!(asked, Changed::Asked);
    let beats = fx.heartbeat(&[lease]).await;
    assert_eq!(beats, [Beat::CancelRequested(lease)]);
}

pub(crate) async fn share_leaders(fx: &Fixture) {
    let elect = |holder| Elect {
        role: "maintenance",
        holder,
        term: LEASE,
        now: Some(fx.now()),
    };
    assert!(fx.store.elect(elect("a")).await.unwrap());
    assert!(!fx.other.elect(elect("b")).await.unwrap());
}

pub(crate) async fn what_is_durable_outlives_its_handle(fx: &Fixture) {
    let jobs = fx.one_in_each_state().await;
    let first = fx.handle().await;
    let now = Some(fx.now());
    let late = job();
    first.enqueue(from_ref(&late), now).await.unwrap();
    drop(first);
    let second = fx.handle().await;
    for (state, id) in jobs.into_iter().chain([(State::Available, late.id)]) {
        let job = second.get(id, None, now).await.unwrap().unwrap();
        assert_eq!(job.state, state);
    }
}

pub(crate) async fn tell_who_they_are(fx: &Fixture) {
    assert_eq!(fx.store.name(), fx.other.name());
    assert_eq!(fx.store.capabilities(), fx.other.capabilities());
    assert!(["memory", "sqlite", "postgres"].contains(&fx.store.name()));
    let capabilities = fx.store.capabilities();
    assert_eq!(capabilities.durable, fx.store.name() != "memory");
    assert_eq!(capabilities.transactions, fx.store.name() != "memory");
}

pub(crate) async fn agree_on_the_time(fx: &Fixture) {
    let first = fx.store.now().await.unwrap();
    let second = fx.other.now().await.unwrap();
    let third = fx.store.now().await.unwrap();
    assert!(
        first <= second && second <= third,
        "{first} {second} {third}"
    );
}

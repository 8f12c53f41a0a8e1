//! A job waits for a signal without a lease, and misses none.

use std::time::Duration;

use windlass::JobId;
use windlass::model::{Finish, Lease, Signal, State, Verdict};
use windlass::store::Changed;

use crate::fixture::{Fixture, at_once, ended, job, job_with, json};

const HOUR: Duration = Duration::from_hours(1);

async fn signal(fx: &Fixture, id: JobId, name: &str, payload: &str) -> Changed {
    let (payload, now) = (json(payload), Some(fx.now()));
    let changed = fx.store.signal(id, None, name, &payload, now).await;
    changed.unwrap()
}

async fn known(fx: &Fixture, id: JobId, name: &str) -> Signal {
    fx.store.signalled(id, name).await.unwrap()
}

fn waits(lease: Lease, name: &str, until: windlass::Timestamp) -> Finish {
    let signal = name.to_owned();
    ended(lease, Verdict::Await { signal, until })
}

/// A job that waits an hour for `go`.
async fn waiting(fx: &Fixture) -> JobId {
    fx.add(job()).await;
    let lease = fx.claim_one().await.lease();
    fx.finish(waits(lease, "go", fx.now() + HOUR)).await;
    lease.job
}

pub(crate) async fn a_job_waits_for_its_signal(fx: &Fixture) {
    let id = waiting(fx).await;
    let before = fx.get(id).await;
    assert_eq!((before.state, before.attempt), (State::Scheduled, 0));
    assert_eq!(before.lease_expires_at, None, "it holds no lease");
    assert_eq!(fx.claim_ids().await, []);
    fx.advance(HOUR / 2);
    assert_eq!(signal(fx, id, "other", "1").await, Changed::Done);
    assert_eq!(fx.claim_ids().await, []);
    assert_eq!(signal(fx, id, "go", "[2]").await, Changed::Done);
    assert_eq!(fx.claim_ids().await, [id]);
    assert_eq!(known(fx, id, "go").await.payload, Some(json("[2]")));
}

pub(crate) async fn a_signal_that_came_before_is_found_at_once(fx: &Fixture) {
    let id = fx.add(job()).await;
    assert_eq!(signal(fx, id, "go", "1").await, Changed::Done);
    let lease = fx.claim_one().await.lease();
    assert_eq!(signal(fx, id, "go", "2").await, Changed::Done);
    fx.finish(waits(lease, "go", fx.now() + HOUR)).await;
    let next = fx.claim_one().await;
    assert_eq!((next.id, next.attempt), (id, 1));
    assert_eq!(known(fx, id, "go").await.payload, Some(json("2")));
}

pub(crate) async fn a_wait_ends_at_its_very_microsecond(fx: &Fixture) {
    let id = waiting(fx).await;
    let until = fx.now() + HOUR;
    fx.advance(crate::fixture::just_before(HOUR));
    assert_eq!(fx.claim_ids().await, []);
    fx.advance(Duration::from_micros(1));
    assert_eq!(fx.claim_ids().await, [id]);
    let expected = Signal {
        payload: None,
        awaited_until: Some(until),
    };
    assert_eq!(known(fx, id, "go").await, expected);
    assert_eq!(known(fx, id, "never").await, Signal::default());
}

pub(crate) async fn a_late_signal_wakes_nothing_else(fx: &Fixture) {
    let id = waiting(fx).await;
    fx.advance(HOUR);
    let lease = fx.claim_one().await.lease();
    let until = fx.now() + HOUR;
    fx.end(lease, Verdict::Snooze { until }).await;
    assert_eq!(signal(fx, id, "go", "1").await, Changed::Done);
    assert_eq!(fx.claim_ids().await, [], "it waits for a time");
    fx.advance(HOUR);
    let lease = fx.claim_one().await.lease();
    fx.end(
        lease,
        Verdict::Retry {
            at: fx.now() + HOUR,
        },
    )
    .await;
    assert_eq!(signal(fx, id, "go", "2").await, Changed::Done);
    assert_eq!(fx.claim_ids().await, []);
}

pub(crate) async fn only_an_unfinished_job_of_the_tenant_gets_one(fx: &Fixture) {
    let id = fx
        .add(job_with(|job| job.tenant_id = Some("acme".into())))
        .await;
    let (payload, now) = (json("1"), Some(fx.now()));
    let other = fx
        .store
        .signal(id, Some("other"), "go", &payload, now)
        .await;
    assert_eq!(other.unwrap(), Changed::NotFound);
    let unknown = fx.store.signal(job().id, None, "go", &payload, now).await;
    assert_eq!(unknown.unwrap(), Changed::NotFound);
    assert_eq!(known(fx, id, "go").await, Signal::default());
    let own = fx.store.signal(id, Some("acme"), "go", &payload, now).await;
    assert_eq!(own.unwrap(), Changed::Done);
    let lease = fx.claim_one().await.lease();
    fx.complete(lease).await;
    let late = signal(fx, id, "go", "2").await;
    assert_eq!(late, Changed::Refused(State::Completed));
}

pub(crate) async fn a_revived_job_starts_without(fx: &Fixture) {
    let id = fx.add(job()).await;
    signal(fx, id, "go", "1").await;
    let lease = fx.claim_one().await.lease();
    fx.end(lease, Verdict::Dead).await;
    let now = Some(fx.now());
    let revived = fx.store.requeue(id, None, now).await.unwrap();
    assert_eq!(revived, Changed::Done);
    assert_eq!(known(fx, id, "go").await, Signal::default());
}

pub(crate) async fn upkeep_forgets_those_of_finished_jobs(fx: &Fixture) {
    let (gone, kept) = (fx.add(job()).await, fx.add(job()).await);
    for id in [gone, kept] {
        signal(fx, id, "go", "1").await;
    }
    let now = Some(fx.now());
    fx.store.cancel(gone, None, now).await.unwrap();
    fx.store.maintain(now).await.unwrap();
    assert_eq!(known(fx, kept, "go").await.payload, Some(json("1")));
    assert_eq!(known(fx, gone, "go").await.payload, None);
}

pub(crate) async fn a_signal_that_meets_the_wait_is_never_missed(fx: &Fixture) {
    for round in 0..20 {
        let id = fx.add(job()).await;
        let lease = fx.claim_one().await.lease();
        let (now, until) = (fx.now(), fx.now() + HOUR);
        let (one, other) = (fx.handle().await, fx.handle().await);
        at_once(2, |n| {
            let (one, other) = (one.clone(), other.clone());
            async move {
                if n == 0 {
                    let finish = waits(lease, "go", until);
                    one.finish(&[finish], Some(now)).await.unwrap();
                } else {
                    let payload = json("1");
                    let done = other.signal(id, None, "go", &payload, Some(now)).await;
                    assert_eq!(done.unwrap(), Changed::Done);
                }
            }
        })
        .await;
        let claimed = fx.claim_ids().await;
        assert_eq!(claimed, [id], "round {round}");
        fx.complete(Lease {
            job: id,
            claim_no: 2,
        })
        .await;
    }
}

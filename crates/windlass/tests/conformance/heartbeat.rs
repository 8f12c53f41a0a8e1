//! A live lease is never taken, and its holder learns when it is lost or asked to stop.

use windlass::NewJob;
use windlass::model::{ClaimedJob, Lease, State, Verdict};
use windlass::store::{Beat, Changed};

use crate::fixture::{Fixture, LEASE, job};

async fn running(fx: &Fixture) -> Lease {
    fx.add(job()).await;
    fx.claim_one().await.lease()
}

pub(crate) async fn extends_the_lease_from_now(fx: &Fixture) {
    let lease = running(fx).await;
    fx.advance(LEASE / 2);
    assert_eq!(fx.heartbeat(&[lease]).await, []);
    let expires = fx.get(lease.job).await.lease_expires_at;
    assert_eq!(expires, Some(fx.now() + LEASE));
}

pub(crate) async fn a_job_that_beats_is_never_taken_back(fx: &Fixture) {
    let lease = running(fx).await;
    for _ in 0..10 {
        fx.advance(LEASE);
        assert_eq!(fx.rescue().await, []);
        assert_eq!(fx.heartbeat(&[lease]).await, []);
    }
    assert_eq!(fx.get(lease.job).await.claim_no, 1);
}

pub(crate) async fn an_expired_lease_may_still_be_extended(fx: &Fixture) {
    let lease = running(fx).await;
    fx.advance(LEASE * 10);
    assert_eq!(fx.heartbeat(&[lease]).await, []);
    assert_eq!(fx.rescue().await, []);
}

pub(crate) async fn a_rescued_lease_is_lost(fx: &Fixture) {
    let lease = running(fx).await;
    fx.crash().await;
    assert_eq!(fx.heartbeat(&[lease]).await, [Beat::Lost(lease)]);
    let next = fx.claim_one().await.lease();
    let before = fx.get(lease.job).await;
    fx.advance(LEASE / 2);
    assert_eq!(fx.heartbeat(&[lease]).await, [Beat::Lost(lease)]);
    assert_eq!(fx.get(lease.job).await, before);
    assert_eq!(fx.heartbeat(&[next]).await, []);
}

pub(crate) async fn a_finished_lease_is_lost(fx: &Fixture) {
    let until = fx.now();
    for verdict in [
        Verdict::Complete { result: None },
        Verdict::Dead,
        Verdict::Snooze { until },
    ] {
        let lease = running(fx).await;
        fx.end(lease, verdict).await;
        assert_eq!(fx.heartbeat(&[lease]).await, [Beat::Lost(lease)]);
    }
}

pub(crate) async fn an_unknown_lease_is_lost(fx: &Fixture) {
    let job = fx.add(job()).await;
    for claim_no in [0, 1] {
        let lease = Lease { job, claim_no };
        assert_eq!(fx.heartbeat(&[lease]).await, [Beat::Lost(lease)]);
    }
    let unknown = Lease {
        job: crate::fixture::job().id,
        claim_no: 1,
    };
    assert_eq!(fx.heartbeat(&[unknown]).await, [Beat::Lost(unknown)]);
    assert_eq!(fx.state(job).await, State::Available);
}

pub(crate) async fn tells_of_a_wish_to_cancel_and_keeps_the_lease(fx: &Fixture) {
    let lease = running(fx).await;
    let asked = fx.store.cancel(lease.job, None, Some(fx.now())).await;
    assert_eq!(asked.unwrap(), Changed::Asked);
    for _ in 0..2 {
        fx.advance(LEASE / 2);
        let beats = fx.heartbeat(&[lease]).await;
        assert_eq!(beats, [Beat::CancelRequested(lease)]);
        let expires = fx.get(lease.job).await.lease_expires_at;
        assert_eq!(expires, Some(fx.now() + LEASE));
    }
}

pub(crate) async fn many_leases_are_told_apart(fx: &Fixture) {
    let jobs: Vec<NewJob> = (0..300).map(|_| job()).collect();
    fx.enqueue(&jobs).await;
    let leases: Vec<Lease> = fx.claim(300).await.iter().map(ClaimedJob::lease).collect();
    fx.advance(LEASE / 2);
    fx.complete(leases[7]).await;
    let now = Some(fx.now());
    fx.store.cancel(leases[9].job, None, now).await.unwrap();
    let mut beats = fx.heartbeat(&leases).await;
    beats.sort_by_key(|beat| match beat {
        Beat::Lost(lease) | Beat::CancelRequested(lease) => lease.job,
    });
    assert_eq!(
        beats,
        [Beat::Lost(leases[7]), Beat::CancelRequested(leases[9])]
    );
    fx.advance(LEASE);
    assert_eq!(fx.rescue().await, []);
}

pub(crate) async fn no_leases_are_no_fault(fx: &Fixture) {
    assert_eq!(fx.heartbeat(&[]).await, []);
}

//! A checkpoint outlives the attempt that wrote it, and nothing else.

use windlass::Json;
use windlass::model::{Finish, Lease, Recorded, Verdict};
use windlass::store::{Changed, Error};

use crate::fixture::{Fixture, ended, job, json};

async fn note(fx: &Fixture, lease: Lease, checkpoint: &str) -> Recorded {
    let checkpoint = json(checkpoint);
    fx.store.checkpoint(lease, &checkpoint).await.unwrap()
}

/// A running job whose checkpoint says 1.
async fn noted(fx: &Fixture) -> Lease {
    fx.add(job()).await;
    let claimed = fx.claim_one().await;
    assert_eq!(claimed.checkpoint, None);
    let lease = claimed.lease();
    assert_eq!(note(fx, lease, "1").await, Recorded::Yes);
    lease
}

/// What the next claim gets. The job is ended with it.
async fn found(fx: &Fixture) -> Option<Json> {
    let claimed = fx.claim_one().await;
    fx.complete(claimed.lease()).await;
    claimed.checkpoint
}

pub(crate) async fn comes_with_every_later_claim(fx: &Fixture) {
    let now = fx.now();
    for verdict in [
        Verdict::Retry { at: now },
        Verdict::Snooze { until: now },
        Verdict::Release,
    ] {
        let lease = noted(fx).await;
        fx.end(lease, verdict).await;
        assert_eq!(found(fx).await, Some(json("1")));
    }
    noted(fx).await;
    for _ in 0..2 {
        fx.crash().await;
        assert_eq!(fx.claim_one().await.checkpoint, Some(json("1")));
    }
}

pub(crate) async fn the_last_one_counts(fx: &Fixture) {
    let lease = noted(fx).await;
    assert_eq!(note(fx, lease, "[2]").await, Recorded::Yes);
    fx.crash().await;
    let next = fx.claim_one().await;
    assert_eq!(next.checkpoint, Some(json("[2]")));
    assert_eq!(note(fx, next.lease(), "null").await, Recorded::Yes);
    fx.end(next.lease(), Verdict::Release).await;
    assert_eq!(found(fx).await, Some(json("null")));
}

pub(crate) async fn is_kept_to_the_letter(fx: &Fixture) {
    let text = r#"{"b":1.0, "a":"\u0000","n":12345678901234567890123}"#;
    let lease = noted(fx).await;
    assert_eq!(note(fx, lease, text).await, Recorded::Yes);
    fx.end(lease, Verdict::Release).await;
    assert_eq!(found(fx).await, Some(json(text)));
}

pub(crate) async fn survives_a_requeue_of_the_unfinished(fx: &Fixture) {
    let lease = noted(fx).await;
    let at = fx.now() + std::time::Duration::from_hours(1);
    fx.end(lease, Verdict::Retry { at }).await;
    let requeued = fx.store.requeue(lease.job, None, Some(fx.now())).await;
    assert_eq!(requeued.unwrap(), Changed::Done);
    assert_eq!(found(fx).await, Some(json("1")));
}

pub(crate) async fn is_gone_when_the_job_has_finished(fx: &Fixture) {
    for verdict in [
        Verdict::Complete { result: None },
        Verdict::Cancel,
        Verdict::Dead,
    ] {
        let lease = noted(fx).await;
        fx.end(lease, verdict).await;
        let requeued = fx.store.requeue(lease.job, None, Some(fx.now())).await;
        assert_eq!(requeued.unwrap(), Changed::Done);
        assert_eq!(found(fx).await, None);
    }
}

pub(crate) async fn a_lost_lease_keeps_nothing(fx: &Fixture) {
    let stale = noted(fx).await;
    fx.crash().await;
    assert_eq!(note(fx, stale, "2").await, Recorded::LeaseLost);
    let current = fx.claim_one().await;
    assert_eq!(current.checkpoint, Some(json("1")));
    assert_eq!(note(fx, stale, "3").await, Recorded::LeaseLost);
    fx.end(current.lease(), Verdict::Release).await;
    assert_eq!(note(fx, current.lease(), "4").await, Recorded::LeaseLost);
    assert_eq!(found(fx).await, Some(json("1")));
    assert_eq!(note(fx, current.lease(), "5").await, Recorded::LeaseLost);
}

pub(crate) async fn commits_with_the_callers_rows(fx: &Fixture) {
    let lease = noted(fx).await;
    let two = json("2");
    let mut tx = fx.begin().await;
    let answer = fx.store.checkpoint_in(&mut tx, lease, &two).await;
    if !fx.store.capabilities().transactions {
        assert!(matches!(answer, Err(Error::Unsupported { .. })));
        return;
    }
    assert_eq!(answer.unwrap(), Recorded::Yes);
    tx.rollback().await.unwrap();
    fx.end(lease, Verdict::Release).await;
    let next = fx.claim_one().await;
    assert_eq!(next.checkpoint, Some(json("1")), "it was rolled back");

    let mut tx = fx.begin().await;
    let stale = fx.store.checkpoint_in(&mut tx, lease, &two).await;
    assert_eq!(stale.unwrap(), Recorded::LeaseLost);
    let kept = fx.store.checkpoint_in(&mut tx, next.lease(), &two).await;
    assert_eq!(kept.unwrap(), Recorded::Yes);
    tx.commit().await.unwrap();
    let release = ended(next.lease(), Verdict::Release);
    assert_eq!(fx.finish(release).await, Recorded::Yes);
    let last = fx.claim_one().await;
    assert_eq!(last.checkpoint, Some(two));
    let done = Finish::complete(last.lease(), None);
    assert_eq!(fx.finish(done).await, Recorded::Yes);
}

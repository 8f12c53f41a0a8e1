//! The same request within its window gives the same job; another request under its key is refused.

use std::sync::Arc;
use std::time::Duration;

use windlass::NewJob;
use windlass::model::{Conflict, Enqueued, Idempotency, Unique};
use windlass::store::Prune;

use crate::fixture::{Fixture, at_once, job_with, json, just_before};

const HOUR: Duration = Duration::from_hours(1);

fn request(digest: &str) -> NewJob {
    job_with(|job| {
        job.idempotency = Some(Idempotency {
            key: "k".into(),
            digest: digest.into(),
            window: HOUR,
        });
    })
}

fn unique(conflict: Conflict, job: NewJob) -> NewJob {
    let key = "u".to_owned();
    let window = None;
    NewJob {
        unique: Some(Unique {
            key,
            window,
            conflict,
        }),
        ..job
    }
}

pub(crate) async fn the_same_request_gives_the_same_job(fx: &Fixture) {
    let id = fx.add(request("d")).await;
    let before = fx.get(id).await;
    assert_eq!(fx.enqueue_one(request("d")).await, Enqueued::Duplicate(id));
    assert_eq!(fx.get(id).await, before);
    assert_eq!(fx.claim_ids().await, [id]);
}

pub(crate) async fn another_request_under_the_key_is_refused(fx: &Fixture) {
    let id = fx.add(request("d")).await;
    let answer = fx.enqueue_one(request("e")).await;
    assert_eq!(answer, Enqueued::IdempotencyMismatch(id));
    assert_eq!(fx.claim_ids().await, [id]);
}

pub(crate) async fn is_remembered_when_the_job_has_finished_and_gone(fx: &Fixture) {
    let id = fx.add(request("d")).await;
    let lease = fx.claim_one().await.lease();
    fx.complete(lease).await;
    assert_eq!(fx.enqueue_one(request("d")).await, Enqueued::Duplicate(id));
    fx.advance(HOUR / 2);
    let prune = Prune {
        completed: Duration::ZERO,
        cancelled: Duration::ZERO,
        dead: Duration::ZERO,
        limit: 100,
        now: Some(fx.now()),
    };
    assert_eq!(fx.store.prune(prune).await.unwrap(), 1);
    assert_eq!(fx.enqueue_one(request("d")).await, Enqueued::Duplicate(id));
}

pub(crate) async fn is_forgotten_at_the_end_of_its_window(fx: &Fixture) {
    let first = fx.add(request("d")).await;
    fx.advance(just_before(HOUR));
    let answer = fx.enqueue_one(request("e")).await;
    assert_eq!(answer, Enqueued::IdempotencyMismatch(first));
    fx.advance(Duration::from_micros(1));
    let second = fx.add(request("e")).await;
    let answer = fx.enqueue_one(request("d")).await;
    assert_eq!(answer, Enqueued::IdempotencyMismatch(second));
}

pub(crate) async fn a_repeat_does_not_prolong_the_window(fx: &Fixture) {
    let id = fx.add(request("d")).await;
    fx.advance(HOUR / 2);
    assert_eq!(fx.enqueue_one(request("d")).await, Enqueued::Duplicate(id));
    fx.advance(HOUR / 2);
    fx.add(request("d")).await;
}

pub(crate) async fn tenants_have_their_own_keys(fx: &Fixture) {
    fx.add(request("d")).await;
    for tenant in ["a", "b"] {
        let tenant_id = Some(tenant.to_owned());
        fx.add(NewJob {
            tenant_id,
            ..request("e")
        })
        .await;
    }
}

pub(crate) async fn kinds_share_keys(fx: &Fixture) {
    let id = fx.add(request("d")).await;
    let kind = "other".to_owned();
    let other = NewJob {
        kind,
        ..request("e")
    };
    assert_eq!(
        fx.enqueue_one(other).await,
        Enqueued::IdempotencyMismatch(id)
    );
}

pub(crate) async fn comes_before_the_unique_key(fx: &Fixture) {
    let id = fx.add(unique(Conflict::Replace, request("d"))).await;
    let repeat = NewJob {
        args: json("[2]"),
        ..unique(Conflict::Replace, request("d"))
    };
    assert_eq!(fx.enqueue_one(repeat).await, Enqueued::Duplicate(id));
    assert_eq!(fx.get(id).await.args, json("{}"));
}

pub(crate) async fn a_unique_duplicate_is_remembered_as_its_holder(fx: &Fixture) {
    let holder = fx
        .add(unique(Conflict::Reject, crate::fixture::job()))
        .await;
    let asked = unique(Conflict::ReturnExisting, request("d"));
    assert_eq!(fx.enqueue_one(asked).await, Enqueued::Duplicate(holder));
    let lease = fx.claim_one().await.lease();
    fx.complete(lease).await;

    let repeat = unique(Conflict::ReturnExisting, request("d"));
    assert_eq!(fx.enqueue_one(repeat).await, Enqueued::Duplicate(holder));
    let other = fx.enqueue_one(request("e")).await;
    assert_eq!(other, Enqueued::IdempotencyMismatch(holder));
}

pub(crate) async fn a_replacing_request_is_remembered_as_the_replaced_job(fx: &Fixture) {
    let holder = fx
        .add(unique(Conflict::Reject, crate::fixture::job()))
        .await;
    let asked = unique(Conflict::Replace, request("d"));
    assert_eq!(fx.enqueue_one(asked).await, Enqueued::Replaced(holder));
    let repeat = unique(Conflict::Replace, request("d"));
    assert_eq!(fx.enqueue_one(repeat).await, Enqueued::Duplicate(holder));
}

pub(crate) async fn a_rejected_request_is_judged_again(fx: &Fixture) {
    let holder = fx
        .add(unique(Conflict::Reject, crate::fixture::job()))
        .await;
    for _ in 0..2 {
        let asked = unique(Conflict::Reject, request("d"));
        assert_eq!(fx.enqueue_one(asked).await, Enqueued::Rejected(holder));
    }
    let lease = fx.claim_one().await.lease();
    fx.complete(lease).await;
    fx.add(unique(Conflict::Reject, request("d"))).await;
}

pub(crate) async fn within_one_call_the_first_wins(fx: &Fixture) {
    let jobs = [request("d"), request("e"), request("d")];
    let id = jobs[0].id;
    assert_eq!(
        fx.enqueue(&jobs).await,
        [
            Enqueued::Inserted(id),
            Enqueued::IdempotencyMismatch(id),
            Enqueued::Duplicate(id),
        ]
    );
    assert_eq!(fx.claim_ids().await, [id]);
}

pub(crate) async fn twenty_at_once_make_one_job(fx: &Fixture) {
    let now = fx.now();
    let answers = at_once(20, |number| {
        let store = Arc::clone(if number % 2 == 0 {
            &fx.store
        } else {
            &fx.other
        });
        async move { store.enqueue(&[request("d")], Some(now)).await.unwrap()[0] }
    })
    .await;
    let claimed = fx.claim_ids().await;
    assert_eq!(claimed.len(), 1);
    assert!(answers.iter().all(|answer| answer.id() == claimed[0]));
    let inserted = answers.iter().filter(|answer| answer.is_inserted());
    assert_eq!(inserted.count(), 1, "{answers:?}");
}

//! What an operator's wish does to a job in each state, and whose jobs may be wished upon.

use std::sync::Arc;
use std::time::Duration;

use windlass::model::{Conflict, Enqueued, JobId, RunAt, State, Unique, Verdict};
use windlass::store::{Changed, Claim, Store};
use windlass::{JobRecord, NewJob};

use crate::fixture::{Fixture, LEASE, at_once, job, job_with, json};

const HOUR: Duration = Duration::from_hours(1);

async fn cancel(fx: &Fixture, id: JobId) -> Changed {
    fx.store.cancel(id, None, Some(fx.now())).await.unwrap()
}

async fn discard(fx: &Fixture, id: JobId) -> Changed {
    fx.store.discard(id, None, Some(fx.now())).await.unwrap()
}

async fn requeue(fx: &Fixture, id: JobId) -> Changed {
    fx.store.requeue(id, None, Some(fx.now())).await.unwrap()
}

pub(crate) async fn cancel_ends_whatever_does_not_run(fx: &Fixture) {
    for (state, id) in fx.one_in_each_state().await {
        let before = fx.get(id).await;
        fx.advance(Duration::from_secs(1));
        if state == State::Running {
            continue;
        }
        if state.is_finished() {
            assert_eq!(cancel(fx, id).await, Changed::Refused(state));
            assert_eq!(fx.get(id).await, before);
            continue;
        }
        assert_eq!(cancel(fx, id).await, Changed::Done, "{state}");
        let expected = JobRecord {
            state: State::Cancelled,
            finished_at: Some(fx.now()),
            ..before
        };
        assert_eq!(fx.get(id).await, expected);
    }
}

pub(crate) async fn cancel_asks_a_running_job_to_stop(fx: &Fixture) {
    let id = fx.one_in(State::Running).await;
    let before = fx.get(id).await;
    fx.advance(Duration::from_secs(1));
    let expected = JobRecord {
        cancel_requested_at: Some(fx.now()),
        ..before
    };
    for _ in 0..2 {
        assert_eq!(cancel(fx, id).await, Changed::Asked);
        assert_eq!(fx.get(id).await, expected);
        fx.advance(Duration::from_secs(1));
    }
}

pub(crate) async fn a_cancelled_job_is_never_claimed(fx: &Fixture) {
    let id = fx.add(job()).await;
    assert_eq!(cancel(fx, id).await, Changed::Done);
    assert_eq!(fx.claim_ids().await, []);
}

pub(crate) async fn a_cancel_that_meets_a_claim_is_done_or_asked(fx: &Fixture) {
    for _ in 0..20 {
        let id = fx.add(job()).await;
        let now = Some(fx.now());
        let answers = at_once(2, |number| {
            let store = Arc::clone(if number == 0 { &fx.store } else { &fx.other });
            async move {
                if number == 0 {
                    return (Some(store.cancel(id, None, now).await.unwrap()), 0);
                }
                let claim = Claim {
                    queue: "default",
                    worker: "worker",
                    limit: 1,
                    lease: LEASE,
                    now,
                };
                (None, store.claim(claim).await.unwrap().len())
            }
        })
        .await;
        let changed = answers.iter().find_map(|(changed, _)| *changed).unwrap();
        let claimed: usize = answers.iter().map(|(_, claimed)| claimed).sum();
        match changed {
            Changed::Done => {
                assert_eq!(claimed, 0);
                assert_eq!(fx.state(id).await, State::Cancelled);
            }
            Changed::Asked => {
                assert_eq!(claimed, 1);
                assert!(fx.get(id).await.cancel_requested_at.is_some());
            }
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) async fn discard_sets_aside_whatever_does_not_run(fx: &Fixture) {
    for (state, id) in fx.one_in_each_state().await {
        let before = fx.get(id).await;
        fx.advance(Duration::from_secs(1));
        if state.is_finished() || state == State::Running {
            assert_eq!(discard(fx, id).await, Changed::Refused(state));
            assert_eq!(fx.get(id).await, before);
            continue;
        }
        assert_eq!(discard(fx, id).await, Changed::Done, "{state}");
        let expected = JobRecord {
            state: State::Dead,
            finished_at: Some(fx.now()),
            ..before
        };
        assert_eq!(fx.get(id).await, expected);
    }
}

pub(crate) async fn requeue_makes_what_waits_for_a_time_due(fx: &Fixture) {
    for state in [State::Scheduled, State::Retryable, State::Available] {
        let id = fx.one_in(state).await;
        let before = fx.get(id).await;
        fx.advance(Duration::from_secs(1));
        assert_eq!(requeue(fx, id).await, Changed::Done, "{state}");
        let expected = JobRecord {
            state: State::Available,
            run_at: fx.now(),
            ..before
        };
        assert_eq!(fx.get(id).await, expected);
        assert_eq!(fx.claim_from(state.as_str(), 10).await.len(), 1);
    }
}

pub(crate) async fn requeue_revives_a_finished_job(fx: &Fixture) {
    for verdict in [
        Verdict::Complete {
            result: Some(json("1")),
        },
        Verdict::Cancel,
        Verdict::Dead,
    ] {
        let id = fx.add(job_with(|job| job.max_attempts = 3)).await;
        fx.claim_one().await;
        fx.crash().await;
        let at = fx.now();
        let lease = fx.claim_one().await.lease();
        fx.end(lease, Verdict::Retry { at }).await;
        let lease = fx.claim_one().await.lease();
        fx.store.progress(lease, &json("0.5")).await.unwrap();
        fx.end(lease, verdict).await;
        let before = fx.get(id).await;
        assert_eq!((before.attempt, before.crashes, before.claim_no), (2, 1, 3));
        fx.advance(HOUR);

        assert_eq!(requeue(fx, id).await, Changed::Done);
        let expected = JobRecord {
            state: State::Available,
            run_at: fx.now(),
            attempt: 0,
            crashes: 0,
            finished_at: None,
            result: None,
            progress: None,
            ..before
        };
        assert_eq!(fx.get(id).await, expected);
        let claimed = fx.claim_one().await;
        assert_eq!(
            (claimed.attempt, claimed.claim_no, claimed.max_attempts),
            (1, 4, 3)
        );
        fx.complete(claimed.lease()).await;
        assert_eq!(fx.state(id).await, State::Completed);
    }
}

pub(crate) async fn requeue_refuses_what_runs_or_waits_its_turn(fx: &Fixture) {
    for state in [State::Running, State::Waiting] {
        let id = fx.one_in(state).await;
        let before = fx.get(id).await;
        assert_eq!(requeue(fx, id).await, Changed::Refused(state));
        assert_eq!(fx.get(id).await, before);
    }
}

fn unique(window: Option<Duration>) -> NewJob {
    job_with(|job| {
        job.unique = Some(Unique {
            key: "k".into(),
            window,
            conflict: Conflict::ReturnExisting,
        });
    })
}

async fn dead(fx: &Fixture, job: NewJob) -> JobId {
    let id = fx.add(job).await;
    let lease = fx.claim_one().await.lease();
    fx.end(lease, Verdict::Dead).await;
    id
}

pub(crate) async fn a_revived_job_takes_its_unique_key_back(fx: &Fixture) {
    let id = dead(fx, unique(None)).await;
    fx.advance(HOUR);
    fx.store.maintain(Some(fx.now())).await.unwrap();
    assert_eq!(requeue(fx, id).await, Changed::Done);
    let second = fx.enqueue_one(unique(None)).await;
    assert_eq!(second, Enqueued::Duplicate(id));
}

pub(crate) async fn a_revived_job_does_not_take_a_held_key(fx: &Fixture) {
    let id = dead(fx, unique(None)).await;
    let before = fx.get(id).await;
    let holder = fx.add(unique(None)).await;
    assert_eq!(requeue(fx, id).await, Changed::Held(holder));
    assert_eq!(fx.get(id).await, before);
    let lease = fx.claim_one().await.lease();
    assert_eq!(lease.job, holder);
    assert_eq!(requeue(fx, id).await, Changed::Held(holder));
    fx.complete(lease).await;
    assert_eq!(requeue(fx, id).await, Changed::Done);
}

pub(crate) async fn a_window_holds_a_key_against_a_revived_job(fx: &Fixture) {
    let id = dead(fx, unique(None)).await;
    let holder = fx.add(unique(Some(HOUR))).await;
    let lease = fx.claim_one().await.lease();
    fx.complete(lease).await;
    assert_eq!(requeue(fx, id).await, Changed::Held(holder));
    fx.advance(HOUR);
    assert_eq!(requeue(fx, id).await, Changed::Done);
}

pub(crate) async fn a_jobs_own_window_does_not_hold_it_back(fx: &Fixture) {
    let id = dead(fx, unique(Some(HOUR))).await;
    assert_eq!(requeue(fx, id).await, Changed::Done);
    let lease = fx.claim_one().await.lease();
    fx.complete(lease).await;
    let second = fx.enqueue_one(unique(None)).await;
    assert_eq!(second, Enqueued::Duplicate(id), "its window still runs");
    fx.advance(HOUR);
    fx.add(unique(None)).await;
}

pub(crate) async fn a_job_may_be_revived_again_and_again(fx: &Fixture) {
    let id = fx.add(job()).await;
    for claim_no in 1..=4 {
        let claimed = fx.claim_one().await;
        assert_eq!((claimed.attempt, claimed.claim_no), (1, claim_no));
        fx.end(claimed.lease(), Verdict::Dead).await;
        assert_eq!(requeue(fx, id).await, Changed::Done);
    }
    assert_eq!(fx.get(id).await.attempts.len(), 4);
}

pub(crate) async fn of_two_revivals_at_once_one_job_comes(fx: &Fixture) {
    for _ in 0..10 {
        let id = dead(fx, job()).await;
        let now = Some(fx.now());
        at_once(4, |number| {
            let store = Arc::clone(if number % 2 == 0 {
                &fx.store
            } else {
                &fx.other
            });
            async move { store.requeue(id, None, now).await.unwrap() }
        })
        .await;
        let claimed = fx.claim_one().await;
        assert_eq!(claimed.id, id);
        fx.complete(claimed.lease()).await;
    }
}

pub(crate) async fn an_unknown_job_is_not_found(fx: &Fixture) {
    let id = job().id;
    assert_eq!(cancel(fx, id).await, Changed::NotFound);
    assert_eq!(discard(fx, id).await, Changed::NotFound);
    assert_eq!(requeue(fx, id).await, Changed::NotFound);
}

/// Every verb that takes a tenant, for one job.
async fn wishes(store: &dyn Store, id: JobId, tenant: &str, fx: &Fixture) -> [Changed; 3] {
    let (tenant, now) = (Some(tenant), Some(fx.now()));
    [
        store.cancel(id, tenant, now).await.unwrap(),
        store.discard(id, tenant, now).await.unwrap(),
        store.requeue(id, tenant, now).await.unwrap(),
    ]
}

pub(crate) async fn nobody_touches_another_tenants_jobs(fx: &Fixture) {
    for owner in [Some("acme"), None] {
        for verdict in [None, Some(Verdict::Dead)] {
            let id = fx
                .add(job_with(|job| {
                    job.tenant_id = owner.map(str::to_owned);
                    job.run_at = RunAt::Now;
                }))
                .await;
            let claimed = fx.claim_one().await;
            if let Some(verdict) = verdict {
                fx.end(claimed.lease(), verdict).await;
            }
            let before = fx.get(id).await;
            for stranger in ["other", "Acme", "acme ", "%"] {
                let answers = wishes(&*fx.store, id, stranger, fx).await;
                assert_eq!(answers, [Changed::NotFound; 3], "{owner:?} {stranger}");
            }
            assert_eq!(fx.get(id).await, before);
        }
    }
}

pub(crate) async fn a_tenant_may_touch_its_own_jobs(fx: &Fixture) {
    let id = fx
        .add(job_with(|job| job.tenant_id = Some("acme".into())))
        .await;
    assert_eq!(
        wishes(&*fx.store, id, "acme", fx).await,
        [
            Changed::Done,
            Changed::Refused(State::Cancelled),
            Changed::Done,
        ]
    );
    assert_eq!(fx.claim_ids().await, [id]);
}

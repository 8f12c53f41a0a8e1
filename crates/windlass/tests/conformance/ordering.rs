//! Jobs of one ordering key run strictly in order, one at a time, and none is ever stranded.

use std::sync::Arc;
use std::time::Duration;

use windlass::NewJob;
use windlass::model::{Finish, JobId, RunAt, State, Verdict};
use windlass::store::{Changed, Claim};

use crate::fixture::{Fixture, LEASE, MAX_CRASHES, at_once, ended, job, job_with};

const HOUR: Duration = Duration::from_hours(1);

pub(crate) fn of(key: &str) -> NewJob {
    job_with(|job| job.ordering_key = Some(key.to_owned()))
}

/// Two jobs of one key; the first leads, the second waits.
async fn pair(fx: &Fixture) -> (JobId, JobId) {
    let first = fx.add(of("k")).await;
    let second = fx.add(of("k")).await;
    assert_eq!(fx.state(first).await, State::Available);
    assert_eq!(fx.state(second).await, State::Waiting);
    (first, second)
}

pub(crate) async fn only_the_first_may_be_claimed(fx: &Fixture) {
    let (first, second) = pair(fx).await;
    assert_eq!(fx.claim_ids().await, [first]);
    assert_eq!(fx.state(second).await, State::Waiting);
    assert_eq!(fx.claim_ids().await, []);
}

pub(crate) async fn jobs_run_in_the_order_of_their_enqueue(fx: &Fixture) {
    let mut expected = Vec::new();
    for _ in 0..5 {
        // A later job that claims a better priority does not overtake.
        let priority = 9 - u8::try_from(expected.len()).unwrap();
        expected.push(
            fx.add(NewJob {
                priority,
                ..of("k")
            })
            .await,
        );
        fx.advance(Duration::from_micros(1));
    }
    let mut ran = Vec::new();
    while let [claimed] = &fx.claim(10).await[..] {
        ran.push(claimed.id);
        fx.complete(claimed.lease()).await;
    }
    assert_eq!(ran, expected);
}

pub(crate) async fn one_call_keeps_the_order_of_its_jobs(fx: &Fixture) {
    let jobs: Vec<NewJob> = (0..6)
        .map(|n| of(if n % 2 == 0 { "a" } else { "b" }))
        .collect();
    fx.enqueue(&jobs).await;
    for pair in jobs.chunks(2) {
        let claimed = fx.claim(10).await;
        let expected: Vec<_> = pair.iter().map(|job| job.id).collect();
        assert_eq!(crate::fixture::ids(&claimed), expected);
        let finishes: Vec<_> = claimed
            .iter()
            .map(|job| Finish::complete(job.lease(), None))
            .collect();
        fx.finish_all(&finishes).await;
    }
    assert_eq!(fx.claim_ids().await, []);
}

pub(crate) async fn the_next_goes_however_the_first_ended(fx: &Fixture) {
    for verdict in [
        Verdict::Complete { result: None },
        Verdict::Cancel,
        Verdict::Dead,
    ] {
        let (_, second) = pair(fx).await;
        let lease = fx.claim_one().await.lease();
        fx.end(lease, verdict).await;
        assert_eq!(fx.state(second).await, State::Available);
        let lease = fx.claim_one().await.lease();
        fx.complete(lease).await;
    }
}

pub(crate) async fn the_next_goes_when_an_operator_ends_the_first(fx: &Fixture) {
    let now = Some(fx.now());
    let (first, second) = pair(fx).await;
    let third = fx.add(of("k")).await;
    let cancelled = fx.store.cancel(first, None, now).await.unwrap();
    assert_eq!(cancelled, Changed::Done);
    assert_eq!(fx.state(second).await, State::Available);
    assert_eq!(fx.state(third).await, State::Waiting);
    let discarded = fx.store.discard(second, None, now).await.unwrap();
    assert_eq!(discarded, Changed::Done);
    assert_eq!(fx.claim_ids().await, [third]);
}

pub(crate) async fn ending_a_waiting_job_lets_nobody_jump(fx: &Fixture) {
    let now = Some(fx.now());
    let (first, second) = pair(fx).await;
    let third = fx.add(of("k")).await;
    let cancelled = fx.store.cancel(second, None, now).await.unwrap();
    assert_eq!(cancelled, Changed::Done);
    assert_eq!(fx.state(third).await, State::Waiting);
    let lease = fx.claim_one().await.lease();
    assert_eq!(lease.job, first);
    fx.complete(lease).await;
    assert_eq!(fx.claim_ids().await, [third]);
}

pub(crate) async fn a_first_job_that_comes_back_still_leads(fx: &Fixture) {
    let (first, second) = pair(fx).await;
    let soon = fx.now() + HOUR;
    for verdict in [
        Verdict::Retry { at: soon },
        Verdict::Snooze { until: soon },
        Verdict::Release,
    ] {
        let now = Some(fx.now());
        fx.store.requeue(first, None, now).await.unwrap();
        let lease = fx.claim_one().await.lease();
        assert_eq!(lease.job, first);
        fx.end(lease, verdict).await;
        assert_eq!(fx.state(second).await, State::Waiting);
    }
    let lease = fx.claim_one().await.lease();
    assert_eq!(lease.job, first);
    fx.crash().await;
    assert_eq!(fx.claim_ids().await, [first]);
}

pub(crate) async fn the_next_goes_when_the_first_crashed_too_often(fx: &Fixture) {
    let (first, second) = pair(fx).await;
    for _ in 0..MAX_CRASHES {
        assert_eq!(fx.claim_one().await.id, first);
        fx.crash().await;
    }
    assert_eq!(fx.state(first).await, State::Dead);
    assert_eq!(fx.claim_ids().await, [second]);
}

pub(crate) async fn a_first_job_that_is_due_later_holds_the_others_up(fx: &Fixture) {
    let run_at = RunAt::In(HOUR);
    let first = fx.add(NewJob { run_at, ..of("k") }).await;
    fx.add(of("k")).await;
    assert_eq!(fx.claim_ids().await, []);
    fx.advance(HOUR);
    assert_eq!(fx.claim_ids().await, [first]);
}

pub(crate) async fn the_next_keeps_its_own_time(fx: &Fixture) {
    fx.add(of("k")).await;
    let run_at = RunAt::In(HOUR);
    let second = fx.add(NewJob { run_at, ..of("k") }).await;
    let due = fx.now() + HOUR;
    let lease = fx.claim_one().await.lease();
    fx.complete(lease).await;
    let job = fx.get(second).await;
    assert_eq!((job.state, job.run_at), (State::Scheduled, due));
    fx.advance(HOUR);
    assert_eq!(fx.claim_ids().await, [second]);
}

pub(crate) async fn a_waiting_job_becomes_due_only_by_its_turn(fx: &Fixture) {
    let (_, second) = pair(fx).await;
    fx.advance(HOUR * 24);
    assert_eq!(fx.state(second).await, State::Waiting);
    assert_eq!(fx.claim(10).await.len(), 1);
    let next_due = fx.store.next_due("default", Some(fx.now())).await.unwrap();
    assert_eq!(next_due, None);
}

pub(crate) async fn tenants_and_keys_do_not_wait_for_each_other(fx: &Fixture) {
    let mut expected = vec![fx.add(of("k")).await, fx.add(of("K")).await];
    for tenant in ["a", "b"] {
        let tenant_id = Some(tenant.to_owned());
        expected.push(
            fx.add(NewJob {
                tenant_id,
                ..of("k")
            })
            .await,
        );
    }
    expected.push(fx.add(job()).await);
    expected.push(fx.add(job()).await);
    assert_eq!(fx.claim_ids().await, expected);
}

pub(crate) async fn queues_and_kinds_share_an_order(fx: &Fixture) {
    fx.add(of("k")).await;
    let second = job_with(|job| {
        job.ordering_key = Some("k".into());
        job.queue = "elsewhere".into();
        job.kind = "other".into();
    });
    let second = fx.add(second).await;
    assert_eq!(fx.state(second).await, State::Waiting);
    let lease = fx.claim_one().await.lease();
    fx.complete(lease).await;
    let claimed = fx.claim_from("elsewhere", 10).await;
    assert_eq!(crate::fixture::ids(&claimed), [second]);
}

pub(crate) async fn a_key_that_is_free_again_makes_nobody_wait(fx: &Fixture) {
    for _ in 0..3 {
        fx.add(of("k")).await;
        let lease = fx.claim_one().await.lease();
        fx.complete(lease).await;
    }
}

pub(crate) async fn a_revived_job_waits_if_others_came_meanwhile(fx: &Fixture) {
    let first = fx.add(of("k")).await;
    let lease = fx.claim_one().await.lease();
    fx.end(lease, Verdict::Dead).await;
    fx.advance(HOUR);
    let second = fx.add(of("k")).await;
    fx.advance(HOUR);
    let third = fx.add(of("k")).await;

    let revived = fx.store.requeue(first, None, Some(fx.now())).await.unwrap();
    assert_eq!(revived, Changed::Done);
    assert_eq!(fx.state(first).await, State::Waiting);
    // Its place is by its enqueue: before the third, but the second leads already.
    for expected in [second, first, third] {
        let claimed = fx.claim_one().await;
        assert_eq!(claimed.id, expected);
        fx.complete(claimed.lease()).await;
    }
}

pub(crate) async fn a_revived_job_alone_goes_at_once(fx: &Fixture) {
    let first = fx.add(of("k")).await;
    let lease = fx.claim_one().await.lease();
    fx.end(lease, Verdict::Dead).await;
    let revived = fx.store.requeue(first, None, Some(fx.now())).await.unwrap();
    assert_eq!(revived, Changed::Done);
    assert_eq!(fx.claim_ids().await, [first]);
}

pub(crate) async fn one_call_of_finishes_hands_on_many_keys(fx: &Fixture) {
    let jobs: Vec<NewJob> = (0..60).map(|n| of(&format!("key {}", n % 20))).collect();
    fx.enqueue(&jobs).await;
    for round in jobs.chunks(20) {
        let claimed = fx.claim(100).await;
        let expected: Vec<_> = round.iter().map(|job| job.id).collect();
        assert_eq!(crate::fixture::ids(&claimed), expected);
        let finishes: Vec<_> = claimed
            .iter()
            .enumerate()
            .map(|(n, job)| match n % 3 {
                0 => ended(job.lease(), Verdict::Dead),
                1 => ended(job.lease(), Verdict::Cancel),
                _ => Finish::complete(job.lease(), None),
            })
            .collect();
        fx.finish_all(&finishes).await;
    }
}

pub(crate) async fn twenty_at_once_make_one_line(fx: &Fixture) {
    let now = fx.now();
    at_once(20, |number| {
        let store = Arc::clone(if number % 2 == 0 {
            &fx.store
        } else {
            &fx.other
        });
        async move { store.enqueue(&[of("k")], Some(now)).await.unwrap() }
    })
    .await;
    let mut ran = 0;
    while let [claimed] = &fx.claim(30).await[..] {
        ran += 1;
        fx.complete(claimed.lease()).await;
    }
    assert_eq!(ran, 20);
}

pub(crate) async fn an_enqueue_that_meets_a_finish_is_never_stranded(fx: &Fixture) {
    for _ in 0..30 {
        fx.add(of("k")).await;
        let lease = fx.claim_one().await.lease();
        let now = fx.now();
        at_once(2, |number| {
            let store = Arc::clone(if number == 0 { &fx.store } else { &fx.other });
            async move {
                if number == 0 {
                    let finish = Finish::complete(lease, None);
                    store.finish(&[finish], Some(now)).await.unwrap();
                } else {
                    store.enqueue(&[of("k")], Some(now)).await.unwrap();
                }
            }
        })
        .await;
        // Whatever the race left is put right by the next round of maintenance.
        fx.store.maintain(Some(fx.now())).await.unwrap();
        let next = fx.claim_one().await;
        fx.complete(next.lease()).await;
    }
}

pub(crate) async fn many_claimers_never_run_two_jobs_of_a_key(fx: &Fixture) {
    let jobs: Vec<NewJob> = (0..100).map(|n| of(&format!("key {}", n % 5))).collect();
    fx.enqueue(&jobs).await;
    let now = fx.now();
    let runs = Arc::new(std::sync::Mutex::new(Vec::new()));
    let left = Arc::new(std::sync::atomic::AtomicUsize::new(jobs.len()));
    at_once(10, |number| {
        let store = Arc::clone(if number % 2 == 0 {
            &fx.store
        } else {
            &fx.other
        });
        let (runs, left) = (Arc::clone(&runs), Arc::clone(&left));
        async move {
            while left.load(std::sync::atomic::Ordering::SeqCst) > 0 {
                let claim = Claim {
                    queue: "default",
                    worker: "worker",
                    limit: 2,
                    lease: LEASE,
                    now: Some(now),
                };
                for job in store.claim(claim).await.unwrap() {
                    let key = job.ordering_key.clone().unwrap();
                    runs.lock().unwrap().push((key.clone(), job.id, "starts"));
                    tokio::task::yield_now().await;
                    runs.lock().unwrap().push((key, job.id, "ends"));
                    let finish = Finish::complete(job.lease(), None);
                    store.finish(&[finish], Some(now)).await.unwrap();
                    left.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                }
                // Another claimer may hold the head of every line: let it go on.
                tokio::task::yield_now().await;
                store.maintain(Some(now)).await.unwrap();
            }
        }
    })
    .await;
    let runs = runs.lock().unwrap();
    for key in (0..5).map(|n| format!("key {n}")) {
        let seen: Vec<_> = runs.iter().filter(|run| run.0 == key).collect();
        let expected = jobs
            .iter()
            .filter(|job| job.ordering_key.as_ref() == Some(&key));
        let expected: Vec<_> = expected
            .flat_map(|job| [(job.id, "starts"), (job.id, "ends")])
            .collect();
        let seen: Vec<_> = seen.iter().map(|run| (run.1, run.2)).collect();
        assert_eq!(seen, expected, "{key}");
    }
}

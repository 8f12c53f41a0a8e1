//! At most one live lease per job, in order of priority, then time, then id.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use windlass::NewJob;
use windlass::model::{ClaimedJob, Finish, JobId, RunAt, State, Verdict};
use windlass::store::Claim;

use crate::fixture::{Fixture, LEASE, at_once, ids, job, job_with, json, just_before};

const SECOND: Duration = Duration::from_secs(1);

pub(crate) async fn goes_by_priority_then_time_then_id(fx: &Fixture) {
    let with = |priority, after| {
        job_with(|job| {
            job.priority = priority;
            job.run_at = RunAt::In(Duration::from_micros(after));
        })
    };
    let jobs = [
        with(9, 0),
        with(5, 20),
        with(5, 10),
        with(0, 30),
        with(5, 10),
        with(0, 30),
    ];
    let order: Vec<JobId> = [3, 5, 2, 4, 1, 0].map(|n: usize| jobs[n].id).into();
    let mut shuffled = jobs.to_vec();
    shuffled.reverse();
    fx.enqueue(&shuffled).await;
    fx.advance(SECOND);
    assert_eq!(fx.claim_ids().await, order);
}

pub(crate) async fn small_claims_add_up_to_the_same_order(fx: &Fixture) {
    let mut jobs: Vec<NewJob> = (0..60)
        .map(|n: u64| {
            job_with(|job| {
                job.priority = u8::try_from(n * 7 % 10).unwrap();
                job.run_at = RunAt::In(Duration::from_micros(n * 13 % 17));
            })
        })
        .collect();
    fx.enqueue(&jobs).await;
    let start = fx.now();
    fx.advance(SECOND);
    let mut claimed = Vec::new();
    for limit in [1, 2, 3, 4, 50] {
        claimed.extend(fx.claim(limit).await.iter().map(|job| job.id));
    }
    jobs.sort_by_key(|job| (job.priority, job.run_at.resolve(start), job.id));
    assert_eq!(claimed, jobs.iter().map(|job| job.id).collect::<Vec<_>>());
}

pub(crate) async fn takes_no_more_than_the_limit(fx: &Fixture) {
    let jobs: Vec<NewJob> = (0..5).map(|_| job()).collect();
    fx.enqueue(&jobs).await;
    assert_eq!(
        ids(&fx.claim(3).await),
        [jobs[0].id, jobs[1].id, jobs[2].id]
    );
    assert_eq!(ids(&fx.claim(3).await), [jobs[3].id, jobs[4].id]);
    assert_eq!(fx.claim(3).await, []);
}

pub(crate) async fn a_limit_of_none_takes_none(fx: &Fixture) {
    let id = fx.add(job()).await;
    assert_eq!(fx.claim(0).await, []);
    assert_eq!(fx.state(id).await, State::Available);
}

pub(crate) async fn takes_only_from_its_queue(fx: &Fixture) {
    let mine = fx.add(job_with(|job| job.queue = "mine".into())).await;
    let other = fx.add(job_with(|job| job.queue = "Mine".into())).await;
    assert_eq!(ids(&fx.claim_from("mine", 10).await), [mine]);
    assert_eq!(fx.claim_from("none", 10).await, []);
    assert_eq!(fx.state(other).await, State::Available);
}

pub(crate) async fn gives_a_worker_all_it_needs(fx: &Fixture) {
    let job = job_with(|job| {
        job.args = json("[1]");
        job.priority = 3;
        job.max_attempts = 4;
        job.tenant_id = Some("acme".into());
        job.correlation_id = Some("c-1".into());
        job.trace_parent = Some("00-1-2-01".into());
        job.ordering_key = Some("o".into());
    });
    fx.add(job.clone()).await;
    let enqueued_at = fx.now();
    fx.advance(SECOND);
    let expected = ClaimedJob {
        id: job.id,
        kind: job.kind,
        args: job.args,
        queue: job.queue,
        priority: 3,
        run_at: enqueued_at,
        attempt: 1,
        max_attempts: 4,
        crashes: 0,
        claim_no: 1,
        tenant_id: job.tenant_id,
        correlation_id: job.correlation_id,
        trace_parent: job.trace_parent,
        ordering_key: job.ordering_key,
        enqueued_at,
        checkpoint: None,
        claimed_at: fx.now(),
    };
    assert_eq!(fx.claim_one().await, expected);
}

pub(crate) async fn marks_the_job_as_running(fx: &Fixture) {
    let id = fx.add(job()).await;
    let before = fx.get(id).await;
    fx.advance(SECOND);
    fx.claim_one().await;
    let expected = windlass::JobRecord {
        state: State::Running,
        attempt: 1,
        claim_no: 1,
        worker: Some("worker".into()),
        claimed_at: Some(fx.now()),
        lease_expires_at: Some(fx.now() + LEASE),
        ..before
    };
    assert_eq!(fx.get(id).await, expected);
}

pub(crate) async fn every_claim_has_a_higher_number(fx: &Fixture) {
    fx.add(job()).await;
    for claim_no in 1..=4 {
        let claimed = fx.claim_one().await;
        assert_eq!(claimed.claim_no, claim_no);
        assert_eq!(i64::from(claimed.attempt), claim_no);
        let at = fx.now();
        fx.end(claimed.lease(), Verdict::Retry { at }).await;
    }
}

pub(crate) async fn a_failed_job_is_due_at_its_very_microsecond(fx: &Fixture) {
    let id = fx.add(job()).await;
    let lease = fx.claim_one().await.lease();
    let at = fx.now() + SECOND;
    fx.end(lease, Verdict::Retry { at }).await;
    fx.advance(just_before(SECOND));
    assert_eq!(fx.claim_ids().await, []);
    assert_eq!(fx.state(id).await, State::Retryable);
    fx.advance(Duration::from_micros(1));
    assert_eq!(fx.state(id).await, State::Available);
    assert_eq!(fx.claim_ids().await, [id]);
}

pub(crate) async fn an_expired_lease_is_still_a_lease(fx: &Fixture) {
    let id = fx.add(job()).await;
    fx.claim_one().await;
    fx.advance(LEASE * 100);
    assert_eq!(fx.claim_ids().await, []);
    assert_eq!(fx.state(id).await, State::Running);
}

pub(crate) async fn a_released_job_is_found_behind_the_last_claim(fx: &Fixture) {
    let jobs: Vec<NewJob> = (0..50).map(|_| job()).collect();
    fx.enqueue(&jobs).await;
    let first = fx.claim(40).await;
    // Somebody else hands the oldest back: a store that starts from where it last stopped must
    // look behind itself.
    let release = Finish::release(first[0].lease());
    fx.other.finish(&[release], Some(fx.now())).await.unwrap();
    assert_eq!(ids(&fx.claim(1).await), [first[0].id]);
    assert_eq!(ids(&fx.claim(1).await), [jobs[40].id]);
}

pub(crate) async fn a_more_urgent_job_is_found_behind_the_last_claim(fx: &Fixture) {
    let jobs: Vec<NewJob> = (0..20).map(|_| job()).collect();
    fx.enqueue(&jobs).await;
    fx.claim(10).await;
    let urgent = job_with(|job| job.priority = 0);
    let late = [urgent.clone()];
    fx.other.enqueue(&late, Some(fx.now())).await.unwrap();
    assert_eq!(ids(&fx.claim(2).await), [urgent.id, jobs[10].id]);
}

pub(crate) async fn an_empty_queue_gives_nothing_and_then_something(fx: &Fixture) {
    assert_eq!(fx.claim_ids().await, []);
    let id = fx.add(job()).await;
    assert_eq!(fx.claim_ids().await, [id]);
    assert_eq!(fx.claim_ids().await, []);
    let id = fx.add(job()).await;
    assert_eq!(fx.claim_ids().await, [id]);
}

pub(crate) async fn next_due_tells_how_long_to_wait(fx: &Fixture) {
    let next_due = async || fx.store.next_due("default", Some(fx.now())).await.unwrap();
    assert_eq!(next_due().await, None);
    for seconds in [90, 60, 120] {
        let run_at = RunAt::In(Duration::from_secs(seconds));
        fx.add(job_with(|job| job.run_at = run_at)).await;
    }
    let run_at = RunAt::In(SECOND);
    let queue = "elsewhere".to_owned();
    fx.add(NewJob {
        run_at,
        queue,
        ..job()
    })
    .await;
    assert_eq!(next_due().await, Some(SECOND * 60));
    fx.advance(just_before(SECOND * 60));
    assert_eq!(next_due().await, Some(Duration::from_micros(1)));
    fx.advance(SECOND);
    assert_eq!(next_due().await, Some(Duration::ZERO));
    let lease = fx.claim_one().await.lease();
    let past_sixty = just_before(SECOND);
    assert_eq!(
        next_due().await,
        Some((SECOND * 30).saturating_sub(past_sixty))
    );
    let at = fx.now() + SECOND;
    fx.end(lease, Verdict::Retry { at }).await;
    assert_eq!(next_due().await, Some(SECOND));
}

pub(crate) async fn running_and_finished_jobs_are_not_due(fx: &Fixture) {
    fx.one_in_each_state().await;
    for state in [
        State::Running,
        State::Waiting,
        State::Completed,
        State::Cancelled,
        State::Dead,
    ] {
        let now = Some(fx.now());
        let next_due = fx.store.next_due(state.as_str(), now).await.unwrap();
        assert_eq!(next_due, None, "{state}");
    }
}

pub(crate) async fn takes_each_job_once(fx: &Fixture) {
    each_once(fx, 200, 7).await;
}

pub(crate) async fn takes_each_of_a_hundred_thousand_once(fx: &Fixture) {
    each_once(fx, 100_000, 500).await;
}

/// Twenty claimers, on both handles, until nothing is left.
async fn each_once(fx: &Fixture, jobs: usize, limit: u32) {
    let jobs: Vec<NewJob> = (0..jobs).map(|_| job()).collect();
    fx.enqueue(&jobs).await;
    let now = Some(fx.now());
    let claimed = at_once(20, |number| {
        let store = Arc::clone(if number % 2 == 0 {
            &fx.store
        } else {
            &fx.other
        });
        let worker = format!("worker {number}");
        async move {
            let mut mine = Vec::new();
            loop {
                let claim = Claim {
                    queue: "default",
                    worker: &worker,
                    limit,
                    lease: LEASE,
                    now,
                };
                let claimed = store.claim(claim).await.unwrap();
                if claimed.is_empty() {
                    return mine;
                }
                mine.extend(claimed.iter().map(|job| job.id));
            }
        }
    })
    .await;
    let claims: Vec<JobId> = claimed.into_iter().flatten().collect();
    let distinct: HashSet<JobId> = claims.iter().copied().collect();
    assert_eq!(claims.len(), distinct.len(), "some were claimed twice");
    // A claimer may see nothing while another holds the last rows locked; nothing may be left over
    // once all are done.
    let rest = fx.claim(1000).await;
    assert_eq!(claims.len() + rest.len(), jobs.len());
    assert!(rest.is_empty(), "{} were left for later", rest.len());
}

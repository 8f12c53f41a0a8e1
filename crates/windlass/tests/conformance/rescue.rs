//! A crashed worker's job runs again; one that kills its process is stopped and set aside.

use std::sync::Arc;
use std::time::Duration;

use windlass::JobRecord;
use windlass::model::{AttemptOutcome, NewJob, State};
use windlass::store::{Changed, Rescue, Rescued};

use crate::fixture::{Fixture, LEASE, MAX_CRASHES, at_once, job, job_with};

const MICRO: Duration = Duration::from_micros(1);

pub(crate) async fn waits_until_the_lease_has_expired(fx: &Fixture) {
    let id = fx.add(job()).await;
    fx.claim_one().await;
    fx.advance(LEASE);
    assert_eq!(fx.rescue().await, []);
    assert_eq!(fx.state(id).await, State::Running);
    fx.advance(MICRO);
    assert_eq!(fx.rescue().await.len(), 1);
    assert_eq!(fx.state(id).await, State::Available);
    assert_eq!(fx.rescue().await, []);
}

pub(crate) async fn a_crash_uses_no_attempt_but_is_counted(fx: &Fixture) {
    let id = fx.add(job()).await;
    fx.claim_one().await;
    let before = fx.get(id).await;
    fx.crash().await;
    let after = fx.get(id).await;
    let record = &after.attempts[0];
    assert_eq!(
        (record.attempt, record.claim_no, record.outcome),
        (1, 1, AttemptOutcome::Crashed)
    );
    assert_eq!((&*record.worker, record.ended_at), ("worker", fx.now()));
    assert_eq!(Some(record.started_at), before.claimed_at);
    assert!(record.error.is_some());
    let expected = JobRecord {
        state: State::Available,
        run_at: fx.now(),
        attempt: 0,
        crashes: 1,
        lease_expires_at: None,
        attempts: vec![record.clone()],
        ..before
    };
    assert_eq!(after, expected);
    let claimed = fx.claim_one().await;
    assert_eq!(
        (claimed.attempt, claimed.claim_no, claimed.crashes),
        (1, 2, 1)
    );
}

pub(crate) async fn a_job_that_kills_its_process_is_set_aside(fx: &Fixture) {
    let id = fx.add(job()).await;
    for crashes in 1..=MAX_CRASHES {
        fx.claim_one().await;
        let rescued = fx.crash().await;
        assert_eq!(rescued.len(), 1);
        assert_eq!(rescued[0].crashes, crashes);
        assert_eq!(rescued[0].dead, crashes == MAX_CRASHES);
    }
    let job = fx.get(id).await;
    assert_eq!(
        (job.state, job.finished_at, job.crashes),
        (State::Dead, Some(fx.now()), MAX_CRASHES)
    );
    assert_eq!(job.attempts.len(), usize::from(MAX_CRASHES));
    assert_eq!(fx.claim_ids().await, []);
}

pub(crate) async fn tells_which_job_it_was(fx: &Fixture) {
    let named = job_with(|job| {
        job.kind = "send_report".into();
        job.queue = "reports".into();
    });
    let id = fx.add(named).await;
    fx.claim_from("reports", 1).await;
    let expected = Rescued {
        id,
        kind: "send_report".into(),
        queue: "reports".into(),
        worker: "worker".into(),
        crashes: 1,
        dead: false,
    };
    assert_eq!(fx.crash().await, [expected]);
}

pub(crate) async fn grants_a_wish_to_cancel(fx: &Fixture) {
    let id = fx.add(job()).await;
    fx.claim_one().await;
    let asked = fx.store.cancel(id, None, Some(fx.now())).await.unwrap();
    assert_eq!(asked, Changed::Asked);
    let rescued = fx.crash().await;
    assert!(!rescued[0].dead);
    let job = fx.get(id).await;
    assert_eq!(
        (job.state, job.finished_at, job.cancel_requested_at),
        (State::Cancelled, Some(fx.now()), None)
    );
    assert_eq!(job.attempts[0].outcome, AttemptOutcome::Crashed);
}

pub(crate) async fn takes_the_longest_overdue_first(fx: &Fixture) {
    let mut claimed = Vec::new();
    for _ in 0..4 {
        fx.add(job()).await;
        claimed.push(fx.claim_one().await);
        fx.advance(MICRO);
    }
    // A heartbeat makes the oldest claim the youngest lease.
    fx.heartbeat(&[claimed[0].lease()]).await;
    fx.advance(LEASE + MICRO);
    let taken = async || -> Vec<_> { fx.rescue_some(2).await.iter().map(|r| r.id).collect() };
    assert_eq!(taken().await, [claimed[1].id, claimed[2].id]);
    assert_eq!(taken().await, [claimed[0].id, claimed[3].id]);
    assert_eq!(taken().await, []);
}

pub(crate) async fn leaves_everything_else_alone(fx: &Fixture) {
    let mut jobs = fx.one_in_each_state().await;
    jobs.retain(|(state, _)| *state != State::Running);
    let mut before = Vec::new();
    for (_, id) in &jobs {
        before.push(fx.get(*id).await);
    }
    assert_eq!(fx.crash().await.len(), 1);
    for job in before {
        assert_eq!(fx.get(job.id).await, job);
    }
}

pub(crate) async fn goes_by_the_age_of_no_job(fx: &Fixture) {
    let id = fx.add(job()).await;
    fx.advance(Duration::from_hours(10_000));
    fx.claim_one().await;
    fx.advance(LEASE);
    assert_eq!(fx.rescue().await, []);
    assert_eq!(fx.state(id).await, State::Running);
}

pub(crate) async fn many_at_once_take_each_job_back_once(fx: &Fixture) {
    let jobs: Vec<NewJob> = (0..50).map(|_| job()).collect();
    fx.enqueue(&jobs).await;
    fx.claim(50).await;
    fx.advance(LEASE + MICRO);
    let rescue = Rescue {
        limit: 20,
        max_crashes: MAX_CRASHES,
        now: Some(fx.now()),
    };
    let rescued = at_once(8, |number| {
        let store = Arc::clone(if number % 2 == 0 {
            &fx.store
        } else {
            &fx.other
        });
        async move { store.rescue(rescue).await.unwrap() }
    })
    .await;
    let mut taken: Vec<_> = rescued.iter().flatten().map(|job| job.id).collect();
    // Some may have passed over what another one held locked.
    let mut rest: Vec<_> = fx.rescue().await.iter().map(|job| job.id).collect();
    taken.append(&mut rest);
    taken.sort_unstable();
    assert_eq!(taken, jobs.iter().map(|job| job.id).collect::<Vec<_>>());
    for job in &jobs {
        assert_eq!(fx.get(job.id).await.crashes, 1);
    }
}

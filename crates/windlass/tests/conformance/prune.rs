//! Finished work is kept for its time; nothing unfinished is ever deleted.

use std::time::Duration;

use windlass::model::{Filter, JobId, Page, State, Verdict};
use windlass::store::Prune;

use crate::fixture::{Fixture, job};

const HOUR: Duration = Duration::from_hours(1);
const MICRO: Duration = Duration::from_micros(1);

async fn prune(fx: &Fixture, keep: [Duration; 3], limit: u32) -> u64 {
    let [completed, cancelled, dead] = keep;
    let prune = Prune {
        completed,
        cancelled,
        dead,
        limit,
        now: Some(fx.now()),
    };
    fx.store.prune(prune).await.unwrap()
}

async fn is_there(fx: &Fixture, id: JobId) -> bool {
    let job = fx.store.get(id, None, Some(fx.now())).await.unwrap();
    job.is_some()
}

pub(crate) async fn keeps_a_job_for_its_time_and_no_longer(fx: &Fixture) {
    let id = fx.one_in(State::Completed).await;
    fx.advance(HOUR);
    assert_eq!(prune(fx, [HOUR; 3], 100).await, 0);
    assert!(is_there(fx, id).await);
    fx.advance(MICRO);
    assert_eq!(prune(fx, [HOUR; 3], 100).await, 1);
    assert!(!is_there(fx, id).await);
    let all = (Filter::default(), Page::default());
    let listed = fx
        .store
        .list(&all.0, all.1, Some(fx.now()))
        .await
        .unwrap()
        .jobs;
    assert_eq!(listed, []);
    assert_eq!(prune(fx, [HOUR; 3], 100).await, 0);
}

pub(crate) async fn each_state_has_its_own_time(fx: &Fixture) {
    let states = [State::Completed, State::Cancelled, State::Dead];
    for short in 0..3 {
        let mut jobs = Vec::new();
        for state in states {
            jobs.push(fx.one_in(state).await);
        }
        fx.advance(HOUR);
        let mut keep = [Duration::from_hours(1000); 3];
        keep[short] = Duration::ZERO;
        assert_eq!(prune(fx, keep, 100).await, 1);
        for (n, id) in jobs.iter().enumerate() {
            assert_eq!(is_there(fx, *id).await, n != short);
        }
        fx.advance(HOUR);
        assert_eq!(prune(fx, [Duration::ZERO; 3], 100).await, 2);
    }
}

pub(crate) async fn never_touches_the_unfinished(fx: &Fixture) {
    let jobs = fx.one_in_each_state().await;
    fx.advance(Duration::from_hours(24 * 365 * 20));
    assert_eq!(prune(fx, [Duration::ZERO; 3], 100_000).await, 3);
    for (state, id) in jobs {
        assert_eq!(is_there(fx, id).await, !state.is_finished(), "{state}");
    }
}

pub(crate) async fn a_revived_job_is_unfinished(fx: &Fixture) {
    let id = fx.one_in(State::Dead).await;
    fx.advance(HOUR);
    fx.store.requeue(id, None, Some(fx.now())).await.unwrap();
    fx.advance(HOUR);
    assert_eq!(prune(fx, [Duration::ZERO; 3], 100).await, 0);
    assert!(is_there(fx, id).await);
}

pub(crate) async fn goes_by_the_end_and_not_by_the_enqueue(fx: &Fixture) {
    let id = fx.add(job()).await;
    fx.advance(HOUR * 1000);
    let lease = fx.claim_one().await.lease();
    fx.end(lease, Verdict::Dead).await;
    fx.advance(HOUR);
    assert_eq!(prune(fx, [HOUR; 3], 100).await, 0);
    assert!(is_there(fx, id).await);
}

pub(crate) async fn goes_on_where_the_limit_stopped_it(fx: &Fixture) {
    let old = [State::Completed, State::Dead, State::Cancelled].repeat(3);
    for state in &old {
        fx.one_in(*state).await;
    }
    fx.advance(HOUR * 2);
    let young = fx.one_in(State::Completed).await;
    let mut gone = 0;
    loop {
        let count = prune(fx, [HOUR; 3], 2).await;
        gone += count;
        if count == 0 {
            break;
        }
    }
    assert_eq!(gone, old.len() as u64);
    assert!(is_there(fx, young).await);
}

pub(crate) async fn works_across_many_days(fx: &Fixture) {
    let mut jobs = Vec::new();
    for _ in 0..10 {
        jobs.push(fx.one_in(State::Completed).await);
        fx.advance(HOUR * 24);
    }
    // Nine are at least two days old, of which one is so to the microsecond and stays.
    let gone = prune(fx, [HOUR * 48; 3], 100_000).await;
    assert_eq!(gone, 8);
    for (day, id) in jobs.iter().enumerate() {
        assert_eq!(is_there(fx, *id).await, day >= 8, "day {day}");
    }
}

pub(crate) async fn keeping_for_ever_keeps_for_ever(fx: &Fixture) {
    let id = fx.one_in(State::Completed).await;
    fx.advance(HOUR * 24 * 365);
    assert_eq!(prune(fx, [Duration::MAX; 3], 100).await, 0);
    assert!(is_there(fx, id).await);
}

//! What an operator does with a job's time: another try at a given one, and a snooze.

use std::time::Duration;

use windlass::model::{Audit, AuditFilter, JobId, State, Timestamp, Verdict};
use windlass::store::{Changed, Operate, Operation};
use windlass::{JobRecord, NewJob};

use crate::fixture::{Fixture, job, job_with, just_before};
use crate::flows::{job_of, run, start, steps};
use crate::governed;
use crate::ordering::of;

const HOUR: Duration = Duration::from_hours(1);

async fn give(fx: &Fixture, operation: Operation, id: JobId, at: Timestamp) -> Changed {
    let audit = Audit::new("ada", "job.time", format!("job/{id}"));
    let ids = [id];
    let operate = Operate {
        operation,
        ids: &ids,
        tenant: None,
        args: None,
        run_at: Some(at),
        audit: Some(&audit),
        checkpoint: None,
        now: Some(fx.now()),
    };
    fx.store.operate(operate).await.unwrap()[0]
}

async fn requeue(fx: &Fixture, id: JobId, at: Timestamp) -> Changed {
    give(fx, Operation::Requeue, id, at).await
}

async fn snooze(fx: &Fixture, id: JobId, at: Timestamp) -> Changed {
    give(fx, Operation::Snooze, id, at).await
}

async fn dead(fx: &Fixture, job: NewJob) -> JobId {
    let id = fx.add(job).await;
    let lease = fx.claim_one().await.lease();
    fx.end(lease, Verdict::Dead).await;
    id
}

/// Nobody claims it before its time, and whoever looks then does.
async fn comes_at(fx: &Fixture, queue: &str, id: JobId, at: Timestamp) {
    let wait = at.since(fx.now());
    fx.advance(just_before(wait));
    assert!(fx.claim_from(queue, 10).await.is_empty());
    let due = fx.store.next_due(queue, Some(fx.now())).await.unwrap();
    assert_eq!(due, Some(at.since(fx.now())));
    fx.advance(at.since(fx.now()));
    let claimed = fx.claim_from(queue, 10).await;
    assert_eq!(crate::fixture::ids(&claimed), [id]);
}

pub(crate) async fn a_finished_job_is_tried_again_at_its_time(fx: &Fixture) {
    for verdict in [
        Verdict::Complete { result: None },
        Verdict::Cancel,
        Verdict::Dead,
    ] {
        let id = fx.add(job()).await;
        let lease = fx.claim_one().await.lease();
        fx.end(lease, verdict).await;
        let before = fx.get(id).await;
        let at = fx.now() + HOUR;
        assert_eq!(requeue(fx, id, at).await, Changed::Done);
        let expected = JobRecord {
            state: State::Scheduled,
            run_at: at,
            attempt: 0,
            finished_at: None,
            ..before
        };
        assert_eq!(fx.get(id).await, expected);
        comes_at(fx, "default", id, at).await;
    }
}

pub(crate) async fn an_unfinished_job_is_snoozed_and_keeps_its_attempts(fx: &Fixture) {
    for state in [State::Scheduled, State::Retryable, State::Available] {
        let id = fx.one_in(state).await;
        let before = fx.get(id).await;
        let at = fx.now() + HOUR * 3;
        assert_eq!(snooze(fx, id, at).await, Changed::Done, "{state}");
        let state = if state == State::Retryable {
            State::Retryable
        } else {
            State::Scheduled
        };
        let expected = JobRecord {
            state,
            run_at: at,
            ..before.clone()
        };
        assert_eq!(fx.get(id).await, expected);
        // Earlier again: whoever claimed others meanwhile has not passed it by.
        let at = fx.now() + HOUR;
        assert_eq!(snooze(fx, id, at).await, Changed::Done);
        comes_at(fx, &before.queue, id, at).await;
    }
}

pub(crate) async fn a_snooze_refuses_what_does_not_wait_for_a_time(fx: &Fixture) {
    for (state, id) in fx.one_in_each_state().await {
        let waits = matches!(
            state,
            State::Scheduled | State::Retryable | State::Available
        );
        if waits {
            continue;
        }
        let before = fx.get(id).await;
        let changed = snooze(fx, id, fx.now() + HOUR).await;
        assert_eq!(changed, Changed::Refused(state));
        assert_eq!(fx.get(id).await, before);
    }
    let unknown = job().id;
    let changed = snooze(fx, unknown, fx.now() + HOUR).await;
    assert_eq!(changed, Changed::NotFound);
}

pub(crate) async fn a_snoozed_job_is_found_after_others_were_claimed(fx: &Fixture) {
    let id = fx.add(job()).await;
    assert_eq!(
        snooze(fx, id, fx.now() + Duration::from_secs(5)).await,
        Changed::Done
    );
    for _ in 0..20 {
        fx.advance(Duration::from_secs(10));
        let other = fx.add(job_with(|job| job.priority = 0)).await;
        let claimed = fx.claim(1).await;
        assert_eq!(crate::fixture::ids(&claimed), [other]);
        assert_eq!(
            snooze(fx, id, fx.now() + Duration::from_secs(5)).await,
            Changed::Done
        );
    }
    comes_at(fx, "default", id, fx.now() + Duration::from_secs(5)).await;
}

pub(crate) async fn an_ordered_job_keeps_its_line_waiting(fx: &Fixture) {
    let first = dead(fx, of("k")).await;
    let at = fx.now() + HOUR;
    assert_eq!(requeue(fx, first, at).await, Changed::Done);
    assert_eq!(fx.state(first).await, State::Scheduled);
    fx.advance(Duration::from_secs(1));
    let second = fx.add(of("k")).await;
    assert_eq!(fx.state(second).await, State::Waiting);
    let changed = snooze(fx, second, at).await;
    assert_eq!(changed, Changed::Refused(State::Waiting));
    comes_at(fx, "default", first, at).await;
}

pub(crate) async fn an_ordered_job_waits_for_its_line_and_its_time(fx: &Fixture) {
    let first = dead(fx, of("k")).await;
    fx.advance(Duration::from_secs(1));
    let second = fx.add(of("k")).await;
    let at = fx.now() + HOUR;
    assert_eq!(requeue(fx, first, at).await, Changed::Done);
    assert_eq!(fx.state(first).await, State::Waiting);
    let claimed = fx.claim_one().await;
    assert_eq!(claimed.id, second);
    fx.complete(claimed.lease()).await;
    assert_eq!(fx.state(first).await, State::Scheduled);
    comes_at(fx, "default", first, at).await;
}

pub(crate) async fn a_governed_job_comes_at_its_time(fx: &Fixture) {
    let mut allotter = governed::free();
    assert!(governed::drain(fx, &mut allotter).await.is_empty());
    let (snoozed, again) = (fx.add(job()).await, fx.add(job()).await);
    let at = fx.now() + HOUR;
    assert_eq!(snooze(fx, snoozed, at).await, Changed::Done);
    let jobs = governed::drain(fx, &mut allotter).await;
    assert_eq!(crate::fixture::ids(&jobs), [again]);
    fx.end(jobs[0].lease(), Verdict::Dead).await;
    assert_eq!(requeue(fx, again, at).await, Changed::Done);
    fx.advance(just_before(HOUR));
    assert!(governed::drain(fx, &mut allotter).await.is_empty());
    fx.advance(at.since(fx.now()));
    let mut back = crate::fixture::ids(&governed::drain(fx, &mut allotter).await);
    back.sort_unstable();
    assert_eq!(back, [snoozed, again]);
}

pub(crate) async fn a_step_is_tried_again_at_its_time(fx: &Fixture) {
    let flow = steps(["a", "b"]).after(["a"]);
    start(fx, &flow).await;
    run(fx, "a", Verdict::Dead).await;
    let (step, at) = (job_of(&flow, "a"), fx.now() + HOUR);
    assert_eq!(requeue(fx, step, at).await, Changed::Done);
    let record = fx.get(step).await;
    assert_eq!((record.state, record.run_at), (State::Scheduled, at));
    comes_at(fx, &record.queue, step, at).await;
}

pub(crate) async fn the_log_tells_the_time(fx: &Fixture) {
    let id = dead(fx, job()).await;
    let at = fx.now() + HOUR;
    requeue(fx, id, at).await;
    snooze(fx, id, at + HOUR).await;
    let log = fx.store.audit(&AuditFilter::default(), None, 10).await;
    let after: Vec<String> = log
        .unwrap()
        .into_iter()
        .map(|entry| entry.audit.after.unwrap().as_str().to_owned())
        .collect();
    let later = at + HOUR;
    let expected = [
        format!(r#"{{"state":"waits","run_at":"{later}"}}"#),
        format!(r#"{{"state":"scheduled","run_at":"{at}"}}"#),
    ];
    assert_eq!(after, expected);
}

//! Each attempt has exactly one recorded outcome, and only the current lease may record it.

use std::sync::Arc;
use std::time::Duration;

use windlass::model::{
    AttemptError, AttemptOutcome, AttemptRecord, ClaimedJob, Conflict, Finish, JobId, Lease,
    MAX_ATTEMPT_RECORDS, Recorded, RunAt, State, Unique, Verdict,
};
use windlass::store::Changed;
use windlass::{JobRecord, NewJob};

use crate::fixture::{Fixture, LEASE, at_once, ended, job, job_with, json};

const SECOND: Duration = Duration::from_secs(1);

/// A job that runs since a second ago.
async fn running(fx: &Fixture) -> (JobRecord, Lease) {
    let id = fx.add(job()).await;
    let lease = fx.claim_one().await.lease();
    let job = fx.get(id).await;
    fx.advance(SECOND);
    (job, lease)
}

/// What the only attempt of such a job left behind.
fn first_attempt(fx: &Fixture, outcome: AttemptOutcome) -> AttemptRecord {
    AttemptRecord {
        attempt: 1,
        claim_no: 1,
        worker: "worker".into(),
        started_at: fx.now().minus(SECOND),
        ended_at: fx.now(),
        outcome,
        error: None,
    }
}

pub(crate) async fn complete_records_the_result(fx: &Fixture) {
    let (before, lease) = running(fx).await;
    let result = Some(json(r#"{"n": 12345678901234567890123, "z":"\u0000"}"#));
    let verdict = Verdict::Complete {
        result: result.clone(),
    };
    fx.end(lease, verdict).await;
    let expected = JobRecord {
        state: State::Completed,
        result,
        finished_at: Some(fx.now()),
        lease_expires_at: None,
        ..before
    };
    let job = fx.get(before.id).await;
    assert_eq!(job, expected);
    let attempts = [first_attempt(fx, AttemptOutcome::Completed)];
    assert_eq!(job.all_attempts(), attempts);
}

pub(crate) async fn complete_needs_no_result(fx: &Fixture) {
    let (before, lease) = running(fx).await;
    fx.complete(lease).await;
    let job = fx.get(before.id).await;
    assert_eq!((job.state, job.result), (State::Completed, None));
}

pub(crate) async fn a_null_result_is_a_result(fx: &Fixture) {
    let (before, lease) = running(fx).await;
    let result = Some(json("null"));
    fx.end(lease, Verdict::Complete { result }).await;
    assert_eq!(fx.get(before.id).await.result, Some(json("null")));
}

pub(crate) async fn retry_uses_the_attempt(fx: &Fixture) {
    let (before, lease) = running(fx).await;
    let at = fx.now() + SECOND;
    fx.end(lease, Verdict::Retry { at }).await;
    let expected = JobRecord {
        state: State::Retryable,
        run_at: at,
        attempt: 1,
        lease_expires_at: None,
        attempts: vec![first_attempt(fx, AttemptOutcome::Failed)],
        ..before
    };
    assert_eq!(fx.get(before.id).await, expected);
}

pub(crate) async fn a_retry_at_once_is_available(fx: &Fixture) {
    let (before, lease) = running(fx).await;
    let at = fx.now();
    fx.end(lease, Verdict::Retry { at }).await;
    assert_eq!(fx.state(before.id).await, State::Available);
    assert_eq!(fx.claim_one().await.attempt, 2);
}

pub(crate) async fn snooze_gives_the_attempt_back(fx: &Fixture) {
    let (before, lease) = running(fx).await;
    let until = fx.now() + SECOND;
    fx.end(lease, Verdict::Snooze { until }).await;
    let expected = JobRecord {
        state: State::Scheduled,
        run_at: until,
        attempt: 0,
        lease_expires_at: None,
        attempts: vec![first_attempt(fx, AttemptOutcome::Snoozed)],
        ..before
    };
    assert_eq!(fx.get(before.id).await, expected);
    fx.advance(SECOND);
    let claimed = fx.claim_one().await;
    assert_eq!((claimed.attempt, claimed.claim_no), (1, 2));
}

pub(crate) async fn release_gives_back_attempt_and_place(fx: &Fixture) {
    let (before, lease) = running(fx).await;
    let second = fx.add(job()).await;
    fx.end(lease, Verdict::Release).await;
    let expected = JobRecord {
        state: State::Available,
        attempt: 0,
        lease_expires_at: None,
        attempts: vec![first_attempt(fx, AttemptOutcome::Released)],
        ..before
    };
    assert_eq!(fx.get(expected.id).await, expected);
    assert_eq!(fx.claim_ids().await, [expected.id, second]);
}

pub(crate) async fn cancel_and_dead_finish_the_job(fx: &Fixture) {
    for (verdict, state, outcome) in [
        (Verdict::Cancel, State::Cancelled, AttemptOutcome::Cancelled),
        (Verdict::Dead, State::Dead, AttemptOutcome::Failed),
    ] {
        let (before, lease) = running(fx).await;
        fx.end(lease, verdict).await;
        let expected = JobRecord {
            state,
            finished_at: Some(fx.now()),
            lease_expires_at: None,
            attempts: vec![first_attempt(fx, outcome)],
            ..before
        };
        assert_eq!(fx.get(expected.id).await, expected);
    }
    assert_eq!(fx.claim_ids().await, []);
}

pub(crate) async fn an_outcome_and_its_error_are_kept_as_told(fx: &Fixture) {
    let outcomes = [
        AttemptOutcome::Failed,
        AttemptOutcome::Panicked,
        AttemptOutcome::TimedOut,
        AttemptOutcome::Discarded,
        AttemptOutcome::Cancelled,
    ];
    for outcome in outcomes {
        let (before, lease) = running(fx).await;
        let error = AttemptError::new("boom 💥 'quoted' \\ {}")
            .with_chain(["outer", "inner"])
            .with_backtrace("at main.rs:1\nat main.rs:2");
        let finish = Finish {
            outcome,
            error: Some(error.clone()),
            ..ended(lease, Verdict::Dead)
        };
        assert_eq!(fx.finish(finish).await, Recorded::Yes);
        let kept = &fx.get(before.id).await.attempts;
        assert_eq!(kept.len(), 1);
        assert_eq!(
            (kept[0].outcome, kept[0].error.as_ref()),
            (outcome, Some(&error))
        );
    }
}

pub(crate) async fn a_dead_job_keeps_the_history_of_all_its_attempts(fx: &Fixture) {
    let id = fx.add(job_with(|job| job.max_attempts = 3)).await;
    for attempt in 1..=3 {
        let claimed = fx.claim_one().await;
        assert_eq!((claimed.attempt, claimed.max_attempts), (attempt, 3));
        fx.advance(SECOND);
        let at = fx.now();
        let verdict = if attempt < 3 {
            Verdict::Retry { at }
        } else {
            Verdict::Dead
        };
        let finish = Finish {
            error: Some(AttemptError::new(format!("failure {attempt}"))),
            ..ended(claimed.lease(), verdict)
        };
        assert_eq!(fx.finish(finish).await, Recorded::Yes);
    }
    let job = fx.get(id).await;
    assert_eq!((job.state, job.attempt), (State::Dead, 3));
    let told: Vec<_> = job
        .attempts
        .iter()
        .map(|a| (a.attempt, a.claim_no, a.error.clone().unwrap().message))
        .collect();
    assert_eq!(
        told,
        [
            (1, 1, "failure 1".to_owned()),
            (2, 2, "failure 2".to_owned()),
            (3, 3, "failure 3".to_owned()),
        ]
    );
    assert_eq!(fx.claim_ids().await, []);
}

pub(crate) async fn history_keeps_the_first_and_the_newest(fx: &Fixture) {
    let id = fx.add(job()).await;
    let most = i64::try_from(MAX_ATTEMPT_RECORDS).unwrap();
    for claim_no in 1..=most + 5 {
        let claimed = fx.claim_one().await;
        assert_eq!(claimed.claim_no, claim_no);
        let until = fx.now();
        fx.end(claimed.lease(), Verdict::Snooze { until }).await;
    }
    let kept: Vec<i64> = fx
        .get(id)
        .await
        .attempts
        .iter()
        .map(|a| a.claim_no)
        .collect();
    let expected: Vec<i64> = std::iter::once(1).chain(7..=most + 5).collect();
    assert_eq!(kept, expected);
}

/// Nothing under the stale lease may change anything.
async fn is_fenced(fx: &Fixture, stale: Lease) {
    let before = fx.get(stale.job).await;
    let at = fx.now();
    for verdict in [
        Verdict::Complete {
            result: Some(json("1")),
        },
        Verdict::Retry { at },
        Verdict::Snooze { until: at },
        Verdict::Release,
        Verdict::Cancel,
        Verdict::Dead,
    ] {
        let recorded = fx.finish(ended(stale, verdict)).await;
        assert_eq!(recorded, Recorded::LeaseLost);
    }
    let progress = fx.store.progress(stale, &json("1")).await.unwrap();
    assert_eq!(progress, Recorded::LeaseLost);
    assert_eq!(fx.get(stale.job).await, before);
}

pub(crate) async fn a_rescued_job_is_fenced(fx: &Fixture) {
    let (_, stale) = running(fx).await;
    fx.crash().await;
    is_fenced(fx, stale).await;
    let claimed = fx.claim_one().await;
    assert_eq!(claimed.attempt, 1, "a crash uses no attempt");
    is_fenced(fx, stale).await;
    fx.complete(claimed.lease()).await;
    is_fenced(fx, stale).await;
}

pub(crate) async fn a_snoozed_and_reclaimed_job_is_fenced(fx: &Fixture) {
    let (_, stale) = running(fx).await;
    let until = fx.now();
    fx.end(stale, Verdict::Snooze { until }).await;
    is_fenced(fx, stale).await;
    let claimed = fx.claim_one().await;
    assert_eq!((claimed.attempt, claimed.claim_no), (1, 2));
    is_fenced(fx, stale).await;
}

pub(crate) async fn a_finished_job_is_fenced(fx: &Fixture) {
    for verdict in [
        Verdict::Complete { result: None },
        Verdict::Cancel,
        Verdict::Dead,
    ] {
        let (_, lease) = running(fx).await;
        fx.end(lease, verdict).await;
        is_fenced(fx, lease).await;
    }
}

pub(crate) async fn a_revived_job_is_fenced(fx: &Fixture) {
    let (before, stale) = running(fx).await;
    fx.complete(stale).await;
    let now = Some(fx.now());
    fx.store.requeue(before.id, None, now).await.unwrap();
    is_fenced(fx, stale).await;
    let claimed = fx.claim_one().await;
    assert_eq!(claimed.claim_no, 2);
    is_fenced(fx, stale).await;
}

pub(crate) async fn a_lease_that_was_never_given_is_fenced(fx: &Fixture) {
    let job = fx.add(job()).await;
    is_fenced(fx, Lease { job, claim_no: 0 }).await;
    is_fenced(fx, Lease { job, claim_no: 1 }).await;
    fx.claim_one().await;
    is_fenced(fx, Lease { job, claim_no: 0 }).await;
    is_fenced(fx, Lease { job, claim_no: 2 }).await;
}

pub(crate) async fn an_unknown_job_has_no_lease(fx: &Fixture) {
    let (job, claim_no) = (job().id, 1);
    let lease = Lease { job, claim_no };
    assert_eq!(
        fx.finish(Finish::complete(lease, None)).await,
        Recorded::LeaseLost
    );
    let progress = fx.store.progress(lease, &json("1")).await.unwrap();
    assert_eq!(progress, Recorded::LeaseLost);
}

pub(crate) async fn an_expired_lease_counts_until_it_is_taken_back(fx: &Fixture) {
    let (before, lease) = running(fx).await;
    fx.advance(LEASE * 10);
    fx.complete(lease).await;
    assert_eq!(fx.state(before.id).await, State::Completed);
    assert_eq!(fx.rescue().await, []);
}

pub(crate) async fn of_two_ends_in_one_call_the_first_counts(fx: &Fixture) {
    let (before, lease) = running(fx).await;
    let answers = fx
        .finish_all(&[
            ended(lease, Verdict::Dead),
            Finish::complete(lease, Some(json("1"))),
            ended(lease, Verdict::Release),
        ])
        .await;
    assert_eq!(
        answers,
        [Recorded::Yes, Recorded::LeaseLost, Recorded::LeaseLost]
    );
    let job = fx.get(before.id).await;
    assert_eq!((job.state, job.attempts.len()), (State::Dead, 1));
}

pub(crate) async fn a_stale_end_in_the_same_call_does_not_stand_in_the_way(fx: &Fixture) {
    let (before, stale) = running(fx).await;
    fx.crash().await;
    let current = fx.claim_one().await.lease();
    let result = Some(json("1"));
    let ends = [
        Finish::complete(stale, None),
        Finish::complete(current, result.clone()),
        ended(stale, Verdict::Dead),
    ];
    assert_eq!(
        fx.finish_all(&ends).await,
        [Recorded::LeaseLost, Recorded::Yes, Recorded::LeaseLost]
    );
    let job = fx.get(before.id).await;
    assert_eq!((job.state, job.result), (State::Completed, result));
}

pub(crate) async fn one_call_may_end_jobs_in_every_way(fx: &Fixture) {
    let jobs: Vec<NewJob> = (0..7).map(|_| job()).collect();
    fx.enqueue(&jobs).await;
    let claimed = fx.claim(7).await;
    let later = fx.now() + SECOND;
    let stale = Lease {
        job: jobs[6].id,
        claim_no: 9,
    };
    let finishes = [
        ended(claimed[5].lease(), Verdict::Dead),
        Finish::complete(claimed[0].lease(), Some(json("0"))),
        Finish::complete(stale, None),
        ended(claimed[1].lease(), Verdict::Retry { at: later }),
        ended(claimed[2].lease(), Verdict::Snooze { until: later }),
        Finish::release(claimed[3].lease()),
        ended(claimed[4].lease(), Verdict::Cancel),
    ];
    let answers = fx.finish_all(&finishes).await;
    let mut expected = [Recorded::Yes; 7];
    expected[2] = Recorded::LeaseLost;
    assert_eq!(answers, expected);
    let mut states = Vec::new();
    for job in &jobs {
        states.push(fx.state(job.id).await);
    }
    assert_eq!(
        states,
        [
            State::Completed,
            State::Retryable,
            State::Scheduled,
            State::Available,
            State::Cancelled,
            State::Dead,
            State::Running,
        ]
    );
}

pub(crate) async fn a_thousand_ends_in_one_call(fx: &Fixture) {
    let jobs: Vec<NewJob> = (0..1000).map(|_| job()).collect();
    fx.enqueue(&jobs).await;
    let claimed = fx.claim(1000).await;
    let finishes: Vec<Finish> = claimed
        .iter()
        .enumerate()
        .map(|(n, job)| Finish::complete(job.lease(), Some(json(&n.to_string()))))
        .collect();
    assert_eq!(fx.finish_all(&finishes).await, [Recorded::Yes; 1000]);
    for n in [0, 1, 500, 999] {
        let result = fx.get(jobs[n].id).await.result;
        assert_eq!(result, Some(json(&n.to_string())));
    }
}

pub(crate) async fn no_ends_are_no_fault(fx: &Fixture) {
    assert_eq!(fx.finish_all(&[]).await, []);
}

pub(crate) async fn of_twenty_ends_at_once_one_counts(fx: &Fixture) {
    for _ in 0..5 {
        let (before, lease) = running(fx).await;
        let now = Some(fx.now());
        let answers = at_once(20, |number| {
            let store = Arc::clone(if number % 2 == 0 {
                &fx.store
            } else {
                &fx.other
            });
            let finish = Finish::complete(lease, Some(json(&number.to_string())));
            async move { (number, store.finish(&[finish], now).await.unwrap()[0]) }
        })
        .await;
        let counted: Vec<_> = answers
            .iter()
            .filter(|(_, recorded)| *recorded == Recorded::Yes)
            .collect();
        assert_eq!(counted.len(), 1);
        let result = fx.get(before.id).await.result;
        assert_eq!(result, Some(json(&counted[0].0.to_string())));
    }
}

pub(crate) async fn a_wish_to_cancel_ends_with_the_attempt(fx: &Fixture) {
    let (before, lease) = running(fx).await;
    fx.store
        .cancel(before.id, None, Some(fx.now()))
        .await
        .unwrap();
    assert!(fx.get(before.id).await.cancel_requested_at.is_some());
    fx.end(lease, Verdict::Cancel).await;
    let job = fx.get(before.id).await;
    assert_eq!(
        (job.state, job.cancel_requested_at),
        (State::Cancelled, None)
    );
}

pub(crate) async fn a_wish_to_cancel_outlives_every_way_to_come_back(fx: &Fixture) {
    let later = fx.now() + SECOND * 60;
    for (verdict, attempt) in [
        (Verdict::Retry { at: later }, 1),
        (Verdict::Snooze { until: later }, 0),
        (Verdict::Release, 0),
    ] {
        let (before, lease) = running(fx).await;
        let wish = fx.store.cancel(before.id, None, Some(fx.now())).await;
        assert_eq!(wish.unwrap(), Changed::Asked);
        let finish = ended(lease, verdict.clone());
        let outcome = finish.outcome;
        assert_eq!(
            fx.finish(finish.clone()).await,
            Recorded::Yes,
            "{verdict:?}"
        );
        let expected = JobRecord {
            state: State::Cancelled,
            attempt,
            finished_at: Some(fx.now()),
            lease_expires_at: None,
            attempts: vec![first_attempt(fx, outcome)],
            ..before.clone()
        };
        assert_eq!(fx.get(before.id).await, expected, "{verdict:?}");
        assert_eq!(fx.finish(finish).await, Recorded::LeaseLost);
    }
}

pub(crate) async fn a_wish_to_cancel_undoes_no_success_and_no_death(fx: &Fixture) {
    for (verdict, state) in [
        (Verdict::Complete { result: None }, State::Completed),
        (Verdict::Dead, State::Dead),
    ] {
        let (before, lease) = running(fx).await;
        let wish = fx.store.cancel(before.id, None, Some(fx.now())).await;
        assert_eq!(wish.unwrap(), Changed::Asked);
        fx.end(lease, verdict).await;
        assert_eq!(fx.state(before.id).await, state);
    }
}

pub(crate) async fn what_is_cancelled_on_its_way_back_frees_its_line_and_key(fx: &Fixture) {
    let ordered = || {
        job_with(|job| {
            job.ordering_key = Some("line".into());
            job.unique = Some(Unique {
                key: "key".into(),
                window: None,
                conflict: Conflict::Reject,
            });
        })
    };
    let first = fx.add(ordered()).await;
    let second = fx
        .add(NewJob {
            unique: None,
            ..ordered()
        })
        .await;
    // It comes back in the same call, as nobody asked it to stop.
    let other = fx.add(job()).await;
    let leases: Vec<Lease> = fx.claim(10).await.iter().map(ClaimedJob::lease).collect();
    assert_eq!(leases.len(), 2);
    let wish = fx.store.cancel(first, None, Some(fx.now())).await;
    assert_eq!(wish.unwrap(), Changed::Asked);
    let released: Vec<Finish> = leases
        .iter()
        .map(|lease| ended(*lease, Verdict::Release))
        .collect();
    assert_eq!(fx.finish_all(&released).await, [Recorded::Yes; 2]);
    assert_eq!(fx.state(first).await, State::Cancelled);
    assert_eq!(fx.state(other).await, State::Available);
    assert_eq!(fx.state(second).await, State::Available);
    fx.add(NewJob {
        ordering_key: None,
        ..ordered()
    })
    .await;
}

pub(crate) async fn progress_is_kept_with_the_job(fx: &Fixture) {
    let (before, lease) = running(fx).await;
    for progress in [json("[1,3]"), json(r#"{"done": 2.50}"#)] {
        let recorded = fx.store.progress(lease, &progress).await.unwrap();
        assert_eq!(recorded, Recorded::Yes);
        assert_eq!(fx.get(before.id).await.progress, Some(progress));
    }
    fx.complete(lease).await;
    let progress = fx.get(before.id).await.progress;
    assert_eq!(progress, Some(json(r#"{"done": 2.50}"#)));
}

pub(crate) async fn a_mebibyte_of_result_comes_back(fx: &Fixture) {
    let (before, lease) = running(fx).await;
    let result = json(&format!("\"{}\"", "x".repeat(1024 * 1024 - 2)));
    let verdict = Verdict::Complete {
        result: Some(result.clone()),
    };
    fx.end(lease, verdict).await;
    assert!(fx.get(before.id).await.result == Some(result));
}

pub(crate) async fn a_finished_job_keeps_what_it_was(fx: &Fixture) {
    let job = job_with(|job| {
        job.args = json(r#"{"n":1.0}"#);
        job.priority = 1;
        job.run_at = RunAt::In(SECOND);
        job.tags = vec!["a".into(), "b".into()];
        job.tenant_id = Some("acme".into());
        job.correlation_id = Some("c".into());
        job.trace_parent = Some("t".into());
        job.ordering_key = Some("o".into());
        job.unique = Some(Unique {
            key: "u".into(),
            window: Some(SECOND),
            conflict: Conflict::Reject,
        });
    });
    let id: JobId = fx.add(job).await;
    let before = fx.get(id).await;
    fx.advance(SECOND);
    let claimed_at = Some(fx.now());
    let lease = fx.claim_one().await.lease();
    fx.complete(lease).await;
    let expected = JobRecord {
        state: State::Completed,
        attempt: 1,
        claim_no: 1,
        worker: Some("worker".into()),
        claimed_at,
        finished_at: claimed_at,
        ..before
    };
    assert_eq!(fx.get(id).await, expected);
}

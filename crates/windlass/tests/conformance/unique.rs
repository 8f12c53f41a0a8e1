//! At most one job per key, while it is unfinished and for its window, under any concurrency.

use std::sync::Arc;
use std::time::Duration;

use windlass::NewJob;
use windlass::model::{Conflict, Enqueued, JobId, RunAt, State, Unique, Verdict};
use windlass::store::{Changed, Prune};

use crate::fixture::{Fixture, at_once, job_with, json, just_before};

const HOUR: Duration = Duration::from_hours(1);

fn unique(conflict: Conflict) -> NewJob {
    job_with(|job| {
        job.unique = Some(Unique {
            key: "k".into(),
            window: None,
            conflict,
        });
    })
}

fn windowed(window: Duration) -> NewJob {
    let mut job = unique(Conflict::ReturnExisting);
    job.unique.as_mut().unwrap().window = Some(window);
    job
}

async fn second(fx: &Fixture) -> Enqueued {
    fx.enqueue_one(unique(Conflict::ReturnExisting)).await
}

pub(crate) async fn a_key_is_held_in_every_unfinished_state(fx: &Fixture) {
    let mut first = unique(Conflict::ReturnExisting);
    first.run_at = RunAt::In(HOUR);
    let id = fx.add(first).await;
    assert_eq!(fx.state(id).await, State::Scheduled);
    assert_eq!(second(fx).await, Enqueued::Duplicate(id));
    fx.advance(HOUR);
    assert_eq!(fx.state(id).await, State::Available);
    assert_eq!(second(fx).await, Enqueued::Duplicate(id));
    let claimed = fx.claim_one().await;
    assert_eq!(second(fx).await, Enqueued::Duplicate(id));
    let at = fx.now() + HOUR;
    fx.end(claimed.lease(), Verdict::Retry { at }).await;
    assert_eq!(fx.state(id).await, State::Retryable);
    assert_eq!(second(fx).await, Enqueued::Duplicate(id));
}

pub(crate) async fn a_waiting_job_holds_its_key(fx: &Fixture) {
    let in_line = |job: NewJob| NewJob {
        ordering_key: Some("line".into()),
        ..job
    };
    fx.add(in_line(crate::fixture::job())).await;
    let id = fx.add(in_line(unique(Conflict::ReturnExisting))).await;
    assert_eq!(fx.state(id).await, State::Waiting);
    assert_eq!(second(fx).await, Enqueued::Duplicate(id));
}

pub(crate) async fn a_key_is_free_however_its_job_finished(fx: &Fixture) {
    for verdict in [
        Verdict::Complete { result: None },
        Verdict::Cancel,
        Verdict::Dead,
    ] {
        fx.add(unique(Conflict::Reject)).await;
        let lease = fx.claim_one().await.lease();
        fx.end(lease, verdict).await;
    }
    let id = fx.add(unique(Conflict::Reject)).await;
    let now = Some(fx.now());
    assert_eq!(fx.store.cancel(id, None, now).await.unwrap(), Changed::Done);
    let id = fx.add(unique(Conflict::Reject)).await;
    assert_eq!(
        fx.store.discard(id, None, now).await.unwrap(),
        Changed::Done
    );
    fx.add(unique(Conflict::Reject)).await;
}

pub(crate) async fn a_window_outlasts_its_job_to_the_microsecond(fx: &Fixture) {
    let id = fx.add(windowed(HOUR)).await;
    let lease = fx.claim_one().await.lease();
    fx.complete(lease).await;
    fx.advance(just_before(HOUR));
    assert_eq!(second(fx).await, Enqueued::Duplicate(id));
    fx.advance(Duration::from_micros(1));
    assert!(second(fx).await.is_inserted());
}

pub(crate) async fn a_window_that_ends_frees_no_unfinished_job(fx: &Fixture) {
    let id = fx.add(windowed(HOUR)).await;
    fx.advance(HOUR * 2);
    fx.store.maintain(Some(fx.now())).await.unwrap();
    assert_eq!(second(fx).await, Enqueued::Duplicate(id));
}

pub(crate) async fn a_window_outlasts_even_retention(fx: &Fixture) {
    let id = fx.add(windowed(HOUR)).await;
    let lease = fx.claim_one().await.lease();
    fx.complete(lease).await;
    fx.advance(HOUR / 2);
    let prune = Prune {
        completed: Duration::ZERO,
        cancelled: Duration::ZERO,
        dead: Duration::ZERO,
        limit: 100,
        now: Some(fx.now()),
    };
    assert_eq!(fx.store.prune(prune).await.unwrap(), 1);
    assert_eq!(second(fx).await, Enqueued::Duplicate(id));
    fx.advance(HOUR / 2);
    assert!(second(fx).await.is_inserted());
}

pub(crate) async fn kinds_and_tenants_have_their_own_keys(fx: &Fixture) {
    let key = || unique(Conflict::Reject);
    fx.add(key()).await;
    let kind = "other".to_owned();
    fx.add(NewJob { kind, ..key() }).await;
    for tenant in ["a", "b"] {
        let tenant_id = Some(tenant.to_owned());
        fx.add(NewJob { tenant_id, ..key() }).await;
    }
}

pub(crate) async fn queues_share_keys(fx: &Fixture) {
    let id = fx.add(unique(Conflict::Reject)).await;
    let elsewhere = NewJob {
        queue: "elsewhere".into(),
        ..unique(Conflict::Reject)
    };
    assert_eq!(fx.enqueue_one(elsewhere).await, Enqueued::Rejected(id));
}

pub(crate) async fn keys_are_told_apart_to_the_letter(fx: &Fixture) {
    for key in ["k", "K", "k ", "%", "_", "ｋ", "é", "e\u{301}"] {
        let mut job = unique(Conflict::Reject);
        job.unique.as_mut().unwrap().key = key.into();
        fx.add(job).await;
    }
}

pub(crate) async fn return_existing_leaves_the_holder_alone(fx: &Fixture) {
    let id = fx.add(unique(Conflict::ReturnExisting)).await;
    let before = fx.get(id).await;
    let newer = NewJob {
        args: json("[2]"),
        priority: 0,
        ..unique(Conflict::ReturnExisting)
    };
    let newer_id = newer.id;
    assert_eq!(fx.enqueue_one(newer).await, Enqueued::Duplicate(id));
    assert_eq!(fx.get(id).await, before);
    let newer = fx.store.get(newer_id, None, Some(fx.now())).await.unwrap();
    assert_eq!(newer, None);
}

pub(crate) async fn reject_names_the_holder(fx: &Fixture) {
    let id = fx.add(unique(Conflict::Reject)).await;
    let before = fx.get(id).await;
    let answer = fx.enqueue_one(unique(Conflict::Reject)).await;
    assert_eq!(answer, Enqueued::Rejected(id));
    assert_eq!(fx.get(id).await, before);
}

pub(crate) async fn the_newer_job_says_what_a_conflict_means(fx: &Fixture) {
    let id = fx.add(unique(Conflict::Reject)).await;
    let answer = fx.enqueue_one(unique(Conflict::ReturnExisting)).await;
    assert_eq!(answer, Enqueued::Duplicate(id));
    let answer = fx.enqueue_one(unique(Conflict::Replace)).await;
    assert_eq!(answer, Enqueued::Replaced(id));
}

pub(crate) async fn replace_gives_the_holder_new_args_priority_and_time(fx: &Fixture) {
    let id = fx.add(unique(Conflict::Replace)).await;
    let before = fx.get(id).await;
    fx.advance(HOUR);
    let newer = NewJob {
        args: json("[2]"),
        priority: 1,
        run_at: RunAt::In(HOUR),
        max_attempts: 99,
        queue: "elsewhere".into(),
        tags: vec!["new".into()],
        ..unique(Conflict::Replace)
    };
    assert_eq!(fx.enqueue_one(newer).await, Enqueued::Replaced(id));
    let expected = windlass::JobRecord {
        args: json("[2]"),
        priority: 1,
        run_at: fx.now() + HOUR,
        state: State::Scheduled,
        ..before
    };
    assert_eq!(fx.get(id).await, expected);
    assert_eq!(fx.claim_ids().await, []);
}

pub(crate) async fn replace_can_make_a_later_job_due(fx: &Fixture) {
    let mut first = unique(Conflict::Replace);
    first.run_at = RunAt::In(HOUR);
    let id = fx.add(first).await;
    let answer = fx.enqueue_one(unique(Conflict::Replace)).await;
    assert_eq!(answer, Enqueued::Replaced(id));
    assert_eq!(fx.state(id).await, State::Available);
    assert_eq!(fx.claim_ids().await, [id]);
}

pub(crate) async fn replace_keeps_the_attempts_of_a_retryable_job(fx: &Fixture) {
    let id = fx.add(unique(Conflict::Replace)).await;
    let at = fx.now() + HOUR;
    let lease = fx.claim_one().await.lease();
    fx.end(lease, Verdict::Retry { at }).await;
    let mut newer = unique(Conflict::Replace);
    newer.run_at = RunAt::In(HOUR / 2);
    assert_eq!(fx.enqueue_one(newer).await, Enqueued::Replaced(id));
    let job = fx.get(id).await;
    assert_eq!((job.attempt, job.attempts.len()), (1, 1));
    assert_eq!(job.state, State::Scheduled);
}

pub(crate) async fn replace_leaves_a_running_job_alone(fx: &Fixture) {
    let id = fx.add(unique(Conflict::Replace)).await;
    fx.claim_one().await;
    let before = fx.get(id).await;
    let newer = NewJob {
        args: json("[2]"),
        ..unique(Conflict::Replace)
    };
    assert_eq!(fx.enqueue_one(newer).await, Enqueued::Duplicate(id));
    assert_eq!(fx.get(id).await, before);
}

pub(crate) async fn replace_leaves_a_finished_job_alone(fx: &Fixture) {
    let id = fx.add(windowed(HOUR)).await;
    let lease = fx.claim_one().await.lease();
    fx.complete(lease).await;
    let before = fx.get(id).await;
    let newer = NewJob {
        args: json("[2]"),
        ..unique(Conflict::Replace)
    };
    assert_eq!(fx.enqueue_one(newer).await, Enqueued::Duplicate(id));
    assert_eq!(fx.get(id).await, before);
}

pub(crate) async fn replace_lets_no_waiting_job_jump_its_line(fx: &Fixture) {
    let in_line = |job: NewJob| NewJob {
        ordering_key: Some("line".into()),
        ..job
    };
    let first = fx.add(in_line(crate::fixture::job())).await;
    let id = fx.add(in_line(unique(Conflict::Replace))).await;
    let newer = NewJob {
        args: json("[2]"),
        priority: 0,
        ..unique(Conflict::Replace)
    };
    assert_eq!(fx.enqueue_one(newer).await, Enqueued::Replaced(id));
    let job = fx.get(id).await;
    assert_eq!((job.state, job.args), (State::Waiting, json("[2]")));
    assert_eq!(fx.claim_ids().await, [first]);
}

pub(crate) async fn within_one_call_the_first_wins(fx: &Fixture) {
    let with_args = |conflict, args| NewJob {
        args: json(args),
        ..unique(conflict)
    };
    let jobs = [
        with_args(Conflict::Reject, "1"),
        with_args(Conflict::ReturnExisting, "2"),
        with_args(Conflict::Reject, "3"),
        with_args(Conflict::Replace, "4"),
        with_args(Conflict::ReturnExisting, "5"),
    ];
    let id = jobs[0].id;
    assert_eq!(
        fx.enqueue(&jobs).await,
        [
            Enqueued::Inserted(id),
            Enqueued::Duplicate(id),
            Enqueued::Rejected(id),
            Enqueued::Replaced(id),
            Enqueued::Duplicate(id),
        ]
    );
    assert_eq!(fx.get(id).await.args, json("4"));
    assert_eq!(fx.claim_ids().await, [id]);
}

pub(crate) async fn a_call_may_mix_new_jobs_and_duplicates(fx: &Fixture) {
    let holder = fx.add(unique(Conflict::ReturnExisting)).await;
    let jobs = [
        crate::fixture::job(),
        unique(Conflict::ReturnExisting),
        crate::fixture::job(),
        unique(Conflict::Reject),
    ];
    let expected = [
        Enqueued::Inserted(jobs[0].id),
        Enqueued::Duplicate(holder),
        Enqueued::Inserted(jobs[2].id),
        Enqueued::Rejected(holder),
    ];
    assert_eq!(fx.enqueue(&jobs).await, expected);
    assert_eq!(fx.claim_ids().await, [holder, jobs[0].id, jobs[2].id]);
}

pub(crate) async fn twenty_at_once_make_one_row(fx: &Fixture) {
    for conflict in [
        Conflict::ReturnExisting,
        Conflict::Reject,
        Conflict::Replace,
    ] {
        let now = fx.now();
        let answers = at_once(20, |number| {
            let store = Arc::clone(if number % 2 == 0 {
                &fx.store
            } else {
                &fx.other
            });
            let mut job = unique(conflict);
            job.unique.as_mut().unwrap().key = format!("{conflict:?}");
            async move { store.enqueue(&[job], Some(now)).await.unwrap()[0] }
        })
        .await;
        let inserted: Vec<JobId> = answers
            .iter()
            .filter(|answer| answer.is_inserted())
            .map(|answer| answer.id())
            .collect();
        assert_eq!(inserted.len(), 1, "{conflict:?}: {answers:?}");
        assert!(answers.iter().all(|answer| answer.id() == inserted[0]));
        assert_eq!(fx.claim_ids().await, inserted);
    }
}

pub(crate) async fn calls_that_cross_each_others_keys_do_not_deadlock(fx: &Fixture) {
    let now = fx.now();
    let answers = at_once(12, |number| {
        let store = Arc::clone(if number % 2 == 0 {
            &fx.store
        } else {
            &fx.other
        });
        let mut jobs: Vec<NewJob> = (0..30)
            .map(|key| {
                let mut job = unique(Conflict::ReturnExisting);
                job.unique.as_mut().unwrap().key = format!("key {key}");
                job
            })
            .collect();
        if number % 3 == 0 {
            jobs.reverse();
        }
        async move { store.enqueue(&jobs, Some(now)).await.unwrap() }
    })
    .await;
    let inserted = answers.iter().flatten().filter(|a| a.is_inserted());
    assert_eq!(inserted.count(), 30);
    assert_eq!(fx.claim_ids().await.len(), 30);
}

//! An enqueue that returned is exactly one row, or the named duplicate, to the letter.

use std::slice::from_ref;
use std::sync::Arc;
use std::time::Duration;

use windlass::model::{Enqueued, JobRecord, MAX_DEPTH, MAX_ENQUEUE, RunAt, State, Unique};
use windlass::{NewJob, Timestamp};

use crate::fixture::{Fixture, at_once, job, job_with, json, just_before};

pub(crate) async fn stores_every_field(fx: &Fixture) {
    let job = job_with(|job| {
        job.kind = "send_report".into();
        job.args = json(r#"{"to": "ops"}"#);
        job.queue = "reports".into();
        job.priority = 2;
        job.run_at = RunAt::In(Duration::from_micros(1));
        job.max_attempts = 7;
        job.tags = vec!["nightly".into(), "pdf".into()];
        job.tenant_id = Some("acme".into());
        job.correlation_id = Some("c-1".into());
        job.trace_parent = Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into());
        job.unique = Some(Unique {
            key: "u".into(),
            window: None,
            conflict: windlass::model::Conflict::Reject,
        });
        job.ordering_key = Some("o".into());
    });
    fx.add(job.clone()).await;

    let expected = JobRecord {
        id: job.id,
        kind: job.kind,
        args: job.args,
        queue: job.queue,
        priority: 2,
        state: State::Scheduled,
        run_at: fx.now() + Duration::from_micros(1),
        attempt: 0,
        max_attempts: 7,
        crashes: 0,
        claim_no: 0,
        tags: job.tags,
        tenant_id: job.tenant_id,
        correlation_id: job.correlation_id,
        trace_parent: job.trace_parent,
        unique_key: Some("u".into()),
        ordering_key: job.ordering_key,
        enqueued_at: fx.now(),
        claimed_at: None,
        worker: None,
        lease_expires_at: None,
        cancel_requested_at: None,
        progress: None,
        result: None,
        finished_at: None,
        attempts: Vec::new(),
    };
    assert_eq!(fx.get(job.id).await, expected);
}

pub(crate) async fn answers_in_the_order_of_the_jobs(fx: &Fixture) {
    let mut jobs: Vec<NewJob> = (0..50).map(|_| job()).collect();
    jobs.reverse();
    let expected: Vec<_> = jobs.iter().map(|job| Enqueued::Inserted(job.id)).collect();
    assert_eq!(fx.enqueue(&jobs).await, expected);
}

pub(crate) async fn a_due_job_is_available(fx: &Fixture) {
    let id = fx.add(job()).await;
    let job = fx.get(id).await;
    assert_eq!((job.state, job.run_at), (State::Available, fx.now()));
}

pub(crate) async fn a_later_job_is_scheduled_until_its_very_microsecond(fx: &Fixture) {
    let run_at = fx.now() + Duration::from_mins(1);
    let id = fx.add(job_with(|job| job.run_at = RunAt::At(run_at))).await;
    assert_eq!(fx.get(id).await.run_at, run_at);

    fx.advance(just_before(Duration::from_mins(1)));
    assert_eq!(fx.state(id).await, State::Scheduled);
    assert_eq!(fx.claim_ids().await, []);
    fx.advance(Duration::from_micros(1));
    assert_eq!(fx.state(id).await, State::Available);
    assert_eq!(fx.claim_ids().await, [id]);
}

pub(crate) async fn a_time_gone_by_means_now(fx: &Fixture) {
    let past = fx.now().minus(Duration::from_hours(1));
    let id = fx.add(job_with(|job| job.run_at = RunAt::At(past))).await;
    assert_eq!(fx.get(id).await.run_at, fx.now());
}

pub(crate) async fn a_time_may_lie_at_the_end_of_all_time(fx: &Fixture) {
    let job = job_with(|job| job.run_at = RunAt::In(Duration::MAX));
    let id = fx.add(job).await;
    assert_eq!(fx.get(id).await.run_at, Timestamp::MAX);
}

pub(crate) async fn the_same_id_again_is_a_duplicate_and_changes_nothing(fx: &Fixture) {
    let first = job();
    fx.add(first.clone()).await;
    let before = fx.get(first.id).await;
    fx.advance(Duration::from_secs(1));
    let again = NewJob {
        args: json("[1]"),
        priority: 0,
        ..first
    };
    assert_eq!(fx.enqueue_one(again).await, Enqueued::Duplicate(before.id));
    assert_eq!(fx.get(before.id).await, before);
}

pub(crate) async fn of_one_id_twice_in_one_call_the_first_counts(fx: &Fixture) {
    for ordering_key in [None, Some("a".to_owned())] {
        let first = job_with(|job| job.args = json("1"));
        let second = NewJob {
            args: json("2"),
            ordering_key,
            ..first.clone()
        };
        let id = first.id;
        let answers = fx.enqueue(&[first, job(), second]).await;
        assert_eq!(answers[0], Enqueued::Inserted(id));
        assert_eq!(answers[2], Enqueued::Duplicate(id));
        let stored = fx.get(id).await;
        assert_eq!((stored.args, stored.ordering_key), (json("1"), None));
        assert_eq!(fx.claim_ids().await.len(), 2);
    }
}

pub(crate) async fn the_id_of_a_finished_job_is_a_duplicate(fx: &Fixture) {
    for state in [State::Completed, State::Cancelled, State::Dead] {
        let id = fx.one_in(state).await;
        let again = job_with(|job| job.id = id);
        assert_eq!(fx.enqueue_one(again).await, Enqueued::Duplicate(id));
        assert_eq!(fx.state(id).await, state);
    }
}

pub(crate) async fn one_id_enqueued_by_many_at_once_is_one_job(fx: &Fixture) {
    let (job, now) = (job(), fx.now());
    let answers = at_once(20, |number| {
        let store = Arc::clone(if number % 2 == 0 {
            &fx.store
        } else {
            &fx.other
        });
        let job = job.clone();
        async move { store.enqueue(&[job], Some(now)).await.unwrap()[0] }
    })
    .await;
    let inserted = answers.iter().filter(|answer| answer.is_inserted());
    assert_eq!(inserted.count(), 1, "{answers:?}");
    assert!(answers.iter().all(|answer| answer.id() == job.id));
    assert_eq!(fx.claim_ids().await, [job.id]);
}

pub(crate) async fn no_jobs_are_no_fault(fx: &Fixture) {
    assert_eq!(fx.enqueue(&[]).await, []);
}

pub(crate) async fn takes_a_hundred_thousand_in_one_call(fx: &Fixture) {
    let jobs: Vec<NewJob> = (0..MAX_ENQUEUE).map(|_| job()).collect();
    let answers = fx.enqueue(&jobs).await;
    assert_eq!(answers.len(), MAX_ENQUEUE);
    for (job, answer) in jobs.iter().zip(&answers) {
        assert_eq!(*answer, Enqueued::Inserted(job.id));
    }
    let first: Vec<_> = jobs.iter().take(1000).map(|job| job.id).collect();
    assert_eq!(fx.claim_ids().await, first);
    assert_eq!(fx.state(jobs[MAX_ENQUEUE - 1].id).await, State::Available);
}

pub(crate) async fn args_come_back_to_the_letter(fx: &Fixture) {
    let texts = [
        "null",
        "\"\"",
        "-0",
        "1.0",
        "1e400",
        "123456789012345678901234567890.000",
        r#""\u0000""#,
        r#"{"\u0000key":"a\u0000b"}"#,
        r#""\ud83d\ude00 and 😀 and \/""#,
        r#"{"b":1,"a":2,"b":3}"#,
        " {  \"spaced\" :\n[ 1 ,\t2 ] } ",
        r#"{"sql":"'; drop table jobs; --","percent":"%s $1 ? :a"}"#,
    ];
    let jobs = texts.map(|text| job_with(|job| job.args = json(text)));
    fx.enqueue(&jobs).await;
    let claimed = fx.claim(100).await;
    assert_eq!(claimed.len(), texts.len());
    for ((text, job), claimed) in texts.iter().zip(&jobs).zip(&claimed) {
        assert_eq!(claimed.args.as_str(), *text);
        assert_eq!(fx.get(job.id).await.args.as_str(), *text);
    }
}

pub(crate) async fn a_mebibyte_of_args_comes_back(fx: &Fixture) {
    let args = json(&format!("\"{}\"", "é".repeat(512 * 1024 - 1)));
    assert_eq!(args.as_str().len(), 1024 * 1024);
    let id = fx.add(job_with(|job| job.args = args.clone())).await;
    assert!(fx.get(id).await.args == args);
    assert!(fx.claim_one().await.args == args);
}

pub(crate) async fn the_deepest_args_come_back(fx: &Fixture) {
    let args = json(&format!(
        "{}{}",
        "[".repeat(MAX_DEPTH),
        "]".repeat(MAX_DEPTH)
    ));
    let id = fx.add(job_with(|job| job.args = args.clone())).await;
    assert!(fx.get(id).await.args == args);
}

pub(crate) async fn words_of_every_language_come_back(fx: &Fixture) {
    let words = "مرحبا, 你好 👩‍👩‍👧 'quoted' \"twice\" \\back {brace} %_";
    let job = job_with(|job| {
        job.tags = vec![words.into(), String::from("NULL")];
        job.tenant_id = Some(words.into());
        job.correlation_id = Some(words.into());
        job.ordering_key = Some(words.into());
    });
    let id = fx.add(job.clone()).await;
    let stored = fx.get(id).await;
    assert_eq!(stored.tags, job.tags);
    assert_eq!(stored.tenant_id, job.tenant_id);
    assert_eq!(stored.correlation_id, job.correlation_id);
    assert_eq!(stored.ordering_key, job.ordering_key);
    let scoped = fx.store.get(id, Some(words), Some(fx.now())).await.unwrap();
    assert_eq!(scoped, Some(stored));
}

pub(crate) async fn the_stores_own_clock_counts_when_none_is_given(fx: &Fixture) {
    let job = job();
    let before = fx.store.now().await.unwrap();
    fx.store.enqueue(from_ref(&job), None).await.unwrap();
    let after = fx.store.now().await.unwrap();
    let stored = fx.store.get(job.id, None, None).await.unwrap().unwrap();
    assert!(before <= stored.enqueued_at && stored.enqueued_at <= after);
    assert_eq!(stored.run_at, stored.enqueued_at);
    assert_eq!(stored.state, State::Available);
}

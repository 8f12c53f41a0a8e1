//! Steps run when their parents have ended, and only then, and once.

use std::time::Duration;

use windlass::model::{
    ClaimedJob, End, FlowRecord, FlowState, JobId, Lease, NewFlow, Recorded, RunAt, State,
    StepRecord, Verdict,
};
use windlass::store::{Changed, Error, Started};
use windlass::{Json, NewJob};

use crate::fixture::{Fixture, at_once, ended, job, json};

const HOUR: Duration = Duration::from_hours(1);

/// A job in a queue of its own, so that a case can claim it by its step's name.
pub(crate) fn named(name: &str) -> NewJob {
    NewJob {
        queue: name.to_owned(),
        ..job()
    }
}

pub(crate) fn steps<const N: usize>(names: [&str; N]) -> NewFlow {
    names.iter().fold(NewFlow::new("flow"), |flow, name| {
        flow.step(*name, named(name))
    })
}

pub(crate) async fn start(fx: &Fixture, flow: &NewFlow) {
    flow.validate(&windlass::model::Limits::default()).unwrap();
    let started = fx.store.start(flow, Some(fx.now())).await.unwrap();
    assert_eq!(started, Started::Started);
}

/// Claims the job of a step.
pub(crate) async fn take(fx: &Fixture, name: &str) -> Lease {
    let claimed = fx.claim_from(name, 2).await;
    assert_eq!(claimed.len(), 1, "{name} may not run");
    claimed[0].lease()
}

pub(crate) async fn run(fx: &Fixture, name: &str, verdict: Verdict) {
    let lease = take(fx, name).await;
    fx.end(lease, verdict).await;
}

pub(crate) async fn complete(fx: &Fixture, name: &str) {
    let result = Some(Json::encode(name).unwrap());
    run(fx, name, Verdict::Complete { result }).await;
}

pub(crate) async fn record(fx: &Fixture, flow: &NewFlow) -> FlowRecord {
    fx.store.flow(flow.id, None).await.unwrap().unwrap()
}

pub(crate) async fn all_steps(fx: &Fixture, flow: &NewFlow) -> Vec<StepRecord> {
    let steps = fx.store.steps(flow.id, None, 0, 1000, Some(fx.now())).await;
    steps.unwrap()
}

pub(crate) async fn step(fx: &Fixture, flow: &NewFlow, name: &str) -> StepRecord {
    let steps = all_steps(fx, flow).await;
    steps.into_iter().find(|step| step.name == name).unwrap()
}

/// Which steps may be claimed.
pub(crate) async fn available(fx: &Fixture, flow: &NewFlow) -> Vec<String> {
    let steps = all_steps(fx, flow).await.into_iter();
    let available = steps.filter(|step| step.state == State::Available);
    available.map(|step| step.name).collect()
}

pub(crate) fn job_of(flow: &NewFlow, name: &str) -> JobId {
    let step = flow.steps.iter().find(|step| step.name == name);
    step.unwrap().job.id
}

pub(crate) async fn a_step_waits_for_all_its_parents(fx: &Fixture) {
    let flow = steps(["a", "b", "c"]).after(["a", "b"]);
    start(fx, &flow).await;
    assert_eq!(available(fx, &flow).await, ["a", "b"]);
    let waiting = step(fx, &flow, "c").await;
    assert_eq!((waiting.state, waiting.pending), (State::Waiting, 2));
    assert_eq!(waiting.parents, ["a", "b"]);
    complete(fx, "b").await;
    assert_eq!(step(fx, &flow, "c").await.pending, 1);
    assert_eq!(fx.claim_from("c", 1).await, []);
    complete(fx, "a").await;
    assert_eq!(available(fx, &flow).await, ["c"]);
    let due = fx.get(job_of(&flow, "c")).await;
    assert_eq!(due.run_at, fx.now());
    complete(fx, "c").await;
    assert_eq!(record(fx, &flow).await.state(), FlowState::Completed);
}

pub(crate) async fn a_flow_tells_how_it_stands(fx: &Fixture) {
    let mut flow = steps(["a", "b", "c"]).after(["b"]);
    flow.correlation_id = Some("order 7".into());
    start(fx, &flow).await;
    let expected = FlowRecord {
        id: flow.id,
        name: "flow".into(),
        tenant_id: None,
        correlation_id: Some("order 7".into()),
        created_at: fx.now(),
        finished_at: None,
        steps: 3,
        completed: 0,
        failed: 0,
        skipped: 0,
    };
    assert_eq!(record(fx, &flow).await, expected);
    fx.advance(HOUR);
    complete(fx, "a").await;
    assert_eq!((record(fx, &flow).await.completed), 1);
    run(fx, "b", Verdict::Dead).await;
    let expected = FlowRecord {
        completed: 1,
        failed: 2,
        finished_at: Some(fx.now()),
        ..expected
    };
    assert_eq!(record(fx, &flow).await, expected);
    assert_eq!(expected.state(), FlowState::Failed);
}

pub(crate) async fn parents_hand_on_what_they_recorded(fx: &Fixture) {
    let flow = steps(["a", "b", "c"]).after_finished(["b", "a"]);
    start(fx, &flow).await;
    complete(fx, "a").await;
    run(fx, "b", Verdict::Dead).await;
    let parents = fx.store.parents(job_of(&flow, "c")).await.unwrap();
    let told: Vec<_> = parents
        .iter()
        .map(|parent| (parent.name.as_str(), parent.job, parent.ended_as))
        .collect();
    let expected = [
        ("a", job_of(&flow, "a"), Some(End::Completed)),
        ("b", job_of(&flow, "b"), Some(End::Dead)),
    ];
    assert_eq!(told, expected);
    assert_eq!(parents[0].result, Some(json("\"a\"")));
    assert_eq!(parents[1].result, None);
    let none = fx.store.parents(job_of(&flow, "a")).await.unwrap();
    assert_eq!(none, []);
    let id = fx.add(job()).await;
    assert_eq!(fx.store.parents(id).await.unwrap(), [], "it is no step");
}

pub(crate) async fn a_failed_parent_cancels_what_needs_it(fx: &Fixture) {
    for verdict in [Verdict::Dead, Verdict::Cancel] {
        let flow = steps(["a", "b"]).after(["a"]);
        let flow = flow.step("c", named("c")).after(["b"]);
        start(fx, &flow).await;
        run(fx, "a", verdict).await;
        for (name, parent) in [("b", "a"), ("c", "b")] {
            let step = step(fx, &flow, name).await;
            assert_eq!(step.ended_as, Some(End::Cancelled));
            assert!(step.reason.unwrap().contains(&format!("{parent:?}")));
            assert_eq!((step.state, step.pending), (State::Cancelled, 0));
            let job = fx.get(step.job).await;
            assert_eq!(job.state, State::Cancelled);
            assert_eq!(job.finished_at, Some(fx.now()));
        }
        assert_eq!(record(fx, &flow).await.failed, 3);
    }
}

pub(crate) fn batch() -> NewFlow {
    let jobs = ["1", "2", "3"].map(named);
    NewFlow::batch("batch", jobs)
        .on_success(named("good"))
        .on_failure(named("bad"))
        .on_finished(named("all"))
}

pub(crate) async fn callbacks_run_when_their_time_has_come(fx: &Fixture) {
    let flow = batch();
    start(fx, &flow).await;
    complete(fx, "1").await;
    assert_eq!(available(fx, &flow).await, ["2", "3"]);
    run(fx, "2", Verdict::Dead).await;
    assert_eq!(available(fx, &flow).await, ["3", "on_failure"]);
    run(fx, "3", Verdict::Dead).await;
    assert_eq!(available(fx, &flow).await, ["on_failure", "on_finished"]);
    complete(fx, "bad").await;
    complete(fx, "all").await;
    let good = step(fx, &flow, "on_success").await;
    assert_eq!(good.ended_as, Some(End::Cancelled));
    assert_eq!(fx.claim_from("bad", 1).await, [], "it ran once");
    let record = record(fx, &flow).await;
    assert_eq!((record.completed, record.failed, record.skipped), (3, 3, 0));
}

pub(crate) async fn callbacks_that_are_not_needed_are_skipped(fx: &Fixture) {
    let flow = batch().step("after", named("after")).after(["on_failure"]);
    let flow = flow
        .step("done", named("done"))
        .after_finished(["on_failure"]);
    start(fx, &flow).await;
    for name in ["1", "2", "3"] {
        complete(fx, name).await;
    }
    let bad = step(fx, &flow, "on_failure").await;
    assert_eq!(bad.ended_as, Some(End::Skipped));
    assert!(bad.reason.unwrap().starts_with("not needed"));
    assert_eq!(step(fx, &flow, "after").await.ended_as, Some(End::Skipped));
    let due = available(fx, &flow).await;
    assert_eq!(due, ["on_success", "on_finished", "done"]);
    for name in ["good", "all", "done"] {
        complete(fx, name).await;
    }
    let record = record(fx, &flow).await;
    assert_eq!(record.state(), FlowState::Completed);
    assert_eq!((record.completed, record.failed, record.skipped), (6, 0, 2));
}

pub(crate) async fn a_step_that_dies_of_crashes_has_failed(fx: &Fixture) {
    let flow = steps(["a", "b"]).after_failure(["a"]);
    start(fx, &flow).await;
    for _ in 0..crate::fixture::MAX_CRASHES {
        assert_eq!(fx.claim_from("b", 1).await, []);
        take(fx, "a").await;
        fx.crash().await;
    }
    assert_eq!(step(fx, &flow, "a").await.ended_as, Some(End::Dead));
    assert_eq!(available(fx, &flow).await, ["b"]);
}

pub(crate) async fn an_operator_ends_a_step_like_any_other(fx: &Fixture) {
    for discard in [false, true] {
        let flow = steps(["a", "b", "c"]).after(["a", "b"]);
        let flow = flow.step("d", named("d")).after_finished(["c"]);
        start(fx, &flow).await;
        let (id, now) = (job_of(&flow, "b"), Some(fx.now()));
        let changed = if discard {
            fx.store.discard(id, None, now).await
        } else {
            fx.store.cancel(id, None, now).await
        };
        assert_eq!(changed.unwrap(), Changed::Done);
        let end = if discard { End::Dead } else { End::Cancelled };
        assert_eq!(step(fx, &flow, "b").await.ended_as, Some(end));
        assert_eq!(step(fx, &flow, "c").await.ended_as, Some(End::Cancelled));
        assert_eq!(available(fx, &flow).await, ["a", "d"]);
        // One that waits for its parents can be ended too, and cannot be hurried.
        complete(fx, "a").await;
        complete(fx, "d").await;
        let flow = steps(["a", "b"]).after(["a"]);
        start(fx, &flow).await;
        let waiting = job_of(&flow, "b");
        let hurried = fx.store.requeue(waiting, None, now).await.unwrap();
        assert_eq!(hurried, Changed::Refused(State::Waiting));
        let ended = fx.store.cancel(waiting, None, now).await.unwrap();
        assert_eq!(ended, Changed::Done);
        complete(fx, "a").await;
        let record = record(fx, &flow).await;
        assert_eq!((record.completed, record.failed), (1, 1));
        assert!(record.finished_at.is_some());
    }
}

pub(crate) async fn a_long_chain_falls_as_one(fx: &Fixture) {
    let names: Vec<String> = (0..2000).map(|n| n.to_string()).collect();
    let jobs = names.iter().map(|name| (name.clone(), job()));
    let flow = NewFlow::chain("chain", jobs)
        .step("end", named("end"))
        .after_finished(["1999"]);
    start(fx, &flow).await;
    let lease = fx.claim_one().await.lease();
    fx.end(lease, Verdict::Dead).await;
    assert_eq!(record(fx, &flow).await.failed, 2000);
    complete(fx, "end").await;
    assert!(record(fx, &flow).await.finished_at.is_some());
}

pub(crate) async fn a_step_keeps_its_own_time(fx: &Fixture) {
    let later = RunAt::At(fx.now() + HOUR);
    let flow = steps(["a", "b"]).after(["a"]);
    let mut flow = flow.step("c", named("c")).after(["a"]);
    flow.steps[1].job.run_at = later;
    flow.steps[2].job.run_at = RunAt::In(Duration::from_secs(1));
    start(fx, &flow).await;
    fx.advance(HOUR / 2);
    complete(fx, "a").await;
    assert_eq!(available(fx, &flow).await, ["c"]);
    assert_eq!(fx.get(job_of(&flow, "c")).await.run_at, fx.now());
    assert_eq!(step(fx, &flow, "b").await.state, State::Scheduled);
    fx.advance(HOUR / 2);
    complete(fx, "b").await;
}

pub(crate) async fn a_step_joins_its_line_when_it_may_run(fx: &Fixture) {
    let in_line = |name: &str| NewJob {
        ordering_key: Some("line".into()),
        ..named(name)
    };
    let flow = NewFlow::new("flow")
        .step("a", named("a"))
        .step("b", in_line("b"))
        .after(["a"])
        .step("c", in_line("c"))
        .after(["a"]);
    start(fx, &flow).await;
    // It holds nobody up while it waits for its parents.
    fx.add(in_line("first")).await;
    let first = take(fx, "first").await;
    fx.add(in_line("last")).await;
    complete(fx, "a").await;
    assert_eq!(
        fx.claim_from("b", 1).await,
        [],
        "another one of its line runs"
    );
    assert_eq!(step(fx, &flow, "b").await.pending, 0);
    fx.complete(first).await;
    complete(fx, "b").await;
    assert_eq!(fx.claim_from("last", 1).await, [], "c was enqueued before");
    complete(fx, "c").await;
    take(fx, "last").await;
}

pub(crate) async fn a_step_is_let_go_once_by_many_at_once(fx: &Fixture) {
    for _ in 0..5 {
        let jobs = (0..8).map(|_| job());
        let flow = NewFlow::batch("batch", jobs).on_success(named("good"));
        start(fx, &flow).await;
        let leases: Vec<Lease> = fx.claim(8).await.iter().map(ClaimedJob::lease).collect();
        assert_eq!(leases.len(), 8);
        let handles = [fx.handle().await, fx.handle().await];
        let now = Some(fx.now());
        at_once(8, |n| {
            let (store, lease) = (handles[n % 2].clone(), leases[n]);
            async move {
                let done = ended(lease, Verdict::Complete { result: None });
                let recorded = store.finish(&[done], now).await.unwrap();
                assert_eq!(recorded, [Recorded::Yes]);
            }
        })
        .await;
        complete(fx, "good").await;
        assert_eq!(fx.claim_from("good", 1).await, []);
        let record = record(fx, &flow).await;
        assert_eq!((record.completed, record.finished_at), (9, Some(fx.now())));
    }
}

pub(crate) async fn the_same_flow_again_changes_nothing(fx: &Fixture) {
    let flow = steps(["a", "b"]).after(["a"]);
    start(fx, &flow).await;
    complete(fx, "a").await;
    let before = all_steps(fx, &flow).await;
    let again = fx.store.start(&flow, Some(fx.now())).await.unwrap();
    assert_eq!(again, Started::Duplicate);
    let other = NewFlow {
        id: flow.id,
        ..steps(["c"])
    };
    let again = fx.store.start(&other, Some(fx.now())).await.unwrap();
    assert_eq!(again, Started::Duplicate);
    assert_eq!(all_steps(fx, &flow).await, before);
    assert_eq!(fx.claim_from("c", 1).await, []);
}

pub(crate) async fn a_flow_starts_with_the_callers_rows(fx: &Fixture) {
    let flow = steps(["a", "b"]).after(["a"]);
    for commit in [false, true] {
        let mut tx = fx.begin().await;
        let started = fx.store.start_in(&mut tx, &flow, Some(fx.now())).await;
        if !fx.store.capabilities().transactions {
            assert!(matches!(started, Err(Error::Unsupported { .. })));
            return;
        }
        assert_eq!(started.unwrap(), Started::Started);
        if commit {
            tx.commit().await.unwrap();
        } else {
            tx.rollback().await.unwrap();
            assert_eq!(fx.store.flow(flow.id, None).await.unwrap(), None);
            assert_eq!(fx.claim_from("a", 1).await, []);
        }
    }
    complete(fx, "a").await;
    complete(fx, "b").await;
}

pub(crate) async fn a_step_finishes_with_the_callers_rows(fx: &Fixture) {
    if !fx.store.capabilities().transactions {
        return;
    }
    let flow = steps(["a", "b"]).after(["a"]);
    start(fx, &flow).await;
    let lease = take(fx, "a").await;
    let done = ended(lease, Verdict::Complete { result: None });
    for commit in [false, true] {
        let mut tx = fx.begin().await;
        let now = Some(fx.now());
        let recorded = fx.store.finish_in(&mut tx, &done, now).await.unwrap();
        assert_eq!(recorded, Recorded::Yes);
        if commit {
            tx.commit().await.unwrap();
        } else {
            tx.rollback().await.unwrap();
            assert_eq!(fx.claim_from("b", 1).await, []);
        }
    }
    complete(fx, "b").await;
    assert_eq!(record(fx, &flow).await.completed, 2);
}

pub(crate) async fn a_fan_out_of_ten_thousand_comes_together(fx: &Fixture) {
    let children: Vec<String> = (0..10_000).map(|n| n.to_string()).collect();
    let mut flow = NewFlow::new("fan").step("out", named("out"));
    for name in &children {
        flow = flow.step(name.as_str(), job()).after(["out"]);
    }
    let flow = flow.step("in", named("in")).after(children);
    start(fx, &flow).await;
    complete(fx, "out").await;
    loop {
        assert_eq!(fx.claim_from("in", 1).await, []);
        let claimed = fx.claim(1000).await;
        let done: Vec<_> = claimed
            .iter()
            .map(|job| ended(job.lease(), Verdict::Complete { result: None }))
            .collect();
        let recorded = fx.finish_all(&done).await;
        assert_eq!(recorded, vec![Recorded::Yes; 1000]);
        if record(fx, &flow).await.completed == 10_001 {
            break;
        }
    }
    complete(fx, "in").await;
    assert_eq!(record(fx, &flow).await.state(), FlowState::Completed);
}

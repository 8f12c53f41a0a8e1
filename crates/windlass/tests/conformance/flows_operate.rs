//! What operators and retention do to flows, and what they are told.

use std::collections::BTreeMap;
use std::time::Duration;

use windlass::model::{
    After, End, FlowFilter, FlowState, NewFlow, RetryRefused, State, StepRecord, Verdict,
};
use windlass::store::{Changed, FlowChanged, Prune};

use crate::fixture::{Fixture, job, json};
use crate::flows::{
    all_steps, available, batch, complete, job_of, named, record, run, start, step, steps, take,
};

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

async fn ends(fx: &Fixture, flow: &NewFlow) -> BTreeMap<String, Option<End>> {
    let steps = all_steps(fx, flow).await.into_iter();
    steps.map(|step| (step.name, step.ended_as)).collect()
}

async fn retry(fx: &Fixture, flow: &NewFlow, from: Option<&str>) -> FlowChanged {
    let retried = fx
        .store
        .retry_flow(flow.id, None, from, Some(fx.now()))
        .await;
    retried.unwrap()
}

pub(crate) async fn cancel_ends_all_that_has_not(fx: &Fixture) {
    let flow = steps(["a", "b", "c", "d"]).after(["a", "b"]);
    let flow = flow.step("e", named("e")).after_finished(["d"]);
    start(fx, &flow).await;
    complete(fx, "a").await;
    let running = take(fx, "b").await;
    let now = Some(fx.now());
    let cancelled = fx.store.cancel_flow(flow.id, None, now).await.unwrap();
    assert_eq!(cancelled, FlowChanged::Done(4));
    let expected = [
        ("a", Some(End::Completed)),
        ("b", None),
        ("c", Some(End::Cancelled)),
        ("d", Some(End::Cancelled)),
        ("e", Some(End::Cancelled)),
    ];
    let expected = expected.map(|(name, end)| (name.to_owned(), end));
    assert_eq!(ends(fx, &flow).await, BTreeMap::from(expected));
    assert!(fx.get(running.job).await.cancel_requested_at.is_some());
    let reason = step(fx, &flow, "e").await.reason.unwrap();
    assert_eq!(reason, "the flow was cancelled");
    fx.end(running, Verdict::Cancel).await;
    assert_eq!(record(fx, &flow).await.state(), FlowState::Failed);
    let again = fx.store.cancel_flow(flow.id, None, now).await.unwrap();
    assert_eq!(again, FlowChanged::Finished);
}

pub(crate) async fn retry_runs_what_failed_again(fx: &Fixture) {
    let flow = batch();
    start(fx, &flow).await;
    complete(fx, "1").await;
    run(fx, "2", Verdict::Dead).await;
    complete(fx, "3").await;
    complete(fx, "bad").await;
    complete(fx, "all").await;
    let finished = record(fx, &flow).await;
    assert_eq!((finished.completed, finished.failed), (4, 2));
    fx.advance(HOUR);
    assert_eq!(retry(fx, &flow, None).await, FlowChanged::Done(2));
    assert_eq!(available(fx, &flow).await, ["2"]);
    let again = fx.get(job_of(&flow, "2")).await;
    assert_eq!((again.attempt, again.finished_at), (0, None));
    let waiting = step(fx, &flow, "on_success").await;
    assert_eq!((waiting.state, waiting.pending), (State::Waiting, 1));
    assert_eq!(waiting.reason, None);
    let unfinished = record(fx, &flow).await;
    assert_eq!((unfinished.completed, unfinished.failed), (4, 0));
    assert_eq!(unfinished.finished_at, None);
    complete(fx, "2").await;
    complete(fx, "good").await;
    assert_eq!(record(fx, &flow).await.completed, 6);
}

pub(crate) async fn retry_from_a_step_runs_all_after_it_again(fx: &Fixture) {
    let flow = steps(["a", "b"])
        .after(["a"])
        .step("c", named("c"))
        .after(["b"]);
    let flow = flow.step("d", named("d")).after_failure(["b"]);
    start(fx, &flow).await;
    for name in ["a", "b", "c"] {
        complete(fx, name).await;
    }
    assert_eq!(step(fx, &flow, "d").await.ended_as, Some(End::Skipped));
    assert_eq!(retry(fx, &flow, Some("b")).await, FlowChanged::Done(3));
    assert_eq!(available(fx, &flow).await, ["b"]);
    assert_eq!(step(fx, &flow, "c").await.pending, 1);
    run(fx, "b", Verdict::Dead).await;
    assert_eq!(available(fx, &flow).await, ["d"]);
    complete(fx, "d").await;
    let record = record(fx, &flow).await;
    assert_eq!((record.completed, record.failed, record.skipped), (2, 2, 0));
    let parents = fx.store.parents(job_of(&flow, "c")).await.unwrap();
    assert_eq!(parents[0].result, None, "what b recorded first is gone");
}

pub(crate) async fn retry_says_why_it_cannot(fx: &Fixture) {
    let flow = steps(["a", "b"]).after(["a"]);
    start(fx, &flow).await;
    let refused = |why| FlowChanged::Refused(why);
    let not_ended = |name: &str| refused(RetryRefused::NotEnded(name.to_owned()));
    assert_eq!(
        retry(fx, &flow, None).await,
        refused(RetryRefused::NothingFailed)
    );
    assert_eq!(retry(fx, &flow, Some("a")).await, not_ended("a"));
    let unknown = refused(RetryRefused::UnknownStep("z".into()));
    assert_eq!(retry(fx, &flow, Some("z")).await, unknown);
    complete(fx, "a").await;
    let lease = take(fx, "b").await;
    assert_eq!(retry(fx, &flow, Some("a")).await, not_ended("b"));
    fx.complete(lease).await;
    let other = NewFlow {
        id: windlass::model::FlowId::new(),
        ..flow.clone()
    };
    assert_eq!(retry(fx, &other, None).await, FlowChanged::NotFound);

    let flow = steps(["c", "d"]).after(["c"]);
    start(fx, &flow).await;
    run(fx, "c", Verdict::Dead).await;
    let FlowChanged::Refused(why) = retry(fx, &flow, Some("d")).await else {
        panic!("d would be cancelled again");
    };
    assert!(matches!(why, RetryRefused::WouldNotRun { .. }), "{why:?}");
    assert!(why.to_string().contains("\"c\" is dead"), "{why}");
    let before = all_steps(fx, &flow).await;
    fx.advance(DAY);
    prune(fx, DAY / 2, DAY * 2).await;
    assert_eq!(
        retry(fx, &flow, None).await,
        refused(RetryRefused::Pruned("d".into()))
    );
    assert_eq!(all_steps(fx, &flow).await, before);
}

async fn prune(fx: &Fixture, cancelled: Duration, dead: Duration) {
    let prune = Prune {
        completed: DAY / 2,
        cancelled,
        dead,
        limit: 1000,
        now: Some(fx.now()),
    };
    fx.store.prune(prune).await.unwrap();
}

pub(crate) async fn reviving_a_step_goes_on_with_its_flow(fx: &Fixture) {
    let flow = steps(["a", "b"]).after(["a"]);
    start(fx, &flow).await;
    run(fx, "a", Verdict::Dead).await;
    let now = Some(fx.now());
    let revived = fx.store.requeue(job_of(&flow, "b"), None, now).await;
    assert_eq!(revived.unwrap(), Changed::Refused(State::Cancelled));
    let revived = fx.store.requeue(job_of(&flow, "a"), None, now).await;
    assert_eq!(revived.unwrap(), Changed::Done);
    complete(fx, "a").await;
    complete(fx, "b").await;
    assert_eq!(record(fx, &flow).await.completed, 2);
}

pub(crate) async fn retention_takes_no_result_that_is_needed(fx: &Fixture) {
    let flow = steps(["a", "b", "c"]).after(["a", "b"]);
    start(fx, &flow).await;
    complete(fx, "a").await;
    fx.advance(DAY * 3);
    prune(fx, DAY / 2, DAY / 2).await;
    let gone = fx.store.get(job_of(&flow, "a"), None, None).await.unwrap();
    assert_eq!(gone, None);
    complete(fx, "b").await;
    let parents = fx.store.parents(job_of(&flow, "c")).await.unwrap();
    assert_eq!(parents[0].result, Some(json("\"a\"")));
    assert_eq!(step(fx, &flow, "a").await.state, State::Completed);
    complete(fx, "c").await;
}

pub(crate) async fn retention_takes_flows_with_their_jobs(fx: &Fixture) {
    let good = steps(["a", "b"]).after(["a"]);
    let bad = steps(["c", "d"]).after(["c"]);
    let unfinished = steps(["e"]);
    for flow in [&good, &bad, &unfinished] {
        start(fx, flow).await;
    }
    complete(fx, "a").await;
    complete(fx, "b").await;
    run(fx, "c", Verdict::Dead).await;
    let there = async || {
        let flows = fx.store.flows(&FlowFilter::default(), None, 10).await;
        let flows = flows.unwrap();
        flows.iter().map(|flow| flow.id).collect::<Vec<_>>()
    };
    fx.advance(DAY);
    prune(fx, DAY / 2, DAY * 2).await;
    assert_eq!(there().await, [unfinished.id, bad.id]);
    assert_eq!(all_steps(fx, &good).await, []);
    fx.advance(DAY * 2);
    prune(fx, DAY / 2, DAY * 2).await;
    assert_eq!(there().await, [unfinished.id]);
    // A job whose flow is gone is a job like any other.
    complete(fx, "e").await;
}

pub(crate) async fn flows_are_listed_newest_first(fx: &Fixture) {
    let mut flows = Vec::new();
    for (name, tenant) in [("x", None), ("y", Some("acme")), ("x", Some("acme"))] {
        let mut flow = steps(["a"]);
        flow.name = name.to_owned();
        flow.tenant_id = tenant.map(str::to_owned);
        flow.steps[0].job.tenant_id.clone_from(&flow.tenant_id);
        flow.steps[0].job.queue = format!("queue-{}", flows.len());
        start(fx, &flow).await;
        flows.push(flow);
    }
    let listed = async |filter: FlowFilter, before: Option<usize>, limit| {
        let before = before.map(|n| flows[n].id);
        let found = fx.store.flows(&filter, before, limit).await.unwrap();
        let place = |id| flows.iter().position(|flow| flow.id == id).unwrap();
        found.iter().map(|flow| place(flow.id)).collect::<Vec<_>>()
    };
    let any = FlowFilter::default;
    assert_eq!(listed(any(), None, 10).await, [2, 1, 0]);
    assert_eq!(listed(any(), None, 2).await, [2, 1]);
    assert_eq!(listed(any(), Some(1), 2).await, [0]);
    assert_eq!(listed(any(), None, 0).await, [2], "at least one");
    let of = |tenant: &str| FlowFilter {
        tenant_id: Some(tenant.to_owned()),
        ..any()
    };
    assert_eq!(listed(of("acme"), None, 10).await, [2, 1]);
    assert_eq!(listed(of("other"), None, 10).await, [0; 0]);
    let name = Some("x".to_owned());
    assert_eq!(listed(FlowFilter { name, ..any() }, None, 10).await, [2, 0]);
    complete(fx, "queue-1").await;
    let finished = |finished| FlowFilter {
        finished: Some(finished),
        ..any()
    };
    assert_eq!(listed(finished(true), None, 10).await, [1]);
    assert_eq!(listed(finished(false), None, 10).await, [2, 0]);
}

pub(crate) async fn steps_are_told_page_by_page(fx: &Fixture) {
    let jobs = (0..150).map(|_| job());
    let flow = NewFlow::batch("batch", jobs).on_finished(named("all"));
    start(fx, &flow).await;
    let (mut places, mut from) = (Vec::new(), 0);
    loop {
        let page = fx.store.steps(flow.id, None, from, 40, None).await.unwrap();
        let Some(last) = page.last() else { break };
        from = last.position + 1;
        places.extend(page.iter().map(|step| step.position));
    }
    assert_eq!(places, (0..151).collect::<Vec<_>>());
    let last = step(fx, &flow, "on_finished").await;
    assert_eq!((last.after, last.pending), (After::Finished, 150));
    assert_eq!(last.parents.len(), StepRecord::MOST_PARENTS);
    assert_eq!(last.parents[..2], ["1", "2"]);
}

pub(crate) async fn nobody_touches_another_tenants_flow(fx: &Fixture) {
    let mut flow = steps(["a", "b"]).after(["a"]);
    flow.tenant_id = Some("acme".into());
    for step in &mut flow.steps {
        step.job.tenant_id = Some("acme".into());
    }
    start(fx, &flow).await;
    run(fx, "a", Verdict::Dead).await;
    let before = all_steps(fx, &flow).await;
    let now = Some(fx.now());
    let other = Some("other");
    assert_eq!(fx.store.flow(flow.id, other).await.unwrap(), None);
    let steps = fx.store.steps(flow.id, other, 0, 10, now).await.unwrap();
    assert_eq!(steps, []);
    let cancelled = fx.store.cancel_flow(flow.id, other, now).await.unwrap();
    assert_eq!(cancelled, FlowChanged::NotFound);
    let retried = fx
        .store
        .retry_flow(flow.id, other, None, now)
        .await
        .unwrap();
    assert_eq!(retried, FlowChanged::NotFound);
    assert_eq!(all_steps(fx, &flow).await, before);
    let own = Some("acme");
    assert!(fx.store.flow(flow.id, own).await.unwrap().is_some());
    let retried = fx.store.retry_flow(flow.id, own, None, now).await.unwrap();
    assert_eq!(retried, FlowChanged::Done(2));
}

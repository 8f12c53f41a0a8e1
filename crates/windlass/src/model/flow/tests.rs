use super::*;
use crate::model::Json;

fn job() -> NewJob {
    NewJob::new("work", Json::empty_object())
}

fn fault(flow: &NewFlow) -> InvalidFlow {
    flow.validate(&Limits::default()).unwrap_err()
}

#[test]
fn a_cycle_is_named() {
    let flow = NewFlow::new("round")
        .step("start", job())
        .step("a", job())
        .after(["start", "c"])
        .step("b", job())
        .after(["a"])
        .step("c", job())
        .after(["b"])
        .step("end", job())
        .after(["c"]);
    let InvalidFlow::Cycle(way) = fault(&flow) else {
        panic!("it goes round");
    };
    assert_eq!(way.len(), 4);
    assert_eq!(way.first(), way.last());
    let mut names = way[1..].to_vec();
    names.sort();
    assert_eq!(names, ["a", "b", "c"]);
    let text = InvalidFlow::Cycle(way).to_string();
    assert!(text.contains(" -> "), "{text}");
    let own = NewFlow::new("own").step("a", job()).after(["a"]);
    assert_eq!(
        fault(&own),
        InvalidFlow::Cycle(vec!["a".into(), "a".into()])
    );
}

#[test]
fn each_fault_is_named() {
    let flow = NewFlow::new("flow").step("a", job());
    assert_eq!(fault(&NewFlow::new("flow")), InvalidFlow::Empty);
    let twice = flow.clone().step("a", job());
    assert_eq!(fault(&twice), InvalidFlow::DuplicateStep("a".into()));
    let text = fault(&flow.clone().step("b", job()).after(["z"])).to_string();
    assert!(text.contains("\"b\"") && text.contains("\"z\""), "{text}");
    let again = fault(&flow.clone().step("b", job()).after(["a", "a"]));
    assert!(matches!(again, InvalidFlow::DuplicateParent { .. }));
    let bad = flow
        .clone()
        .step("b", NewJob::new("", Json::empty_object()));
    assert!(fault(&bad).to_string().starts_with("step \"b\": kind"));
    let mut unique = flow.clone();
    unique.steps[0].job.unique = Some(super::super::Unique {
        key: "k".into(),
        window: None,
        conflict: super::super::Conflict::Reject,
    });
    assert!(fault(&unique).to_string().contains("unique"));
    let mut tenants = flow.clone();
    tenants.tenant_id = Some("acme".into());
    tenants.steps[0].job.tenant_id = Some("other".into());
    assert!(fault(&tenants).to_string().contains("tenant_id"));
    let mut unnamed = flow;
    unnamed.name = String::new();
    assert!(fault(&unnamed).to_string().starts_with("name"));
    let large = NewFlow::batch("large", (0..=MAX_STEPS).map(|_| job()));
    assert_eq!(fault(&large), InvalidFlow::TooManySteps(MAX_STEPS + 1));
    let mut wide = NewFlow::batch("wide", (0..1000).map(|_| job()));
    let names: Vec<String> = (1..=1000).map(|n| n.to_string()).collect();
    for n in 0..501 {
        wide = wide.step(format!("in {n}"), job()).after(names.clone());
    }
    assert_eq!(fault(&wide), InvalidFlow::TooManyEdges(501_000));
}

#[test]
fn a_chain_and_a_batch_are_flows() {
    let chain = NewFlow::chain("chain", [("a", job()), ("b", job()), ("c", job())]);
    let parents: Vec<_> = chain.steps.iter().map(|s| s.parents.clone()).collect();
    assert_eq!(
        parents,
        [vec![], vec!["a".to_owned()], vec!["b".to_owned()]]
    );
    let batch = NewFlow::batch("batch", [job(), job()])
        .on_failure(job())
        .on_success(job());
    assert_eq!(batch.steps[3].parents, ["1", "2"]);
    assert_eq!(batch.steps[2].after, After::Failure);
    assert!(batch.validate(&Limits::default()).is_ok());
}

#[test]
fn a_steps_tenant_is_the_flows() {
    let mut first = job();
    first.tenant_id = Some("acme".into());
    let mut flow = NewFlow::new("flow").step("a", first).step("b", job());
    flow.correlation_id = Some("c".into());
    assert!(flow.validate(&Limits::default()).is_ok());
    flow.hand_down();
    for step in &flow.steps {
        assert_eq!(step.job.tenant_id.as_deref(), Some("acme"));
        assert_eq!(step.job.correlation_id.as_deref(), Some("c"));
    }
}

#[test]
fn a_step_says_what_it_waits_for() {
    let step = |after, state, pending| StepRecord {
        position: 1,
        name: "report".to_owned(),
        job: JobId::new(),
        kind: "work".to_owned(),
        after,
        parents: Vec::new(),
        pending,
        state,
        ended_as: None,
        reason: None,
    };
    let told = |after, pending| step(after, State::Waiting, pending).waits_for();
    for (after, pending, words) in [
        (After::Success, 1, "waits for 1 parent to complete"),
        (After::Failure, 2, "waits for one of 2 parents to fail"),
        (After::Finished, 3, "waits for 3 parents to end"),
    ] {
        assert_eq!(told(after, pending).as_deref(), Some(words));
    }
    let in_line = told(After::Success, 0);
    assert_eq!(in_line, None, "it waits for its turn, not for a parent");
    let let_go = step(After::Failure, State::Running, 1).waits_for();
    assert_eq!(
        let_go, None,
        "one has failed: it need not wait for the others"
    );
}

//! Any flow: each step runs once, when its parents allow it, and ends as they say it must.

use std::collections::HashMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use windlass::model::{After, End, JobId, Limits, NewFlow, StepRecord, Verdict};
use windlass::{Json, NewJob, Timestamp};

use crate::fixture::{Backend, LEASE, START, ended, job};
use windlass::store::{Claim, Store};

const FLOWS: u32 = 40;

/// A step as drawn: which of the steps before it are its parents, when it runs, how it ends if it
/// does, and whether it shares an ordering key.
#[derive(Debug, Clone)]
struct Drawn {
    parents: Vec<prop::sample::Index>,
    after: After,
    verdict: Verdict,
    in_line: bool,
}

fn drawn() -> impl Strategy<Value = Drawn> {
    let verdicts = prop_oneof![
        5 => Just(Verdict::Complete { result: None }),
        1 => Just(Verdict::Dead),
        1 => Just(Verdict::Cancel),
    ];
    let afters = [After::Success, After::Failure, After::Finished];
    (
        prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        prop::sample::select(afters.to_vec()),
        verdicts,
        prop::bool::weighted(0.2),
    )
        .prop_map(|(parents, after, verdict, in_line)| Drawn {
            parents,
            after,
            verdict,
            in_line,
        })
}

fn flow(drawn: &[Drawn]) -> NewFlow {
    let mut flow = NewFlow::new("any");
    for (place, step) in drawn.iter().enumerate() {
        let job = NewJob {
            ordering_key: step.in_line.then(|| "line".to_owned()),
            ..job()
        };
        flow = flow.step(place.to_string(), job);
        let mut parents: Vec<usize> = step
            .parents
            .iter()
            .filter(|_| place > 0)
            .map(|parent| parent.index(place))
            .collect();
        parents.sort_unstable();
        parents.dedup();
        let last = flow.steps.last_mut().unwrap();
        last.after = step.after;
        last.parents = parents.iter().map(ToString::to_string).collect();
    }
    flow
}

/// How a step may have ended, seen from how its parents did; `None`: by its own doing.
fn allowed(after: After, parents: &[End]) -> Vec<Option<End>> {
    let failed = parents.iter().any(|end| end.is_failure());
    let skipped = parents.contains(&End::Skipped);
    match after {
        _ if parents.is_empty() => vec![None],
        // The first of the two that happens decides.
        After::Success if failed && skipped => vec![Some(End::Cancelled), Some(End::Skipped)],
        After::Success if failed => vec![Some(End::Cancelled)],
        After::Success if skipped => vec![Some(End::Skipped)],
        After::Failure if !failed => vec![Some(End::Skipped)],
        After::Success | After::Failure | After::Finished => vec![None],
    }
}

async fn steps(store: &dyn Store, flow: &NewFlow, now: Timestamp) -> Vec<StepRecord> {
    store
        .steps(flow.id, None, 0, 1000, Some(now))
        .await
        .unwrap()
}

async fn check(store: &dyn Store, drawn: &[Drawn]) -> Result<(), TestCaseError> {
    let flow = flow(drawn);
    prop_assert_eq!(flow.validate(&Limits::default()), Ok(()));
    let now = Timestamp::from_micros(START);
    store.start(&flow, Some(now)).await.unwrap();
    let places: HashMap<JobId, usize> = flow
        .steps
        .iter()
        .zip(0..)
        .map(|(step, place)| (step.job.id, place))
        .collect();
    let mut ran = vec![0; drawn.len()];
    loop {
        let before = steps(store, &flow, now).await;
        let claim = Claim {
            queue: NewJob::DEFAULT_QUEUE,
            worker: "worker",
            limit: 3,
            lease: LEASE,
            now: Some(now),
        };
        let claimed = store.claim(claim).await.unwrap();
        if claimed.is_empty() {
            break;
        }
        let mut finishes = Vec::new();
        for job in &claimed {
            let place = places[&job.id];
            ran[place] += 1;
            let parents = flow.steps[place].parents.iter().map(|name| {
                let place: usize = name.parse().unwrap();
                before[place].ended_as
            });
            let parents: Vec<Option<End>> = parents.collect();
            let may_run = match drawn[place].after {
                _ if parents.is_empty() => true,
                After::Success => parents.iter().all(|end| *end == Some(End::Completed)),
                After::Failure => parents.iter().flatten().any(|end| end.is_failure()),
                After::Finished => parents.iter().all(Option::is_some),
            };
            prop_assert!(may_run, "step {} ran after {:?}", place, parents);
            let mut verdict = drawn[place].verdict.clone();
            if let Verdict::Complete { result } = &mut verdict {
                *result = Some(Json::encode(&place).unwrap());
            }
            finishes.push(ended(job.lease(), verdict));
        }
        store.finish(&finishes, Some(now)).await.unwrap();
    }
    let after = steps(store, &flow, now).await;
    let mut counts = [0_u32; 3];
    for (place, step) in after.iter().enumerate() {
        let Some(end) = step.ended_as else {
            return Err(TestCaseError::fail(format!("step {place} never ended")));
        };
        counts[match end {
            End::Completed => 0,
            End::Cancelled | End::Dead => 1,
            End::Skipped => 2,
        }] += 1;
        let parents = flow.steps[place].parents.iter();
        let parents: Vec<End> = parents
            .filter_map(|name| after[name.parse::<usize>().unwrap()].ended_as)
            .collect();
        let by_parents = (ran[place] == 0).then_some(end);
        let allowed = allowed(drawn[place].after, &parents);
        prop_assert!(
            allowed.contains(&by_parents),
            "{:?} after {:?}",
            step,
            parents
        );
        if ran[place] > 0 {
            let own = match drawn[place].verdict {
                Verdict::Complete { .. } => End::Completed,
                Verdict::Cancel => End::Cancelled,
                _ => End::Dead,
            };
            prop_assert_eq!((ran[place], end), (1, own));
        }
        let job = store.get(step.job, None, Some(now)).await.unwrap().unwrap();
        prop_assert_eq!(job.state, end.state());
    }
    let record = store.flow(flow.id, None).await.unwrap().unwrap();
    prop_assert_eq!([record.completed, record.failed, record.skipped], counts);
    prop_assert_eq!(record.finished_at, Some(now));
    Ok(())
}

pub(crate) fn any_flow_runs_by_the_rules<B: Backend>() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let backend = runtime.block_on(B::open());
    let store = runtime.block_on(backend.handle());
    let mut runner = TestRunner::new(Config {
        cases: FLOWS,
        failure_persistence: None,
        max_shrink_time: 30_000, // milliseconds
        ..Config::default()
    });
    let outcome = runner.run(&prop::collection::vec(drawn(), 1..25), |drawn| {
        runtime.block_on(check(&*store, &drawn))
    });
    drop(store);
    runtime.block_on(backend.close());
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

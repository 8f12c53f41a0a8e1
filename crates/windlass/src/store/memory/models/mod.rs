//! Every order of events, not some: a model checker goes through all that several processes, lost
//! messages, clocks and operators can do to the store within given bounds.
//!
//! Nothing of the store is copied. The state that is explored *is* [`Data`](super::Data), and a step is
//! one call of its verbs, as the other stores are held to by the conformance suite. What the models add
//! is who calls when, which answer gets lost, and a ledger of what must be true.
//!
//! Each model also comes broken in some ways that a store could be broken in, and a test shows that the
//! checker finds each of them: a model that cannot fail proves nothing.

mod attempts;
mod ticks;

use std::fmt::Debug;
use std::hash::Hash;
use std::time::{Duration, Instant};

use stateright::{Checker, Expectation, Model};

use crate::model::Timestamp;

/// Models count in seconds from here.
const START: u64 = 1_767_268_800;

fn at(second: u64) -> Timestamp {
    Timestamp::EPOCH + Duration::from_secs(START + second)
}

/// Goes through every state: all promises are kept, everything that is to be possible is, and there are
/// at least so many states. Prints how many.
#[expect(clippy::print_stdout, reason = "the figures are a result of the test")]
fn holds<M>(name: &str, model: M, at_least: usize)
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync,
    M::Action: Clone + Debug + PartialEq + Send + Sync,
{
    let began = Instant::now();
    let checked = model.checker().threads(2).spawn_bfs().join();
    let states = checked.unique_state_count();
    println!(
        "{name}: {states} states, {} steps, up to {} deep, in {:.1} s",
        checked.state_count(),
        checked.max_depth(),
        began.elapsed().as_secs_f64()
    );
    for property in checked.model().properties() {
        let found = checked.discovery(property.name).map(|path| {
            let steps: Vec<M::Action> = path.into_actions();
            steps
        });
        match property.expectation {
            Expectation::Sometimes => {
                assert!(found.is_some(), "{name}: never {}", property.name);
            }
            _ => assert_eq!(found, None, "{name}: not always {}", property.name),
        }
    }
    assert!(
        states >= at_least,
        "{name}: {states} states are fewer than the {at_least} there were"
    );
}

/// Finds out how a broken model comes to break a promise.
#[expect(clippy::print_stdout, reason = "the way is a result of the test")]
fn breaks<M>(name: &str, model: M, promise: &'static str)
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync,
    M::Action: Clone + Debug + PartialEq + Send + Sync,
{
    let one = std::collections::BTreeSet::from([promise]);
    let checked = model
        .checker()
        .finish_when(stateright::HasDiscoveries::AnyOf(one))
        .spawn_bfs()
        .join();
    let found = checked
        .discovery(promise)
        .map(stateright::Path::into_actions);
    let steps = found.unwrap_or_else(|| panic!("{name}: nothing breaks \"{promise}\""));
    println!("{name}: \"{promise}\" breaks by {steps:?}");
}

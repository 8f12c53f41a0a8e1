//! The state diagram of ARCHITECTURE.md is the state machine of `windlass::model`.

use std::collections::BTreeSet;

use windlass::model::{Event, State, Transition};

const EVENTS: [Event; 10] = [
    Event::Claim,
    Event::Complete,
    Event::Retry,
    Event::Snooze,
    Event::Release,
    Event::Crash,
    Event::Cancel,
    Event::Discard,
    Event::Requeue,
    Event::Unblock,
];

/// `running --complete--> completed`
type Edge = String;

fn edge(from: &str, event: &str, to: &str) -> Edge {
    format!("{from} --{event}--> {to}")
}

/// Every transition there is. One that is only asked for happens when the attempt ends.
pub(crate) fn of_the_code() -> BTreeSet<Edge> {
    let mut edges = BTreeSet::new();
    for from in State::ALL {
        for event in EVENTS {
            let word = format!("{event:?}").to_lowercase();
            match from.on(event) {
                Transition::To(to) => edges.insert(edge(from.as_str(), &word, to.as_str())),
                Transition::Ask => {
                    edges.insert(edge(from.as_str(), &format!("{word} asked"), "cancelled"))
                }
                Transition::Refused => continue,
            };
        }
    }
    edges
}

/// The transitions between states that a mermaid diagram shows: `from --> to: event, event`.
pub(crate) fn of_the_diagram(markdown: &str) -> BTreeSet<Edge> {
    let mut edges = BTreeSet::new();
    for line in markdown.lines() {
        let Some((from, rest)) = line.trim().split_once(" --> ") else {
            continue;
        };
        let Some((to, events)) = rest.split_once(": ") else {
            continue;
        };
        if [from, to].iter().all(|name| name.parse::<State>().is_ok()) {
            edges.extend(events.split(", ").map(|event| edge(from, event, to)));
        }
    }
    edges
}

#[test]
fn a_missing_and_a_made_up_transition_are_told_apart() {
    let drawn = of_the_diagram(
        "```mermaid\n    [*] --> available: enqueue\n    available --> running: claim\n    running --> dead: discard, bad luck\n",
    );
    let code = of_the_code();
    assert_eq!(drawn.len(), 3);
    assert!(drawn.contains("available --claim--> running"));
    assert_eq!(
        drawn.difference(&code).collect::<Vec<_>>(),
        ["running --bad luck--> dead"]
    );
    assert!(
        code.difference(&drawn)
            .any(|edge| edge == "running --cancel asked--> cancelled")
    );
}

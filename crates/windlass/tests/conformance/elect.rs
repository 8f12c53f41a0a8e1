//! One leader per role and term.

use std::sync::Arc;
use std::time::Duration;

use windlass::store::Elect;

use crate::fixture::{Fixture, at_once, just_before};

const TERM: Duration = Duration::from_secs(15);

async fn elect(fx: &Fixture, role: &str, holder: &str) -> bool {
    let elect = Elect {
        role,
        holder,
        term: TERM,
        now: Some(fx.now()),
    };
    fx.store.elect(elect).await.unwrap()
}

pub(crate) async fn the_first_to_ask_leads(fx: &Fixture) {
    assert!(elect(fx, "maintenance", "a").await);
    assert!(!elect(fx, "maintenance", "b").await);
    assert!(elect(fx, "maintenance", "a").await);
}

pub(crate) async fn roles_are_separate(fx: &Fixture) {
    assert!(elect(fx, "maintenance", "a").await);
    assert!(elect(fx, "schedules", "b").await);
    assert!(!elect(fx, "schedules", "a").await);
}

pub(crate) async fn an_expired_term_may_be_taken(fx: &Fixture) {
    assert!(elect(fx, "maintenance", "a").await);
    fx.advance(just_before(TERM));
    assert!(!elect(fx, "maintenance", "b").await);
    fx.advance(Duration::from_micros(1));
    assert!(elect(fx, "maintenance", "b").await);
    assert!(!elect(fx, "maintenance", "a").await);
}

pub(crate) async fn asking_again_prolongs_the_term(fx: &Fixture) {
    assert!(elect(fx, "maintenance", "a").await);
    for _ in 0..5 {
        fx.advance(TERM / 2);
        assert!(elect(fx, "maintenance", "a").await);
        assert!(!elect(fx, "maintenance", "b").await);
    }
}

pub(crate) async fn a_refused_wish_changes_nothing(fx: &Fixture) {
    assert!(elect(fx, "maintenance", "a").await);
    fx.advance(TERM / 2);
    assert!(!elect(fx, "maintenance", "b").await);
    fx.advance(TERM / 2);
    assert!(elect(fx, "maintenance", "c").await);
}

pub(crate) async fn whoever_resigns_lets_the_next_lead(fx: &Fixture) {
    assert!(elect(fx, "maintenance", "a").await);
    assert!(elect(fx, "schedules", "a").await);
    fx.store.resign("maintenance", "a").await.unwrap();
    assert!(elect(fx, "maintenance", "b").await);
    assert!(!elect(fx, "schedules", "b").await);
}

pub(crate) async fn nobody_resigns_for_another(fx: &Fixture) {
    assert!(elect(fx, "maintenance", "a").await);
    fx.store.resign("maintenance", "b").await.unwrap();
    assert!(!elect(fx, "maintenance", "b").await);
    fx.store.resign("none", "b").await.unwrap();
}

pub(crate) async fn of_twenty_at_once_one_leads(fx: &Fixture) {
    for _ in 0..5 {
        let now = Some(fx.now());
        let answers = at_once(20, |number| {
            let store = Arc::clone(if number % 2 == 0 {
                &fx.store
            } else {
                &fx.other
            });
            async move {
                let elect = Elect {
                    role: "maintenance",
                    holder: &format!("worker {number}"),
                    term: TERM,
                    now,
                };
                store.elect(elect).await.unwrap()
            }
        })
        .await;
        assert_eq!(answers.iter().filter(|leads| **leads).count(), 1);
        fx.advance(TERM);
    }
}

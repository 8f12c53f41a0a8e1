//! Where claims start: for each queue and priority, a time before which nothing is claimable.
//!
//! While some transaction is held open (a dump, a forgotten session) vacuum cannot remove what was
//! claimed, and a claim that started at the oldest entry of the index would walk every one of those
//! dead rows, each time. So it starts at the last claimed time, less [`MARGIN`] for what commits
//! late. What falls behind all the same (a transaction that was open for longer, a job handed back in
//! its old place by another process) is found by a look back: one is made after every claim, in the
//! background, as often as it is cheap.
//!
//! Pure bookkeeping: `claim.rs` talks to the database.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::looking::{AFTER_FAILURE, Looking};
use crate::model::Timestamp;

/// Priorities are 0 to 9.
const PRIORITIES: usize = 10;

/// How much later than its `run_at` an ordinary enqueue may commit and still be seen at once.
pub(super) const MARGIN: Duration = Duration::from_millis(250);

/// Looking back takes at most this part of the time...
const REST: u32 = 20;

/// ...and happens at most this often.
const SHORTEST_REST: Duration = Duration::from_millis(50);

/// A time for each priority.
pub(super) type Times = [Timestamp; PRIORITIES];

/// From the beginning: hides nothing.
pub(super) const BEGINNING: Times = [Timestamp::EPOCH; PRIORITIES];

#[derive(Debug, Default)]
pub(super) struct Positions {
    queues: Mutex<HashMap<String, Queue>>,
}

#[derive(Debug)]
struct Queue {
    times: Times,
    /// Counts falls. Whoever started before one knows nothing of it and must not undo it.
    falls: u64,
    looking: Looking,
    /// No look back before this.
    rest_until: Instant,
}

/// What a claim or a look back started from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Start {
    pub(super) times: Times,
    falls: u64,
}

impl Positions {
    pub(super) fn start(&self, queue: &str) -> Start {
        let queues = self.lock();
        let known = queues.get(queue);
        Start {
            times: known.map_or(BEGINNING, |queue| queue.times),
            falls: known.map_or(0, |queue| queue.falls),
        }
    }

    /// Moves on to what was claimed: all before it is claimed, or will be found by looking back.
    pub(super) fn advance(
        &self,
        queue: &str,
        start: Start,
        claimed: impl Iterator<Item = (u8, Timestamp)>,
    ) {
        let mut queues = self.lock();
        let queue = entry(&mut queues, queue);
        if queue.falls != start.falls {
            return;
        }
        for (priority, run_at) in claimed {
            if let Some(time) = queue.times.get_mut(usize::from(priority)) {
                *time = run_at.minus(MARGIN).max(*time);
            }
        }
    }

    /// Makes room for a job that became claimable at an old time.
    pub(super) fn fall_back(&self, queue: &str, priority: u8, run_at: Timestamp) {
        let mut queues = self.lock();
        let Some(queue) = queues.get_mut(queue) else {
            return;
        };
        if let Some(time) = queue.times.get_mut(usize::from(priority))
            && run_at < *time
        {
            *time = run_at;
            queue.falls += 1;
        }
    }

    /// Forgets a queue, for jobs that were given times of their own.
    pub(super) fn forget(&self, queue: &str) {
        if let Some(queue) = self.lock().get_mut(queue) {
            queue.times = BEGINNING;
            queue.falls += 1;
        }
    }

    /// Whether it is the caller's turn to look back, and after what rest.
    pub(super) fn plan_look_back(&self, queue: &str) -> Option<Duration> {
        let mut queues = self.lock();
        let queue = entry(&mut queues, queue);
        if !queue.looking.plan() {
            return None;
        }
        Some(queue.rest_until.saturating_duration_since(Instant::now()))
    }

    /// A look back begins.
    pub(super) fn looks_back(&self, queue: &str) {
        entry(&mut self.lock(), queue).looking.begin();
    }

    /// It has ended: whether to plan another.
    pub(super) fn has_to_look_again(&self, queue: &str) -> bool {
        entry(&mut self.lock(), queue).looking.end()
    }

    /// Takes over what a look back found: the first claimable time of each priority. `true` if a
    /// position had to fall back: something was hidden.
    pub(super) fn looked_back(
        &self,
        queue: &str,
        start: Start,
        found: Option<&[(u8, Timestamp)]>,
        took: Duration,
    ) -> bool {
        let mut queues = self.lock();
        let queue = entry(&mut queues, queue);
        let rest = (took * REST).max(SHORTEST_REST);
        queue.rest_until = Instant::now() + found.map_or(AFTER_FAILURE, |_| rest);
        let mut hidden = false;
        for (priority, first) in found.unwrap_or_default() {
            let Some(time) = queue.times.get_mut(usize::from(*priority)) else {
                continue;
            };
            if *first < *time {
                *time = *first;
                hidden = true;
            } else if queue.falls == start.falls {
                *time = *first;
            }
        }
        queue.falls += u64::from(hidden);
        hidden
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Queue>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn entry<'a>(queues: &'a mut HashMap<String, Queue>, name: &str) -> &'a mut Queue {
    if !queues.contains_key(name) {
        let queue = Queue {
            times: BEGINNING,
            falls: 0,
            looking: Looking::Not,
            rest_until: Instant::now(),
        };
        queues.insert(name.to_owned(), queue);
    }
    queues
        .get_mut(name)
        .expect("the queue is there: it was put there above if it was missing")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn claims_start_at_what_was_claimed_last_less_the_margin() {
        let positions = Positions::default();
        let start = positions.start("q");
        assert_eq!(start.times, BEGINNING);
        positions.advance("q", start, [(5, at(10)), (5, at(20))].into_iter());
        let times = positions.start("q").times;
        assert_eq!(times[5], at(20).minus(MARGIN));
        assert_eq!(times[4], Timestamp::EPOCH, "other priorities stay");
    }

    #[test]
    fn a_claim_under_way_does_not_undo_a_fall() {
        let positions = Positions::default();
        positions.advance("q", positions.start("q"), [(5, at(20))].into_iter());
        let under_way = positions.start("q");
        positions.fall_back("q", 5, at(3));
        positions.advance("q", under_way, [(5, at(30))].into_iter());
        assert_eq!(positions.start("q").times[5], at(3));
    }

    #[test]
    fn looking_back_finds_what_is_hidden_and_moves_on_where_nothing_is() {
        let positions = Positions::default();
        positions.advance("q", positions.start("q"), [(5, at(20))].into_iter());
        let start = positions.start("q");
        assert!(positions.plan_look_back("q").is_some());
        assert!(positions.plan_look_back("q").is_none(), "one at a time");
        let hidden = positions.looked_back(
            "q",
            start,
            Some(&[(5, at(7)), (6, at(90))]),
            Duration::from_secs(1),
        );
        assert!(hidden);
        let times = positions.start("q").times;
        assert_eq!((times[5], times[6]), (at(7), at(90)));
        assert!(!positions.has_to_look_again("q"));
        let rest = positions.plan_look_back("q").unwrap();
        assert!(rest > Duration::from_secs(15), "a dear one is made rarely");
    }

    #[test]
    fn a_failed_look_back_changes_nothing_and_is_not_made_at_once_again() {
        let positions = Positions::default();
        let start = positions.start("q");
        positions.plan_look_back("q");
        assert!(!positions.looked_back("q", start, None, Duration::ZERO));
        assert_eq!(positions.start("q").times, BEGINNING);
        assert!(!positions.has_to_look_again("q"));
        let rest = positions.plan_look_back("q").unwrap();
        assert!(rest > Duration::from_millis(900));
    }
}

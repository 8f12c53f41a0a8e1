//! The cells of governed queues, and where a look into each of them begins.
//!
//! An index that many jobs were claimed from is full of dead entries until vacuum comes, and a search
//! for the first job of a cell walks them all, each time. So the cells that were seen are remembered,
//! each with the time of its first job, and are looked at from there on. A *wide* look also searches the
//! gaps between known cells for new ones, and a *close* one begins a little earlier, for what commits
//! late: a claim that finds too little is followed by both, and a busy queue gets each now and then. A
//! *look back*, as rare as it is dear, begins at nothing: it finds what came back to an old place.
//!
//! Pure bookkeeping: `governed.rs` talks to the database.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::looking::{AFTER_FAILURE, Looking};
use super::positions::MARGIN;
use crate::model::{Cell, Head, Timestamp};

/// Most cells that are remembered; of more, each claim looks at some from the beginning.
const MOST: usize = 256;
/// How long a busy queue goes without a wide look,
const WIDE: Duration = Duration::from_millis(20);
/// and without a close one, which walks what was claimed just now.
const CLOSE: Duration = Duration::from_millis(100);
/// How long an empty cell is remembered: until vacuum has been there, as a rule.
const EMPTY: Duration = Duration::from_mins(2);
/// Looking back takes at most this part of the time,
const REST: u32 = 30;
/// happens at most this often,
const SHORTEST_REST: Duration = Duration::from_millis(50);
/// and, however dear it is, at least this often: what another process hands back waits for it.
const LONGEST_REST: Duration = Duration::from_secs(5);

/// What is remembered of one queue's cells.
#[derive(Debug, Default)]
pub(super) struct Cells {
    /// None: there are too many, or none have been looked for yet.
    known: Option<BTreeMap<Cell, Place>>,
    /// The last wide look.
    widely: Option<Instant>,
    /// The last close one.
    closely: Option<Instant>,
    /// Counts falls. Whoever started before one knows nothing of it and must not undo it.
    falls: u64,
    looking: Looking,
    /// No look back before this.
    rest_until: Option<Instant>,
}

#[derive(Debug)]
struct Place {
    /// No job of the cell is claimable at an earlier time, as far as is known.
    from: Timestamp,
    /// When there last was a job.
    seen: Instant,
}

/// What a claim or a look back starts from.
#[derive(Debug)]
pub(super) struct Start {
    /// The known cells in order, each with a time to look from; none if all are to be searched.
    pub(super) known: Option<Vec<(Cell, Timestamp)>>,
    /// Whether to look for what is not known too.
    pub(super) widely: bool,
    /// Whether the times are a little earlier than the last known jobs'.
    closely: bool,
    falls: u64,
}

impl Start {
    /// Whether everything there is would have been seen.
    pub(super) const fn is_thorough(&self) -> bool {
        self.widely && self.closely
    }
}

impl Cells {
    pub(super) fn start(&self) -> Start {
        let due = |last: Option<Instant>, rest| last.is_none_or(|last| last.elapsed() >= rest);
        let closely = due(self.closely, CLOSE);
        let margin = if closely { MARGIN } else { Duration::ZERO };
        let known = self.known.as_ref().map(|known| {
            let places = known.iter();
            places
                .map(|(cell, place)| (cell.clone(), place.from.minus(margin)))
                .collect()
        });
        Start {
            known,
            widely: due(self.widely, WIDE),
            closely,
            falls: self.falls,
        }
    }

    /// A start from nothing, which hides nothing.
    pub(super) const fn search() -> Start {
        Start {
            known: None,
            widely: true,
            closely: true,
            falls: 0,
        }
    }

    /// Takes over what a claim saw. `whole` says whether these were all the cells there are; `short`,
    /// whether it found less than it had room for, so that the next one has to look closely.
    pub(super) fn looked(
        &mut self,
        start: &Start,
        heads: &[Head],
        now: Timestamp,
        whole: bool,
        short: bool,
    ) {
        let at = Instant::now();
        let made = |last: &mut Option<Instant>, now: bool| match now {
            _ if short => *last = None,
            true => *last = Some(at),
            false => {}
        };
        made(&mut self.widely, start.widely);
        made(&mut self.closely, start.closely);
        if self.falls != start.falls {
            return;
        }
        if !whole || heads.len() >= MOST {
            self.known = None;
            return;
        }
        let known = self.known.get_or_insert_default();
        for head in heads {
            // A job that comes may be due before one that is scheduled for later.
            let place = Place {
                from: head.run_at.min(now),
                seen: at,
            };
            known.insert(head.cell.clone(), place);
        }
        known.retain(|_, place| at - place.seen < EMPTY);
        while known.len() > 2 * MOST {
            let oldest = known.iter().min_by_key(|(_, place)| place.seen);
            let Some(cell) = oldest.map(|(cell, _)| cell.clone()) else {
                break;
            };
            known.remove(&cell);
        }
    }

    /// Makes room for a job that became claimable at an old time.
    pub(super) fn fall_back(&mut self, priority: u8, run_at: Timestamp) {
        let places = self.known.iter_mut().flatten();
        let hiding =
            places.filter(|(cell, place)| cell.priority == priority && run_at < place.from);
        let mut hid = false;
        for (_, place) in hiding {
            (place.from, hid) = (run_at, true);
        }
        self.falls += u64::from(hid);
    }

    /// Forgets everything, for jobs that were given times of their own.
    pub(super) fn forget(&mut self) {
        (self.known, self.widely, self.closely) = (None, None, None);
        self.falls += 1;
    }

    /// Whether it is the caller's turn to look back, and after what rest. Where nothing is remembered
    /// nothing can be hidden.
    pub(super) fn plan_look_back(&mut self) -> Option<Duration> {
        if self.known.is_none() || !self.looking.plan() {
            return None;
        }
        let rest = self
            .rest_until
            .map(|until| until.saturating_duration_since(Instant::now()));
        Some(rest.unwrap_or(SHORTEST_REST))
    }

    /// A look back begins.
    pub(super) fn looks_back(&mut self) {
        self.looking.begin();
    }

    /// It has ended: whether to plan another.
    pub(super) fn has_to_look_again(&mut self) -> bool {
        self.looking.end()
    }

    /// Takes over what it found: the first jobs of cells. `true` if one was hidden.
    pub(super) fn looked_back(&mut self, found: Option<&[Head]>, took: Duration) -> bool {
        let rest = (took * REST).clamp(SHORTEST_REST, LONGEST_REST);
        self.rest_until = Some(Instant::now() + found.map_or(AFTER_FAILURE, |_| rest));
        let Some(known) = &mut self.known else {
            return false;
        };
        let mut hidden = false;
        for head in found.unwrap_or_default() {
            match known.get_mut(&head.cell) {
                Some(place) if head.run_at < place.from => {
                    (place.from, hidden) = (head.run_at, true);
                }
                Some(_) => {}
                None => {
                    let place = Place {
                        from: head.run_at,
                        seen: Instant::now(),
                    };
                    known.insert(head.cell.clone(), place);
                    hidden = true;
                }
            }
        }
        self.falls += u64::from(hidden);
        hidden
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn head(tenant: &str, seconds: i64) -> Head {
        Head {
            cell: Cell {
                tenant: tenant.to_owned(),
                kind: "work".to_owned(),
                key: tenant.to_owned(),
                priority: 5,
            },
            run_at: at(seconds),
            due: 1,
            deep: false,
            later: None,
        }
    }

    fn froms(cells: &Cells) -> Vec<Timestamp> {
        let known = cells.known.iter().flatten();
        known.map(|(_, place)| place.from).collect()
    }

    #[test]
    fn looks_begin_at_the_first_job_that_was_seen_and_close_ones_earlier() {
        let mut cells = Cells::default();
        let first = cells.start();
        assert!(first.known.is_none() && first.is_thorough());
        cells.looked(
            &first,
            &[head("a", 10), head("b", 20)],
            at(1000),
            true,
            false,
        );
        let next = cells.start();
        assert!(!next.widely && !next.closely, "one has just been made");
        let from: Vec<Timestamp> = next.known.iter().flatten().map(|(_, from)| *from).collect();
        assert_eq!(from, [at(10), at(20)]);
        cells.looked(&next, &[head("a", 11)], at(1000), true, true);
        let close = cells.start();
        assert!(close.is_thorough(), "too little was found");
        let from: Vec<Timestamp> = close
            .known
            .iter()
            .flatten()
            .map(|(_, from)| *from)
            .collect();
        assert_eq!(
            from,
            [at(11).minus(MARGIN), at(20).minus(MARGIN)],
            "an empty cell keeps its place"
        );
    }

    #[test]
    fn too_many_cells_are_not_remembered() {
        let mut cells = Cells::default();
        let heads: Vec<Head> = (0..256).map(|n| head(&format!("t{n:03}"), 1)).collect();
        cells.looked(&cells.start(), &heads[1..], at(1000), true, false);
        assert_eq!(froms(&cells).len(), 255);
        cells.looked(&cells.start(), &heads, at(1000), true, false);
        assert!(cells.known.is_none());
        cells.looked(&cells.start(), &heads[..9], at(1000), false, false);
        assert!(cells.known.is_none(), "there are more than these");
    }

    #[test]
    fn a_claim_under_way_does_not_undo_a_fall() {
        let mut cells = Cells::default();
        cells.looked(&cells.start(), &[head("a", 10)], at(1000), true, false);
        let under_way = cells.start();
        cells.fall_back(4, at(1));
        assert_eq!(froms(&cells), [at(10)], "of another priority");
        cells.fall_back(5, at(3));
        cells.looked(&under_way, &[head("a", 30)], at(1000), true, false);
        assert_eq!(froms(&cells), [at(3)]);
    }

    #[test]
    fn looking_back_finds_what_is_hidden() {
        let mut cells = Cells::default();
        assert!(cells.plan_look_back().is_none(), "nothing is remembered");
        cells.looked(
            &cells.start(),
            &[head("a", 10), head("b", 10)],
            at(1000),
            true,
            false,
        );
        assert!(cells.plan_look_back().is_some());
        assert!(cells.plan_look_back().is_none(), "one at a time");
        cells.looks_back();
        assert!(!cells.has_to_look_again());
        let found = [head("a", 7), head("b", 12), head("c", 1)];
        assert!(cells.looked_back(Some(&found), Duration::from_secs(1)));
        assert_eq!(froms(&cells), [at(7), at(10), at(1)]);
        let rest = cells.plan_look_back().unwrap();
        assert!(rest > Duration::from_secs(4), "a dear one is made rarely");
        cells.looks_back();
        assert!(!cells.has_to_look_again());
        assert!(!cells.looked_back(None, Duration::ZERO), "it failed");
        let rest = cells.plan_look_back().unwrap();
        assert!(rest > Duration::from_millis(900), "not at once again");
    }
}

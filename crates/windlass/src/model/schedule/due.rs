//! Which ticks are to be fired now, and which are left out.

use std::time::Duration;

use super::{CatchUp, Cron, Origin};
use crate::model::Timestamp;

/// A tick so late is on time: a restart, or another scheduler taking over, misses nothing.
pub const ON_TIME: Duration = Duration::from_mins(1);

/// Most ticks to fire in one round; the next round goes on after them.
const MOST_TICKS: usize = 500;
/// Most ticks of those left out that are recorded one by one, and how many are looked for.
const MOST_MISSED: usize = 100;
const ENOUGH_MISSED: usize = 20;
/// How far to look back for the latest ticks missed; each further than the one before, since how many
/// ticks there are in a year depends on the expression.
const LOOK_BACK: [Duration; 5] = [
    Duration::from_mins(2),
    Duration::from_hours(2),
    Duration::from_hours(24 * 2),
    Duration::from_hours(24 * 62),
    Duration::from_hours(24 * 366 * 9),
];

/// What is to be done about the ticks up to now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Due {
    /// Left out, oldest first: the latest of them, as examples for the history. Everything up to the
    /// last one is decided.
    pub missed: Vec<Timestamp>,
    /// To be fired, in this order. Not all, if they are very many: ask again after these.
    pub ticks: Vec<(Timestamp, Origin)>,
}

/// Decides about every tick after `decided_until` and up to `now`.
///
/// ```
/// use std::time::Duration;
/// use windlass::Timestamp;
/// use windlass::model::{CatchUp, Cron, Origin, due};
///
/// let hourly = Cron::new("@hourly", "UTC")?;
/// let (down, up) = ("2026-01-01T09:30:00Z".parse()?, "2026-01-01T12:30:00Z".parse()?);
///
/// let due = due(&hourly, CatchUp::Latest, down, up);
/// assert_eq!(due.ticks, [("2026-01-01T12:00:00Z".parse::<Timestamp>()?, Origin::CatchUp)]);
/// assert_eq!(due.missed.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn due(cron: &Cron, catch_up: CatchUp, decided_until: Timestamp, now: Timestamp) -> Due {
    // The last instant at which a tick is too late to be on time.
    let late = now
        .minus(ON_TIME + Duration::from_micros(1))
        .max(decided_until);
    let on_time = between(cron, late, now).map(|at| (at, Origin::Scheduled));
    match catch_up {
        CatchUp::None => Due {
            missed: latest(cron, decided_until, late),
            ticks: on_time.take(MOST_TICKS).collect(),
        },
        CatchUp::Latest => {
            let mut missed = latest(cron, decided_until, late);
            let mut ticks: Vec<_> = on_time.take(MOST_TICKS).collect();
            if ticks.is_empty() {
                ticks.extend(missed.pop().map(|at| (at, Origin::CatchUp)));
            }
            Due { missed, ticks }
        }
        CatchUp::All { within } => {
            let oldest = now
                .minus(within + Duration::from_micros(1))
                .max(decided_until);
            let made_up = between(cron, oldest, late).map(|at| (at, Origin::CatchUp));
            Due {
                missed: latest(cron, decided_until, oldest),
                ticks: made_up.chain(on_time).take(MOST_TICKS).collect(),
            }
        }
    }
}

/// How much later than its fire time a tick's job starts: the same for whoever asks.
#[must_use]
pub fn jitter(schedule: &str, fire_at: Timestamp, most: Duration) -> Duration {
    let most = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
    if most == 0 {
        return Duration::ZERO;
    }
    // FNV-1a, then a finisher: written out, because it must stay the same in every version.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in schedule.bytes().chain(fire_at.as_micros().to_le_bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^= hash >> 33;
    Duration::from_micros(hash % most)
}

/// Ticks after one instant and up to another.
fn between(cron: &Cron, after: Timestamp, until: Timestamp) -> impl Iterator<Item = Timestamp> {
    cron.after(after).take_while(move |at| *at <= until)
}

/// The latest ticks after one instant and up to another, oldest first; all, if they are few.
fn latest(cron: &Cron, after: Timestamp, until: Timestamp) -> Vec<Timestamp> {
    if after >= until {
        return Vec::new();
    }
    for back in LOOK_BACK {
        let from = until.minus(back).max(after);
        let found: Vec<_> = between(cron, from, until).collect();
        if found.len() >= ENOUGH_MISSED || from == after {
            let older = found.len().saturating_sub(MOST_MISSED);
            return found[older..].to_vec();
        }
    }
    between(cron, after, until).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn times(ticks: &[(Timestamp, Origin)]) -> Vec<(String, Origin)> {
        let short = |at: Timestamp| at.to_datetime().format("%d %H:%M:%S").to_string();
        ticks
            .iter()
            .map(|(t, origin)| (short(*t), *origin))
            .collect()
    }

    fn hourly(catch_up: CatchUp, until: &str, now: &str) -> Due {
        let cron = Cron::new("0 * * * *", "UTC").unwrap();
        due(&cron, catch_up, at(until), at(now))
    }

    const ALL: CatchUp = CatchUp::All {
        within: Duration::from_hours(3),
    };

    #[test]
    fn a_tick_within_a_minute_is_on_time_under_every_policy() {
        for policy in [CatchUp::None, CatchUp::Latest, ALL] {
            let due = hourly(policy, "2026-01-01T09:30:00Z", "2026-01-01T10:01:00Z");
            assert_eq!(
                times(&due.ticks),
                [("01 10:00:00".into(), Origin::Scheduled)]
            );
            assert_eq!(due.missed, []);
        }
    }

    #[test]
    fn nothing_is_due_before_its_time_or_twice() {
        for policy in [CatchUp::None, CatchUp::Latest, ALL] {
            let early = hourly(
                policy,
                "2026-01-01T09:30:00Z",
                "2026-01-01T09:59:59.999999Z",
            );
            assert_eq!(early, Due::default());
            let done = hourly(policy, "2026-01-01T10:00:00Z", "2026-01-01T10:00:00Z");
            assert_eq!(done, Due::default());
            let behind = hourly(policy, "2026-01-01T12:00:00Z", "2026-01-01T10:00:00Z");
            assert_eq!(
                behind,
                Due::default(),
                "a clock that was put back fires nothing"
            );
        }
    }

    #[test]
    fn after_an_outage_each_policy_does_as_it_says() {
        let (down, up) = ("2026-01-01T09:30:00Z", "2026-01-03T09:30:00Z");
        let none = hourly(CatchUp::None, down, up);
        assert_eq!(none.ticks, []);
        assert_eq!(none.missed.last(), Some(&at("2026-01-03T09:00:00Z")));

        let latest = hourly(CatchUp::Latest, down, up);
        assert_eq!(
            times(&latest.ticks),
            [("03 09:00:00".into(), Origin::CatchUp)]
        );
        assert_eq!(latest.missed.last(), Some(&at("2026-01-03T08:00:00Z")));

        let all = hourly(ALL, down, up);
        assert_eq!(
            times(&all.ticks),
            ["03 07:00:00", "03 08:00:00", "03 09:00:00"].map(|t| (t.to_owned(), Origin::CatchUp))
        );
        assert_eq!(all.missed.last(), Some(&at("2026-01-03T06:00:00Z")));
    }

    #[test]
    fn the_latest_is_not_made_up_for_when_a_newer_one_is_on_time() {
        let due = hourly(
            CatchUp::Latest,
            "2026-01-01T09:30:00Z",
            "2026-01-01T12:00:20Z",
        );
        assert_eq!(
            times(&due.ticks),
            [("01 12:00:00".into(), Origin::Scheduled)]
        );
        assert_eq!(
            due.missed,
            [at("2026-01-01T10:00:00Z"), at("2026-01-01T11:00:00Z")]
        );
    }

    #[test]
    fn rounds_are_bounded_and_go_on_where_they_stopped() {
        let cron = Cron::new("* * * * * *", "UTC").unwrap();
        let (mut decided, now) = (at("2026-01-01T00:00:00Z"), at("2026-01-01T00:30:00Z"));
        let mut fired = 0;
        loop {
            let due = due(&cron, ALL, decided, now);
            assert!(due.missed.is_empty() && due.ticks.len() <= MOST_TICKS);
            let Some((last, _)) = due.ticks.last() else {
                break;
            };
            fired += due.ticks.len();
            decided = *last;
        }
        assert_eq!((fired, decided), (1800, now));
    }

    #[test]
    fn a_year_of_missed_seconds_is_not_walked() {
        let cron = Cron::new("* * * * * *", "UTC").unwrap();
        let (down, up) = (at("2025-01-01T00:00:00Z"), at("2026-01-01T00:00:00Z"));
        let due = due(&cron, CatchUp::None, down, up);
        assert_eq!(due.ticks.len(), 61);
        assert_eq!(due.missed.len(), MOST_MISSED);
    }

    #[test]
    fn a_rare_tick_is_found_however_long_ago() {
        let leap = Cron::new("0 0 29 2 *", "UTC").unwrap();
        let due = due(
            &leap,
            CatchUp::Latest,
            at("2019-01-01T00:00:00Z"),
            at("2027-01-01T00:00:00Z"),
        );
        assert_eq!(due.ticks, [(at("2024-02-29T00:00:00Z"), Origin::CatchUp)]);
    }

    #[test]
    fn jitter_is_bounded_spread_and_the_same_for_everyone() {
        let most = Duration::from_mins(1);
        let tick = at("2026-01-01T00:00:00Z");
        assert_eq!(jitter("a", tick, Duration::ZERO), Duration::ZERO);
        // Written down: a changed value means that two versions of a program disagree.
        assert_eq!(jitter("nightly", tick, most).as_micros(), 50_614_475);
        let all: Vec<_> = (0..1000)
            .map(|n| jitter("nightly", tick + Duration::from_secs(n), most))
            .collect();
        assert!(all.iter().all(|jitter| *jitter < most));
        let in_first_half = all.iter().filter(|jitter| **jitter < most / 2).count();
        assert!((400..600).contains(&in_first_half), "{in_first_half}");
    }
}

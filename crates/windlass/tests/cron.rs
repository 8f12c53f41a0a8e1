//! Cron in every time zone, against a reference that does nothing but look at the clock every minute.
//!
//! The reference knows no calendar arithmetic and no rule beyond the two promises: a wall-clock time that
//! is passed over fires at the first instant after it, one that was seen before fires no more. What an
//! expression means is written beside it as a predicate, not read from it.
#![expect(clippy::unwrap_used, reason = "what cannot go on has failed")]

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Datelike, NaiveDateTime, Offset, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};
use windlass::Timestamp;
use windlass::model::Cron;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const YEARS: (i32, i32) = (2026, 2036);

/// An expression, and what it means.
type Meaning = (&'static str, fn(NaiveDateTime) -> bool);

/// Some that fall into the hours in which clocks change, and some that fall everywhere.
const MEANINGS: &[Meaning] = &[
    ("30 2 * * *", |t| (t.hour(), t.minute()) == (2, 30)),
    ("0 0 * * *", |t| (t.hour(), t.minute()) == (0, 0)),
    ("@hourly", |t| t.minute() == 0),
    ("*/20 1-3 * * *", |t| {
        t.minute() % 20 == 0 && (1..=3).contains(&t.hour())
    }),
    ("15 0,1,2,3 * * SUN", |t| {
        t.minute() == 15 && t.hour() < 4 && t.weekday() == chrono::Weekday::Sun
    }),
    ("45 1 * MAR,OCT 7#L", |t| {
        (t.hour(), t.minute()) == (1, 45)
            && [3, 10].contains(&t.month())
            && t.weekday() == chrono::Weekday::Sun
            && (t + TimeDelta::days(7)).month() != t.month()
    }),
    ("30 23 L * *", |t| {
        (t.hour(), t.minute()) == (23, 30) && (t + TimeDelta::days(1)).day() == 1
    }),
    ("30 2 * NOV +SUN#1", |t| {
        (t.hour(), t.minute()) == (2, 30)
            && t.month() == 11
            && t.weekday() == chrono::Weekday::Sun
            && t.day() <= 7
    }),
    ("30 0-4 13 * 5", |t| {
        t.minute() == 30 && t.hour() < 5 && (t.day() == 13 || t.weekday() == chrono::Weekday::Fri)
    }),
];

fn seconds(year: i32) -> i64 {
    let midnight = Utc.with_ymd_and_hms(year, 1, 1, 0, 0, 0);
    midnight.single().unwrap().timestamp()
}

fn instant(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

fn offset(zone: Tz, at: i64) -> i64 {
    let utc = DateTime::from_timestamp(at, 0).unwrap().naive_utc();
    zone.offset_from_utc_datetime(&utc)
        .fix()
        .local_minus_utc()
        .into()
}

/// A zone's clocks over the ten years: from when on they are how far ahead of UTC.
type Clocks = Vec<(i64, i64)>;

fn clocks(zone: Tz) -> Clocks {
    let (from, to) = (seconds(YEARS.0) - DAY, seconds(YEARS.1) + DAY);
    let mut clocks = vec![(from, offset(zone, from))];
    // No zone changes its clocks and back again within a week.
    for week in (from..to).step_by(usize::try_from(7 * DAY).unwrap()) {
        let (mut before, mut after) = (week, week + 7 * DAY);
        if offset(zone, before) == offset(zone, after) {
            continue;
        }
        while after - before > 1 {
            let middle = i64::midpoint(before, after);
            if offset(zone, middle) == offset(zone, before) {
                before = middle;
            } else {
                after = middle;
            }
        }
        assert_eq!(after % MINUTE, 0, "{zone:?} changes within a minute");
        clocks.push((after, offset(zone, after)));
    }
    clocks
}

/// One zone for each way of changing the clocks, and how many zones go by it.
fn ways() -> BTreeMap<Clocks, (Tz, usize)> {
    let mut ways: BTreeMap<Clocks, (Tz, usize)> = BTreeMap::new();
    for zone in TZ_VARIANTS {
        ways.entry(clocks(zone)).or_insert((zone, 0)).1 += 1;
    }
    ways
}

/// Looks at the zone's clock every minute from one instant up to another.
fn reference(clocks: &Clocks, from: i64, to: i64, means: &[Meaning]) -> Vec<Vec<i64>> {
    let shown = |at: i64| {
        let (_, ahead) = clocks[clocks.partition_point(|(since, _)| *since <= at) - 1];
        (at + ahead) / MINUTE
    };
    let read = |wall: i64| {
        DateTime::from_timestamp(wall * MINUTE, 0)
            .unwrap()
            .naive_utc()
    };
    let mut fires = vec![Vec::new(); means.len()];
    // A day before, so that times seen before the window count as seen.
    let mut last = (from - DAY..from).step_by(60).map(shown).max().unwrap();
    for at in (from..to).step_by(60) {
        let wall = shown(at);
        for new in last + 1..=wall {
            let time = read(new);
            for (fires, (_, matches)) in fires.iter_mut().zip(means) {
                if fires.last() != Some(&at) && matches(time) {
                    fires.push(at);
                }
            }
        }
        last = last.max(wall);
    }
    fires
}

fn compare(zone: Tz, clocks: &Clocks, from: i64, to: i64, means: &[Meaning]) -> usize {
    let expected = reference(clocks, from, to, means);
    for ((expression, _), expected) in means.iter().zip(&expected) {
        let cron = Cron::new(expression, zone.name()).unwrap();
        let fires: Vec<i64> = cron
            .after(instant(from - 1))
            .map(|at| at.as_micros() / 1_000_000)
            .take_while(|at| *at < to)
            .collect();
        assert_eq!(&fires, expected, "{expression} in {zone:?} from {from}");
    }
    expected.iter().map(Vec::len).sum()
}

#[test]
fn every_change_of_clocks_of_every_zone_in_ten_years_agrees_with_the_reference() {
    let (mut zones, mut changes, mut fires) = (0, 0, 0);
    for (clocks, (zone, alike)) in ways() {
        zones += alike;
        for (change, _) in &clocks[1..] {
            changes += 1;
            fires += compare(
                zone,
                &clocks,
                change - 3 * HOUR,
                change + 27 * HOUR,
                MEANINGS,
            );
        }
    }
    assert_eq!(zones, TZ_VARIANTS.len());
    assert!(
        zones > 500 && changes > 500 && fires > 10_000,
        "{zones} {changes} {fires}"
    );
}

#[test]
fn every_minute_fires_once_through_every_kind_of_change() {
    const EVERY: &[Meaning] = &[("* * * * *", |_| true)];
    for zone in [
        "Europe/Berlin",
        "Australia/Lord_Howe",
        "America/New_York",
        "Africa/Casablanca",
    ] {
        let zone: Tz = zone.parse().unwrap();
        let clocks = clocks(zone);
        for (change, _) in &clocks[1..5] {
            compare(zone, &clocks, change - 2 * HOUR, change + 2 * HOUR, EVERY);
        }
    }
}

/// All the minutes of all ten years, of all zones if `CRON_SWEEP=all`, of some otherwise.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "how much to look at is asked for by whoever runs it"
)]
fn all_minutes_of_ten_years_agree_with_the_reference() {
    let all = std::env::var("CRON_SWEEP").is_ok_and(|sweep| sweep == "all");
    let some = ["Europe/Berlin", "America/Havana"];
    let (from, to) = (seconds(YEARS.0), seconds(YEARS.1));
    let mut zones = 0;
    for (clocks, (zone, _)) in ways() {
        let named = some.iter().any(|name| {
            let named: Tz = name.parse().unwrap();
            self::clocks(named) == clocks
        });
        if all || named {
            zones += 1;
            let to = if all { to } else { from + 366 * DAY };
            assert!(compare(zone, &clocks, from, to, MEANINGS) > 1000);
        }
    }
    assert!(zones >= some.len());
}

#[test]
fn daily_fires_once_a_day_for_ten_years_in_every_zone() {
    for (clocks, (zone, _)) in ways() {
        let cron = Cron::new("30 2 * * *", zone.name()).unwrap();
        let (from, to) = (seconds(YEARS.0), seconds(YEARS.1));
        let fires: Vec<_> = cron
            .after(instant(from))
            .take_while(|at| *at <= instant(to))
            .collect();
        assert!(fires.is_sorted_by(|a, b| a < b), "{zone:?}");
        let days: Vec<_> = fires
            .iter()
            .map(|at| cron.zoned(*at).date_naive())
            .collect();
        let missing = days
            .windows(2)
            .find(|pair| pair[0].succ_opt() != Some(pair[1]));
        assert_eq!(missing, None, "{zone:?} with {clocks:?}");
        let (least, most) = (fires.first().unwrap(), fires.last().unwrap());
        assert!(most.since(*least) > Duration::from_hours(24 * 3650));
    }
}

#[test]
fn a_day_that_a_zone_left_out_fires_when_the_next_begins() {
    // Samoa went from the 29th of December 2011 to the 31st.
    let cron = Cron::new("0 10 * * *", "Pacific/Apia").unwrap();
    let fires: Vec<String> = cron
        .after("2011-12-29T12:00:00-10:00".parse().unwrap())
        .take(3)
        .map(|at| cron.zoned(at).to_rfc3339())
        .collect();
    assert_eq!(
        fires,
        [
            "2011-12-31T00:00:00+14:00",
            "2011-12-31T10:00:00+14:00",
            "2012-01-01T10:00:00+14:00"
        ]
    );
}

#[test]
fn a_repeated_hour_fires_the_first_time_wherever_one_starts_to_look() {
    let cron = Cron::new("30 2 * * *", "Europe/Berlin").unwrap();
    let next = |after: &str| {
        let at = cron.next_after(after.parse().unwrap()).unwrap();
        cron.zoned(at).to_rfc3339()
    };
    assert_eq!(
        next("2026-10-25T02:29:59.999999+02:00"),
        "2026-10-25T02:30:00+02:00"
    );
    assert_eq!(
        next("2026-10-25T02:30:00+02:00"),
        "2026-10-26T02:30:00+01:00"
    );
    assert_eq!(
        next("2026-10-25T02:10:00+01:00"),
        "2026-10-26T02:30:00+01:00"
    );
}

#[test]
fn expressions_of_every_form_are_understood() {
    let start: Timestamp = "2026-11-22T15:30:20Z".parse().unwrap();
    for (expression, next) in [
        ("*/10 * * * * *", "2026-11-22T15:30:30Z"),
        ("0 30 9-17/2 * * mon-fri", "2026-11-23T09:30:00Z"),
        ("@daily", "2026-11-23T00:00:00Z"),
        ("@weekly", "2026-11-29T00:00:00Z"),
        ("@monthly", "2026-12-01T00:00:00Z"),
        ("@yearly", "2027-01-01T00:00:00Z"),
        ("0 0 L * *", "2026-11-30T00:00:00Z"),
        ("0 0 L FEB *", "2027-02-28T00:00:00Z"),
        ("0 0 15W * *", "2026-12-15T00:00:00Z"),
        ("0 9 * * FRI#L", "2026-11-27T09:00:00Z"),
        ("0 9 * * 2#1", "2026-12-01T09:00:00Z"),
        ("0 0 1 * +MON", "2027-02-01T00:00:00Z"),
        ("0 0 29 2 *", "2028-02-29T00:00:00Z"),
        ("0 12 ? * 0", "2026-11-29T12:00:00Z"),
    ] {
        let cron = Cron::new(expression, "UTC").unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(
            cron.next_after(start),
            Some(next.parse().unwrap()),
            "{expression}"
        );
    }
}

#[test]
fn what_cannot_be_is_refused_with_the_reason() {
    for (expression, zone, field, reason) in [
        ("0 0 30 2 *", "UTC", "cron", "never fires"),
        ("0 0 31 2,4,6,9,11 *", "UTC", "cron", "never fires"),
        ("0 0 31 4 +MON", "UTC", "cron", "never fires"),
        ("61 * * * *", "UTC", "cron", "five fields"),
        ("* * * *", "UTC", "cron", "five fields"),
        ("0 0 1 1 * * 2030", "UTC", "cron", "five fields"),
        ("@fortnightly", "UTC", "cron", "@daily"),
        ("@reboot", "UTC", "cron", "@daily"),
        ("0 0 * * FUN", "UTC", "cron", "five fields"),
        ("", "UTC", "cron", "five fields"),
        ("5-1 * * * *", "UTC", "cron", "five fields"),
        ("*/0 * * * *", "UTC", "cron", "five fields"),
        ("0 0 * * MON#6", "UTC", "cron", "five fields"),
        ("@daily", "Europe/Atlantis", "zone", "IANA name"),
        ("@daily", "europe/berlin", "zone", "upper and lower case"),
        ("@daily", "", "zone", "IANA name"),
    ] {
        let refused = Cron::new(expression, zone).expect_err(expression);
        assert_eq!(refused.field, field, "{expression}");
        assert!(refused.problem.contains(reason), "{expression}: {refused}");
    }
}

#[test]
fn words_say_what_an_expression_means() {
    let cron = Cron::new("30 9 * * MON", "UTC").unwrap();
    assert_eq!(cron.describe(), "At 09:30, on Monday.");
}

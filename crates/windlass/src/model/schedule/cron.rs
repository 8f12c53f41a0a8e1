//! When: a cron expression in a time zone.
//!
//! `croner` reads the expression and walks the calendar, on wall-clock times that know no zone. Which
//! instant a wall-clock time means is decided here, by one rule for every expression and zone: a time
//! that does not exist means the first instant after the gap, one that happens twice means the first.
//! (croner's own rule lets intervals fire in both repeated hours, and depends on the expression.)

use std::fmt;

use chrono::{
    DateTime, FixedOffset, NaiveDate, NaiveDateTime, Offset, TimeDelta, TimeZone, Timelike,
};
use chrono_tz::Tz;
use croner::parser::{CronParser, Year};

use super::InvalidSchedule;
use crate::model::Timestamp;

/// Farther from UTC than any zone has ever been.
const WIDEST_OFFSET: TimeDelta = TimeDelta::hours(16);

/// A cron expression in an IANA time zone: all the instants at which something is to be done.
///
/// Five fields (minute, hour, day of month, month, day of week), six with seconds first, or a nickname
/// such as `@daily`. Names (`MON`, `JAN`), ranges, lists, steps, `L` (last), `W` (nearest weekday) and
/// `#` (nth) are understood; where both days are given, either will do, unless the day of the week
/// starts with `+`.
///
/// A wall-clock time that does not exist fires at the first instant after the gap; one that happens
/// twice fires once, the first time.
///
/// ```
/// use windlass::Timestamp;
/// use windlass::model::Cron;
///
/// let cron = Cron::new("30 2 * * *", "Europe/Berlin")?;
/// let saturday = "2026-03-28T12:00:00Z".parse::<Timestamp>()?;
/// let fires: Vec<String> = cron
///     .after(saturday)
///     .take(2)
///     .map(|at| cron.zoned(at).to_rfc3339())
///     .collect();
/// // On the 29th there is no 02:30: clocks go from 02:00 to 03:00.
/// assert_eq!(fires, ["2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"]);
///
/// let impossible = Cron::new("0 0 30 2 *", "UTC").unwrap_err();
/// assert!(impossible.to_string().contains("never"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Cron {
    expression: String,
    pattern: croner::Cron,
    zone: Tz,
}

impl Cron {
    /// Reads an expression and the name of a zone; says what is wrong with either, and refuses an
    /// expression that never fires, such as one for the 30th of February.
    pub fn new(expression: &str, zone: &str) -> Result<Self, InvalidSchedule> {
        let zone: Tz = zone.parse().map_err(|_| {
            let problem = format!(
                "{zone:?} is not a time zone; use an IANA name such as UTC or Europe/Berlin, in its \
                 own upper and lower case"
            );
            InvalidSchedule::new("zone", problem)
        })?;
        let pattern = CronParser::builder()
            .year(Year::Disallowed)
            .build()
            .parse(expression)
            .map_err(|error| {
                let problem = format!(
                    "{expression:?} is not a cron expression ({error}); use five fields (minute, hour, \
                     day of month, month, day of week), six with seconds first, or a nickname such as \
                     @daily"
                );
                InvalidSchedule::new("cron", problem)
            })?;
        let cron = Self {
            expression: expression.trim().to_owned(),
            pattern,
            zone,
        };
        // The calendar repeats itself every 400 years, and the search ends with the year 5000.
        let cycle = NaiveDate::from_ymd_opt(4600, 1, 1).unwrap_or_default();
        if cron.next_wall(cycle.into()).is_none() {
            let problem =
                format!("{expression:?} never fires: no date of the calendar is like that");
            return Err(InvalidSchedule::new("cron", problem));
        }
        Ok(cron)
    }

    /// The expression as it was given.
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// The zone's IANA name.
    pub fn zone(&self) -> &'static str {
        self.zone.name()
    }

    /// The expression in words, in English.
    pub fn describe(&self) -> String {
        self.pattern.describe()
    }

    /// The first fire time after an instant. `None` only beyond the year 5000.
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let utc = after.to_datetime().naive_utc();
        let mut wall = self.zone.from_utc_datetime(&utc).naive_local();
        wall = wall.with_nanosecond(0)?;
        loop {
            wall = self.next_wall(wall)?;
            let at = self.instant(wall)?;
            // In the second pass of a repeated hour, its times have fired already.
            if at > after {
                return Some(at);
            }
        }
    }

    /// All fire times after an instant, in order.
    pub fn after(&self, after: Timestamp) -> impl Iterator<Item = Timestamp> {
        std::iter::successors(self.next_after(after), |at| self.next_after(*at))
    }

    /// An instant on the zone's clocks, with their offset.
    pub fn zoned(&self, at: Timestamp) -> DateTime<FixedOffset> {
        let offset = self
            .zone
            .offset_from_utc_datetime(&at.to_datetime().naive_utc());
        at.to_datetime().with_timezone(&offset.fix())
    }

    /// The next wall-clock time that the expression means.
    fn next_wall(&self, wall: NaiveDateTime) -> Option<NaiveDateTime> {
        self.pattern.find_next_occurrence(&wall, false).ok()
    }

    /// The instant that a wall-clock time means. Never earlier for a later wall-clock time.
    fn instant(&self, wall: NaiveDateTime) -> Option<Timestamp> {
        let at = match self.zone.from_local_datetime(&wall).earliest() {
            Some(at) => at.to_utc(),
            None => self.end_of_gap(wall)?.and_utc(),
        };
        Some(Timestamp::from_datetime(at))
    }

    /// The first instant, in UTC, whose wall-clock time lies after one that does not exist.
    fn end_of_gap(&self, wall: NaiveDateTime) -> Option<NaiveDateTime> {
        let mut before = wall.checked_sub_signed(WIDEST_OFFSET)?;
        let mut after = wall.checked_add_signed(WIDEST_OFFSET)?;
        while after - before > TimeDelta::seconds(1) {
            let middle = before + TimeDelta::seconds((after - before).num_seconds() / 2);
            if self.zone.from_utc_datetime(&middle).naive_local() > wall {
                after = middle;
            } else {
                before = middle;
            }
        }
        Some(after)
    }
}

impl fmt::Debug for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cron({} in {})", self.expression, self.zone.name())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What stands in one place of an expression, right or wrong.
    const FIELD: &str = "(\\*|[0-9]{1,3}|[0-9]{1,2}-[0-9]{1,2}|L|15W|MON#2|JAN|\\?|\\+1)(/[0-9]{1,3})?(,[0-9]{1,2})?";

    fn expressions() -> impl Strategy<Value = String> {
        let fields = prop::collection::vec(FIELD, 4..=7);
        prop_oneof![
            fields.prop_map(|fields| fields.join(" ")),
            "\\PC{0,40}",
            "@[a-z]{0,10}"
        ]
    }

    proptest! {
        #[test]
        fn any_text_is_an_expression_that_fires_later_or_none(
            text in expressions(),
            zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "Pacific/Apia", "utc"]),
            micros in 0..4_102_444_800_000_000_i64,
        ) {
            if let Ok(cron) = Cron::new(&text, zone) {
                let from = Timestamp::from_micros(micros);
                let fires: Vec<Timestamp> = std::iter::once(from).chain(cron.after(from).take(3)).collect();
                prop_assert!(fires.is_sorted_by(|a, b| a < b), "{:?}", fires);
                let again = Cron::new(cron.expression(), cron.zone()).unwrap();
                prop_assert!(again == cron);
            }
        }
    }
}

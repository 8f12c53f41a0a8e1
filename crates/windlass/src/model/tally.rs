use std::time::Duration;

use super::Timestamp;

/// Waits are counted by the first of these that they do not exceed, in milliseconds; longer ones by one
/// more.
pub const WAIT_BOUNDS_MS: [u32; 13] = [
    5, 10, 25, 50, 100, 250, 500, 1_000, 5_000, 15_000, 60_000, 300_000, 1_800_000,
];

/// What is counted of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Measure {
    /// A job was enqueued.
    Enqueued,
    /// An attempt completed its job.
    Completed,
    /// An attempt failed, panicked, took too long, or went with its process.
    Failed,
    /// An attempt was its job's last: it was set aside.
    Dead,
    /// An attempt ended because its job was cancelled.
    Cancelled,
    /// An attempt had waited since it was due: at most [`WAIT_BOUNDS_MS`] at this place.
    Waited(u8),
}

/// So much of it, in one queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// Where.
    pub queue: String,
    /// What.
    pub measure: Measure,
    /// How often.
    pub n: u64,
}

/// The same within one step of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountedAt {
    /// When the step began.
    pub at: Timestamp,
    /// What was counted in it.
    pub counted: Counted,
}

const FIRST_WAIT: i16 = 100;

impl Measure {
    /// A wait, by its length.
    pub fn of_wait(waited: Duration) -> Self {
        let place = WAIT_BOUNDS_MS
            .iter()
            .position(|bound| waited <= Duration::from_millis(u64::from(*bound)))
            .unwrap_or(WAIT_BOUNDS_MS.len());
        Self::Waited(u8::try_from(place).unwrap_or(u8::MAX))
    }

    /// What it is stored as.
    pub const fn code(self) -> i16 {
        match self {
            Self::Enqueued => 0,
            Self::Completed => 1,
            Self::Failed => 2,
            Self::Dead => 3,
            Self::Cancelled => 4,
            Self::Waited(place) => FIRST_WAIT + place as i16,
        }
    }

    /// What was stored; `None` for what a later program counts.
    pub fn of_code(code: i16) -> Option<Self> {
        let place = u8::try_from(code - FIRST_WAIT).ok();
        match code {
            0 => Some(Self::Enqueued),
            1 => Some(Self::Completed),
            2 => Some(Self::Failed),
            3 => Some(Self::Dead),
            4 => Some(Self::Cancelled),
            _ => place
                .filter(|place| usize::from(*place) <= WAIT_BOUNDS_MS.len())
                .map(Self::Waited),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_measure_is_read_as_it_was_written_and_nothing_else_is() {
        let waits = (0..=13).map(Measure::Waited);
        assert_eq!(WAIT_BOUNDS_MS.len(), 13);
        let all = [
            Measure::Enqueued,
            Measure::Completed,
            Measure::Failed,
            Measure::Dead,
            Measure::Cancelled,
        ];
        for measure in all.into_iter().chain(waits) {
            assert_eq!(Measure::of_code(measure.code()), Some(measure));
        }
        for code in [-1, 5, 99, 114, i16::MAX, i16::MIN + 100] {
            assert_eq!(Measure::of_code(code), None, "{code}");
        }
    }

    #[test]
    fn a_wait_is_counted_by_the_first_bound_that_it_does_not_exceed() {
        let place = |ms| Measure::of_wait(Duration::from_millis(ms));
        assert_eq!(place(0), Measure::Waited(0));
        assert_eq!(place(5), Measure::Waited(0));
        assert_eq!(place(6), Measure::Waited(1));
        assert_eq!(place(1_800_000), Measure::Waited(12));
        assert_eq!(place(1_800_001), Measure::Waited(13));
    }
}

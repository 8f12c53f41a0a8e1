use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use super::wall_clock;
use crate::model::Timestamp;

/// A clock that moves only when it is told to. Clones are the same clock.
///
/// ```
/// use std::time::Duration;
/// use windlass::testing::ManualClock;
///
/// let clock = ManualClock::default();
/// let before = clock.now();
/// clock.advance(Duration::from_secs(3600));
/// assert_eq!(clock.now().since(before), Duration::from_secs(3600));
/// ```
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// A clock that stands at a time.
    pub fn at(time: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(time.as_micros())))
    }

    /// What it shows.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }

    /// Moves it on. Jobs that become due by it run at the next drain.
    pub fn advance(&self, by: Duration) {
        self.set(self.now() + by);
    }

    /// Sets it to a time, which may lie before.
    pub fn set(&self, time: Timestamp) {
        self.0.store(time.as_micros(), Ordering::SeqCst);
    }
}

impl Default for ManualClock {
    /// Stands at the present.
    fn default() -> Self {
        Self::at(wall_clock())
    }
}

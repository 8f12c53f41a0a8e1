use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// Where a job stands. The first five are unfinished, the last three finished; PostgreSQL keeps the
/// two in different tables.
///
/// `Scheduled` and `Retryable` jobs whose time has come *are* available, without anyone moving
/// them: see [`State::at`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Waits for its first `run_at`.
    Scheduled,
    /// May be claimed now.
    Available,
    /// Leased to a worker.
    Running,
    /// An attempt failed; waits for its next `run_at`.
    Retryable,
    /// Waits for something other than time: parents, or its turn within an ordering key.
    Waiting,
    /// Done.
    Completed,
    /// Stopped because someone, or the job itself, said so.
    Cancelled,
    /// Set aside: attempts used up, discarded, or it kept killing its process. A dead letter.
    Dead,
}

/// Something that happens to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// A worker takes a lease.
    Claim,
    /// The attempt succeeded.
    Complete,
    /// The attempt failed and there are attempts left.
    Retry,
    /// The attempt asks to run again later; uses no attempt.
    Snooze,
    /// The worker hands the job back; uses no attempt.
    Release,
    /// The lease ran out: the worker is taken for dead; uses no attempt but is counted.
    Crash,
    /// An operator, or the job itself, stops it for good.
    Cancel,
    /// Set aside: last attempt failed, too many crashes, or an operator discards it.
    Discard,
    /// An operator revives a finished job, or runs a waiting one now.
    Requeue,
    /// What it waited for is done.
    Unblock,
}

/// What an event does to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transition {
    /// The job is in this state now.
    To(State),
    /// A running job cannot be cancelled from outside; it is told, and ends by itself.
    Ask,
    /// The event cannot happen in this state.
    Refused,
}

/// A text that names no state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown state; known are scheduled, available, running, retryable, waiting, completed, \
     cancelled and dead"
)]
pub struct UnknownState;

impl State {
    /// Every state, in the order of a job's life.
    pub const ALL: [Self; 8] = [
        Self::Scheduled,
        Self::Available,
        Self::Running,
        Self::Retryable,
        Self::Waiting,
        Self::Completed,
        Self::Cancelled,
        Self::Dead,
    ];

    /// The word used in SQL, JSON, logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Available => "available",
            Self::Running => "running",
            Self::Retryable => "retryable",
            Self::Waiting => "waiting",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Dead => "dead",
        }
    }

    /// Whether nothing more happens by itself.
    pub const fn is_finished(self) -> bool {
        matches!(self, Self::Completed | Self::Cancelled | Self::Dead)
    }

    /// Whether a claim may take it once `run_at` has come.
    pub const fn is_claimable(self) -> bool {
        matches!(self, Self::Scheduled | Self::Available | Self::Retryable)
    }

    /// The state as seen at `now`: what waits only for a time that has come is available.
    #[must_use]
    pub fn at(self, run_at: Timestamp, now: Timestamp) -> Self {
        if self.is_claimable() && run_at <= now {
            Self::Available
        } else {
            self
        }
    }

    /// The single place that says what may happen to a job.
    ///
    /// ```
    /// use windlass::model::{Event, State, Transition};
    ///
    /// assert_eq!(State::Running.on(Event::Complete), Transition::To(State::Completed));
    /// assert_eq!(State::Completed.on(Event::Complete), Transition::Refused);
    /// ```
    #[must_use]
    pub const fn on(self, event: Event) -> Transition {
        use Event as E;
        use State as S;
        use Transition::{Ask, Refused, To};
        match (self, event) {
            (S::Scheduled | S::Available | S::Retryable, E::Claim) => To(S::Running),
            (S::Running, E::Complete) => To(S::Completed),
            (S::Running, E::Retry) => To(S::Retryable),
            (S::Running, E::Snooze) => To(S::Scheduled),
            (S::Running, E::Release | E::Crash) => To(S::Available),
            (S::Running, E::Cancel) => Ask,
            (S::Running, E::Discard) => To(S::Dead),
            (S::Scheduled | S::Available | S::Retryable | S::Waiting, E::Cancel) => {
                To(S::Cancelled)
            }
            (S::Scheduled | S::Available | S::Retryable | S::Waiting, E::Discard) => To(S::Dead),
            (
                S::Scheduled | S::Available | S::Retryable | S::Completed | S::Cancelled | S::Dead,
                E::Requeue,
            )
            | (S::Waiting, E::Unblock) => To(S::Available),
            _ => Refused,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for State {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, UnknownState> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or(UnknownState)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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

    proptest! {
        #[test]
        fn a_finished_job_moves_only_by_requeue(events in prop::collection::vec(0..EVENTS.len(), 0..200)) {
            let mut state = State::Available;
            for event in events.into_iter().map(|i| EVENTS[i]) {
                if let Transition::To(next) = state.on(event) {
                    prop_assert!(!state.is_finished() || event == Event::Requeue);
                    prop_assert!(next != State::Running || state.is_claimable());
                    prop_assert!(next != State::Completed || state == State::Running);
                    state = next;
                }
            }
        }
    }

    #[test]
    fn every_state_can_still_end_or_be_revived() {
        for state in State::ALL {
            let way_out = EVENTS.iter().any(|e| state.on(*e) != Transition::Refused);
            assert!(way_out, "{state} is a trap");
        }
    }

    #[test]
    fn words_are_read_back() {
        for state in State::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
        assert_eq!("done".parse::<State>(), Err(UnknownState));
    }
}

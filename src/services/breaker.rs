//! A circuit breaker: after some failures in a row it refuses calls for a while, then lets one
//! through to see.
//!
//! Own code because failsafe 1.3, the kept crate for it, lets every waiting call through at once
//! when the pause ends and cannot say how long the pause still lasts.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Error;
use crate::telemetry::outbound as telemetry;

/// Failures in a row that open the circuit.
const FAILURES: u32 = 5;
/// How long it stays open, unless the service asks for longer.
const COOLDOWN: Duration = Duration::from_secs(15);

/// The state of one host, shared by everything that calls it.
#[derive(Debug)]
pub(super) struct Breaker {
    service: String,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Calls go through.
    Closed { failures: u32 },
    /// Calls are refused until then.
    Open { until: Instant },
    /// One call is under way to see; the others are refused.
    Probing,
}

impl Breaker {
    pub(super) fn new(service: String) -> Self {
        Self {
            service,
            state: Mutex::new(State::Closed { failures: 0 }),
        }
    }

    /// Does the work if the circuit allows it, and learns from the result.
    pub(super) async fn guard<T>(
        &self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let permit = self.admit(Instant::now())?;
        let result = work.await;
        permit.record(&result, Instant::now());
        result
    }

    /// The same for work whose result does not tell by itself how the host is: `seen` does.
    pub(super) async fn watch<T>(
        &self,
        work: impl Future<Output = T>,
        seen: impl FnOnce(&T) -> Result<(), Error>,
    ) -> Result<T, Error> {
        let permit = self.admit(Instant::now())?;
        let done = work.await;
        permit.record(&seen(&done), Instant::now());
        Ok(done)
    }

    fn admit(&self, now: Instant) -> Result<Permit<'_>, Error> {
        let mut state = self.lock();
        let wait = match *state {
            State::Closed { .. } => {
                return Ok(Permit {
                    breaker: self,
                    probe: None,
                });
            }
            State::Open { until } if until <= now => {
                *state = State::Probing;
                return Ok(Permit {
                    breaker: self,
                    probe: Some(now),
                });
            }
            State::Open { until } => until - now,
            State::Probing => COOLDOWN,
        };
        Err(Error::Unavailable {
            service: self.service.clone(),
            reason: format!("it failed {FAILURES} times in a row and is left alone for a while"),
            retry_after: Some(wait),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is replaced whole, so a panic elsewhere cannot have left it half written.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to make one call. Dropped without a result, as when a job is cancelled, it says
/// nothing about the host; if it was the probe, the next call becomes the probe.
#[derive(Debug)]
struct Permit<'a> {
    breaker: &'a Breaker,
    /// When the probe began, if this is the probe.
    probe: Option<Instant>,
}

impl Permit<'_> {
    fn record<T>(mut self, result: &Result<T, Error>, now: Instant) {
        let probe = self.probe.take().is_some();
        let mut state = self.breaker.lock();
        let next = match (result, *state) {
            // A refusal is an answer: the host is well.
            (Ok(_) | Err(Error::Rejected { .. } | Error::Busy { .. }), _) => {
                State::Closed { failures: 0 }
            }
            (Err(Error::Unavailable { retry_after, .. }), State::Closed { failures })
                if failures + 1 >= FAILURES =>
            {
                open(now, *retry_after)
            }
            (Err(_), State::Closed { failures }) => State::Closed {
                failures: failures + 1,
            },
            (Err(error), State::Probing) if probe => open(now, error.retry_after()),
            // A call from before the circuit opened tells nothing new.
            (Err(_), state) => state,
        };
        let service = self.breaker.service.as_str();
        match (*state, next) {
            (State::Closed { .. }, State::Open { .. }) => {
                telemetry::circuit_opened(service);
            }
            (State::Open { .. } | State::Probing, State::Closed { .. }) => {
                telemetry::circuit_closed(service);
            }
            _ => {}
        }
        *state = next;
    }
}

impl Drop for Breaker {
    fn drop(&mut self) {
        if !matches!(*self.lock(), State::Closed { .. }) {
            telemetry::circuit_forgotten(&self.service);
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if let Some(began) = self.probe {
            let mut state = self.breaker.lock();
            if *state == State::Probing {
                *state = State::Open { until: began };
            }
        }
    }
}

fn open(now: Instant, retry_after: Option<Duration>) -> State {
    State::Open {
        until: now + COOLDOWN.max(retry_after.unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn down(retry_after: Option<Duration>) -> Result<(), Error> {
        Err(Error::Unavailable {
            service: "x".into(),
            reason: "down".into(),
            retry_after,
        })
    }

    fn rejected() -> Result<(), Error> {
        Err(Error::rejected("x", "no", "none"))
    }

    /// A breaker that has just opened, and when.
    fn opened() -> (Breaker, Instant) {
        let (breaker, now) = (Breaker::new("x".into()), Instant::now());
        for _ in 0..FAILURES {
            breaker.admit(now).unwrap().record(&down(None), now);
        }
        (breaker, now)
    }

    #[test]
    fn opens_after_failures_in_a_row_and_says_how_long() {
        let (breaker, now) = opened();
        let error = breaker.admit(now + COOLDOWN / 3).unwrap_err();
        assert_eq!(error.retry_after(), Some(COOLDOWN / 3 * 2));
        assert!(error.is_transient());
    }

    #[test]
    fn an_answer_between_failures_starts_the_count_again() {
        for answer in [Ok(()), rejected()] {
            let (breaker, now) = (Breaker::new("x".into()), Instant::now());
            for _ in 0..FAILURES {
                for _ in 1..FAILURES {
                    breaker.admit(now).unwrap().record(&down(None), now);
                }
                breaker.admit(now).unwrap().record(&answer, now);
            }
            assert_eq!(*breaker.lock(), State::Closed { failures: 0 });
        }
    }

    #[test]
    fn after_the_pause_one_call_probes_and_decides() {
        let (breaker, now) = opened();
        let later = now + COOLDOWN;
        let probe = breaker.admit(later).unwrap();
        assert!(breaker.admit(later).is_err(), "only one probe at a time");
        probe.record(&down(None), later);
        assert!(breaker.admit(later).is_err(), "a failed probe opens again");

        let later = later + COOLDOWN;
        breaker.admit(later).unwrap().record(&Ok(()), later);
        assert!(breaker.admit(later).is_ok());
        assert!(breaker.admit(later).is_ok());
    }

    #[test]
    fn a_dropped_probe_lets_the_next_call_probe() {
        let (breaker, now) = opened();
        drop(breaker.admit(now + COOLDOWN).unwrap());
        assert!(breaker.admit(now + COOLDOWN).is_ok());
    }

    #[test]
    fn the_services_own_wish_is_honoured() {
        let (breaker, now) = (Breaker::new("x".into()), Instant::now());
        for _ in 0..FAILURES {
            let minute = Some(Duration::from_mins(1));
            breaker.admit(now).unwrap().record(&down(minute), now);
        }
        let error = breaker.admit(now).unwrap_err();
        assert_eq!(error.retry_after(), Some(Duration::from_mins(1)));
    }

    #[test]
    fn a_failure_from_before_it_opened_does_not_disturb_the_probe() {
        let (breaker, now) = (Breaker::new("x".into()), Instant::now());
        let straggler = breaker.admit(now).unwrap();
        for _ in 0..FAILURES {
            breaker.admit(now).unwrap().record(&down(None), now);
        }
        let probe = breaker.admit(now + COOLDOWN).unwrap();
        straggler.record(&down(None), now + COOLDOWN);
        assert_eq!(*breaker.lock(), State::Probing);
        probe.record(&Ok(()), now + COOLDOWN);
        assert_eq!(*breaker.lock(), State::Closed { failures: 0 });
    }
}

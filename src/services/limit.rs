//! How many calls a host gets at once: as many as it bears. More after answers, fewer after overload
//! (additive increase, multiplicative decrease), so that nobody has to measure a provider's limits.
//!
//! Own code because the crates for it (congestion-limiter 0.1, rate_limiter_aimd 0.1) have had one
//! release each, and know nothing of what a refusal means here.

use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::Error;
use crate::telemetry;

/// How many calls an unknown host gets at once.
const FIRST: usize = 16;
/// What is left of the limit after overload.
const KEPT: f64 = 0.7;
/// Failures that come together are one overload.
const ONE_OVERLOAD: Duration = Duration::from_secs(1);
/// How long a call waits for its turn before its job gives its place to another.
const PATIENCE: Duration = Duration::from_secs(20);
/// When a job that got no turn should come back.
const COME_BACK: Duration = Duration::from_secs(1);

/// The limit of one host, shared by everything that calls it, or of one account there.
#[derive(Debug)]
pub(super) struct Limit {
    service: String,
    /// Whether its changes are told: accounts have no names.
    is_told: bool,
    most: usize,
    patience: Duration,
    turns: Semaphore,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    limit: f64,
    in_flight: usize,
    /// Turns to be taken away when they come back.
    surplus: usize,
    /// Until the first overload the limit grows by every answer, then once a round.
    searching: bool,
    overloaded: Option<Instant>,
}

impl Limit {
    /// At most `most` calls at once, ever.
    pub(super) fn new(service: String, most: NonZeroUsize) -> Self {
        Self::starting(service, most, true)
    }

    /// The same for one account.
    pub(super) fn of_account(service: String, most: NonZeroUsize) -> Self {
        Self::starting(service, most, false)
    }

    fn starting(service: String, most: NonZeroUsize, is_told: bool) -> Self {
        let first = FIRST.min(most.get());
        Self {
            service,
            is_told,
            most: most.get(),
            patience: PATIENCE,
            turns: Semaphore::new(first),
            state: Mutex::new(State {
                #[expect(clippy::cast_precision_loss, reason = "at most 16")]
                limit: first as f64,
                in_flight: 0,
                surplus: 0,
                searching: true,
                overloaded: None,
            }),
        }
    }

    /// Waits for a turn to call.
    pub(super) async fn turn(&self) -> Result<Turn<'_>, Error> {
        let Ok(Ok(turn)) = timeout(self.patience, self.turns.acquire()).await else {
            return Err(Error::Busy {
                service: self.service.clone(),
                reason: "more calls wait for it than it answers".to_owned(),
                retry_after: Some(COME_BACK),
            });
        };
        turn.forget(); // it comes back, or not, in `Turn::drop`
        self.lock().in_flight += 1;
        Ok(Turn { limit: self })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Numbers only, each valid by itself: a panic elsewhere cannot have left them half written.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    fn now(&self) -> usize {
        whole(self.lock().limit)
    }
}

/// One call's place; given back when it is dropped, as by a job that is cancelled.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    limit: &'a Limit,
}

impl Turn<'_> {
    /// Learns from what the call came to.
    pub(super) fn learn<T>(&self, result: &Result<T, Error>, now: Instant) {
        let mut state = self.limit.lock();
        let before = whole(state.limit);
        match result {
            Err(error) if error.is_transient() => {
                let known = state.overloaded.is_some_and(|at| now < at + ONE_OVERLOAD);
                if !known {
                    state.overloaded = Some(now);
                    state.searching = false;
                    state.limit = (state.limit * KEPT).max(1.0);
                }
            }
            // A limit of which less than half is used says nothing about the host.
            _ if 2 * state.in_flight < before => {}
            _ => {
                let step = if state.searching {
                    1.0
                } else {
                    1.0 / state.limit
                };
                #[expect(clippy::cast_precision_loss, reason = "a number of connections")]
                let most = self.limit.most as f64;
                state.limit = (state.limit + step).min(most);
            }
        }
        let after = whole(state.limit);
        if after != before && self.limit.is_told {
            telemetry::outbound::limit_changed(&self.limit.service, after);
        }
        if after < before {
            state.surplus += before - after;
        } else {
            let kept = (after - before).min(state.surplus);
            state.surplus -= kept;
            self.limit.turns.add_permits(after - before - kept);
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.limit.lock();
        state.in_flight -= 1;
        if state.surplus > 0 {
            state.surplus -= 1;
        } else {
            self.limit.turns.add_permits(1);
        }
    }
}

fn whole(limit: f64) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 1 and a number of connections"
    )]
    let whole = limit as usize;
    whole
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;

    use super::*;

    fn limit(most: usize) -> Limit {
        Limit::new("x".into(), NonZeroUsize::new(most).unwrap())
    }

    async fn overload(limit: &Limit, now: Instant) {
        let down: Result<(), _> = Err(Error::unavailable("x", "down"));
        limit.turn().await.unwrap().learn(&down, now);
    }

    /// Calls of which all that are let in are under way together; how many that was.
    async fn crowd(limit: &Arc<Limit>, calls: usize) -> usize {
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let call = |_| {
            let (limit, now, most) = (limit.clone(), now.clone(), most.clone());
            async move {
                let turn = limit.turn().await.unwrap();
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                for _ in 0..3 {
                    tokio::task::yield_now().await;
                }
                now.fetch_sub(1, Ordering::SeqCst);
                turn.learn(&Ok(()), Instant::now());
            }
        };
        join_all((0..calls).map(call)).await;
        most.load(Ordering::SeqCst)
    }

    #[tokio::test]
    async fn grows_with_answers_up_to_the_most() {
        let limit = Arc::new(limit(40));
        assert!(crowd(&limit, 16).await <= 16);
        crowd(&limit, 400).await;
        assert_eq!(limit.now(), 40);
        assert_eq!(crowd(&limit, 200).await, 40);
    }

    #[tokio::test]
    async fn a_limit_that_is_not_used_does_not_grow() {
        let limit = Arc::new(limit(40));
        for _ in 0..100 {
            crowd(&limit, 2).await;
        }
        assert_eq!(limit.now(), 16);
    }

    #[tokio::test]
    async fn falls_by_overload_once_a_second_and_never_below_one() {
        let (limit, now) = (Arc::new(limit(40)), Instant::now());
        for _ in 0..5 {
            overload(&limit, now).await;
        }
        assert_eq!(limit.now(), 11, "failures that come together are one");
        for n in 1..=20 {
            overload(&limit, now + n * ONE_OVERLOAD).await;
        }
        assert_eq!(limit.now(), 1);
        assert!(crowd(&limit, 5).await <= 3, "it grows once a round now");
    }

    #[tokio::test]
    async fn a_call_that_gets_no_turn_comes_back_later() {
        let mut limit = limit(1);
        limit.patience = Duration::from_millis(1);
        let first = limit.turn().await.unwrap();
        let error = limit.turn().await.unwrap_err();
        assert_eq!(error.retry_after(), Some(COME_BACK));
        drop(first); // as by a job that is cancelled
        limit.turn().await.unwrap();
    }
}

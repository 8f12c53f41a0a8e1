//! The fetcher of one queue: keeps its worker's buffer full, and no fuller than is good.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use rand::Rng;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::backend::Feed;
use super::governor::Governor;
use super::leases::Leases;
use crate::model::Finish;
use crate::store::{Claim, Store, WakeReceiver};
use crate::telemetry::{self, Outage};

/// The buffer holds what this long will use up: enough to hide a round trip, little enough to be
/// fair to other workers and quick to hand back.
const AHEAD: Duration = Duration::from_millis(40);
/// The same of a queue with limits or turns: what waits in a buffer counts as running, and is ahead of
/// whoever's turn it is next.
const AHEAD_GOVERNED: Duration = Duration::from_millis(10);
/// From so many jobs a second on, of a claim's length so many times: workers are not to wait for claims.
const FAST: f64 = 10_000.0;
const CLAIMS_AHEAD: u32 = 3;
/// But never what takes longer than this.
const MOST_AHEAD_GOVERNED: Duration = Duration::from_millis(100);
/// The shortest wait after a claim from which a limit held something back: hints of more that it will
/// hold back must not become claims, each in vain.
const HELD_BACK: Duration = Duration::from_millis(10);
/// Most jobs waiting in a buffer, however short they are.
const MAX_AHEAD: usize = 3000;
/// The same of a queue with limits or turns: two of its claims.
const MAX_AHEAD_GOVERNED: usize = 2 * MAX_CLAIM_GOVERNED;
/// The shortest wait between two claims of which the first found too little.
const BREATH: Duration = Duration::from_millis(1);
/// Most jobs per claim: longer statements make everyone wait.
const MAX_CLAIM: usize = 1000;
/// The same of a queue with limits or turns, of whose claims each looks around first, whatever it takes.
const MAX_CLAIM_GOVERNED: usize = 3000;

/// Most outcomes that may wait for the store before more is claimed: what is claimed faster than it
/// can be recorded is leased for nothing, and counts as running.
const UNRECORDED: usize = 2000;

/// What a claim came to.
enum Claimed {
    /// There may be more at once.
    Full,
    /// That was all there is.
    Short,
    /// That was all that may be taken.
    Allotted {
        /// When there may be more, as far as is known.
        again_in: Option<Duration>,
        /// Whether something was held back.
        held: bool,
    },
}

pub(super) struct Fetcher {
    pub(super) queue: String,
    pub(super) worker: String,
    pub(super) lease: Duration,
    pub(super) poll: Duration,
    pub(super) store: Arc<dyn Store>,
    pub(super) leases: Arc<Leases>,
    pub(super) feed: Arc<Feed>,
    pub(super) outcomes: mpsc::Sender<Finish>,
}

impl Fetcher {
    /// Claims until told to stop.
    pub(super) async fn run(self, mut governor: Governor, stop: CancellationToken) {
        // Listening starts before the first claim: what comes in between is not missed.
        let mut wakes = self.store.wakes();
        let mut outage = Outage::new("fetcher");
        let mut pace = Pace::default();
        let mut allowed = self.feed.slots();
        let mut before = 0;
        loop {
            let slots = *allowed.borrow_and_update();
            if governor.follow() || slots < before {
                // What others may start sooner than this worker is not kept from them.
                hand_back(&self.feed, &self.outcomes).await;
            }
            before = slots;
            let ahead = pace.ahead(governor.is_free());
            // Only waiting is cut short: a claim under way is seen through, so that what it took
            // is handed back and not left to run out.
            let room = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                _ = allowed.changed() => continue,
                () = governor.changed() => continue,
                room = self.room(slots, ahead) => room.min(most(&governor)),
            };
            // Told from now on, so that nothing that ends during the claim is missed.
            let mut freed = pin!(self.leases.freed.notified());
            freed.as_mut().enable();
            let started = Instant::now();
            let wait = match self.claim(room, &mut governor).await {
                Ok(claimed) => {
                    outage.worked();
                    pace.observe(self.feed.ended(), started.elapsed());
                    match claimed {
                        Claimed::Full => continue,
                        Claimed::Short => self.idle(&mut wakes).boxed(),
                        Claimed::Allotted { again_in, held } => {
                            self.held(&mut wakes, again_in, held, freed).boxed()
                        }
                    }
                }
                Err(error) => {
                    outage.failed(&error);
                    jittered_sleep(Duration::from_millis(500)).boxed()
                }
            };
            tokio::select! {
                () = wait => {}
                _ = allowed.changed() => {}
                () = governor.changed() => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Waits until there is room for a claim worth making; says for how many. Without slots there
    /// never is.
    async fn room(&self, slots: usize, ahead: usize) -> usize {
        if slots == 0 {
            return std::future::pending().await;
        }
        let target = slots + ahead;
        self.recorded().await;
        self.feed.drained_to(low_water(slots, ahead)).await;
        target - self.feed.outstanding().min(target - 1)
    }

    /// Waits until the completer is not far behind.
    async fn recorded(&self) {
        loop {
            let mut freed = pin!(self.leases.freed.notified());
            freed.as_mut().enable();
            if self.outcomes.max_capacity() - self.outcomes.capacity() <= UNRECORDED {
                return;
            }
            freed.await;
        }
    }

    async fn claim(
        &self,
        room: usize,
        governor: &mut Governor,
    ) -> Result<Claimed, crate::store::Error> {
        governor.hand_back(&*self.store).await?;
        let started = Instant::now();
        let claim = Claim {
            queue: &self.queue,
            worker: &self.worker,
            limit: u32::try_from(room).unwrap_or(u32::MAX),
            lease: self.lease,
            now: None,
        };
        let (jobs, allotted) = match governor.allotter() {
            None => (self.store.claim(claim).await?, None),
            Some(allotter) => {
                let granted = self.store.claim_governed(claim, allotter).await?;
                telemetry::held_back(&self.queue, &granted);
                let full = granted.more;
                let again_in = granted.again_in;
                let held = !granted.held_by.is_empty();
                (granted.jobs, Some((full, again_in, held)))
            }
        };
        let claimed = jobs.len();
        telemetry::claimed(&self.queue, claimed, started.elapsed());
        // Leases are counted from before the claim was sent: never later than the store counts.
        self.feed.push(self.leases.hold(jobs, started));
        Ok(match allotted {
            _ if claimed == room => Claimed::Full,
            Some((true, ..)) => Claimed::Full,
            Some((false, again_in, held)) => Claimed::Allotted { again_in, held },
            None => Claimed::Short,
        })
    }

    /// Waits until there may be something that no limit holds back.
    async fn held(
        &self,
        wakes: &mut WakeReceiver,
        again_in: Option<Duration>,
        held: bool,
        freed: impl Future<Output = ()>,
    ) {
        let poll = self.poll.mul_f64(rand::rng().random_range(0.8..1.2));
        let wait = again_in.unwrap_or(poll).max(BREATH).min(poll);
        let deaf = if held { wait.min(HELD_BACK) } else { BREATH };
        let hint = async {
            tokio::time::sleep(deaf).await;
            wakes.wait(&self.queue, wait.saturating_sub(deaf)).await;
        };
        // Only what has a limit waits for room under it.
        tokio::select! {
            () = freed, if held => {}
            () = hint => {}
        }
    }

    /// Waits for a hint, for the next job that falls due, or for the next poll.
    async fn idle(&self, wakes: &mut WakeReceiver) {
        let due = match self.store.next_due(&self.queue, None).await {
            Ok(due) => due.unwrap_or(self.poll),
            // The next claim will tell of the outage.
            Err(_) => self.poll,
        };
        let poll = self.poll.mul_f64(rand::rng().random_range(0.8..1.2));
        // A due job that was not to be had is in somebody's hands this moment: no hurry.
        wakes.wait(&self.queue, due.max(BREATH).min(poll)).await;
    }
}

/// Releases what was claimed and never started; says how many.
pub(super) async fn hand_back(feed: &Feed, outcomes: &mpsc::Sender<Finish>) -> usize {
    let unstarted = feed.take_unstarted();
    for attempt in &unstarted {
        // The completer lives as long as any sender: it cannot be gone.
        drop(outcomes.send(Finish::release(attempt.job.lease())).await);
    }
    unstarted.len()
}

/// At how many jobs, running and waiting, more are claimed: when half of those ahead are used up. No
/// slot is to be idle until then, however few they are. There are slots.
const fn low_water(slots: usize, ahead: usize) -> usize {
    if ahead == 0 {
        slots - 1
    } else {
        slots + ahead / 2
    }
}

const fn most(governor: &Governor) -> usize {
    if governor.is_free() {
        MAX_CLAIM
    } else {
        MAX_CLAIM_GOVERNED
    }
}

async fn jittered_sleep(about: Duration) {
    let pause = about.mul_f64(rand::rng().random_range(0.5..1.5));
    tokio::time::sleep(pause).await;
}

/// How fast jobs end and how long claims take, as moving averages.
#[derive(Debug)]
struct Pace {
    per_second: f64,
    claim: Duration,
    ended: usize,
    seen: Instant,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            per_second: 0.0,
            claim: Duration::ZERO,
            ended: 0,
            seen: Instant::now(),
        }
    }
}

impl Pace {
    /// Looks again, at most every few milliseconds.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a count of jobs within a moment"
    )]
    fn observe(&mut self, ended: usize, claim: Duration) {
        self.claim = (self.claim * 3 + claim) / 4;
        let elapsed = self.seen.elapsed();
        if elapsed < Duration::from_millis(5) {
            return;
        }
        let rate = (ended - self.ended) as f64 / elapsed.as_secs_f64();
        // Quick to grow, slower to shrink; a long silence forgets.
        let weight = if rate > self.per_second {
            0.7
        } else {
            (elapsed.as_secs_f64() * 5.0).min(1.0)
        };
        self.per_second += (rate - self.per_second) * weight;
        (self.ended, self.seen) = (ended, Instant::now());
    }

    /// How many jobs to have claimed ahead of the slots.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "bounded right after"
    )]
    fn ahead(&self, free: bool) -> usize {
        let (of, most) = match free {
            true => (AHEAD, MAX_AHEAD),
            false if self.per_second < FAST => (AHEAD_GOVERNED, MAX_AHEAD_GOVERNED),
            false => {
                let claims = self.claim * CLAIMS_AHEAD;
                let of = claims.clamp(AHEAD_GOVERNED, MOST_AHEAD_GOVERNED);
                (of, MAX_AHEAD_GOVERNED)
            }
        };
        ((self.per_second * of.as_secs_f64()) as usize).min(most)
    }
}

#[cfg(test)]
mod tests {
    use super::low_water;

    #[test]
    fn more_is_claimed_before_a_slot_is_idle() {
        for slots in [1, 8, 80] {
            assert_eq!(low_water(slots, 0), slots - 1);
            for ahead in [1, 2, 9, 3000] {
                let low = low_water(slots, ahead);
                assert!(
                    low >= slots && low < slots + ahead,
                    "{slots} {ahead}: {low}"
                );
            }
        }
    }
}

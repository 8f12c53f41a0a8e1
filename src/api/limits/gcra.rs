//! The arithmetic of a limit, and a memory for it: the generic cell rate algorithm, which keeps one number
//! for each bucket. `gcra.lua` is the same in Redis.
//!
//! Not the crate `governor`: several buckets must be charged together or not at all, what was charged must
//! be given back, and the answer must be the one that Redis gives.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// More buckets than this are not kept; those that come then share one.
const MOST: usize = 100_000;
/// What those share that there is no room for.
const OVERFLOW: &str = "";

/// So many requests in so long. They may come at once; then the right to one comes back at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) requests: u32,
    pub(super) window: Duration,
}

/// A bucket, and the rule it is under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bucket {
    pub(super) key: String,
    pub(super) rule: Rule,
}

/// What a bucket was found to be, by how long it takes to be empty again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Level {
    rule: Rule,
    micros: u64,
}

/// Whether a request may pass, and how its buckets stand afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) passes: bool,
    pub(super) levels: Vec<Level>,
}

impl Rule {
    /// What one request adds, in microseconds.
    pub(super) fn interval(self) -> u64 {
        (self.window_micros() / u64::from(self.requests.max(1))).max(1)
    }

    /// What a bucket holds, in microseconds.
    pub(super) fn window_micros(self) -> u64 {
        u64::try_from(self.window.as_micros()).unwrap_or(u64::MAX)
    }
}

impl Level {
    pub(super) const fn new(rule: Rule, micros: u64) -> Self {
        Self { rule, micros }
    }

    pub(super) const fn rule(self) -> Rule {
        self.rule
    }

    /// How many more requests would pass now.
    pub(super) fn remaining(self) -> u64 {
        self.rule.window_micros().saturating_sub(self.micros) / self.rule.interval()
    }

    /// How long until all of them would.
    pub(super) const fn reset(self) -> Duration {
        Duration::from_micros(self.micros)
    }

    /// How long until one would.
    pub(super) fn retry_after(self) -> Duration {
        let needed = self.micros + self.rule.interval();
        Duration::from_micros(needed.saturating_sub(self.rule.window_micros()))
    }
}

/// Buckets of this process.
#[derive(Debug)]
pub(super) struct Memory {
    began: Instant,
    /// When each is empty again, in microseconds since we began.
    empty_at: Mutex<HashMap<String, u64>>,
}

impl Memory {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            empty_at: Mutex::default(),
        }
    }

    /// Charges one request to all of the buckets, or to none.
    pub(super) fn charge(&self, buckets: &[Bucket]) -> Verdict {
        self.charge_at(buckets, self.now())
    }

    /// Takes one charge back.
    pub(super) fn refund(&self, bucket: &Bucket) {
        let mut empty_at = self.lock();
        if let Some(at) = empty_at.get_mut(&bucket.key) {
            *at = at.saturating_sub(bucket.rule.interval());
        }
    }

    fn charge_at(&self, buckets: &[Bucket], now: u64) -> Verdict {
        let mut empty_at = self.lock();
        if empty_at.len() + buckets.len() > MOST {
            empty_at.retain(|_, at| *at > now);
        }
        let has_room = empty_at.len() + buckets.len() <= MOST;
        let key = |bucket: &Bucket| {
            let kept = has_room || empty_at.contains_key(&bucket.key);
            let key = if kept { &bucket.key } else { OVERFLOW };
            key.to_owned()
        };
        let keys: Vec<String> = buckets.iter().map(key).collect();
        let filled = |key: &String| empty_at.get(key).map_or(0, |at| at.saturating_sub(now));
        let before: Vec<u64> = keys.iter().map(filled).collect();
        let fits = |(bucket, micros): (&Bucket, &u64)| {
            micros + bucket.rule.interval() <= bucket.rule.window_micros()
        };
        let passes = buckets.iter().zip(&before).all(fits);
        let mut levels = Vec::with_capacity(buckets.len());
        for ((bucket, key), micros) in buckets.iter().zip(keys).zip(before) {
            let added = if passes { bucket.rule.interval() } else { 0 };
            levels.push(Level::new(bucket.rule, micros + added));
            if passes {
                empty_at.insert(key, now + micros + added);
            }
        }
        Verdict { passes, levels }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, u64>> {
        // Each change is one insert: a panic elsewhere leaves none half done.
        self.empty_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    fn bucket(key: &str, requests: u32, seconds: u64) -> Bucket {
        let rule = Rule {
            requests,
            window: Duration::from_secs(seconds),
        };
        Bucket {
            key: key.to_owned(),
            rule,
        }
    }

    #[test]
    fn so_many_pass_at_once_and_then_one_each_interval() {
        let (memory, bucket) = (Memory::new(), [bucket("a", 6, 60)]);
        for left in (0..6).rev() {
            let verdict = memory.charge_at(&bucket, 0);
            assert!(verdict.passes);
            assert_eq!(verdict.levels[0].remaining(), left);
        }
        let refused = memory.charge_at(&bucket, 0);
        assert!(!refused.passes);
        assert_eq!(refused.levels[0].retry_after(), Duration::from_secs(10));
        assert_eq!(refused.levels[0].reset(), Duration::from_mins(1));
        // A refusal costs nothing, so whoever waits as long as they were told passes.
        assert!(!memory.charge_at(&bucket, 10 * SECOND - 1).passes);
        assert!(memory.charge_at(&bucket, 10 * SECOND).passes);
        assert!(!memory.charge_at(&bucket, 10 * SECOND).passes);
        let rested = memory.charge_at(&bucket, 1000 * SECOND);
        assert_eq!(rested.levels[0].remaining(), 5);
    }

    #[test]
    fn buckets_are_charged_together_or_not_at_all() {
        let memory = Memory::new();
        let (small, large) = (bucket("small", 1, 60), bucket("large", 10, 60));
        let both = [small.clone(), large.clone()];
        assert!(memory.charge_at(&both, 0).passes);
        for _ in 0..5 {
            assert!(!memory.charge_at(&both, 0).passes);
        }
        let alone = memory.charge_at(&[large], 0);
        assert_eq!(alone.levels[0].remaining(), 8, "refused ones cost nothing");
        memory.refund(&small);
        assert!(memory.charge_at(&both, 0).passes);
    }

    #[test]
    fn memory_is_bounded_and_who_comes_late_shares_a_bucket() {
        let memory = Memory::new();
        for n in 0..MOST {
            assert!(memory.charge_at(&[bucket(&n.to_string(), 2, 60)], 0).passes);
        }
        let late = |name: &str| memory.charge_at(&[bucket(name, 2, 60)], 1).passes;
        assert_eq!([late("x"), late("y"), late("z")], [true, true, false]);
        assert!(memory.lock().len() <= MOST + 1);
        let later = memory.charge_at(&[bucket("x", 2, 60)], 61 * SECOND);
        assert!(later.passes, "old ones have made room");
        assert_eq!(memory.lock().len(), 1);
    }
}

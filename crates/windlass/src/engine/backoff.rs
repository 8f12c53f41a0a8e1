use std::time::Duration;

use rand::Rng;

/// How long a job waits after its n-th failed attempt: `base * factor^(n-1)`, at most `cap`, each
/// time varied by up to `jitter` of itself so that what failed together does not return together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    /// After the first failure.
    pub base: Duration,
    /// How much longer each time; 1 for a constant wait.
    pub factor: f64,
    /// At most this long, before jitter.
    pub cap: Duration,
    /// 0 for none, 0.2 for +-20 %.
    pub jitter: f64,
}

impl Default for Backoff {
    /// 2 s, 6 s, 18 s ... an hour at most: ten attempts spread over about three hours.
    fn default() -> Self {
        Self {
            base: Duration::from_secs(2),
            factor: 3.0,
            cap: Duration::from_hours(1),
            jitter: 0.2,
        }
    }
}

impl Backoff {
    /// The same wait each time.
    pub const fn constant(wait: Duration) -> Self {
        Self {
            base: wait,
            factor: 1.0,
            cap: wait,
            jitter: 0.0,
        }
    }

    /// The wait after failed attempt number `attempt`, counted from 1.
    pub fn wait(&self, attempt: u16, rng: &mut impl Rng) -> Duration {
        let spread = rng.random_range(-1.0..=1.0) * self.jitter.clamp(0.0, 1.0);
        self.plain(attempt).mul_f64(1.0 + spread)
    }

    fn plain(&self, attempt: u16) -> Duration {
        let cap = self.cap.as_secs_f64();
        let grown = self.base.as_secs_f64() * self.factor.powi(i32::from(attempt.max(1)) - 1);
        Duration::from_secs_f64(if grown.is_finite() {
            grown.clamp(0.0, cap)
        } else {
            cap
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    proptest! {
        #[test]
        fn waits_grow_stay_bounded_and_jitter_in_range(
            base in 0_u64..10_000, factor in 1.0_f64..10.0, cap in 1_u64..1_000_000,
            jitter in 0.0_f64..=1.0, attempt in 1_u16..1000, seed: u64,
        ) {
            let backoff = Backoff {
                base: Duration::from_millis(base), factor, cap: Duration::from_millis(cap), jitter,
            };
            let (this, next) = (backoff.plain(attempt), backoff.plain(attempt + 1));
            prop_assert!(this <= next && next <= backoff.cap);
            let wait = backoff.wait(attempt, &mut StdRng::seed_from_u64(seed));
            prop_assert!(wait >= this.mul_f64((1.0 - jitter) * 0.999_999));
            prop_assert!(wait <= this.mul_f64(1.0 + jitter) + Duration::from_micros(1));
        }
    }
}

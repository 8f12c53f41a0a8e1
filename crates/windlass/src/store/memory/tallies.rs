//! What happened, counted per step of time.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;

use super::MemoryStore;
use crate::model::{Counted, CountedAt, Measure, Timestamp};
use crate::store::tallies::{began, seconds};
use crate::store::{Error, Grain, Tallied, Tallies};

/// By step, its begin, queue and measure.
pub(super) type Counts = BTreeMap<(i64, i64, String, i16), u64>;

#[async_trait]
impl Tallies for MemoryStore {
    async fn tally(&self, counted: &[Counted], now: Option<Timestamp>) -> Result<(), Error> {
        self.at(now, |data, now| {
            for grain in Grain::ALL {
                let at = began(now, grain.seconds());
                for Counted { queue, measure, n } in counted {
                    let key = (grain.seconds(), at, queue.clone(), measure.code());
                    *data.counts.entry(key).or_default() += n;
                }
            }
        });
        Ok(())
    }

    async fn tallied(&self, tallied: Tallied) -> Result<Vec<CountedAt>, Error> {
        let step = seconds(tallied.step);
        Ok(self.at(tallied.now, |data, now| {
            let since = began(now.minus(tallied.range), step);
            let mut steps = Counts::new();
            for ((grain, at, queue, code), n) in &data.counts {
                if *grain == tallied.grain.seconds() && *at >= since {
                    let key = (0, at / step * step, queue.clone(), *code);
                    *steps.entry(key).or_default() += n;
                }
            }
            let told = steps.into_iter().filter_map(|((_, at, queue, code), n)| {
                let measure = Measure::of_code(code)?;
                Some(CountedAt {
                    at: Timestamp::from_micros(at * 1_000_000),
                    counted: Counted { queue, measure, n },
                })
            });
            told.collect()
        }))
    }

    async fn prune_tallies(
        &self,
        grain: Grain,
        keep: Duration,
        now: Option<Timestamp>,
    ) -> Result<(), Error> {
        self.at(now, |data, now| {
            let before = began(now.minus(keep), grain.seconds());
            data.counts
                .retain(|(step, at, ..), _| *step != grain.seconds() || *at >= before);
        });
        Ok(())
    }
}

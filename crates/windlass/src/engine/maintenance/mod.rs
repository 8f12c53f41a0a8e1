//! What keeps the store in shape, done by whoever leads. Every service has the same form: one round
//! that can be repeated at any time by anyone; the loop, the intervals and the leader check are here.

mod orders;
mod prune;
mod rescue;
mod sample;
mod ungovern;
mod upkeep;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::leader::Leader;
use super::runtime::EngineOptions;
use crate::store::{Error, Store};
use crate::telemetry::Outage;

pub(super) use orders::ENGINE;
pub use prune::Retention;

/// One kind of upkeep.
#[async_trait]
trait Service: Send + Sync {
    /// How long from the end of one round to the next.
    fn interval(&self) -> Duration;

    /// Needs the store to have answered without a break for this long before its first round. What
    /// judges others by their silence must not do so right after nobody could speak.
    fn calm(&self) -> Duration {
        Duration::ZERO
    }

    /// One round.
    async fn run_once(&self, store: &dyn Store) -> Result<(), Error>;
}

/// Runs all services while this process leads, until it stops.
pub(super) async fn maintain(
    store: Arc<dyn Store>,
    holder: String,
    options: EngineOptions,
    stop: CancellationToken,
) {
    let services: Vec<Box<dyn Service>> = vec![
        Box::new(rescue::RescueService::new(&options)),
        Box::new(prune::PruneService::new(options.retention)),
        Box::new(upkeep::UpkeepService),
        Box::new(orders::OrdersService),
        Box::new(ungovern::UngovernService),
        Box::new(sample::SampleService::new(&options)),
    ];
    let term = options.lease / 2;
    let tick = (options.lease / 12).min(Duration::from_secs(1));
    let mut leader = Leader::new("maintenance", holder, term);
    let mut rounds = Rounds::new(services);
    let mut outage = Outage::new("maintenance");
    loop {
        match round(&*store, &mut leader, &mut rounds, tick).await {
            Ok(()) => outage.worked(),
            Err(error) => {
                rounds.calm_since = None;
                outage.failed(&error);
            }
        }
        if tokio::time::timeout(tick, stop.cancelled()).await.is_ok() {
            break;
        }
    }
    if let Err(error) = leader.resign(&*store).await {
        outage.failed(&error); // The term ends by itself.
    }
}

struct Rounds {
    services: Vec<(Box<dyn Service>, Instant)>,
    /// Since when the store has answered without a break.
    calm_since: Option<Instant>,
    last: Instant,
}

impl Rounds {
    fn new(services: Vec<Box<dyn Service>>) -> Self {
        let now = Instant::now();
        Self {
            services: services.into_iter().map(|s| (s, now)).collect(),
            calm_since: None,
            last: now,
        }
    }
}

async fn round(
    store: &dyn Store,
    leader: &mut Leader,
    rounds: &mut Rounds,
    tick: Duration,
) -> Result<(), Error> {
    // Those who do not lead ask too: whoever takes over knows how long it has been calm.
    let leads = leader.leads(store).await?;
    // A process that was frozen, or waited long for its answer (on SQLite, for one that was frozen while it
    // wrote), has heard of nobody meanwhile: that is no calm either.
    if rounds.last.elapsed() > tick * 4 {
        rounds.calm_since = None;
    }
    rounds.last = Instant::now();
    let calm_since = *rounds.calm_since.get_or_insert(rounds.last);
    if !leads {
        return Ok(());
    }
    for (service, due) in &mut rounds.services {
        if *due <= Instant::now() && calm_since.elapsed() >= service.calm() {
            service.run_once(store).await?;
            *due = Instant::now() + service.interval();
        }
    }
    Ok(())
}

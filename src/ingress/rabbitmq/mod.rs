//! Messages out of the platform's RabbitMQ: made durable as jobs in one transaction a batch, and only
//! then acknowledged. What cannot become a job is set aside with its reason, and the others go on.
//!
//! One process takes messages in at a time, so that those of a conversation become jobs in the order
//! in which they came; the broker itself, by exclusive consumers, keeps a second one out.

mod batch;
mod dead_letters;
mod message;
mod recover;
mod replay;
mod session;

use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use windlass::Client;

use crate::platform::{self, ChannelType, Platform};
use crate::records::Records;
use crate::services::broker::Broker;
use crate::telemetry::Outage;

pub use dead_letters::{Emptied, NotEmptied, empty};
pub use message::Fault;
pub use recover::{NotRecovered, Recovered, Recovery};
pub use replay::{NotReplayed, discard, replay};
use session::End;

/// How soon a process that stands by looks again.
const STAND_BY: Duration = Duration::from_secs(1);
/// The shortest and the longest pause after something went wrong on a connection that works.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// From which queues messages come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Topology {
    /// The platform's own, one for each tenant and channel.
    Platform,
    /// One that the broker replicates, for all.
    Quorum,
}

/// How messages are taken in.
#[derive(Debug, Clone)]
pub struct IntakeOptions {
    /// The queue, always empty, whose one reader takes messages in.
    pub lock: String,
    /// From which queues.
    pub topology: Topology,
    /// How many unacknowledged messages of one queue there may be.
    pub prefetch: u16,
    /// How many messages become durable at once.
    pub batch: usize,
    /// How often tenants and channels are looked at.
    pub refresh: Duration,
    /// How much of an unreadable body is kept, in bytes.
    pub kept_body: usize,
}

/// Takes messages in.
#[derive(Debug, Clone)]
pub struct Intake {
    /// Where they come from.
    pub broker: Broker,
    /// What makes them durable.
    pub client: Client,
    /// Whose channels there are.
    pub platform: Platform,
    /// Where what cannot be read is kept.
    pub records: Records,
    /// How.
    pub options: IntakeOptions,
}

impl Intake {
    /// Runs until `stop` fires. What has been received and is not durable by then, the broker gives
    /// to the next one.
    pub async fn run(self, stop: CancellationToken) {
        let mut outage = Outage::new(format!("intake from {}", self.broker.name()));
        let mut failures: u32 = 0;
        while !stop.is_cancelled() {
            let began = Instant::now();
            let pause = match self.session(&stop, &mut outage).await {
                Ok(End::Stopped) => break,
                Ok(End::StandBy) => STAND_BY,
                // The broker has told of it, and knows how long to wait.
                Err(error) if !self.broker.is_connected().await => {
                    error.retry_after().unwrap_or(PAUSES.0)
                }
                Err(error) => {
                    outage.failed(&error);
                    failures = if began.elapsed() > PAUSES.1 {
                        0
                    } else {
                        failures + 1
                    };
                    (PAUSES.0 * 2_u32.saturating_pow(failures.min(8))).min(PAUSES.1)
                }
            };
            stop.run_until_cancelled(tokio::time::sleep(pause)).await;
        }
    }
}

/// Whether a tenant's channel takes messages; if not, why.
async fn is_open(
    platform: &Platform,
    tenant: &str,
    channel: ChannelType,
) -> Result<Result<(), Fault>, platform::Error> {
    let open = platform.open_channels_of(tenant).await?;
    if open.iter().any(|open| open.channel == channel) {
        return Ok(Ok(()));
    }
    Ok(Err(match platform.tenant(tenant).await? {
        None => Fault::UnknownTenant,
        Some(tenant) if !tenant.enabled => Fault::DisabledTenant,
        Some(_) => Fault::NoChannel,
    }))
}

//! What the platform's own worker has left behind in RabbitMQ.

use std::time::Duration;

use clap::value_parser;
use serde::Serialize;
use windlass::Client;

use super::dry::Would;
use super::{Exit, Failure, Printer, actor};
use crate::compose::Database;
use crate::config::Config;
use crate::ingress::rabbitmq::{Emptied, NotEmptied, NotRecovered, Recovered, Recovery, empty};
use crate::platform::ChannelType;

#[derive(Debug, Clone, clap::Subcommand)]
pub enum Command {
    /// Make the messages of a tenant's dead-letter queues jobs; those that cannot be stay there
    Replay {
        /// Whose
        #[arg(long)]
        tenant: String,
        /// Which channel's: whatsapp, messenger or webchat; all that take messages if left out
        #[arg(long)]
        channel: Option<ChannelType>,
    },
    /// Make messages jobs that the platform's API told Meta it had, and lost; empties its queues of copies
    Recover {
        /// Whose
        #[arg(long)]
        tenant: String,
        /// Which channel's: whatsapp or messenger; both, where they take messages, if left out
        #[arg(long)]
        channel: Option<ChannelType>,
        /// Messages older than this go into quarantine instead, to be replayed one by one
        #[arg(long, value_name = "HOURS", default_value_t = 24, value_parser = value_parser!(u32).range(1..=8760))]
        max_age_hours: u32,
        /// Why, for the audit log
        #[arg(long)]
        reason: Option<String>,
    },
}

#[derive(Serialize)]
struct Answer<'a, T> {
    queues: &'a [T],
}

pub(super) async fn run(
    config: &Config,
    database: &Database,
    client: &Client,
    command: Command,
    printer: &mut Printer,
) -> Result<(), Failure> {
    let broker = config.rabbitmq.broker().map_err(anyhow::Error::from)?;
    let broker = broker.ok_or_else(|| {
        Failure::usage("setting rabbitmq.url is not set: name the broker in RABBITMQ_URL")
    })?;
    match command {
        Command::Replay { tenant, channel } => {
            let channels = channels(database, &tenant, channel).await?;
            let platform = &database.platform;
            let mut queues = Vec::new();
            for channel in channels {
                let emptied = empty(&broker, client, platform, &tenant, channel).await;
                queues.extend(emptied.map_err(not_emptied)?);
            }
            printer.data(&Answer { queues: &queues }, |answer| {
                text(answer.queues, "dead-letter queues", emptied_line)
            })?;
            left(queues.iter().map(|queue| queue.left.len()).sum(), printer)
        }
        Command::Recover {
            tenant,
            channel,
            max_age_hours,
            reason,
        } => {
            let mut channels = channels(database, &tenant, channel).await?;
            // Its messages come without webhooks.
            channels.retain(|kind| channel.is_some() || *kind != ChannelType::Webchat);
            let subject = format!("tenant/{tenant}");
            actor::operator(client, reason.as_deref())
                .record("rabbitmq.recover", subject, Some(tenant.clone()), None)
                .await?;
            let recovery = Recovery {
                broker: &broker,
                client,
                platform: &database.platform,
                records: &database.records,
                max_age: Duration::from_hours(max_age_hours.into()),
            };
            let mut queues = Vec::new();
            for channel in channels {
                let recovered = recovery.recover(&tenant, channel).await;
                queues.extend(recovered.map_err(not_recovered)?);
            }
            printer.data(&Answer { queues: &queues }, |answer| {
                text(answer.queues, "queues of webhooks", recovered_line)
            })?;
            left(queues.iter().map(|queue| queue.left.len()).sum(), printer)
        }
    }
}

/// The channel that is named, or all of the tenant's.
async fn channels(
    database: &Database,
    tenant: &str,
    channel: Option<ChannelType>,
) -> Result<Vec<ChannelType>, Failure> {
    if let Some(channel) = channel {
        return Ok(vec![channel]);
    }
    let open = database.platform.open_channels_of(tenant).await;
    let open = open.map_err(anyhow::Error::from)?;
    if open.is_empty() {
        let message = format!("the tenant {tenant} does not exist, is disabled or has no channel");
        return Err(Failure::new(Exit::NotFound, message));
    }
    Ok(open.into_iter().map(|open| open.channel).collect())
}

fn left(count: usize, printer: &mut Printer) -> Result<(), Failure> {
    if count == 0 {
        return Ok(());
    }
    printer.talk(&format!("{count} messages were left where they are"));
    Err(Failure::told(Exit::Failed))
}

fn not_recovered(error: NotRecovered) -> Failure {
    match error {
        NotRecovered::Fault(fault) => Failure::new(Exit::NotFound, fault.to_string()),
        NotRecovered::Enqueue(error) => error.into(),
        other => Failure::new(
            Exit::Failed,
            format!("{other}; nothing is lost or doubled: repeat it"),
        ),
    }
}

fn not_emptied(error: NotEmptied) -> Failure {
    match error {
        NotEmptied::Fault(fault) => Failure::new(Exit::NotFound, fault.to_string()),
        NotEmptied::Enqueue(error) => error.into(),
        other => Failure::new(
            Exit::Failed,
            format!("{other}; nothing is lost or doubled: repeat it"),
        ),
    }
}

fn text<T>(queues: &[T], what: &str, line: impl Fn(&T) -> String) -> String {
    if queues.is_empty() {
        return format!("there are no {what}\n");
    }
    queues.iter().map(line).collect()
}

fn emptied_line(queue: &Emptied) -> String {
    let told = format!(
        "{}: {} found, {} replayed ({} had been taken in before), {} left\n",
        queue.queue,
        queue.found,
        queue.replayed,
        queue.known,
        queue.left.len()
    );
    with_reasons(told, &queue.left)
}

fn recovered_line(queue: &Recovered) -> String {
    let told = format!(
        "{}: {} found; of their messages {} recovered, {} had arrived, {} too old (see jobctl quarantine list); {} left\n",
        queue.queue,
        queue.found,
        queue.recovered,
        queue.known,
        queue.too_old,
        queue.left.len()
    );
    with_reasons(told, &queue.left)
}

fn with_reasons(mut told: String, left: &[String]) -> String {
    told.extend(left.iter().map(|reason| format!("  left: {reason}\n")));
    told
}

impl Command {
    pub(super) fn would(&self) -> Would {
        match self {
            Self::Replay { tenant, .. } => {
                Would::Change(format!("make the dead letters of tenant {tenant} jobs"))
            }
            Self::Recover { tenant, .. } => Would::Change(format!(
                "make the lost messages of tenant {tenant} jobs, and empty its queues of copies"
            )),
        }
    }
}

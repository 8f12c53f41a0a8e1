//! What the platform's own worker has left behind in RabbitMQ.

use serde::Serialize;
use windlass::Client;

use super::{Exit, Failure, Printer};
use crate::compose::Database;
use crate::config::Config;
use crate::ingress::rabbitmq::{Emptied, NotEmptied, empty};
use crate::platform::ChannelType;

#[derive(Debug, clap::Subcommand)]
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
}

#[derive(Serialize)]
struct Answer {
    queues: Vec<Emptied>,
}

pub(super) async fn run(
    config: &Config,
    database: &Database,
    client: &Client,
    command: Command,
    printer: &mut Printer,
) -> Result<(), Failure> {
    let Command::Replay { tenant, channel } = command;
    let broker = config.rabbitmq.broker().map_err(anyhow::Error::from)?;
    let broker = broker.ok_or_else(|| {
        Failure::usage("setting rabbitmq.url is not set: name the broker in RABBITMQ_URL")
    })?;
    let platform = &database.platform;
    let channels = match channel {
        Some(channel) => vec![channel],
        None => {
            let open = platform.open_channels_of(&tenant).await;
            let open = open.map_err(anyhow::Error::from)?;
            open.into_iter().map(|open| open.channel).collect()
        }
    };
    if channels.is_empty() {
        let message = format!("the tenant {tenant} does not exist, is disabled or has no channel");
        return Err(Failure::new(Exit::NotFound, message));
    }
    let mut answer = Answer { queues: Vec::new() };
    for channel in channels {
        let emptied = empty(&broker, client, platform, &tenant, channel).await;
        answer.queues.extend(emptied.map_err(not_emptied)?);
    }
    printer.data(&answer, text)?;
    let left: usize = answer.queues.iter().map(|queue| queue.left.len()).sum();
    if left > 0 {
        printer.talk(&format!("{left} messages were left where they are"));
        return Err(Failure::told(Exit::Failed));
    }
    Ok(())
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

fn text(answer: &Answer) -> String {
    if answer.queues.is_empty() {
        return "there are no dead-letter queues\n".to_owned();
    }
    answer.queues.iter().map(line).collect()
}

fn line(queue: &Emptied) -> String {
    let left = queue
        .left
        .iter()
        .map(|reason| format!("  left: {reason}\n"));
    let told = format!(
        "{}: {} found, {} replayed ({} had been taken in before), {} left\n",
        queue.queue,
        queue.found,
        queue.replayed,
        queue.known,
        queue.left.len()
    );
    std::iter::once(told).chain(left).collect()
}

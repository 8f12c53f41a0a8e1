use serde::Serialize;
use windlass::model::Filter;
use windlass::store::Operation;
use windlass::{Client, JobId, State};

use super::{Failure, Printer, actor};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to do
    #[arg(value_enum)]
    operation: Verb,
    /// In one of these states, separated by commas
    #[arg(long, value_delimiter = ',')]
    state: Vec<State>,
    /// Of this kind
    #[arg(long)]
    kind: Option<String>,
    /// In this queue
    #[arg(long)]
    queue: Option<String>,
    /// Of this tenant
    #[arg(long)]
    tenant: Option<String>,
    /// Of this correlation id
    #[arg(long)]
    correlation: Option<String>,
    /// With this tag
    #[arg(long)]
    tag: Option<String>,
    /// Every job there is: needed where nothing else is named
    #[arg(long)]
    all: bool,
    /// Only count
    #[arg(long)]
    dry_run: bool,
    /// Why
    #[arg(long)]
    reason: Option<String>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Verb {
    Cancel,
    Discard,
    Requeue,
}

#[derive(Serialize)]
struct Answer {
    /// How many match, as counted before.
    jobs: usize,
    at_least: bool,
    /// The job that does it.
    id: Option<JobId>,
}

pub(super) async fn run(client: &Client, args: Args, printer: &mut Printer) -> Result<(), Failure> {
    let filter = Filter {
        states: args.state,
        kind: args.kind,
        queue: args.queue,
        tenant_id: args.tenant,
        correlation_id: args.correlation,
        tag: args.tag,
    };
    let count = client.preview(&filter).await?;
    let operation = match args.operation {
        Verb::Cancel => Operation::Cancel,
        Verb::Discard => Operation::Discard,
        Verb::Requeue => Operation::Requeue,
    };
    let id = if args.dry_run {
        None
    } else {
        let operator = actor::operator(client, args.reason.as_deref());
        Some(operator.bulk(operation, filter, args.all).await?)
    };
    let answer = Answer {
        jobs: count.jobs,
        at_least: count.at_least,
        id,
    };
    printer.data(&answer, |answer| {
        answer.id.map_or_else(String::new, |id| format!("{id}\n"))
    })?;
    let at_least = if count.at_least { "at least " } else { "" };
    printer.talk(&format!("{at_least}{} jobs match", count.jobs));
    if let Some(id) = answer.id {
        printer.talk(&format!("a running worker does it: see `jobctl show {id}`"));
    }
    Ok(())
}

use serde::Serialize;
use windlass::model::Filter;
use windlass::store::Operation;
use windlass::{Client, JobId, State};

use super::ask::{Ask, Shows};
use super::dry::Would;
use super::{Failure, Printer, actor};

#[derive(Debug, Clone, clap::Args)]
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
    /// Stay until it is done, and show how far it is
    #[arg(long)]
    follow: bool,
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
    id: JobId,
}

pub(super) async fn run(client: &Client, args: Args, printer: &mut Printer) -> Result<(), Failure> {
    let filter = args.filter();
    let count = client.preview(&filter).await?;
    let operator = actor::operator(client, args.reason.as_deref());
    let id = operator
        .bulk(args.operation.into(), filter, args.all)
        .await?;
    let answer = Answer {
        jobs: count.jobs,
        at_least: count.at_least,
        id,
    };
    printer.data(&answer, |answer| format!("{}\n", answer.id))?;
    let at_least = if count.at_least { "at least " } else { "" };
    printer.talk(&format!("{at_least}{} jobs match", count.jobs));
    if args.follow {
        let place = super::follow::Place::Database(client);
        return super::follow::until_done(&place, id, printer).await;
    }
    printer.talk(&format!("a running worker does it: see `jobctl show {id}`"));
    Ok(())
}

/// As the API takes it.
#[derive(Serialize)]
struct Request {
    operation: Operation,
    filter: Filter,
    all: bool,
    reason: Option<String>,
}

impl Args {
    pub(super) fn ask(self) -> Result<Ask, Failure> {
        let request = Request {
            operation: self.operation.into(),
            filter: self.filter(),
            all: self.all,
            reason: self.reason,
        };
        Ask::post(&[&"jobs", &"bulk"], Shows::Member("id")).body(&request)
    }

    pub(super) fn would(&self) -> Would {
        Would::Jobs {
            filter: self.filter(),
            words: match self.operation {
                Verb::Cancel => "cancel all jobs that match",
                Verb::Discard => "discard all jobs that match",
                Verb::Requeue => "requeue all jobs that match",
            },
        }
    }

    /// Whether to stay until it is done.
    pub(super) fn follows(&self) -> bool {
        self.follow
    }

    fn filter(&self) -> Filter {
        Filter {
            states: self.state.clone(),
            kind: self.kind.clone(),
            queue: self.queue.clone(),
            tenant_id: self.tenant.clone(),
            correlation_id: self.correlation.clone(),
            tag: self.tag.clone(),
        }
    }
}

impl From<Verb> for Operation {
    fn from(verb: Verb) -> Self {
        match verb {
            Verb::Cancel => Self::Cancel,
            Verb::Discard => Self::Discard,
            Verb::Requeue => Self::Requeue,
        }
    }
}

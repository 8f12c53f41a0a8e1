use clap::value_parser;
use serde::Serialize;
use windlass::model::{Cursor, Filter, Page};
use windlass::{Client, State};

use super::ask::{Ask, Shows};
use super::view::{JobLine, job_table};
use super::{Failure, Printer};

#[derive(Debug, Clone, clap::Args)]
pub struct Args {
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
    /// At most so many
    #[arg(long, default_value_t = 50, value_parser = value_parser!(u32).range(1..=500))]
    limit: u32,
    /// Only jobs after this one: what the page before called next
    #[arg(long, value_name = "CURSOR")]
    after: Option<Cursor>,
}

#[derive(Serialize)]
struct Answer {
    jobs: Vec<JobLine>,
    next: Option<Cursor>,
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
    // One more than asked for tells whether there is a next page.
    let page = Page {
        after: args.after,
        limit: args.limit + 1,
    };
    let mut jobs = client.list(&filter, page).await?;
    let more = jobs.len() > args.limit as usize;
    jobs.truncate(args.limit as usize);
    let answer = Answer {
        next: jobs.last().filter(|_| more).map(|job| Cursor(job.id)),
        jobs: jobs.into_iter().map(JobLine::from).collect(),
    };
    printer.data(&answer, |answer| job_table(&answer.jobs))?;
    if let Some(next) = answer.next {
        printer.talk(&format!("there are more: --after {next}"));
    }
    Ok(())
}

impl Args {
    pub(super) fn ask(self) -> Ask {
        let states: Vec<String> = self.state.iter().map(ToString::to_string).collect();
        let columns = &[
            "id",
            "state",
            "kind",
            "queue",
            "attempt",
            "run_at",
            "tenant_id",
        ];
        Ask::get(&[&"jobs"], Shows::Rows("jobs", columns))
            .with("state", (!states.is_empty()).then(|| states.join(",")))
            .with("kind", self.kind)
            .with("queue", self.queue)
            .with("tenant", self.tenant)
            .with("correlation", self.correlation)
            .with("tag", self.tag)
            .with("limit", Some(self.limit))
            .with("after", self.after)
    }
}

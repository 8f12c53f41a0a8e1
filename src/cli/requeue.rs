//! `jobctl requeue` and `jobctl snooze`: a job now, or at a time.

use windlass::{Client, Timestamp};

use super::ask::Ask;
use super::dry::Would;
use super::enqueue::time;
use super::{Failure, Printer, actor, change};

#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    #[command(flatten)]
    job: change::OneJob,
    /// When it is due instead of now, such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    at: Option<Timestamp>,
}

#[derive(Debug, Clone, clap::Args)]
pub struct SnoozeArgs {
    #[command(flatten)]
    job: change::OneJob,
    /// Until when it waits, such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Timestamp,
}

pub(super) async fn run(client: &Client, args: Args, printer: &mut Printer) -> Result<(), Failure> {
    let Args { job, at } = args;
    let (operator, tenant) = (
        actor::operator(client, job.reason.as_deref()),
        job.tenant.as_deref(),
    );
    let (changed, done) = match at {
        Some(at) => {
            let changed = operator.requeue_at(job.id, tenant, at).await?;
            (changed, format!("is available at {at}"))
        }
        None => {
            let changed = operator.requeue(job.id, tenant).await?;
            (changed, "is available now".to_owned())
        }
    };
    change::tell(job.id, changed, ("requeued", &done), printer)
}

pub(super) async fn snooze(
    client: &Client,
    args: SnoozeArgs,
    printer: &mut Printer,
) -> Result<(), Failure> {
    let SnoozeArgs { job, until } = args;
    let changed = actor::operator(client, job.reason.as_deref())
        .snooze(job.id, job.tenant.as_deref(), until)
        .await?;
    let done = format!("waits until {until}");
    change::tell(job.id, changed, ("snoozed", &done), printer)
}

impl Args {
    pub(super) fn ask(&self) -> Ask {
        self.job.ask("requeue").with("run_at", self.at)
    }

    pub(super) fn would(&self) -> Would {
        match self.at {
            Some(at) => self.job.would_say(&format!("requeue, for {at}, job")),
            None => self.job.would("requeue"),
        }
    }
}

impl SnoozeArgs {
    pub(super) fn ask(&self) -> Ask {
        self.job.ask("snooze").with("run_at", Some(self.until))
    }

    pub(super) fn would(&self) -> Would {
        let words = format!("snooze, until {}, job", self.until);
        self.job.would_say(&words)
    }
}

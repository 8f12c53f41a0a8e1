use serde::Serialize;
use windlass::{Client, JobId};

use super::{Failure, Printer, failure};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which job
    id: JobId,
    /// Only if it is this tenant's
    #[arg(long)]
    tenant: Option<String>,
}

#[derive(Serialize)]
struct Answer {
    id: JobId,
    status: &'static str,
}

pub(super) async fn run(client: &Client, args: Args, printer: &mut Printer) -> Result<(), Failure> {
    let changed = client.requeue(args.id, args.tenant.as_deref()).await?;
    failure::check(args.id, "requeued", changed)?;
    let answer = Answer {
        id: args.id,
        status: "done",
    };
    printer.data(&answer, |answer| {
        format!("{} is available now\n", answer.id)
    })?;
    Ok(())
}

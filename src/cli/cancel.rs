use serde::Serialize;
use windlass::store::Changed;
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
    let changed = client.cancel(args.id, args.tenant.as_deref()).await?;
    failure::check(args.id, "cancelled", changed)?;
    let (status, said) = match changed {
        Changed::Asked => ("asked", "runs and was asked to stop"),
        _ => ("done", "is cancelled"),
    };
    let answer = Answer {
        id: args.id,
        status,
    };
    printer.data(&answer, |answer| format!("{} {said}\n", answer.id))?;
    Ok(())
}

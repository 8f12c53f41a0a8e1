use windlass::{Client, JobId};

use super::view::JobSheet;
use super::{Failure, Printer};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which job
    id: JobId,
    /// Only if it is this tenant's
    #[arg(long)]
    tenant: Option<String>,
    /// Show its args too, which may hold messages of people
    #[arg(long = "args")]
    in_full: bool,
}

pub(super) async fn run(client: &Client, args: Args, printer: &mut Printer) -> Result<(), Failure> {
    let job = client.get(args.id, args.tenant.as_deref()).await?;
    let job = job.ok_or_else(|| Failure::job_not_found(args.id))?;
    printer.data(&JobSheet::new(job, args.in_full), JobSheet::text)?;
    Ok(())
}

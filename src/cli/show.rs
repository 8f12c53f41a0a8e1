use windlass::{Client, JobId};

use super::ask::{Ask, Shows};
use super::view::JobSheet;
use super::{Failure, Printer};

#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Which job
    id: JobId,
    /// Only if it is this tenant's
    #[arg(long)]
    tenant: Option<String>,
    /// Show its args too
    #[arg(long = "args")]
    in_full: bool,
    /// Show args and result in full, which may hold messages of people; the audit log says who asked
    #[arg(long)]
    reveal: bool,
}

pub(super) async fn run(client: &Client, args: Args, printer: &mut Printer) -> Result<(), Failure> {
    let job = client.get(args.id, args.tenant.as_deref()).await?;
    let job = job.ok_or_else(|| Failure::job_not_found(args.id))?;
    let shown = if args.reveal {
        client.reveal(&job, "jobctl").await?
    } else {
        client.shown(&job)
    };
    let sheet = JobSheet::new(job, shown, args.in_full);
    printer.data(&sheet, JobSheet::text)?;
    Ok(())
}

impl Args {
    pub(super) fn ask(&self) -> Ask {
        Ask::get(&[&"jobs", &self.id], Shows::Sheet)
            .with("tenant", self.tenant.as_ref())
            .with("args", self.in_full.then_some(true))
            .with("reveal", self.reveal.then_some(true))
    }
}

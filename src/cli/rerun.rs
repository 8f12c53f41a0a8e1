use serde::Serialize;
use windlass::{Client, JobId, Json};

use super::{Failure, Printer, actor, change};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which job
    id: JobId,
    /// With other args: JSON
    #[arg(long = "args", value_name = "ARGS")]
    edited: Option<String>,
    /// Make the same job available again instead of a new one
    #[arg(long)]
    in_place: bool,
    /// Only if it is this tenant's
    #[arg(long)]
    tenant: Option<String>,
    /// Why
    #[arg(long)]
    reason: Option<String>,
}

#[derive(Serialize)]
struct Answer {
    id: JobId,
}

pub(super) async fn run(client: &Client, args: Args, printer: &mut Printer) -> Result<(), Failure> {
    let json = args.edited.map(Json::parse).transpose();
    let json = json.map_err(|error| Failure::usage(format!("args: {error}; expected JSON")))?;
    let (operator, tenant) = (
        actor::operator(client, args.reason.as_deref()),
        args.tenant.as_deref(),
    );
    if args.in_place {
        let changed = match json {
            Some(json) => operator.requeue_with(args.id, tenant, json).await?,
            None => operator.requeue(args.id, tenant).await?,
        };
        return change::tell(args.id, changed, ("requeued", "is available"), printer);
    }
    let id = operator.rerun(args.id, tenant, json).await?;
    printer.data(&Answer { id }, |answer| format!("{}\n", answer.id))?;
    Ok(())
}

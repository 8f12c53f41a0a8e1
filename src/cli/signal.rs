use windlass::engine::SignalError;
use windlass::{Client, JobId, Json};

use super::{Failure, Printer, actor, change, enqueue};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which job
    id: JobId,
    /// Which message it waits for
    name: String,
    /// What it says: JSON, or - to read it from stdin
    #[arg(default_value = "null")]
    payload: String,
    /// Only if it is this tenant's
    #[arg(long)]
    tenant: Option<String>,
    /// Why, for the audit log
    #[arg(long)]
    reason: Option<String>,
}

pub(super) async fn run(client: &Client, args: Args, printer: &mut Printer) -> Result<(), Failure> {
    let payload = Json::parse(enqueue::text(args.payload)?)
        .map_err(|error| Failure::usage(format!("payload: {error}; expected JSON")))?;
    let changed = actor::operator(client, args.reason.as_deref())
        .signal(args.id, args.tenant.as_deref(), &args.name, &payload)
        .await;
    let changed = changed.map_err(|error| match error {
        SignalError::Store(error) => error.into(),
        other => Failure::usage(other.to_string()),
    })?;
    change::tell(args.id, changed, ("signalled", "has its message"), printer)
}

use windlass::engine::SignalError;
use windlass::{Client, JobId, Json};

use super::ask::{Ask, Shows};
use super::dry::Would;
use super::{Failure, Printer, actor, change, enqueue};

#[derive(Debug, Clone, clap::Args)]
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
    let payload = message(args.payload)?;
    let changed = actor::operator(client, args.reason.as_deref())
        .signal(args.id, args.tenant.as_deref(), &args.name, &payload)
        .await;
    let changed = changed.map_err(|error| match error {
        SignalError::Store(error) => error.into(),
        other => Failure::usage(other.to_string()),
    })?;
    change::tell(args.id, changed, ("signalled", "has its message"), printer)
}

impl Args {
    pub(super) fn ask(self) -> Result<Ask, Failure> {
        let path: [&(dyn std::fmt::Display + Sync); 4] =
            [&"jobs", &self.id, &"signals", &self.name];
        Ask::post(&path, Shows::Member("id"))
            .with("tenant", self.tenant)
            .with("reason", self.reason)
            .body(&message(self.payload)?)
    }

    pub(super) fn would(&self) -> Would {
        let words = format!("leave the message {} for job {}", self.name, self.id);
        Would::job(self.id, self.tenant.as_deref(), words)
    }
}

fn message(payload: String) -> Result<Json, Failure> {
    Json::parse(enqueue::text(payload)?)
        .map_err(|error| Failure::usage(format!("payload: {error}; expected JSON")))
}

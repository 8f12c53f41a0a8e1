use serde::Serialize;
use windlass::{Client, JobId, Json};

use super::ask::{Ask, Shows};
use super::dry::Would;
use super::{Failure, Printer, actor, change};

#[derive(Debug, Clone, clap::Args)]
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
    let json = parsed(args.edited)?;
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

/// As the API takes it.
#[derive(Serialize)]
struct Request {
    #[serde(skip_serializing_if = "Option::is_none")]
    args: Option<Json>,
    in_place: bool,
    reason: Option<String>,
}

impl Args {
    pub(super) fn ask(self) -> Result<Ask, Failure> {
        let request = Request {
            args: parsed(self.edited)?,
            in_place: self.in_place,
            reason: self.reason,
        };
        Ask::post(&[&"jobs", &self.id, &"rerun"], Shows::Member("id"))
            .with("tenant", self.tenant)
            .body(&request)
    }

    pub(super) fn would(&self) -> Would {
        let how = match (self.in_place, self.edited.is_some()) {
            (true, false) => "requeue job",
            (true, true) => "requeue, with other args, job",
            (false, false) => "run again, as a new job, job",
            (false, true) => "run again, as a new job with other args, job",
        };
        Would::job(
            self.id,
            self.tenant.as_deref(),
            format!("{how} {}", self.id),
        )
    }
}

fn parsed(edited: Option<String>) -> Result<Option<Json>, Failure> {
    let json = edited.map(Json::parse).transpose();
    json.map_err(|error| Failure::usage(format!("args: {error}; expected JSON")))
}

use serde::Serialize;
use windlass::engine::PauseOf;
use windlass::model::Pause;
use windlass::{Client, Timestamp};

use super::printer::table;
use super::{Exit, Failure, Printer, actor};

/// Without a queue, kind or tenant it lists what is paused.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    of: Of,
    /// When it ends by itself, such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = super::enqueue::time)]
    until: Option<Timestamp>,
    /// Why
    #[arg(long)]
    reason: Option<String>,
}

#[derive(Debug, clap::Args)]
pub struct ResumeArgs {
    #[command(flatten)]
    of: Of,
    /// Why
    #[arg(long)]
    reason: Option<String>,
}

#[derive(Debug, clap::Args)]
struct Of {
    /// Jobs of this queue
    #[arg(long)]
    queue: Option<String>,
    /// Jobs of this kind
    #[arg(long)]
    kind: Option<String>,
    /// Jobs of this tenant
    #[arg(long)]
    tenant: Option<String>,
}

#[derive(Serialize)]
struct Answer {
    pauses: Vec<Pause>,
}

pub(super) async fn run(client: &Client, args: Args, printer: &mut Printer) -> Result<(), Failure> {
    let of = PauseOf::from(args.of);
    let pauses = if of == PauseOf::default() && args.until.is_none() && args.reason.is_none() {
        client.pauses().await?
    } else {
        let operator = actor::operator(client, args.reason.as_deref());
        vec![operator.pause(of, args.until).await?]
    };
    printer.data(&Answer { pauses }, |answer| text(&answer.pauses))?;
    Ok(())
}

pub(super) async fn resume(
    client: &Client,
    args: ResumeArgs,
    printer: &mut Printer,
) -> Result<(), Failure> {
    let operator = actor::operator(client, args.reason.as_deref());
    if !operator.resume(args.of.into()).await? {
        let message = "exactly this is not paused: `jobctl pause` tells what is";
        return Err(Failure::new(Exit::NotFound, message));
    }
    let pauses = client.pauses().await?;
    printer.data(&Answer { pauses }, |answer| text(&answer.pauses))?;
    Ok(())
}

fn text(pauses: &[Pause]) -> String {
    let or_any = |word: &Option<String>| word.clone().unwrap_or_else(|| "any".to_owned());
    let rows: Vec<_> = pauses
        .iter()
        .map(|pause| {
            [
                or_any(&pause.queue),
                or_any(&pause.kind),
                or_any(&pause.tenant_id),
                pause.by.clone(),
                pause.at.to_string(),
                pause
                    .until
                    .map(|until| until.to_string())
                    .unwrap_or_default(),
                pause.reason.clone().unwrap_or_default(),
            ]
        })
        .collect();
    let head = ["QUEUE", "KIND", "TENANT", "BY", "SINCE", "UNTIL", "REASON"];
    table(head, &rows)
}

impl From<Of> for PauseOf {
    fn from(of: Of) -> Self {
        Self {
            queue: of.queue,
            kind: of.kind,
            tenant_id: of.tenant,
        }
    }
}

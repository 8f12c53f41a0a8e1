use serde::Serialize;
use windlass::Client;

use super::ask::{Ask, Shows};
use super::dry::Would;
use super::{Exit, Failure, Printer, actor};

#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Which: `jobctl workers` lists them
    worker: String,
    /// Let it work again
    #[arg(long)]
    undo: bool,
    /// Why
    #[arg(long)]
    reason: Option<String>,
}

#[derive(Serialize)]
struct Answer {
    worker: String,
    draining: bool,
}

pub(super) async fn run(client: &Client, args: Args, printer: &mut Printer) -> Result<(), Failure> {
    let operator = actor::operator(client, args.reason.as_deref());
    if !args.undo {
        operator.drain(&args.worker).await?;
    } else if !operator.undrain(&args.worker).await? {
        let message = format!(
            "worker {} is not drained: see `jobctl workers`",
            args.worker
        );
        return Err(Failure::new(Exit::NotFound, message));
    }
    let answer = Answer {
        worker: args.worker,
        draining: !args.undo,
    };
    printer.data(&answer, |answer| {
        let does = if answer.draining {
            "starts nothing more"
        } else {
            "works again"
        };
        format!("{} {does}\n", answer.worker)
    })?;
    Ok(())
}

impl Args {
    pub(super) fn ask(&self) -> Ask {
        let (verb, words) = if self.undo {
            ("undrain", "it works again")
        } else {
            ("drain", "it starts nothing more")
        };
        Ask::post(&[&"workers", &self.worker, &verb], Shows::Words(words))
            .with("reason", self.reason.as_ref())
    }

    pub(super) fn would(&self) -> Would {
        let worker = &self.worker;
        Would::Change(if self.undo {
            format!("let worker {worker} work again")
        } else {
            format!("let worker {worker} finish what runs and start nothing more")
        })
    }
}

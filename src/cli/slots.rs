use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::json;
use windlass::Client;

use super::ask::{Ask, Shows};
use super::dry::Would;
use super::{Failure, Printer, actor};

/// Without a queue it lists what was set.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Which queue
    queue: Option<String>,
    /// How many of its jobs each process runs at once; without, what each was started with
    #[arg(requires = "queue")]
    slots: Option<u32>,
    /// Why
    #[arg(long)]
    reason: Option<String>,
}

pub(super) async fn run(client: &Client, args: Args, printer: &mut Printer) -> Result<(), Failure> {
    let operator = actor::operator(client, args.reason.as_deref());
    match (&args.queue, args.slots) {
        (Some(queue), Some(slots)) => operator.set_slots(queue, slots).await?,
        (Some(queue), None) => drop(operator.reset_slots(queue).await?),
        (None, _) => {}
    }
    let slots = client.slots().await?.into_iter();
    let slots: BTreeMap<String, u32> = slots.map(|(queue, set)| (queue, set.slots)).collect();
    printer.data(&slots, |slots| {
        let lines = slots
            .iter()
            .map(|(queue, slots)| format!("{queue} {slots}\n"));
        lines.collect()
    })?;
    Ok(())
}

impl Args {
    pub(super) fn ask(self) -> Result<Ask, Failure> {
        let Some(queue) = self.queue else {
            return Err(Failure::usage(
                "the API does not list slots; leave out --profile, or name a queue",
            ));
        };
        let path: [&(dyn std::fmt::Display + Sync); 3] = [&"queues", &queue, &"slots"];
        match self.slots {
            Some(slots) => Ask::new(Method::PUT, &path, Shows::Sheet)
                .body(&json!({"slots": slots, "reason": self.reason})),
            None if self.reason.is_some() => Err(Failure::usage(
                "--reason: the API takes none for giving slots back; leave it out",
            )),
            None => {
                let words = Shows::Words("each process has the slots it was started with");
                Ok(Ask::new(Method::DELETE, &path, words))
            }
        }
    }

    pub(super) fn would(&self) -> Would {
        match (&self.queue, self.slots) {
            (None, _) => Would::Read,
            (Some(queue), Some(slots)) => Would::Change(format!(
                "let each process run {slots} jobs of queue {queue} at once"
            )),
            (Some(queue), None) => Would::Change(format!(
                "give queue {queue} back the slots each process was started with"
            )),
        }
    }
}

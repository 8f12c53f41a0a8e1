use std::collections::BTreeMap;

use windlass::Client;

use super::{Failure, Printer, actor};

/// Without a queue it lists what was set.
#[derive(Debug, clap::Args)]
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

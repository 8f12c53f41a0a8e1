use windlass::Client;
use windlass::model::WorkerRecord;

use super::ask::{Ask, Shows};
use super::printer::table;
use super::{Failure, Printer};

pub(super) async fn run(client: &Client, printer: &mut Printer) -> Result<(), Failure> {
    let workers = client.workers().await?;
    printer.data(&workers, |workers| text(workers))?;
    Ok(())
}

fn text(workers: &[WorkerRecord]) -> String {
    let rows: Vec<_> = workers
        .iter()
        .map(|worker| {
            [
                worker.id.clone(),
                format!("{}:{}", worker.host, worker.pid),
                worker.version.clone(),
                format!("{}/{}", worker.running, worker.slots),
                worker.queues.join(","),
                worker.beat_at.to_string(),
                if worker.draining { "yes" } else { "" }.to_owned(),
            ]
        })
        .collect();
    table(
        [
            "ID",
            "PROCESS",
            "VERSION",
            "RUNNING",
            "QUEUES",
            "LAST BEAT",
            "DRAINING",
        ],
        &rows,
    )
}

pub(super) fn ask() -> Ask {
    let columns = &[
        "id", "host", "pid", "version", "running", "slots", "queues", "beat_at", "draining",
    ];
    Ask::get(&[&"workers"], Shows::Rows("workers", columns))
}

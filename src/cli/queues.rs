use windlass::Client;
use windlass::model::QueueStats;

use super::ask::{Ask, Shows};
use super::printer::table;
use super::{Failure, Printer};

pub(super) async fn run(client: &Client, printer: &mut Printer) -> Result<(), Failure> {
    let queues = client.queues().await?;
    printer.data(&queues, |queues| text(queues))?;
    if queues.iter().any(|queue| queue.capped) {
        printer.talk("a number with + is at least that: counting stops at a bound");
    }
    Ok(())
}

fn text(queues: &[QueueStats]) -> String {
    let rows: Vec<_> = queues
        .iter()
        .map(|queue| {
            let plus = if queue.capped { "+" } else { "" };
            let count = |number: u64| format!("{number}{plus}");
            [
                queue.queue.clone(),
                count(queue.available),
                count(queue.running),
                count(queue.scheduled),
                count(queue.retryable),
                count(queue.waiting),
                queue
                    .oldest_available_at
                    .map_or_else(String::new, |at| at.to_string()),
            ]
        })
        .collect();
    table(
        [
            "QUEUE",
            "AVAILABLE",
            "RUNNING",
            "SCHEDULED",
            "RETRYABLE",
            "WAITING",
            "OLDEST AVAILABLE",
        ],
        &rows,
    )
}

pub(super) fn ask() -> Ask {
    let columns = &[
        "queue",
        "available",
        "running",
        "scheduled",
        "retryable",
        "waiting",
        "oldest_available_at",
    ];
    Ask::get(&[&"queues"], Shows::Rows("queues", columns))
}

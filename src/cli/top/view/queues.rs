use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::widgets::{Cell, Row};

use super::super::data::Queue;
use super::super::look::Look;
use super::super::state::State;
use super::{list, moment};

const HEAD: [&str; 7] = [
    "QUEUE",
    "AVAILABLE",
    "RUNNING",
    "SCHEDULED",
    "RETRYABLE",
    "OLDEST",
    "PAUSED",
];
const WIDTHS: [Constraint; 7] = [
    Constraint::Min(12),
    Constraint::Length(10),
    Constraint::Length(8),
    Constraint::Length(10),
    Constraint::Length(10),
    Constraint::Length(19),
    Constraint::Min(8),
];

pub(super) fn draw(state: &State, look: Look, frame: &mut Frame, area: Rect) {
    let rows = state.queues.as_ref().map(|_| {
        let row = |queue| row(state, look, queue);
        state.shown_queues().map(row).collect()
    });
    list(state, look, (&HEAD, &WIDTHS), rows, (frame, area));
}

fn row<'a>(state: &'a State, look: Look, queue: &'a Queue) -> Row<'a> {
    let plus = if queue.capped { "+" } else { "" };
    let count = |number: u64| Cell::from(format!("{number}{plus}"));
    let paused = state.pause_of(&queue.queue).map(|pause| {
        let until = pause.until.as_deref();
        let until = until.map_or_else(String::new, |at| format!(" until {}", moment(at)));
        let reason = pause.reason.as_deref();
        let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
        format!("by {}{until}{reason}", pause.by)
    });
    Row::new([
        Cell::from(queue.queue.as_str()),
        count(queue.available),
        count(queue.running),
        count(queue.scheduled),
        count(queue.retryable),
        Cell::from(
            queue
                .oldest_available_at
                .as_deref()
                .map(moment)
                .unwrap_or_default(),
        ),
        Cell::from(paused.unwrap_or_default()).style(look.warning()),
    ])
}

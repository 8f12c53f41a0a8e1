use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::widgets::{Cell, Row};

use super::super::data::Job;
use super::super::look::Look;
use super::super::state::State;
use super::{list, moment};

const HEAD: [&str; 7] = [
    "ID", "STATE", "KIND", "QUEUE", "ATTEMPT", "RUN AT", "TENANT",
];
const WIDTHS: [Constraint; 7] = [
    Constraint::Length(36),
    Constraint::Length(9),
    Constraint::Min(16),
    Constraint::Length(12),
    Constraint::Length(7),
    Constraint::Length(19),
    Constraint::Min(8),
];

pub(super) fn draw(state: &State, look: Look, frame: &mut Frame, area: Rect) {
    let rows = state.jobs.as_ref().map(|_| {
        let row = |job| row(look, job);
        state.shown_jobs().map(row).collect()
    });
    list(state, look, (&HEAD, &WIDTHS), rows, (frame, area));
}

fn row(look: Look, job: &Job) -> Row<'_> {
    Row::new([
        Cell::from(job.id.as_str()),
        Cell::from(job.state.as_str()).style(look.of_state(&job.state)),
        Cell::from(job.kind.as_str()),
        Cell::from(job.queue.as_str()),
        Cell::from(format!("{}/{}", job.attempt, job.max_attempts)),
        Cell::from(moment(&job.run_at)),
        Cell::from(job.tenant_id.as_deref().unwrap_or_default()),
    ])
}

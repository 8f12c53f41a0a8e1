use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::widgets::{Cell, Row};

use super::super::data::Schedule;
use super::super::look::Look;
use super::super::state::State;
use super::{list, moment};

const HEAD: [&str; 6] = ["NAME", "STATUS", "NEXT", "LATE", "LAST", "WHEN"];
const WIDTHS: [Constraint; 6] = [
    Constraint::Length(24),
    Constraint::Length(8),
    Constraint::Length(19),
    Constraint::Length(8),
    Constraint::Length(10),
    Constraint::Min(20),
];

pub(super) fn draw(state: &State, look: Look, frame: &mut Frame, area: Rect) {
    let rows = state.schedules.as_ref().map(|_| {
        let row = |schedule| row(look, schedule);
        state.shown_schedules().map(row).collect()
    });
    list(state, look, (&HEAD, &WIDTHS), rows, (frame, area));
}

fn row(look: Look, schedule: &Schedule) -> Row<'_> {
    let next = schedule
        .next
        .first()
        .map(|at| moment(at))
        .unwrap_or_default();
    let late = match schedule.late_ms / 1000 {
        0 => String::new(),
        seconds => format!("{seconds} s"),
    };
    let last = schedule.last.first();
    let last = last.map_or("", |tick| tick.state.as_deref().unwrap_or(&tick.outcome));
    let when = match &schedule.description {
        Some(words) => format!("{words} ({})", schedule.zone),
        None => format!("{} ({})", schedule.cron, schedule.zone),
    };
    Row::new([
        Cell::from(schedule.name.as_str()),
        Cell::from(schedule.status.as_str()).style(look.of_state(&schedule.status)),
        Cell::from(next),
        Cell::from(late).style(look.bad()),
        Cell::from(last).style(look.of_state(last)),
        Cell::from(when),
    ])
}

//! Draws what is known. (Control characters never get to the terminal: a cell does not take them.)

mod errors;
mod jobs;
mod overview;
mod queues;
mod schedules;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Row, Table, TableState, Tabs};

use super::look::Look;
use super::state::{Mode, State, Tab};

const KEYS: &str =
    "tab 1-5 pages  ↑↓ rows  / filter  esc all  r run job again  p pause queue  q quit";

/// Draws it.
pub fn view(state: &State, frame: &mut Frame) {
    let look = Look {
        colour: state.colour,
    };
    let [head, tabs, body, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(2),
        Constraint::Min(0),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(Paragraph::new(header(state, look)), head);
    let titles = Tab::ALL.map(Tab::title);
    let titles = Tabs::new(titles)
        .select(state.tab.place())
        .highlight_style(look.chosen())
        .divider(" ");
    frame.render_widget(titles, tabs);
    match state.tab {
        Tab::Overview => overview::draw(state, look, frame, body),
        Tab::Queues => queues::draw(state, look, frame, body),
        Tab::Jobs => jobs::draw(state, look, frame, body),
        Tab::Errors => errors::draw(state, look, frame, body),
        Tab::Schedules => schedules::draw(state, look, frame, body),
    }
    frame.render_widget(Paragraph::new(footer(state, look)), foot);
}

fn header(state: &State, look: Look) -> Line<'_> {
    let live = match &state.trouble {
        Some(why) => {
            let age = state.age.as_secs();
            Span::styled(format!("○ stale, {age} s old: {why}"), look.bad())
        }
        None if state.is_old() => {
            let age = state.age.as_secs();
            Span::styled(format!("○ stale, {age} s old"), look.bad())
        }
        None => Span::styled("● live", look.good()),
    };
    Line::from(vec![
        Span::styled("jobctl top", look.accent()),
        Span::raw(format!("  {}  ", state.server)),
        live,
    ])
}

fn footer(state: &State, look: Look) -> Line<'_> {
    match &state.mode {
        Mode::Confirm(act) => {
            let question = format!("{}? y does it, any other key does not", act.words());
            Line::styled(question, look.warning())
        }
        Mode::Filter => Line::from(format!("/{}▏ enter keeps it, esc ends it", state.filter)),
        Mode::Look => match (&state.notice, state.filter.as_str()) {
            (Some(notice), _) => Line::from(notice.as_str()),
            (None, "") => Line::styled(KEYS, look.muted()),
            (None, filter) => Line::from(format!("/{filter}  (esc shows all)")),
        },
    }
}

/// A table whose chosen row is in sight; or why there is none.
fn list(
    state: &State,
    look: Look,
    (head, widths): (&[&'static str], &[Constraint]),
    rows: Option<Vec<Row<'_>>>,
    (frame, area): (&mut Frame, Rect),
) {
    let Some(rows) = rows else {
        let words = Paragraph::new("nothing is known yet").style(look.muted());
        return frame.render_widget(words, area);
    };
    if rows.is_empty() {
        let words = if state.filter.is_empty() {
            "there are none"
        } else {
            "none match; esc shows all"
        };
        return frame.render_widget(Paragraph::new(words).style(look.muted()), area);
    }
    let head = Row::new(head.iter().copied()).style(look.muted());
    let table = Table::new(rows, widths.iter().copied())
        .header(head)
        .column_spacing(2)
        .row_highlight_style(look.chosen());
    let mut chosen = TableState::new().with_selected(Some(state.row));
    frame.render_stateful_widget(table, area, &mut chosen);
}

/// A time to the second, as the server tells it: in UTC.
fn moment(at: &str) -> String {
    at.get(..19).unwrap_or(at).replace('T', " ")
}

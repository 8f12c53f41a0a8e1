use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::widgets::{Cell, Row};

use super::super::data::Group;
use super::super::look::Look;
use super::super::state::State;
use super::{list, moment};

const HEAD: [&str; 6] = ["DEAD", "RETRYING", "LAST", "KINDS", "LAST DAY", "MESSAGE"];
const WIDTHS: [Constraint; 6] = [
    Constraint::Length(5),
    Constraint::Length(8),
    Constraint::Length(19),
    Constraint::Length(18),
    Constraint::Length(24),
    Constraint::Min(20),
];
/// How much, from nothing to the most.
const BARS: [char; 8] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '█'];

pub(super) fn draw(state: &State, look: Look, frame: &mut Frame, area: Rect) {
    let rows = state.errors.as_ref().map(|_| {
        let row = |group| row(look, group);
        state.shown_errors().map(row).collect()
    });
    list(state, look, (&HEAD, &WIDTHS), rows, (frame, area));
}

fn row(look: Look, group: &Group) -> Row<'_> {
    Row::new([
        Cell::from(group.dead.to_string()).style(look.of_state("dead")),
        Cell::from(group.retryable.to_string()),
        Cell::from(moment(&group.last_at)),
        Cell::from(group.kinds.join(", ")),
        Cell::from(bars(&group.per_hour)),
        Cell::from(group.message.replace('\n', " ")),
    ])
}

fn bars(counts: &[u64]) -> String {
    let most = counts.iter().copied().max().unwrap_or_default().max(1);
    let steps = BARS.len() as u64 - 1;
    let bar = |count: &u64| {
        // Anything at all is seen.
        let height = count.saturating_mul(steps).div_ceil(most);
        let height = usize::try_from(height).unwrap_or(BARS.len() - 1);
        BARS[height.min(BARS.len() - 1)]
    };
    counts.iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_is_highest_and_little_is_seen() {
        assert_eq!(bars(&[0, 1, 1000, 500]), " ▁█▄");
        assert_eq!(bars(&[0, 0]), "  ");
    }
}

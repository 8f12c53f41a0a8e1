//! How it goes: in words first, then in bars.

use std::collections::BTreeMap;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Paragraph, Sparkline};

use super::super::data::{Overview, Point};
use super::super::look::Look;
use super::super::state::State;
use super::moment;

pub(super) fn draw(state: &State, look: Look, frame: &mut Frame, area: Rect) {
    let Some(overview) = &state.overview else {
        let words = Paragraph::new("nothing is known yet").style(look.muted());
        return frame.render_widget(words, area);
    };
    let [words, came, done, failed] = Layout::vertical([
        Constraint::Length(7),
        Constraint::Fill(1),
        Constraint::Fill(1),
        Constraint::Fill(1),
    ])
    .areas(area);
    frame.render_widget(Paragraph::new(told(overview, look)), words);
    for (title, area, style, count) in [
        (
            "came in",
            came,
            look.accent(),
            Point::came as fn(&Point) -> u64,
        ),
        ("done", done, look.good(), Point::done),
        ("failed", failed, look.bad(), Point::lost),
    ] {
        let bars = per_minute(&overview.points, count);
        let total: u64 = bars.iter().sum();
        let title = format!("{title}, last hour by minutes: {total}");
        let block = Block::new().borders(Borders::TOP).title(title);
        let line = Sparkline::default().data(bars).style(style).block(block);
        frame.render_widget(line, area);
    }
}

fn told(overview: &Overview, look: Look) -> Vec<Line<'_>> {
    let sum = |count: fn(&super::super::data::Queue) -> u64| -> u64 {
        overview.queues.iter().map(count).sum()
    };
    let capped = overview.queues.iter().any(|queue| queue.capped);
    let at_least = if capped { "at least " } else { "" };
    let oldest = overview.queues.iter();
    let oldest = oldest
        .filter_map(|queue| queue.oldest_available_at.as_deref())
        .min();
    let oldest = oldest.map_or_else(String::new, |at| format!(", oldest since {}", moment(at)));
    let (running, slots, draining) = overview.workers.iter().fold((0, 0, 0), |sum, worker| {
        let draining = u64::from(worker.draining);
        (
            sum.0 + worker.running,
            sum.1 + worker.slots,
            sum.2 + draining,
        )
    });
    let health = overview.health.status.as_str();
    let style = if health == "healthy" {
        look.good()
    } else {
        look.bad()
    };
    vec![
        Line::from(vec![Span::raw("health     "), Span::styled(health, style)]),
        Line::from(format!(
            "available  {at_least}{}{oldest}",
            sum(|it| it.available)
        )),
        Line::from(format!(
            "later      {at_least}{} scheduled, {} to be retried, {} waiting for others",
            sum(|it| it.scheduled),
            sum(|it| it.retryable),
            sum(|it| it.waiting)
        )),
        Line::from(format!(
            "workers    {}, {running} of {slots} slots busy, {draining} draining",
            overview.workers.len()
        )),
        Line::from(format!("pauses     {}", overview.pauses)),
        Line::styled(
            format!("as of      {} UTC", moment(&overview.as_of)),
            look.muted(),
        ),
    ]
}

impl Point {
    fn came(&self) -> u64 {
        self.enqueued
    }

    fn done(&self) -> u64 {
        self.completed
    }

    fn lost(&self) -> u64 {
        self.failed + self.dead
    }
}

/// Of all queues together, oldest first.
fn per_minute(points: &[Point], count: fn(&Point) -> u64) -> Vec<u64> {
    let mut minutes: BTreeMap<&str, u64> = BTreeMap::new();
    for point in points {
        *minutes.entry(&point.at).or_default() += count(point);
    }
    minutes.into_values().collect()
}

//! The figures as one Markdown table: medians, ranges, and whether the targets are met.

use std::fmt::Write as _;

use crate::databases::Kind;
use crate::figures::Results;
use crate::plan::{Plan, Subject, Target};

pub(crate) fn render(plan: &Plan, results: &Results) -> String {
    let mut text = String::new();
    for &kind in &plan.kinds {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "\n{}", render_kind(kind, results));
    }
    text
}

fn render_kind(kind: Kind, results: &Results) -> String {
    let of_kind = || results.iter().filter(move |((k, _), _)| *k == kind);
    let subjects = [
        Subject::Ours,
        Subject::Tenants,
        Subject::Limited,
        Subject::Stock,
        Subject::Tuned,
    ]
    .into_iter()
    .filter(|subject| of_kind().any(|(_, values)| values.contains_key(subject)));
    let subjects: Vec<Subject> = subjects.collect();
    let mut rows = vec![
        header(kind, &subjects),
        vec!["---".to_owned(); subjects.len() + 2],
    ];
    for ((_, figure), values) in of_kind() {
        let mut row = vec![figure.title().to_owned()];
        row.push(target(figure.target(kind), values.get(&Subject::Ours)));
        row.extend(subjects.iter().map(|subject| cell(values.get(subject))));
        rows.push(row);
    }
    let lines = rows.iter().map(|row| format!("| {} |", row.join(" | ")));
    lines.collect::<Vec<_>>().join("\n")
}

fn header(kind: Kind, subjects: &[Subject]) -> Vec<String> {
    let titles = subjects.iter().map(|s| s.title(kind).to_owned());
    [format!("{kind:?}"), "target".to_owned()]
        .into_iter()
        .chain(titles)
        .collect()
}

fn target(target: Option<Target>, ours: Option<&Vec<f64>>) -> String {
    let (Some(target), Some(ours)) = (target, ours) else {
        return String::new();
    };
    let met = if target.is_met(median(ours)) {
        "met"
    } else {
        "**missed**"
    };
    match target {
        Target::AtLeast(bound) => format!(">= {}, {met}", number(bound)),
        Target::AtMost(bound) => format!("<= {}, {met}", number(bound)),
    }
}

fn cell(values: Option<&Vec<f64>>) -> String {
    let Some(values) = values.filter(|values| !values.is_empty()) else {
        return "-".to_owned();
    };
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if values.len() == 1 {
        return number(least);
    }
    format!(
        "{} ({} - {})",
        number(median(values)),
        number(least),
        number(most)
    )
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) {
        f64::midpoint(sorted[middle - 1], sorted[middle])
    } else {
        sorted[middle]
    }
}

/// Three digits that mean something, thousands apart.
fn number(value: f64) -> String {
    if value < 100.0 {
        return format!("{value:.2}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

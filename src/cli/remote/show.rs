//! An answer as text. Numbers are shown as they came: nothing is read into a float.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::super::ask::{Ask, Shows};
use super::super::printer::rows;
use super::super::{Exit, Failure, Printer};

type Members = BTreeMap<String, Box<RawValue>>;

/// The answer, as it was asked to be shown.
pub(super) fn show(ask: &Ask, answer: &str, printer: &mut Printer) -> Result<(), Failure> {
    if printer.is_json() {
        let answer = if answer.is_empty() { "{}" } else { answer };
        printer.raw(answer.as_bytes())?;
        printer.raw(b"\n")?;
        return Ok(());
    }
    let members = || {
        serde_json::from_str::<Members>(answer).map_err(|_| {
            Failure::new(
                Exit::Failed,
                "the server answered something else than asked",
            )
        })
    };
    match ask.shows {
        Shows::Words(words) => printer.talk(words),
        Shows::Member(name) => {
            let members = members()?;
            let value = members.get(name).map(|raw| plain(raw)).unwrap_or_default();
            printer.text(&format!("{value}\n"))?;
        }
        Shows::Sheet => printer.text(&sheet(&members()?))?,
        Shows::Rows(name, columns) => {
            let members = members()?;
            let found = members.get(name).map_or("[]", |raw| raw.get());
            let found: Vec<Members> = serde_json::from_str(found).unwrap_or_default();
            let head: Vec<String> = columns
                .iter()
                .map(|name| name.replace('_', " ").to_uppercase())
                .collect();
            let cells = found.iter().map(|row| {
                let cell = |name: &&str| row.get(*name).map(|raw| plain(raw)).unwrap_or_default();
                columns.iter().map(cell).collect()
            });
            printer.text(&rows(&head, &cells.collect::<Vec<_>>()))?;
            let next = members
                .get("next")
                .map(|raw| plain(raw))
                .unwrap_or_default();
            if !next.is_empty() {
                printer.talk(&format!("there are more, after {next}"));
            }
        }
    }
    Ok(())
}

fn sheet(members: &Members) -> String {
    let width = members.keys().map(String::len).max().unwrap_or_default();
    let lines = members.iter().filter(|(_, raw)| raw.get() != "null");
    lines
        .map(|(name, raw)| format!("{name:width$}  {}\n", plain(raw)))
        .collect::<Vec<_>>()
        .concat()
}

/// A word as itself, a list of words as words, and everything else as it came.
fn plain(raw: &RawValue) -> String {
    let text = raw.get();
    if text == "null" {
        return String::new();
    }
    if let Ok(word) = serde_json::from_str::<String>(text) {
        return word.replace('\n', " ");
    }
    match serde_json::from_str::<Vec<String>>(text) {
        Ok(words) => words.join(", "),
        Err(_) => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_exact_and_words_stay_words() {
        let members: Members = serde_json::from_str(
            r#"{"args":{"n":12345678901234567890123},"kind":"a\nb","tags":["x","y"],"none":null}"#,
        )
        .unwrap();
        let told = "args  {\"n\":12345678901234567890123}\nkind  a b\ntags  x, y\n";
        assert_eq!(sheet(&members), told);
    }
}

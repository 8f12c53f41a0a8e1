//! Owns both streams: data to stdout, talk to stderr.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, IsTerminal as _, Write};

use serde::Serialize;

use super::progress::Bar;

/// Where a command's words go.
pub struct Printer {
    json: bool,
    /// JSON on one line, for what reads a stream of it.
    compact: bool,
    /// Whether a person sees stdout on a screen.
    screen: bool,
    /// How far long work is, on a screen.
    bar: Bar,
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
}

impl Printer {
    /// To the process's own streams.
    pub fn standard(json: bool) -> Self {
        Self {
            screen: io::stdout().is_terminal(),
            bar: Bar::new(io::stderr().is_terminal()),
            ..Self::new(json, io::stdout(), io::stderr())
        }
    }

    /// To any streams, none of which is a screen.
    pub fn new(
        json: bool,
        out: impl Write + Send + 'static,
        err: impl Write + Send + 'static,
    ) -> Self {
        Self {
            json,
            compact: false,
            screen: false,
            bar: Bar::new(false),
            out: Box::new(out),
            err: Box::new(err),
        }
    }

    /// Prints each document of JSON on one line.
    pub(super) fn one_line_each(&mut self) {
        self.compact = true;
    }

    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    /// Data: as JSON if that was asked for, or as text.
    pub(super) fn data<T: Serialize>(
        &mut self,
        data: &T,
        text: impl FnOnce(&T) -> String,
    ) -> io::Result<()> {
        if !self.json {
            return self.text(&text(data));
        }
        let json = if self.compact {
            serde_json::to_string(data)?
        } else {
            serde_json::to_string_pretty(data)?
        };
        writeln!(self.out, "{json}")
    }

    /// Data that is text already. What jobs and people wrote in it cannot speak to the terminal.
    pub(super) fn text(&mut self, text: &str) -> io::Result<()> {
        write!(self.out, "{}", harmless(text))
    }

    /// What a program reads as it is, whatever `--json` says.
    pub(super) fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)
    }

    /// An empty screen, if there is one.
    pub(super) fn fresh(&mut self) -> io::Result<()> {
        if self.screen && !self.json {
            write!(self.out, "\x1b[2J\x1b[H")?;
        }
        Ok(())
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// How far long work is: a bar on a screen, a line elsewhere.
    pub(super) fn progress(&mut self, done: u64, total: Option<u64>, words: &str) {
        if !self.bar.show(done, total, &harmless(words)) {
            self.talk(words);
        }
    }

    /// The work is done: the bar goes.
    pub(super) fn progressed(&mut self) {
        self.bar.clear();
    }

    /// Anything that is not data. Nobody is told if nobody can be.
    pub fn talk(&mut self, words: &str) {
        self.bar.clear();
        drop(writeln!(self.err, "{}", harmless(words)));
    }
}

/// Without what a terminal would obey: escapes, and controls but the end of a line and a tab.
fn harmless(text: &str) -> Cow<'_, str> {
    let obeyed = |c: char| c.is_control() && c != '\n' && c != '\t';
    if text.contains(obeyed) {
        Cow::Owned(text.replace(obeyed, "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

impl fmt::Debug for Printer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Printer")
            .field("json", &self.json)
            .finish_non_exhaustive()
    }
}

/// Columns as wide as their widest cell.
pub(super) fn table<const N: usize>(head: [&str; N], body: &[[String; N]]) -> String {
    let head = head.map(str::to_owned);
    rows(
        &head,
        &body.iter().map(|row| row.to_vec()).collect::<Vec<_>>(),
    )
}

/// The same of any number of columns; each row has as many cells as the head.
pub(super) fn rows(head: &[String], body: &[Vec<String>]) -> String {
    let mut widths = vec![0; head.len()];
    for row in std::iter::once(head).chain(body.iter().map(Vec::as_slice)) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |cells: &[String]| {
        let padded: Vec<String> = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        format!("{}\n", padded.join("  ").trim_end())
    };
    let body = body.iter().map(|row| line(row));
    std::iter::once(line(head)).chain(body).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_obeys_nothing_that_is_shown() {
        let shown = harmless("a\x1b[2J\tb\n\u{9b}31m");
        assert_eq!(shown, "a\u{fffd}[2J\tb\n\u{fffd}31m");
    }
}

//! Owns both streams: data to stdout, talk to stderr.

use std::fmt;
use std::io::{self, Write};

use serde::Serialize;

/// Where a command's words go.
pub struct Printer {
    json: bool,
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
}

impl Printer {
    /// To the process's own streams.
    pub fn standard(json: bool) -> Self {
        Self::new(json, io::stdout(), io::stderr())
    }

    /// To any streams.
    pub fn new(
        json: bool,
        out: impl Write + Send + 'static,
        err: impl Write + Send + 'static,
    ) -> Self {
        Self {
            json,
            out: Box::new(out),
            err: Box::new(err),
        }
    }

    /// Data: as JSON if that was asked for, or as text.
    pub(super) fn data<T: Serialize>(
        &mut self,
        data: &T,
        text: impl FnOnce(&T) -> String,
    ) -> io::Result<()> {
        if self.json {
            let json = serde_json::to_string_pretty(data)?;
            writeln!(self.out, "{json}")
        } else {
            write!(self.out, "{}", text(data))
        }
    }

    /// Anything that is not data. Nobody is told if nobody can be.
    pub fn talk(&mut self, words: &str) {
        drop(writeln!(self.err, "{words}"));
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
pub(super) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0).max(head[column].len())
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |cells: [&str; N]| {
        let padded: Vec<String> = cells
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        format!("{}\n", padded.join("  ").trim_end())
    };
    let body = rows
        .iter()
        .map(|row| line(std::array::from_fn(|column| row[column].as_str())));
    std::iter::once(line(head)).chain(body).collect()
}

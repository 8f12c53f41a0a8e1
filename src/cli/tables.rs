//! How tables and indexes stand.

use super::printer::table;
use super::{Failure, Printer};
use crate::compose::Database;
use crate::platform::{self, Advice, TablesReport};

#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Show those that are well, too
    #[arg(long)]
    all: bool,
}

pub(super) async fn run(
    database: &Database,
    args: Args,
    printer: &mut Printer,
) -> Result<(), Failure> {
    let mut report = database.platform.tables_report().await?;
    if !args.all {
        report = report.advised();
    }
    printer.data(&report, text)?;
    let broken = |advice: &Advice| !matches!(advice, Advice::Vacuum | Advice::Freeze);
    if let Some(index) = report
        .indexes
        .iter()
        .find(|index| index.advice.iter().any(broken))
    {
        printer.talk(&format!(
            "to make an index anew: jobctl enqueue reindex '{{\"index\":\"{}\"}}'",
            index.what.name
        ));
    } else if report.indexes.is_empty() && report.tables.is_empty() {
        printer.talk("nothing wants to be done");
    }
    Ok(())
}

fn text(report: &TablesReport) -> String {
    let tables = report.tables.iter().map(|table| {
        let what = &table.what;
        [
            what.name.clone(),
            "table".to_owned(),
            what.bytes.to_string(),
            format!("{} of {} rows dead", what.dead_rows, what.live_rows),
            advised(&table.advice),
        ]
    });
    let indexes = report.indexes.iter().map(|index| {
        let what = &index.what;
        let bloat = what.bloat.map_or("-".to_owned(), |bloat| {
            format!("{:.0} % air", bloat * 100.0)
        });
        [
            what.name.clone(),
            format!("{} of {}", what.method, what.table),
            what.bytes.to_string(),
            bloat,
            advised(&index.advice),
        ]
    });
    let rows: Vec<_> = tables.chain(indexes).collect();
    table(["NAME", "WHAT", "BYTES", "STATE", "ADVICE"], &rows)
}

fn advised(advice: &[Advice]) -> String {
    let words = advice.iter().map(|advice| match advice {
        Advice::Vacuum => "vacuum",
        Advice::Freeze => "vacuum (freeze)",
        Advice::Invalid => "invalid: reindex",
        Advice::Leftover => "leftover: reindex its index, or drop it",
        Advice::Bloated => "bloated: reindex",
    });
    words.collect::<Vec<_>>().join(", ")
}

impl From<platform::Error> for Failure {
    fn from(error: platform::Error) -> Self {
        anyhow::Error::from(error).into()
    }
}

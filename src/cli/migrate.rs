use serde::Serialize;

use super::{Failure, Printer};
use crate::compose::{self, Database};

#[derive(Serialize)]
struct Answer {
    from: i64,
    to: i64,
}

pub(super) async fn run(database: &Database, printer: &mut Printer) -> Result<(), Failure> {
    let made = compose::migrate(database).await?;
    let answer = Answer {
        from: made.engine.from,
        to: made.engine.to,
    };
    printer.data(&answer, |answer| match answer {
        Answer { from, to } if from == to => format!("the schema is at version {to} already\n"),
        Answer { from, to } => format!("the schema went from version {from} to {to}\n"),
    })?;
    for warning in made.warnings {
        printer.talk(&format!("warning: {warning}"));
    }
    Ok(())
}

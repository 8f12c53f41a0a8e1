use clap::Subcommand;
use serde::Serialize;
use windlass::Client;
use windlass::engine::KeyWalk;
use windlass::model::Audit;

use super::dry::Would;
use super::printer::table;
use super::{Exit, Failure, Printer};

#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Count what is sealed with which key
    Status {
        /// Leave out finished jobs
        #[arg(long)]
        unfinished: bool,
        /// Stop after about so many jobs
        #[arg(long, default_value_t = 1_000_000, value_name = "JOBS")]
        most: u64,
    },
    /// Seal with the newest key what is sealed with another, while everything runs
    Reseal {
        /// Leave out finished jobs
        #[arg(long)]
        unfinished: bool,
    },
}

#[derive(Serialize)]
struct Answer {
    /// The newest first, then those that are missing here.
    keys: Vec<Line>,
    looked: u64,
    resealed: u64,
    missed: u64,
    broken: u64,
    done: bool,
}

#[derive(Serialize)]
struct Line {
    key: String,
    role: &'static str,
    values: u64,
}

pub(super) async fn run(
    client: &Client,
    command: Command,
    printer: &mut Printer,
) -> Result<(), Failure> {
    match command {
        Command::Status { unfinished, most } => {
            let mut walk = KeyWalk::new(!unfinished);
            while !walk.done && walk.looked < most {
                client.count_keys(&mut walk).await?;
            }
            told(client, &walk, printer)
        }
        Command::Reseal { unfinished } => reseal(client, !unfinished, printer).await,
    }
}

async fn reseal(client: &Client, finished: bool, printer: &mut Printer) -> Result<(), Failure> {
    let Some(newest) = client.keys().ids().next() else {
        let message =
            "there is no key to seal with; set sealing.keys (METACHAT_JOBS__SEALING__KEYS)";
        return Err(Failure::usage(message));
    };
    let audit = Audit::new("jobctl", "keys.reseal", format!("key/{newest}"));
    client.store().record_audit(&audit, None).await?;
    let mut walk = KeyWalk::new(finished);
    while !walk.done {
        client.reseal(&mut walk).await?;
        let words = format!("{} jobs, {} values resealed", walk.looked, walk.resealed);
        printer.progress(walk.looked, None, &words);
    }
    printer.progressed();
    let unread = walk.broken > 0 || walk.missed > 0;
    told(client, &walk, printer)?;
    if unread {
        printer.talk("some changed meanwhile or do not open: run it again");
        return Err(Failure::told(Exit::Failed));
    }
    Ok(())
}

fn told(client: &Client, walk: &KeyWalk, printer: &mut Printer) -> Result<(), Failure> {
    let count = |key: &str| walk.keys.get(key).copied().unwrap_or_default();
    let here = client.keys().ids().enumerate().map(|(place, key)| Line {
        key: key.to_owned(),
        role: if place == 0 { "seals" } else { "opens" },
        values: count(key),
    });
    let mut keys: Vec<Line> = here.collect();
    for (key, values) in &walk.keys {
        if keys.iter().all(|line| line.key != *key) {
            keys.push(Line {
                key: key.clone(),
                role: "missing here",
                values: *values,
            });
        }
    }
    let answer = Answer {
        keys,
        looked: walk.looked,
        resealed: walk.resealed,
        missed: walk.missed,
        broken: walk.broken,
        done: walk.done,
    };
    printer.data(&answer, |answer| {
        let plus = if answer.done { "" } else { "+" };
        let row = |line: &Line| {
            let values = format!("{}{plus}", line.values);
            [line.key.clone(), line.role.to_owned(), values]
        };
        let rows: Vec<_> = answer.keys.iter().map(row).collect();
        table(["KEY", "ROLE", "VALUES"], &rows)
    })?;
    if !answer.done {
        printer.talk("a number with + is at least that: counting stopped at --most");
    }
    Ok(())
}

impl Command {
    pub(super) fn would(&self) -> Would {
        match self {
            Self::Status { .. } => Would::Read,
            Self::Reseal { .. } => {
                Would::Change("seal with the newest key what is sealed with another".to_owned())
            }
        }
    }
}

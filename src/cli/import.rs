use std::collections::BTreeMap;

use clap::Subcommand;
use serde::Serialize;
use windlass::Client;

use super::printer::table;
use super::{Exit, Failure, Printer};
use crate::import::{self, Kinds, Report, Source, postgres, redis, sqlite};

#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Move waiting jobs out of a store of apalis; may be repeated after it broke off
    Apalis(Args),
}

#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The store: `postgres://user:password@host:5432/name`, `sqlite:FILE` or `redis://host:6379`
    #[arg(long, value_name = "URL")]
    from: String,
    /// Only jobs of this type (which apalis-redis calls a queue); may be repeated
    #[arg(long, value_name = "TYPE")]
    queue: Vec<String>,
    /// What a job type is called here; may be repeated
    #[arg(long, value_name = "TYPE=KIND", value_parser = pair)]
    map: Vec<(String, String)>,
    /// Also jobs that look as if they ran: only once all workers of the store are stopped
    #[arg(long)]
    include_running: bool,
    /// As `--dry-run` of the whole program.
    #[arg(skip)]
    dry_run: bool,
}

#[derive(Serialize)]
struct Answer {
    dry_run: bool,
    #[serde(flatten)]
    report: Report,
}

pub(super) async fn run(
    client: &Client,
    command: Command,
    printer: &mut Printer,
) -> Result<(), Failure> {
    let Command::Apalis(args) = command;
    let kinds: BTreeMap<String, String> = args.map.into_iter().collect();
    if let Some(unknown) = kinds
        .values()
        .find(|kind| client.catalogue().get(kind).is_none())
    {
        let known: Vec<&str> = client.catalogue().kinds().collect();
        let known = known.join(", ");
        return Err(Failure::usage(format!(
            "--map: there is no kind {unknown}; known are {known}"
        )));
    }
    let mut source = source(&args.from, &args.queue, args.include_running)?;
    let mut progress = |report: &Report| {
        let done = report.imported + report.left + report.gone;
        let words = format!("{done} of {} jobs", report.found);
        let count = |jobs| u64::try_from(jobs).unwrap_or(u64::MAX);
        printer.progress(count(done), Some(count(report.found)), &words);
    };
    let kinds = Kinds(kinds);
    let report = import::run(&mut *source, client, &kinds, args.dry_run, &mut progress).await?;
    printer.progressed();
    let left = report.left;
    let answer = Answer {
        dry_run: args.dry_run,
        report,
    };
    printer.data(&answer, text)?;
    if left > 0 {
        printer.talk(&format!("{left} jobs were left where they are"));
        return Err(Failure::told(Exit::Failed));
    }
    Ok(())
}

fn source(from: &str, types: &[String], running: bool) -> Result<Box<dyn Source>, import::Error> {
    let (scheme, _) = from.split_once(':').unwrap_or(("", from));
    Ok(match scheme {
        "postgres" | "postgresql" => Box::new(postgres::Postgres::open(from, types, running)?),
        "sqlite" => Box::new(sqlite::Sqlite::open(from, types, running)?),
        "redis" => Box::new(redis::Redis::open(from, types, running)?),
        _ => {
            let problem = "expected postgres://.., sqlite:FILE or redis://..";
            return Err(import::Error::Url(problem.into()));
        }
    })
}

fn text(answer: &Answer) -> String {
    let Report {
        found,
        imported,
        known,
        gone,
        left,
        named,
    } = &answer.report;
    let verb = if answer.dry_run {
        "could be imported"
    } else {
        "imported"
    };
    let mut text = format!(
        "{found} found, {imported} {verb} ({known} were here already), {gone} taken by their own workers \
         meanwhile, {left} left\n"
    );
    if !named.is_empty() {
        let rows: Vec<[String; 3]> = named
            .iter()
            .map(|left| [left.id.clone(), left.job_type.clone(), left.reason.clone()])
            .collect();
        text += &table(["ID", "TYPE", "LEFT BECAUSE"], &rows);
    }
    text
}

fn pair(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .filter(|(old, new)| !old.is_empty() && !new.is_empty())
        .map(|(old, new)| (old.to_owned(), new.to_owned()))
        .ok_or_else(|| "expected TYPE=KIND, such as myapp::Email=deliver_message".to_owned())
}

impl From<import::Error> for Failure {
    fn from(error: import::Error) -> Self {
        match error {
            import::Error::Enqueue(error) => error.into(),
            import::Error::Url(_) => Self::usage(error.to_string()),
            other => Self::new(
                Exit::Failed,
                format!("{other}; nothing is lost or doubled: repeat the import"),
            ),
        }
    }
}

impl Command {
    /// Only looks.
    pub(super) fn previewed(self) -> Self {
        let Self::Apalis(args) = self;
        Self::Apalis(Args {
            dry_run: true,
            ..args
        })
    }
}

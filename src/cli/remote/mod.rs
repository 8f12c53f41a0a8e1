//! Commands by way of a server's API, for who has a key and no database.

mod asks;
mod key;
mod profile;
mod server;
mod show;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use windlass::JobId;

use super::ask::{Ask, Shows};
use super::dry::{self, Found, Would};
use super::follow::{self, Place, Standing};
use super::printer::table;
use super::{Command, Exit, Failure, Printer};

pub use server::Server;

/// What the environment says.
type Environment = BTreeMap<String, String>;

const VARIABLE: &str = "JOBCTL_PROFILE";

#[derive(Serialize)]
struct Line {
    name: String,
    url: String,
    key: String,
}

/// Which profile is meant: the flag's, or else the environment's unless a database was named.
pub(super) fn chosen(
    flag: Option<String>,
    database: bool,
    environment: &Environment,
) -> Result<Option<String>, Failure> {
    match flag {
        Some(_) if database => Err(Failure::usage(
            "--profile is a server and --database a database: leave one of them out",
        )),
        Some(name) => Ok(Some(name)),
        None if database => Ok(None),
        None => Ok(environment
            .get(VARIABLE)
            .filter(|name| !name.is_empty())
            .cloned()),
    }
}

/// The server of a profile, with its key in hand.
pub async fn open(name: &str, environment: &Environment) -> Result<Server, Failure> {
    let profile = profile::find(name, environment)?;
    let key = profile.key.read(environment).await?;
    Server::new(&profile, &key)
}

/// Which profiles there are, and where their keys are; not the keys.
pub(super) fn list(environment: &Environment, printer: &mut Printer) -> Result<(), Failure> {
    let path = profile::path(environment)?;
    let profiles = profile::read(&path)?;
    let lines: Vec<Line> = profiles
        .into_values()
        .map(|profile| Line {
            key: profile.key.describe(),
            url: profile.url.to_string(),
            name: profile.name,
        })
        .collect();
    printer.data(&lines, |lines| {
        let row = |line: &Line| [line.name.clone(), line.url.clone(), line.key.clone()];
        table(
            ["NAME", "URL", "KEY"],
            &lines.iter().map(row).collect::<Vec<_>>(),
        )
    })?;
    if lines.is_empty() {
        printer.talk(&format!("there are none in {}", path.display()));
    }
    Ok(())
}

/// Does a command.
pub(super) async fn run(
    server: &Server,
    command: Command,
    printer: &mut Printer,
) -> Result<(), Failure> {
    let follows = matches!(&command, Command::Bulk(args) if args.follows());
    let ask = command.ask()?;
    let answer = server.send(&ask).await?;
    show::show(&ask, &answer, printer)?;
    if follows {
        let started: Started = parsed(&answer)?;
        let place = Place::Server(server);
        return follow::until_done(&place, started.id, printer).await;
    }
    Ok(())
}

#[derive(serde::Deserialize)]
struct Started {
    id: JobId,
}

/// What a command would do it to.
pub(super) async fn rehearse(
    server: &Server,
    command: Command,
    would: Would,
    printer: &mut Printer,
) -> Result<(), Failure> {
    let found = match &would {
        Would::Read | Would::Preview => return run(server, command.previewed(), printer).await,
        // Whether it was said rightly is a part of the answer.
        Would::Change(_) => command.ask().map(|_| Found::default())?,
        Would::Job { id, tenant, .. } => {
            command.ask()?;
            let ask = Ask::get(&[&"jobs", id], Shows::Sheet).with("tenant", tenant.as_ref());
            let job: Value = parsed(&server.send(&ask).await?)?;
            Found {
                state: job["state"].as_str().map(str::to_owned),
                ..Found::default()
            }
        }
        Would::Jobs { filter, .. } => {
            let ask = Ask::post(&[&"jobs", &"bulk", &"preview"], Shows::Sheet);
            let ask = ask.body(&serde_json::json!({ "filter": filter }))?;
            let count: Value = parsed(&server.send(&ask).await?)?;
            Found {
                jobs: count["jobs"].as_u64(),
                at_least: count["at_least"].as_bool(),
                ..Found::default()
            }
        }
    };
    dry::tell(would, found, printer)
}

pub(super) async fn standing(server: &Server, id: JobId) -> Result<Standing, Failure> {
    let ask = Ask::get(&[&"jobs", &id], Shows::Sheet);
    let job: Value = parsed(&server.send(&ask).await?)?;
    Ok(Standing {
        state: job["state"].as_str().unwrap_or_default().to_owned(),
        progress: job["progress"].clone(),
    })
}

fn parsed<T: serde::de::DeserializeOwned>(answer: &str) -> Result<T, Failure> {
    serde_json::from_str(answer).map_err(|_| {
        Failure::new(
            Exit::Failed,
            "the server answered something else than asked",
        )
    })
}

//! `jobctl`, the operator's tool. It works on the database itself, so it works when no process does.
//!
//! One command, one file: plain arguments and a [`Printer`] in, a [`Failure`] or nothing out. Data
//! goes to stdout and talk to stderr; with `--json` data is JSON. It exits with 0 when it is done, 1
//! when it failed, 2 when it was asked wrongly and 3 when there is no such thing.

mod actor;
mod audit;
mod backup;
mod bulk;
mod cancel;
mod change;
mod discard;
mod doctor;
mod drain;
mod enqueue;
mod failure;
mod flows;
mod import;
mod keys;
mod list;
mod migrate;
mod outbox;
mod pause;
mod policy;
mod printer;
mod quarantine;
mod queues;
mod rabbitmq;
mod requeue;
mod rerun;
mod restore;
mod schedules;
mod show;
mod signal;
mod slots;
mod tables;
mod trial;
mod view;
mod webhooks;
mod workers;

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use windlass::Client;
use windlass::engine::Catalogue;

use crate::compose::{self, Database};
use crate::config::{Config, Sources};

pub use failure::{Exit, Failure};
pub use printer::Printer;

/// Looks after the jobs of metachat-jobs.
#[derive(Debug, Parser)]
#[command(name = "jobctl", version, arg_required_else_help = true)]
pub struct Cli {
    /// Where settings come from.
    #[command(flatten)]
    pub settings: SettingArgs,
    /// Print data as JSON.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Where settings come from.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct SettingArgs {
    /// A TOML file of settings.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The database: `sqlite:FILE` or `postgres://user:password@host:5432/name`. Better set
    /// DATABASE_URL: others can see the arguments of a process.
    #[arg(long, global = true, value_name = "URL")]
    pub database: Option<String>,
    /// One setting, such as server.port=3011; may be repeated.
    #[arg(long, global = true, value_name = "KEY=VALUE", value_parser = setting)]
    pub set: Vec<(String, String)>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Enqueue a job
    Enqueue(enqueue::Args),
    /// List jobs, newest first
    List(list::Args),
    /// Show a job and its attempts
    Show(show::Args),
    /// Make a job available now: revive a finished one, run a waiting one at once
    Requeue(change::Args),
    /// Stop a job, or ask it to stop if it runs
    Cancel(change::Args),
    /// Set an unfinished job aside as a dead letter
    Discard(change::Args),
    /// Run a finished job again, as it was or with other args
    Rerun(rerun::Args),
    /// Cancel, discard or requeue all jobs that match, in the background
    Bulk(bulk::Args),
    /// Keep jobs of a queue, kind or tenant from being started; or list what is paused
    Pause(pause::Args),
    /// End a pause
    Resume(pause::ResumeArgs),
    /// Set how many jobs of a queue each process runs at once; or list what was set
    Slots(slots::Args),
    /// Let a worker finish what runs and start nothing more
    Drain(drain::Args),
    /// Show who did what, when and why
    Audit(audit::Args),
    /// Show, set or clear the limits of a queue
    #[command(subcommand)]
    Policy(policy::Action),
    /// Show how each queue stands
    Queues,
    /// Look after messages from the broker that could not become jobs
    #[command(subcommand)]
    Quarantine(quarantine::Command),
    /// Bring back what the platform's own worker left behind in RabbitMQ
    #[command(subcommand)]
    Rabbitmq(rabbitmq::Command),
    /// Look after jobs that wait for other jobs
    #[command(subcommand)]
    Flows(flows::Command),
    /// Leave a message for a job that waits for one
    Signal(signal::Args),
    /// Look after what is done by the clock
    #[command(subcommand)]
    Schedules(schedules::Command),
    /// Show the processes that run jobs
    Workers,
    /// Show which tables want a vacuum, and which indexes are to be made anew
    Tables(tables::Args),
    /// Count what is sealed with which key, and retire a key
    #[command(subcommand)]
    Keys(keys::Command),
    /// Decide on messages that may have been sent, or not
    #[command(subcommand)]
    Outbox(outbox::Command),
    /// Show what tenants' webhooks were told, and tell them again
    #[command(subcommand)]
    Webhooks(webhooks::Command),
    /// Look after backups
    #[command(subcommand)]
    Backup(backup::Command),
    /// Move jobs here out of another job system
    #[command(subcommand)]
    Import(import::Command),
    /// Bring the database's schema to this program's version
    Migrate,
    /// Check the settings, the database and what may go wrong
    Doctor,
}

impl SettingArgs {
    /// The layers they make, over the given environment.
    #[must_use]
    pub fn over(self, mut sources: Sources) -> Sources {
        sources.file = self.config.or(sources.file);
        sources.flags.extend(self.set);
        if let Some(url) = self.database {
            sources.flags.push(("database.url".to_owned(), url));
        }
        sources
    }
}

/// What may be enqueued, given the settings and the database.
pub type Kinds = fn(&Config, &Database) -> anyhow::Result<Catalogue>;

/// Does one command and tells how it went.
pub async fn run(cli: Cli, sources: Sources, kinds: Kinds, printer: &mut Printer) -> Exit {
    let done = dispatch(cli, sources, kinds, printer).await;
    match done {
        Ok(()) => Exit::Done,
        Err(failure) => failure.report(printer),
    }
}

async fn dispatch(
    cli: Cli,
    sources: Sources,
    kinds: Kinds,
    printer: &mut Printer,
) -> Result<(), Failure> {
    let sources = cli.settings.over(sources);
    if matches!(cli.command, Command::Doctor) {
        return doctor::run(&sources, printer).await;
    }
    let config = Config::load(&sources)?;
    if !matches!(cli.command, Command::Migrate) {
        compose::file_exists(&config.database)?;
    }
    let database = compose::open(&config.database)?;
    let client = Client::new(database.store.clone())
        .with_catalogue(kinds(&config, &database)?)
        .with_keys(compose::keys(&config)?);
    match cli.command {
        Command::Enqueue(args) => enqueue::run(&client, args, printer).await,
        Command::List(args) => list::run(&client, args, printer).await,
        Command::Show(args) => show::run(&client, args, printer).await,
        Command::Requeue(args) => requeue::run(&client, args, printer).await,
        Command::Cancel(args) => cancel::run(&client, args, printer).await,
        Command::Discard(args) => discard::run(&client, args, printer).await,
        Command::Rerun(args) => rerun::run(&client, args, printer).await,
        Command::Bulk(args) => bulk::run(&client, args, printer).await,
        Command::Pause(args) => pause::run(&client, args, printer).await,
        Command::Resume(args) => pause::resume(&client, args, printer).await,
        Command::Slots(args) => slots::run(&client, args, printer).await,
        Command::Drain(args) => drain::run(&client, args, printer).await,
        Command::Audit(args) => audit::run(&client, args, printer).await,
        Command::Policy(action) => policy::run(&client, action, printer).await,
        Command::Queues => queues::run(&client, printer).await,
        Command::Keys(command) => keys::run(&client, command, printer).await,
        Command::Flows(command) => flows::run(&client, command, printer).await,
        Command::Quarantine(command) => quarantine::run(&database, &client, command, printer).await,
        Command::Rabbitmq(command) => {
            rabbitmq::run(&config, &database, &client, command, printer).await
        }
        Command::Signal(args) => signal::run(&client, args, printer).await,
        Command::Schedules(command) => schedules::run(&client, command, printer).await,
        Command::Import(command) => import::run(&client, command, printer).await,
        Command::Backup(command) => {
            let backups = compose::backups(&config)?;
            backup::run(&backups, &client, command, printer).await
        }
        Command::Outbox(command) => outbox::run(&database.records, &client, command, printer).await,
        Command::Webhooks(command) => {
            webhooks::run(&database.records, &client, command, printer).await
        }
        Command::Tables(args) => tables::run(&database, args, printer).await,
        Command::Workers => workers::run(&client, printer).await,
        Command::Migrate => migrate::run(&database, printer).await,
        Command::Doctor => unreachable!("the doctor has been called before settings were read"),
    }
}

fn setting(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .filter(|(key, _)| !key.is_empty())
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .ok_or_else(|| "expected KEY=VALUE, such as server.port=3011".to_owned())
}

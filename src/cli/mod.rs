//! `jobctl`, the operator's tool. It works on the database itself, so it works when no process does; or,
//! with a profile, on a server by its API.
//!
//! One command, one file: plain arguments and a [`Printer`] in, a [`Failure`] or nothing out. Data
//! goes to stdout and talk to stderr; with `--json` data is JSON. It exits with 0 when it is done, 1
//! when it failed, 2 when it was asked wrongly and 3 when there is no such thing.

mod actor;
mod ask;
mod audit;
mod backup;
mod bulk;
mod cancel;
mod change;
mod completions;
mod desk;
mod discard;
mod doctor;
mod drain;
mod dry;
mod enqueue;
mod errors;
mod failure;
mod flows;
mod follow;
mod import;
mod keys;
mod list;
mod migrate;
mod outbox;
mod pause;
mod policy;
mod printer;
mod progress;
mod quarantine;
mod queues;
mod rabbitmq;
mod remote;
mod requeue;
mod rerun;
mod restore;
mod schedules;
mod sealing;
mod show;
mod signal;
mod slots;
mod tables;
pub mod top;
mod trace;
mod trial;
mod view;
mod watch;
mod webhooks;
mod workers;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use windlass::engine::Catalogue;

use crate::compose::Database;
use crate::config::{Config, Sources};

use desk::Desk;

pub use ask::Ask;
pub use failure::{Exit, Failure};
pub use printer::Printer;
pub use remote::{Server, open};

/// Looks after the jobs of metachat-jobs.
#[derive(Debug, Clone, Parser)]
#[command(name = "jobctl", version, arg_required_else_help = true)]
pub struct Cli {
    /// Where settings come from.
    #[command(flatten)]
    pub settings: SettingArgs,
    /// Print data as JSON.
    #[arg(long, global = true)]
    pub json: bool,
    /// Work on a server by its API, as this profile says; without, on the database itself. Also
    /// JOBCTL_PROFILE. `jobctl profiles` lists them.
    #[arg(long, global = true, value_name = "NAME")]
    pub profile: Option<String>,
    /// Only say what would be done
    #[arg(long, global = true)]
    pub dry_run: bool,
    /// Do it again every so many seconds, until ctrl-c; only what reads
    #[arg(long, global = true, value_name = "SECONDS", num_args = 0..=1, default_missing_value = watch::EVERY,
          value_parser = watch::seconds, conflicts_with = "dry_run")]
    pub watch: Option<Duration>,
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
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Enqueue a job
    Enqueue(enqueue::Args),
    /// List jobs, newest first
    List(list::Args),
    /// Show a job and its attempts
    Show(show::Args),
    /// Make a job available now, or at a time: revive a finished one, run a waiting one at once
    Requeue(requeue::Args),
    /// Let a job that waits for its time or a worker wait until another time
    Snooze(requeue::SnoozeArgs),
    /// Stop a job, or ask it to stop if it runs
    Cancel(change::OneJob),
    /// Set an unfinished job aside as a dead letter
    Discard(change::OneJob),
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
    /// Make, list and revoke keys of the API
    #[command(subcommand)]
    Keys(keys::Command),
    /// Count what is sealed with which key, and retire a key
    #[command(subcommand)]
    Sealing(sealing::Command),
    /// Decide on messages that may have been sent, or not
    #[command(subcommand)]
    Outbox(outbox::Command),
    /// Show what tenants' webhooks were told, and tell them again
    #[command(subcommand)]
    Webhooks(webhooks::Command),
    /// Show everything that one correlation id set off
    Trace(trace::Args),
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
    /// Show what fails, grouped by what it says
    Errors(errors::Args),
    /// Say that an error is known, and needs nobody's attention
    Mute(errors::MuteArgs),
    /// End a mute
    Unmute(errors::UnmuteArgs),
    /// Watch a server live in the terminal, and look after its queues and jobs
    Top,
    /// List the servers that --profile may name
    Profiles,
    /// Print a script that completes this program's words in a shell
    Completions(completions::Args),
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
    let colour = sources
        .environment
        .get("NO_COLOR")
        .is_none_or(String::is_empty);
    let desk = Desk::open(&cli.command, cli.profile, sources, kinds).await?;
    if matches!(cli.command, Command::Top) {
        if cli.json || cli.watch.is_some() {
            let message = "top is for people; `--json --watch` of another command is for programs";
            return Err(Failure::usage(message));
        }
        return Box::pin(desk.top(colour, cli.dry_run)).await;
    }
    match (cli.dry_run, cli.watch) {
        (true, _) => Box::pin(desk.rehearse(cli.command, printer)).await,
        (false, None) => Box::pin(desk.run(cli.command, printer)).await,
        (false, Some(every)) => {
            printer.one_line_each();
            watch::run(&desk, cli.command, every, printer).await
        }
    }
}

fn setting(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .filter(|(key, _)| !key.is_empty())
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .ok_or_else(|| "expected KEY=VALUE, such as server.port=3011".to_owned())
}

//! The daemon: settings -> database -> engine -> API -> signals.

mod demo;
mod run;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use metachat_jobs::cli::{Printer, SettingArgs};
use metachat_jobs::config::{Config, Sources};

/// All background work of a multi-tenant chat platform in one durable job engine.
#[derive(Debug, Parser)]
#[command(name = "metachat-jobs", version, arg_required_else_help = true)]
struct Cli {
    /// Where settings come from.
    #[command(flatten)]
    settings: SettingArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run until told to stop
    Run {
        /// What this process does; any number of each may run
        #[arg(long, value_enum, default_value_t = run::Role::All)]
        role: run::Role,
    },
    /// Answer a question from this project's own documentation, then keep serving
    Demo(demo::DemoArgs),
}

/// How long the end waits for threads that nobody can stop, such as one that takes a document apart.
const LAST_THREADS: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            Printer::standard(false).talk(&format!("error: the runtime does not start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let done = runtime.block_on(dispatch(cli));
    runtime.shutdown_timeout(LAST_THREADS);
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            Printer::standard(false).talk(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn dispatch(cli: Cli) -> anyhow::Result<()> {
    let sources = cli.settings.over(Sources::from_process());
    match cli.command {
        Command::Run { role } => run::run(&Config::load(&sources)?, role).await,
        Command::Demo(args) => demo::demo(args, sources).await,
    }
}

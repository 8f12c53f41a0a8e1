//! The daemon: settings -> database -> engine -> API -> signals.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand, ValueEnum};
use metachat_jobs::cli::{Printer, SettingArgs};
use metachat_jobs::config::{Config, Sources};
use metachat_jobs::{compose, telemetry};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use windlass::Client;

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
        #[arg(long, value_enum, default_value_t = Role::All)]
        role: Role,
    },
    /// Answer a question from this project's own documentation, then keep serving
    Demo {
        /// Where to keep its database; a temporary folder if left out
        #[arg(long, value_name = "FOLDER")]
        dir: Option<PathBuf>,
        /// What to ask
        #[arg(long)]
        question: Option<String>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Role {
    /// Everything
    All,
    /// The API only
    Api,
    /// Jobs only
    Worker,
    /// Schedules and maintenance only
    Scheduler,
}

impl Role {
    const fn serves_api(self) -> bool {
        matches!(self, Self::All | Self::Api)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    match dispatch(cli).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            Printer::standard(false).talk(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn dispatch(cli: Cli) -> anyhow::Result<()> {
    let config = Config::load(&cli.settings.over(Sources::from_process()))?;
    match cli.command {
        Command::Run { role } => run(role, &config).await,
        Command::Demo { .. } => bail!("the demo is not wired yet"),
    }
}

async fn run(role: Role, config: &Config) -> anyhow::Result<()> {
    telemetry::init(&config.log)?;
    let metrics = telemetry::install()?;
    let stop = stop_on_signal()?;
    tokio::spawn(telemetry::upkeep(metrics.clone(), stop.clone()));

    let database = compose::open(&config.database)?;
    compose::prepare(&database).await?;
    if !role.serves_api() {
        bail!("role {role:?}: the engine is not wired yet");
    }
    let client = Client::new(database.store);
    compose::serve_api(config, client, metrics, stop).await
}

/// A token that the first SIGTERM or SIGINT fires.
fn stop_on_signal() -> anyhow::Result<CancellationToken> {
    let failed = "failed to listen for signals";
    let mut terminate = signal(SignalKind::terminate()).context(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).context(failed)?;
    let stop = CancellationToken::new();
    let fired = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
            _ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
        }
        fired.cancel();
    });
    Ok(stop)
}

//! Brings up what a role asks for, and stops it gracefully.

use std::time::Duration;

use anyhow::Context as _;
use metachat_jobs::api::{self, ApiState};
use metachat_jobs::backups;
use metachat_jobs::compose::{self, Database};
use metachat_jobs::config::Config;
use metachat_jobs::jobs::Services;
use metachat_jobs::records::{self, Secret};
use metachat_jobs::telemetry;
use secrecy::ExposeSecret as _;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use windlass::{Client, Engine};

/// What one process does. Any number of each may run against one database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Role {
    /// Everything
    All,
    /// The API only
    Api,
    /// Jobs only; over HTTP it answers health checks and metrics
    Worker,
    /// Schedules and maintenance only; over HTTP it answers health checks and metrics
    Scheduler,
}

/// What a process of any role is made of, over a database that is in shape.
pub(crate) struct Parts {
    database: Database,
    pub(crate) services: Services,
    pub(crate) client: Client,
}

impl Parts {
    /// Opens the database and brings its tables up to date.
    pub(crate) async fn prepare(config: &Config) -> anyhow::Result<Self> {
        let database = compose::open(&config.database)?;
        compose::prepare(&database, &config.database).await?;
        let services = compose::services(config, &database)?;
        let catalogue = compose::catalogue(config, &database)?;
        let client = Client::new(database.store.clone())
            .with_catalogue(catalogue)
            .with_keys(compose::keys(config)?);
        Ok(Self {
            database,
            services,
            client,
        })
    }

    /// What a link must hold that lets whoever follows it first look after everything.
    pub(crate) async fn sign_in_link(&self) -> anyhow::Result<Secret> {
        let lasts = Duration::from_hours(1);
        let records = &self.database.records;
        Ok(records
            .add_sign_in_link("demo", records::Role::Admin, lasts)
            .await?)
    }

    fn engine(&self, config: &Config, role: Role) -> anyhow::Result<Engine<Services>> {
        let mut options = compose::engine_options(config)?;
        match role {
            Role::Scheduler => options.queues.clear(),
            Role::Worker => options.schedules.clear(),
            Role::All | Role::Api => {}
        }
        let registry = compose::registry(config, self.services.clone())?;
        Engine::new(self.database.store.clone(), registry, options).context("settings engine")
    }
}

/// Runs until told to stop by a signal.
pub(crate) async fn run(config: &Config, role: Role) -> anyhow::Result<()> {
    let _telemetry = telemetry::init(&config.log, &config.telemetry, compose::monitors(config)?)?;
    let stop = stop_on_signal()?;
    let parts = Parts::prepare(config).await?;
    compose::somebody_may_enter(config, &parts.database).await?;
    let listener = compose::listen(&config.server).await?;
    serve(config, role, &parts, listener, stop).await
}

/// Serves and works until `stop` fires.
pub(crate) async fn serve(
    config: &Config,
    role: Role,
    parts: &Parts,
    listener: TcpListener,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let metrics = telemetry::install()?;
    tokio::spawn(telemetry::upkeep(metrics.clone(), stop.clone()));
    let (client, server) = (parts.client.clone(), &config.server);
    let state = if config.security.admin_key.expose_secret().is_empty() {
        ApiState::without_admin_key(client, server, metrics)
    } else {
        ApiState::new(client, server, &config.security, metrics)?
    };
    let state = state
        .until(stop.clone(), &config.server)
        .with_rate_limits(compose::rate_limits(config)?)
        .with_broker(compose::broker_probe(&parts.services))
        .with_platform_access(compose::platform_access(config, &parts.services))
        .with_late_after(Duration::from_millis(config.engine.schedules_late_ms))
        .with_doors(compose::doors(config, &parts.services))
        .with_quarantine(compose::quarantine(&parts.database, &parts.services))
        .with_records(parts.database.records.clone())
        .with_backups(parts.services.backups.clone());
    let app = match role {
        Role::All | Role::Api => api::app(state),
        Role::Worker | Role::Scheduler => api::probes(state),
    };
    tracing::info!(?role, address = %listener.local_addr()?, "listening");
    let mut tasks = JoinSet::new();
    {
        let (server, stop) = (config.server.clone(), stop.clone());
        tasks.spawn(async move {
            api::serve(listener, app, &server, stop)
                .await
                .context("the API failed")
        });
    }
    if matches!(role, Role::All | Role::Worker) {
        let (client, stop) = (parts.client.clone(), stop.clone());
        let clock = move || {
            let client = client.clone();
            // While the database is away there is nothing to be told.
            async move { client.now().await.ok() }
        };
        tokio::spawn(backups::watch(parts.services.backups.clone(), clock, stop));
    }
    if role != Role::Api {
        let (engine, stop) = (parts.engine(config, role)?, stop.clone());
        tasks.spawn(async move {
            engine.run(stop).await;
            Ok(())
        });
    }
    if matches!(role, Role::All | Role::Worker)
        && let Some(intake) =
            compose::intake(config, &parts.database, &parts.services, &parts.client)
    {
        let stop = stop.clone();
        tasks.spawn(async move {
            intake.run(stop).await;
            Ok(())
        });
    }
    let mut result = Ok(());
    while let Some(ended) = tasks.join_next().await {
        // Whatever ends takes the rest with it: half a process is worse than none.
        stop.cancel();
        result = result.and(ended.context("a part of the process panicked").flatten());
    }
    result
}

/// A token that the first SIGTERM or SIGINT fires; a second one ends the process at once.
pub(crate) fn stop_on_signal() -> anyhow::Result<CancellationToken> {
    let failed = "failed to listen for signals";
    let mut terminate = signal(SignalKind::terminate()).context(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).context(failed)?;
    let stop = CancellationToken::new();
    let fired = stop.clone();
    tokio::spawn(async move {
        for again in [false, true] {
            tokio::select! {
                _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
                _ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
            }
            if again {
                std::process::exit(130);
            }
            fired.cancel();
        }
    });
    Ok(stop)
}

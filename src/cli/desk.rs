//! What commands work on: a server, the database, or the settings alone.

use windlass::Client;

use super::dry::{self, Found, Would};
use super::remote::{self, Server};
use super::{
    Command, Failure, Kinds, Printer, audit, backup, bulk, cancel, completions, discard, doctor,
    drain, enqueue, errors, flows, import, keys, list, migrate, outbox, pause, policy, quarantine,
    queues, rabbitmq, requeue, rerun, schedules, sealing, show, signal, slots, tables, top, trace,
    webhooks, workers,
};
use crate::compose::{self, Database};
use crate::config::{Config, Sources};

/// What commands work on.
pub(super) enum Desk {
    /// A server, by its API.
    Server(Server),
    /// The database itself.
    Database(Box<Opened>),
    /// Whatever the settings are, and even if they are wrong.
    Settings(Sources),
}

pub(super) struct Opened {
    config: Config,
    database: Database,
    client: Client,
}

impl Desk {
    pub(super) async fn open(
        command: &Command,
        profile: Option<String>,
        sources: Sources,
        kinds: Kinds,
    ) -> Result<Self, Failure> {
        if let Command::Completions(_) | Command::Profiles = command {
            return Ok(Self::Settings(sources));
        }
        let named = sources.flags.iter().any(|(key, _)| key == "database.url");
        if let Some(name) = remote::chosen(profile, named, &sources.environment)? {
            let server = remote::open(&name, &sources.environment).await?;
            return Ok(Self::Server(server));
        }
        if matches!(command, Command::Doctor) {
            return Ok(Self::Settings(sources));
        }
        if let Command::Errors(_) | Command::Top = command {
            return Err(Failure::usage(
                "the API tells it, and not the database: name a profile (`jobctl profiles`) with --profile",
            ));
        }
        let config = Config::load(&sources)?;
        if !matches!(command, Command::Migrate) {
            compose::file_exists(&config.database)?;
        }
        let database = compose::open(&config.database)?;
        let client = Client::new(database.store.clone())
            .with_catalogue(kinds(&config, &database)?)
            .with_keys(compose::keys(&config)?);
        Ok(Self::Database(Box::new(Opened {
            config,
            database,
            client,
        })))
    }

    /// Does a command.
    pub(super) async fn run(&self, command: Command, printer: &mut Printer) -> Result<(), Failure> {
        match (self, command) {
            (Self::Server(server), command) => remote::run(server, command, printer).await,
            (Self::Database(opened), command) => opened.run(command, printer).await,
            (Self::Settings(_), Command::Completions(args)) => completions::run(&args, printer),
            (Self::Settings(sources), Command::Profiles) => {
                remote::list(&sources.environment, printer)
            }
            (Self::Settings(sources), _) => doctor::run(sources, printer).await,
        }
    }

    /// Shows a server until it is quit.
    pub(super) async fn top(&self, colour: bool, dry: bool) -> Result<(), Failure> {
        match self {
            Self::Server(server) => top::run(server, colour, dry).await,
            Self::Database(_) | Self::Settings(_) => unreachable!("top opens a server only"),
        }
    }

    /// Says what a command would do.
    pub(super) async fn rehearse(
        &self,
        command: Command,
        printer: &mut Printer,
    ) -> Result<(), Failure> {
        let would = command.would();
        match self {
            Self::Server(server) => remote::rehearse(server, command, would, printer).await,
            Self::Database(opened) => opened.rehearse(command, would, printer).await,
            Self::Settings(_) => self.run(command, printer).await,
        }
    }
}

impl Opened {
    async fn rehearse(
        &self,
        command: Command,
        would: Would,
        printer: &mut Printer,
    ) -> Result<(), Failure> {
        let found = match &would {
            Would::Read | Would::Preview => return self.run(command.previewed(), printer).await,
            Would::Change(_) => Found::default(),
            Would::Job { id, tenant, .. } => {
                let job = self.client.get(*id, tenant.as_deref()).await?;
                let job = job.ok_or_else(|| Failure::job_not_found(*id))?;
                Found {
                    state: Some(job.state.to_string()),
                    ..Found::default()
                }
            }
            Would::Jobs { filter, .. } => {
                let count = self.client.preview(filter).await?;
                Found {
                    jobs: u64::try_from(count.jobs).ok(),
                    at_least: Some(count.at_least),
                    ..Found::default()
                }
            }
        };
        dry::tell(would, found, printer)
    }

    async fn run(&self, command: Command, printer: &mut Printer) -> Result<(), Failure> {
        let Self {
            config,
            database,
            client,
        } = self;
        match command {
            Command::Enqueue(args) => enqueue::run(client, args, printer).await,
            Command::List(args) => list::run(client, args, printer).await,
            Command::Show(args) => show::run(client, args, printer).await,
            Command::Requeue(args) => requeue::run(client, args, printer).await,
            Command::Snooze(args) => requeue::snooze(client, args, printer).await,
            Command::Cancel(args) => cancel::run(client, args, printer).await,
            Command::Discard(args) => discard::run(client, args, printer).await,
            Command::Rerun(args) => rerun::run(client, args, printer).await,
            Command::Bulk(args) => bulk::run(client, args, printer).await,
            Command::Pause(args) => pause::run(client, args, printer).await,
            Command::Resume(args) => pause::resume(client, args, printer).await,
            Command::Mute(args) => errors::mute(client, args, printer).await,
            Command::Unmute(args) => errors::unmute(client, args, printer).await,
            Command::Slots(args) => slots::run(client, args, printer).await,
            Command::Drain(args) => drain::run(client, args, printer).await,
            Command::Audit(args) => audit::run(client, args, printer).await,
            Command::Policy(action) => policy::run(client, action, printer).await,
            Command::Queues => queues::run(client, printer).await,
            Command::Keys(command) => keys::run(&database.records, client, command, printer).await,
            Command::Sealing(command) => sealing::run(client, command, printer).await,
            Command::Flows(command) => flows::run(client, command, printer).await,
            Command::Quarantine(command) => {
                quarantine::run(database, client, command, printer).await
            }
            Command::Rabbitmq(command) => {
                rabbitmq::run(config, database, client, command, printer).await
            }
            Command::Signal(args) => signal::run(client, args, printer).await,
            Command::Schedules(command) => schedules::run(client, command, printer).await,
            Command::Import(command) => import::run(client, command, printer).await,
            Command::Backup(command) => {
                let backups = compose::backups(config)?;
                backup::run(&backups, client, command, printer).await
            }
            Command::Outbox(command) => {
                outbox::run(&database.records, client, command, printer).await
            }
            Command::Webhooks(command) => {
                webhooks::run(&database.records, client, command, printer).await
            }
            Command::Trace(args) => trace::run(database, client, args, printer).await,
            Command::Tables(args) => tables::run(database, args, printer).await,
            Command::Workers => workers::run(client, printer).await,
            Command::Migrate => migrate::run(database, printer).await,
            Command::Errors(_)
            | Command::Top
            | Command::Doctor
            | Command::Profiles
            | Command::Completions(_) => {
                unreachable!("no database is opened for it")
            }
        }
    }
}

//! Puts the parts together for the two programs: the database that a URL means, the store in it, the
//! engine's options, the API.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use futures_util::future::BoxFuture;
use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpListener;
use windlass::db::{Db, Postgres, PostgresOptions, Sqlite, SqliteOptions};
use windlass::engine::{Catalogue, EngineOptions, KeyRing, Registry, Retention};
use windlass::model::Schedule;
use windlass::store::Migrated;
use windlass::store::postgres::{PgStore, PgStoreOptions};
use windlass::store::sqlite::SqliteStore;
use windlass::{Client, Store};

use crate::api::{Doors, NoAdminKey, PlatformAccess, Probe, Quarantine, RateLimits, ServerOptions};
use crate::backups::Backups;
use crate::backups::restore::Keeper;
use crate::backups::verify::Answer;
use crate::config::{Config, DatabaseKind, DatabaseOptions};
use crate::ingress::rabbitmq::Intake;
use crate::jobs::schedules::TimetableError;
use crate::jobs::{self, Services};
use crate::platform::{Platform, Prepared};
use crate::records::Records;
use crate::services::chunking::Chunker;
use crate::services::documents::Documents;
use crate::services::events::Events;
use crate::services::graph::Graph;
use crate::services::models::Models;
use crate::services::notifier::Notifier;
use crate::services::webhooks::Webhooks;
use crate::telemetry::{Monitor, Monitors};

/// What a DBA sees the connections as.
const APPLICATION: &str = "metachat-jobs";
/// How long the database may take to answer when the program starts.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long RabbitMQ may take to say that it is there.
const BROKERS_PATIENCE: Duration = Duration::from_secs(2);

/// One database, which holds the jobs and the platform's data.
#[derive(Debug, Clone)]
pub struct Database {
    /// For the platform's data.
    pub platform: Platform,
    /// For what the product remembers besides.
    pub records: Records,
    /// For the jobs.
    pub store: Arc<dyn Store>,
}

/// The database of these options. Connects when it is first used. To be called within the runtime.
pub fn open(options: &DatabaseOptions) -> anyhow::Result<Database> {
    match options.kind()? {
        DatabaseKind::Sqlite(file) => {
            let sqlite = SqliteOptions {
                max_readers: options.max_connections,
                ..SqliteOptions::default()
            };
            let db = Sqlite::new(file, &sqlite);
            Ok(Database {
                store: Arc::new(SqliteStore::new(db.clone())),
                records: Records::new(Db::Sqlite(db.clone())),
                platform: Platform::new(Db::Sqlite(db)),
            })
        }
        DatabaseKind::Postgres => {
            let url = options.url.expose_secret();
            let invalid = "setting database.url";
            // The engine's connections allow only its own plans; the platform's are ordinary ones.
            let timeout = Duration::from_millis(options.statement_timeout_ms);
            let store = PgStoreOptions {
                application_name: APPLICATION.to_owned(),
                call_timeout: timeout,
                ..PgStoreOptions::default()
            };
            let store = PgStore::connect(url, &store).context(invalid)?;
            let platform = PostgresOptions {
                application_name: APPLICATION.to_owned(),
                max_connections: options.max_connections,
                statement_timeout: timeout,
                ..PostgresOptions::default()
            };
            let db = Postgres::new(url, &platform).context(invalid)?;
            Ok(Database {
                store: Arc::new(store),
                records: Records::new(Db::Postgres(db.clone())),
                platform: Platform::new(Db::Postgres(db)),
            })
        }
    }
}

/// Refuses a file that is not there: opened, it would be made, and hide that another was meant.
pub fn file_exists(options: &DatabaseOptions) -> anyhow::Result<()> {
    match options.kind()? {
        DatabaseKind::Sqlite(file) if !file.exists() => bail!(
            "there is no {}: check database.url (DATABASE_URL), or make it with `jobctl migrate`",
            file.display()
        ),
        _ => Ok(()),
    }
}

/// Makes sure, when the program starts, that the database answers and has this program's schema.
/// Losing it later ends nothing: work waits.
pub async fn prepare(database: &Database, options: &DatabaseOptions) -> anyhow::Result<()> {
    tokio::time::timeout(PATIENCE, database.store.now())
        .await
        .unwrap_or_else(|_| Err(windlass::store::Error::timeout(PATIENCE)))
        .context(
            "setting database.url: the database cannot be reached; check that it runs, that the URL \
             (DATABASE_URL) names it and that its folder or server lets this user in \
             (`jobctl doctor` looks)",
        )?;
    if !options.migrate {
        return is_migrated(&*database.store).await;
    }
    let made = migrate(database).await?;
    let (from, to) = (made.engine.from, made.engine.to);
    tracing::info!(from, to, "the engine's schema is ready");
    for warning in made.warnings {
        tracing::warn!("{warning}");
    }
    Ok(())
}

/// Refuses tables that this program cannot work on, and says what is missing.
async fn is_migrated(store: &dyn Store) -> anyhow::Result<()> {
    let schema = store
        .schema()
        .await
        .context("failed to read the schema's version")?;
    if let Err(error) = schema.check() {
        let missing = match &schema.missing[..] {
            [] => String::new(),
            missing => format!(
                "; not applied: {}; run `jobctl migrate`",
                missing.join(", ")
            ),
        };
        bail!("{error}{missing} (setting database.migrate is false)");
    }
    tracing::info!(
        found = schema.found,
        needed = schema.needed,
        "the engine's schema is ready"
    );
    Ok(())
}

/// What [`migrate`] did, and what it saw.
#[derive(Debug)]
pub struct Made {
    /// The engine's schema, before and now.
    pub engine: Migrated,
    /// What will not work as it stands on an existing platform's database, and what to do.
    pub warnings: Vec<String>,
}

/// Brings the engine's and the product's own tables to this program's version, and makes the
/// platform's where there are none; an existing platform's are left as they are.
pub async fn migrate(database: &Database) -> anyhow::Result<Made> {
    let engine = database
        .store
        .migrate()
        .await
        .context("failed to bring the engine's tables to this program's version")?;
    database.records.prepare().await?;
    let warnings = match database.platform.prepare().await? {
        Prepared::Ours => Vec::new(),
        Prepared::Existing { warnings } => warnings,
    };
    Ok(Made { engine, warnings })
}

/// What jobs work with.
pub fn services(config: &Config, database: &Database) -> anyhow::Result<Services> {
    Ok(Services {
        platform: database
            .platform
            .clone()
            .with_secret_keys(config.channels.keys().context("settings channels")?)
            .with_runtime_age(config.messages.settings_age()),
        models: Models::new(&config.models).context("settings models")?,
        events: Events::default(),
        records: database.records.clone(),
        documents: Documents::new(&config.documents),
        messages: Arc::new(config.messages.clone()),
        chunker: Arc::new(Chunker::new(config.chunking).context("settings chunking")?),
        broker: config.rabbitmq.broker().context("setting rabbitmq.url")?,
        socket_io: config.redis.socket_io().context("setting redis.url")?,
        graph: Graph::new(&config.channels.graph).context("settings channels.graph")?,
        webhooks: Webhooks::new(&config.webhooks).context("settings webhooks")?,
        backups: backups(config)?,
        notifier: notifier(config)?,
    })
}

/// All there is to know of backups.
pub fn backups(config: &Config) -> anyhow::Result<Backups> {
    let backups = Backups::new(&config.backups()?, config.about()).context("settings backups")?;
    Ok(backups.with_probe(probe).with_keeper(keeper(config)))
}

/// What holds the queues of a restored database.
fn keeper(config: &Config) -> Keeper {
    let options = config.database.clone();
    let queues: Vec<String> = config.engine.queues.keys().cloned().collect();
    Keeper::new(move |url, by, reason| {
        let options = DatabaseOptions {
            url,
            ..options.clone()
        };
        let queues = queues.clone();
        Box::pin(async move {
            let hold = async {
                let client = Client::new(open(&options)?.store);
                let operator = client.operator(&by, Some(&reason));
                anyhow::Ok(crate::operations::backups::hold(&client, queues, &operator).await?)
            };
            hold.await.map_err(|error| format!("{error:#}"))
        })
    })
}

/// Who is told of backups.
fn notifier(config: &Config) -> anyhow::Result<Notifier> {
    let notify = &config.backups.notify;
    let timeout = Duration::from_millis(notify.timeout_ms);
    let (webhook, ping) = (notify.webhook_url.clone(), notify.ping_url.clone());
    Notifier::new(webhook, ping, &notify.mail(), timeout).context("settings backups.notify")
}

/// Every kind of job there is, sealed as the settings say.
pub fn registry(config: &Config, services: Services) -> anyhow::Result<Registry<Services>> {
    let registry = jobs::registry(services);
    if config.sealing.keys.is_empty() {
        return Ok(registry);
    }
    registry
        .seal(config.sealing.kinds.iter().map(String::as_str))
        .context("setting sealing.kinds")
}

/// What is known of every kind.
pub fn catalogue(config: &Config, database: &Database) -> anyhow::Result<Catalogue> {
    Ok(registry(config, services(config, database)?)?.catalogue())
}

/// What seals and opens.
pub fn keys(config: &Config) -> anyhow::Result<KeyRing> {
    config.sealing.ring().context("setting sealing.keys")
}

/// What takes in Meta's webhooks.
pub fn doors(config: &Config, services: &Services) -> Doors {
    Doors {
        platform: services.platform.clone(),
        whatsapp_verify_token: config.channels.whatsapp_verify_token.clone(),
        messenger_verify_token: config.channels.messenger_verify_token.clone(),
    }
}

/// Asks whether RabbitMQ answers, if there is to be one.
pub fn broker_probe(services: &Services) -> Option<Probe> {
    let broker = services.broker.clone()?;
    Some(Probe::new(move || {
        let broker = broker.clone();
        async move { broker.answers(BROKERS_PATIENCE).await }
    }))
}

/// How often whom may ask for what.
pub fn rate_limits(config: &Config) -> anyhow::Result<RateLimits> {
    let trusted = &config.server.trusted_proxies;
    RateLimits::new(&config.rate_limits, trusted, &config.redis.url).context("setting redis.url")
}

/// What knows callers by the platform's credentials.
pub fn platform_access(config: &Config, services: &Services) -> PlatformAccess {
    PlatformAccess::new(services.platform.clone(), &config.security.platform)
}

/// Refuses to go on where nobody could use the API: that is never what was meant, and what lets everybody
/// in neither. To be called before anything listens.
pub async fn somebody_may_enter(config: &Config, database: &Database) -> anyhow::Result<()> {
    let set = !config.security.admin_key.expose_secret().is_empty();
    if set
        || database.records.has_access_keys().await?
        || database.platform.has_admin_access().await?
    {
        return Ok(());
    }
    Err(NoAdminKey.into())
}

/// What looks after messages that could not become jobs.
pub fn quarantine(database: &Database, services: &Services) -> Quarantine {
    Quarantine {
        records: database.records.clone(),
        platform: services.platform.clone(),
    }
}

/// What takes messages in from the broker, if there is one and it is to be read.
pub fn intake(
    config: &Config,
    database: &Database,
    services: &Services,
    client: &Client,
) -> Option<Intake> {
    let broker = services
        .broker
        .clone()
        .filter(|_| config.rabbitmq.ingress)?;
    Some(Intake {
        broker,
        client: client.clone(),
        platform: services.platform.clone(),
        records: database.records.clone(),
        options: config.rabbitmq.intake(),
    })
}

fn timetable(config: &Config) -> Result<Vec<Schedule>, TimetableError> {
    let targets = config.backups.targets.iter();
    let targets = targets.map(|(name, target)| (name, target.wal.is_some()));
    jobs::schedules::timetable(&config.schedules, targets)
}

/// The schedules as Sentry watches over them.
pub fn monitors(config: &Config) -> anyhow::Result<Monitors> {
    let timetable = timetable(config).context("settings schedules")?;
    let monitor = |schedule: Schedule| {
        let monitor = Monitor {
            kind: schedule.kind,
            cron: schedule.cron,
            zone: schedule.zone,
        };
        (schedule.name, monitor)
    };
    Ok(timetable.into_iter().map(monitor).collect())
}

/// How the engine runs.
pub fn engine_options(config: &Config) -> anyhow::Result<EngineOptions> {
    let days = |days: NonZeroU32| Duration::from_hours(24 * u64::from(days.get()));
    let engine = &config.engine;
    Ok(EngineOptions {
        keys: keys(config)?,
        queues: engine
            .queues
            .iter()
            .filter(|(_, slots)| **slots > 0)
            .map(|(name, slots)| (name.clone(), *slots as usize))
            .collect(),
        lease: Duration::from_millis(engine.lease_ms),
        grace: Duration::from_millis(engine.grace_ms),
        poll: Duration::from_millis(engine.poll_ms),
        max_crashes: engine.max_crashes,
        schedules: timetable(config).context("settings schedules")?,
        retention: Retention {
            completed: days(config.retention.completed_days),
            cancelled: days(config.retention.cancelled_days),
            dead: days(config.retention.dead_days),
            audit: days(config.retention.audit_days),
        },
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..EngineOptions::default()
    })
}

/// Listens where the settings say; port 0 means any free one.
pub async fn listen(server: &ServerOptions) -> anyhow::Result<TcpListener> {
    TcpListener::bind((server.bind, server.port)).await.with_context(|| {
        format!(
            "settings server.bind and server.port: failed to listen on {}:{}; is another process \
             there? (METACHAT_JOBS__SERVER__PORT)",
            server.bind, server.port
        )
    })
}

/// Starts the engine on a database that was restored, reading only, and asks it something.
pub fn probe(url: SecretString) -> BoxFuture<'static, Result<Answer, String>> {
    Box::pin(async move {
        let options = DatabaseOptions {
            url,
            max_connections: 1,
            statement_timeout_ms: 30_000,
            migrate: false,
        };
        let ask = async {
            let database = open(&options)?;
            let schema = database.store.schema().await?;
            schema.check()?;
            let queues = database.store.queues(None).await?.len();
            anyhow::Ok(Answer {
                schema: schema.found,
                queues,
            })
        };
        ask.await.map_err(|error| format!("{error:#}"))
    })
}

//! The product's own parts on a database of their own, with settings as an operator writes them.

use std::path::{Path, PathBuf};

use metachat_jobs::backups::{Backup, Backups, Manifest, Transfer};
use metachat_jobs::compose;
use metachat_jobs::config::{Config, Sources};
use metachat_jobs::jobs::{CreateBackup, Services};
use tokio_util::sync::CancellationToken;
use windlass::{Client, JobId, JobRecord, State};

/// A process' worth of parts, whose jobs are in a SQLite file.
pub(crate) struct Rig {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) config: Config,
    pub(crate) services: Services,
    pub(crate) client: Client,
}

impl Rig {
    /// With a place `local`, a scratch folder, and these settings besides; `{folder}` is the test's own.
    pub(crate) async fn new(settings: &str) -> Self {
        Self::with_backups("", settings).await
    }

    /// The same with further keys of `[backups]`.
    pub(crate) async fn with_backups(keys: &str, settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tools = format!("pg_bin = \"{}\"", pg_bin());
        Self::with(folder, keys, &tools, settings).await
    }

    /// The same in a folder that is there already, and with other tools.
    pub(crate) async fn with(
        folder: tempfile::TempDir,
        keys: &str,
        tools: &str,
        settings: &str,
    ) -> Self {
        let here = folder.path().display().to_string();
        let common = format!(
            "[database]\nurl = \"sqlite:{here}/jobs.db\"\n[documents]\nstorage = \"{here}/documents\"\n\
             [backups]\nscratch = \"{here}/scratch\"\n{keys}\n[backups.tools]\n{tools}\n\
             [backups.places.local]\nkind = \"folder\"\npath = \"{here}/local\"\n",
        );
        let file = folder.path().join("settings.toml");
        std::fs::write(&file, common + &settings.replace("{folder}", &here)).unwrap();
        let sources = Sources {
            file: Some(file),
            ..Sources::default()
        };
        let config = Config::load(&sources).unwrap_or_else(|e| panic!("{e}"));
        let database = compose::open(&config.database).unwrap();
        compose::prepare(&database, &config.database).await.unwrap();
        let services = compose::services(&config, &database).unwrap();
        let client = Client::new(database.store.clone())
            .with_catalogue(compose::catalogue(&config, &database).unwrap())
            .with_keys(compose::keys(&config).unwrap());
        Self {
            folder,
            config,
            services,
            client,
        }
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    pub(crate) fn backups(&self) -> &Backups {
        &self.services.backups
    }

    /// Asks for a backup.
    pub(crate) async fn ask(&self, target: &str) -> JobId {
        let job = CreateBackup {
            target: target.to_owned(),
        };
        self.client.enqueue(&job).await.unwrap().id()
    }

    /// Runs whatever is due.
    pub(crate) async fn drain(&self) {
        let registry = compose::registry(&self.config, self.services.clone()).unwrap();
        windlass::testing::drain(&self.client, registry)
            .await
            .unwrap();
    }

    /// Makes a backup, or tries to.
    pub(crate) async fn create(&self, target: &str) -> JobRecord {
        let id = self.ask(target).await;
        self.drain().await;
        self.client.get(id, None).await.unwrap().unwrap()
    }

    /// Makes a backup, which must be the newest one then.
    pub(crate) async fn created(&self, target: &str) -> Backup {
        let job = self.create(target).await;
        assert_eq!(job.state, State::Completed, "{}", why(&job));
        self.list("local", target).await.pop().unwrap()
    }

    pub(crate) async fn list(&self, place: &str, target: &str) -> Vec<Backup> {
        self.backups()
            .repository(place)
            .unwrap()
            .list(target)
            .await
            .unwrap()
    }

    /// Gets a backup; where it is then.
    pub(crate) async fn fetch(&self, place: &str, manifest: &Manifest) -> PathBuf {
        let to = self.path(&format!("fetched-{}", uuid::Uuid::new_v4()));
        let place = self.backups().repository(place).unwrap();
        place
            .fetch(&manifest.target, &manifest.id, &to, &transfer())
            .await
            .unwrap();
        to
    }

    /// What is left of work that is over: nothing, if all is well.
    pub(crate) fn left_in_scratch(&self) -> Vec<PathBuf> {
        let mut left = entries(&self.path("scratch"));
        // The folder in which backups are tried out stays; what was in it is swept.
        left.retain(|path| !path.ends_with("metachat-jobs-trials"));
        left
    }
}

pub(crate) fn transfer() -> Transfer {
    Transfer::new(CancellationToken::new(), 0)
}

pub(crate) fn entries(folder: &Path) -> Vec<PathBuf> {
    match std::fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| entry.unwrap().path()).collect(),
        Err(_) => Vec::new(),
    }
}

/// A variable that `scripts/services env` sets.
#[expect(
    clippy::disallowed_methods,
    reason = "tests are told where their servers are"
)]
pub(crate) fn variable(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: run eval \"$(scripts/services env)\""))
}

/// The programs of the test's PostgreSQL.
pub(crate) fn pg_bin() -> String {
    variable("TEST_PG_BIN")
}

/// Why the last attempt failed.
pub(crate) fn why(job: &JobRecord) -> String {
    let last = job
        .attempts
        .last()
        .and_then(|attempt| attempt.error.as_ref());
    last.map(|error| format!("{}: {}", error.message, error.chain.join(": ")))
        .unwrap_or_default()
}

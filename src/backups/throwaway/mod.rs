//! A PostgreSQL of our own, for as long as a backup is tried out: on a private socket, without a network,
//! in a folder that is gone afterwards, however the attempt ends.
//!
//! Who ends it: the instance itself when it is dropped; a guard beside the server when this process was
//! killed (the pipe between them breaks); and the next run, which sweeps what is left of folders.

mod folder;
mod guard;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{ConnectOptions, PgConnection};
use tokio::time::Instant;

pub use folder::{RunAs, ScratchFolder};
use guard::Guarded;

/// How long making a data folder may take.
const INITDB: Duration = Duration::from_mins(2);
/// How long a server may take to stop by itself.
const STOP: Duration = Duration::from_secs(30);
/// Between two looks at a server that is starting.
const PULSE: Duration = Duration::from_millis(50);
/// Not a name that a dump brings along: its roles can then be made without meeting one.
const SUPERUSER: &str = "backup_scratch";
/// The longest path of a socket, less its name.
const LONGEST_SOCKET_FOLDER: usize = 107 - "/.s.PGSQL.5432".len();

/// How a throwaway server is run.
#[derive(Debug, Clone)]
pub struct ScratchOptions {
    /// Where PostgreSQL's programs are; none for those of the search path.
    pub bin: Option<PathBuf>,
    /// Where its data folder is made.
    pub folder: PathBuf,
    /// Who runs it when this process is root, which PostgreSQL refuses to be.
    pub run_as: RunAs,
}

/// Why there is no throwaway server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScratchError {
    /// Something about files.
    #[error("the scratch folder {path}: {problem}")]
    Folder {
        /// Which.
        path: PathBuf,
        /// What is wrong, and the remedy.
        problem: String,
    },
    /// A program is missing, or cannot be started.
    #[error(
        "failed to run {program}: {problem}; setting backups.tools.pg_bin names the folder it is in"
    )]
    Program {
        /// Which.
        program: String,
        /// Why.
        problem: String,
    },
    /// It ended instead of answering.
    #[error("the throwaway PostgreSQL did not start: {0}")]
    Start(String),
    /// It answers nothing.
    #[error("the throwaway PostgreSQL did not answer within {0:?}")]
    Late(Duration),
    /// It refused a statement.
    #[error("the throwaway PostgreSQL: {0}")]
    Database(#[from] sqlx::Error),
}

/// A running server; dropped, it is killed and its folder deleted.
#[derive(Debug)]
pub struct Instance {
    // Dropped in this order: the server first, then its folder.
    server: Guarded,
    folder: ScratchFolder,
    data: PathBuf,
    superuser: String,
    bin: Option<PathBuf>,
}

/// The program's path.
pub fn program(bin: Option<&Path>, name: &str) -> PathBuf {
    bin.map_or_else(|| PathBuf::from(name), |bin| bin.join(name))
}

impl Instance {
    /// A new, empty one.
    pub async fn empty(options: &ScratchOptions) -> Result<Self, ScratchError> {
        let folder = ScratchFolder::create(&options.folder, options.run_as)?;
        let data = folder.path().join("data");
        init(options, &folder, &data).await?;
        // Nothing of it need survive.
        let settings = [
            ("fsync", "off".to_owned()),
            ("full_page_writes", "off".to_owned()),
            ("wal_level", "minimal".to_owned()),
        ];
        let mut instance = Self::spawn(options, folder, data, SUPERUSER.to_owned(), &settings)?;
        instance.ready(Duration::from_mins(1)).await?;
        Ok(instance)
    }

    /// On a data folder, which lies in `folder` and has been made its owner's: waits until it has recovered,
    /// by these settings, and takes writes.
    pub async fn recovered(
        options: &ScratchOptions,
        folder: ScratchFolder,
        data: PathBuf,
        superuser: &str,
        recovery: &[(&'static str, String)],
        patience: Duration,
    ) -> Result<Self, ScratchError> {
        // It takes no connection before it has recovered, so it need not have room for all the original had.
        let mut settings = vec![("hot_standby", "off".to_owned())];
        settings.extend_from_slice(recovery);
        let mut instance = Self::spawn(options, folder, data, superuser.to_owned(), &settings)?;
        instance.ready(patience).await?;
        Ok(instance)
    }

    fn spawn(
        options: &ScratchOptions,
        folder: ScratchFolder,
        data: PathBuf,
        superuser: String,
        further: &[(&'static str, String)],
    ) -> Result<Self, ScratchError> {
        let sockets = folder.path();
        if sockets.as_os_str().len() > LONGEST_SOCKET_FOLDER {
            return Err(ScratchError::Folder {
                path: sockets.to_owned(),
                problem: format!(
                    "is longer than the {LONGEST_SOCKET_FOLDER} bytes that a socket's folder may have; set \
                     backups.scratch to a shorter one"
                ),
            });
        }
        let config = folder.path().join("scratch.conf");
        folder.write(&config, "")?;
        let hba = folder.path().join("scratch_hba.conf");
        folder.write(&hba, "local all all trust\n")?;
        let files = [
            ("config_file", &config),
            ("hba_file", &hba),
            ("unix_socket_directories", &folder.path().to_owned()),
        ]
        .map(|(name, path)| (name, path.display().to_string()));
        let modest = MODEST.map(|(name, value)| (name, value.to_owned()));
        let mut command = guard::command(&program(options.bin.as_deref(), "postgres"));
        command.arg("-D").arg(&data);
        // As arguments they also go before what the folder's own postgresql.auto.conf says.
        for (name, value) in files.iter().chain(&modest).chain(further) {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        let server = Guarded::spawn(command, options.run_as, &folder.path().join("server.log"))
            .map_err(|error| ScratchError::Program {
                program: "postgres".to_owned(),
                problem: error.to_string(),
            })?;
        Ok(Self {
            server,
            folder,
            data,
            superuser,
            bin: options.bin.clone(),
        })
    }

    /// Waits until it takes writes.
    async fn ready(&mut self, patience: Duration) -> Result<(), ScratchError> {
        let began = Instant::now();
        loop {
            if let Ok(mut connection) = self.connect("postgres").await {
                let recovering: bool = sqlx::query_scalar(include_str!("sql/in_recovery.sql"))
                    .fetch_one(&mut connection)
                    .await?;
                if !recovering {
                    return Ok(());
                }
            }
            if self.server.has_ended() {
                return Err(ScratchError::Start(self.last_words()));
            }
            if began.elapsed() >= patience {
                return Err(ScratchError::Late(patience));
            }
            tokio::time::sleep(PULSE).await;
        }
    }

    /// Why it ended, or the last lines of its log: they hold no row's content.
    pub fn last_words(&self) -> String {
        // A log that cannot be read says nothing; the failure itself is told all the same.
        let log =
            std::fs::read_to_string(self.folder.path().join("server.log")).unwrap_or_default();
        let why = log
            .lines()
            .rev()
            .find(|line| line.contains("FATAL:") || line.contains("PANIC:"));
        if let Some(why) = why {
            return why.to_owned();
        }
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(4)..].join(" | ")
    }

    /// How to connect to one of its databases.
    pub fn connect_options(&self, database: &str) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .socket(self.folder.path())
            .port(5432)
            .username(&self.superuser)
            .database(database)
            .ssl_mode(PgSslMode::Disable)
            .application_name("metachat-jobs backup")
    }

    /// Connects to one of its databases.
    pub async fn connect(&self, database: &str) -> Result<PgConnection, sqlx::Error> {
        let options = self.connect_options(database);
        tokio::time::timeout(Duration::from_secs(10), options.connect())
            .await
            .unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }

    /// The URL of one of its databases.
    #[expect(
        clippy::missing_panics_doc,
        reason = "the URL it begins with is a constant"
    )]
    pub fn url(&self, database: &str) -> String {
        let mut url = url::Url::parse("postgres://localhost").expect("a constant URL");
        url.set_path(database);
        url.query_pairs_mut()
            .append_pair("host", &self.folder.path().to_string_lossy())
            .append_pair("user", &self.superuser)
            .append_pair("sslmode", "disable");
        url.to_string()
    }

    /// What PostgreSQL's programs find it by.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let pair = |name: &'static str, value: &str| (name, value.to_owned());
        vec![
            pair("PGHOST", &self.folder.path().to_string_lossy()),
            pair("PGPORT", "5432"),
            pair("PGUSER", &self.superuser),
            pair("PGSSLMODE", "disable"),
            pair("PGPASSFILE", "/dev/null"),
        ]
    }

    /// A program of its PostgreSQL.
    pub fn program(&self, name: &str) -> PathBuf {
        program(self.bin.as_deref(), name)
    }

    /// Where its data is.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Where everything of it is.
    pub fn folder(&self) -> &ScratchFolder {
        &self.folder
    }

    /// Stops it in order, with all that it holds on disk, and gives the folder back.
    pub async fn shut_down(mut self) -> Result<(ScratchFolder, PathBuf), ScratchError> {
        self.server.interrupt();
        let began = Instant::now();
        while !self.server.has_ended() {
            if began.elapsed() >= STOP {
                return Err(ScratchError::Late(STOP));
            }
            tokio::time::sleep(PULSE).await;
        }
        Ok((self.folder, self.data))
    }
}

/// Makes the data folder.
async fn init(
    options: &ScratchOptions,
    folder: &ScratchFolder,
    data: &Path,
) -> Result<(), ScratchError> {
    let failed = |problem: String| ScratchError::Program {
        program: "initdb".to_owned(),
        problem,
    };
    let log = folder.path().join("initdb.log");
    let mut command = guard::command(&program(options.bin.as_deref(), "initdb"));
    command
        .arg("--pgdata")
        .arg(data)
        .args(["--username", SUPERUSER, "--auth=trust", "--encoding=UTF8"])
        .args(["--locale=C", "--no-sync", "--no-instructions"])
        .stdin(Stdio::piped());
    let mut initdb =
        Guarded::spawn(command, options.run_as, &log).map_err(|error| failed(error.to_string()))?;
    let began = Instant::now();
    let status = loop {
        if let Some(status) = initdb.status() {
            break status;
        }
        if began.elapsed() >= INITDB {
            return Err(failed(format!("it did not end within {INITDB:?}")));
        }
        tokio::time::sleep(PULSE).await;
    };
    if status.success() {
        return Ok(());
    }
    let said = std::fs::read_to_string(&log).unwrap_or_default();
    let last = said.lines().rev().find(|line| !line.trim().is_empty());
    Err(failed(last.unwrap_or("it said nothing").trim().to_owned()))
}

/// What suits a server that few use, for a while, beside others that matter more.
const MODEST: [(&str, &str); 20] = [
    ("listen_addresses", ""),
    ("port", "5432"),
    ("unix_socket_permissions", "0700"),
    ("max_connections", "20"),
    ("shared_buffers", "64MB"),
    ("maintenance_work_mem", "64MB"),
    ("work_mem", "8MB"),
    ("max_wal_size", "512MB"),
    ("max_wal_senders", "0"),
    ("autovacuum", "off"),
    ("archive_mode", "off"),
    ("ssl", "off"),
    ("shared_preload_libraries", ""),
    ("logging_collector", "off"),
    ("restart_after_crash", "off"),
    ("max_parallel_workers_per_gather", "0"),
    ("max_parallel_maintenance_workers", "1"),
    // Its log may be quoted in evidence: no statement, no row.
    ("log_statement", "none"),
    ("log_min_error_statement", "panic"),
    ("log_error_verbosity", "terse"),
];

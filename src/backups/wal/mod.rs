//! Continuous archiving: `pg_receivewal` takes the write-ahead log as it is written, by a slot that keeps the
//! server from throwing away what has not come, and each file of it is put where the target's backups are.
//!
//! One process does so at a time: it is a job that is there once, and the server lets only one reader have the
//! slot. What is lost if the server vanishes is what has not come yet, a fraction of a second; if this machine
//! vanishes as well, what has not been put away yet (`partial_ms`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sqlx::{ConnectOptions as _, PgConnection};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use windlass::Timestamp;

use super::command::{Running, Tool};
use super::segments::{PARTIAL, is_segment};
use super::{Backups, Error, PostgresServer, Repository, Transfer, WalOptions};
use crate::telemetry::{self, Outage};

/// How often the folder is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// How often the server is asked how far behind we are.
const ASK: Duration = Duration::from_secs(10);
/// How often a canary is planted.
const CANARY: Duration = Duration::from_mins(1);
/// The shortest and the longest pause before connecting again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// File systems tell time in ticks: only a file that last changed before so long is known by its time.
const SETTLED: Duration = Duration::from_millis(50);
/// Who stays connected for so long is connected.
const STEADY: Duration = Duration::from_secs(2);

/// Archives the log of one target.
#[derive(Debug)]
pub struct Archiver<'a> {
    backups: &'a Backups,
    target: String,
    server: PostgresServer,
    options: WalOptions,
    cancelled: CancellationToken,
}

/// How far archiving is.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Archiving {
    /// Files put away since it began.
    pub archived: u64,
    /// The last of them.
    pub last: Option<String>,
    /// How many bytes the slot keeps on the server.
    pub slot_bytes: Option<i64>,
}

impl<'a> Archiver<'a> {
    /// Of a target with `wal` in its settings, whose server is this.
    pub fn new(
        backups: &'a Backups,
        target: &str,
        server: PostgresServer,
        cancelled: CancellationToken,
    ) -> Result<Self, Error> {
        let options = backups.target(target)?.wal.clone().ok_or_else(|| {
            let key = format!("backups.targets.{target}.wal");
            Error::setting(key, "is not there: no write-ahead log is archived")
        })?;
        Ok(Self {
            backups,
            target: target.to_owned(),
            server,
            options,
            cancelled,
        })
    }

    /// Archives until `until`, or until it is told to stop. Loss of the server ends nothing.
    pub async fn run(
        &self,
        until: Instant,
        now: impl Fn() -> Timestamp,
        told: &watch::Sender<Archiving>,
    ) -> Result<Archiving, Error> {
        tokio::fs::create_dir_all(&self.options.folder)
            .await
            .map_err(Error::io(format!(
                "making {}",
                self.options.folder.display()
            )))?;
        let mut outage = Outage::new(format!("write-ahead log of {}", self.target));
        let mut state = Archiving::default();
        let mut known = Shelf::default();
        let mut pause = PAUSES.0;
        while Instant::now() < until && !self.cancelled.is_cancelled() {
            let began = Instant::now();
            match self
                .session(until, &now, told, &mut state, &mut known, &mut outage)
                .await
            {
                Ok(()) => break,
                Err(error) if error.is_lasting() => return Err(error),
                Err(error) => outage.failed(&error),
            }
            pause = if began.elapsed() > PAUSES.1 {
                PAUSES.0
            } else {
                (pause * 2).min(PAUSES.1)
            };
            let waited = tokio::time::sleep_until((Instant::now() + pause).min(until));
            self.cancelled.run_until_cancelled(waited).await;
        }
        Ok(state)
    }

    /// One connection's time.
    async fn session(
        &self,
        until: Instant,
        now: &impl Fn() -> Timestamp,
        told: &watch::Sender<Archiving>,
        state: &mut Archiving,
        known: &mut Shelf,
        outage: &mut Outage,
    ) -> Result<(), Error> {
        let slot = self.receiver().args(["--create-slot", "--if-not-exists"]);
        slot.run(PAUSES.1, &self.cancelled).await?;
        let mut receiver = self
            .receiver()
            .arg("--directory")
            .arg(&self.options.folder)
            .args(["--synchronous", "--no-loop", "--status-interval=1"])
            .start()?;
        let outcome = self
            .look_after(&mut receiver, until, now, told, state, known, outage)
            .await;
        // What has come is whole: it is written as it comes, and read from its end on the next time.
        receiver.kill().await;
        self.shelve(known, state, now, true).await?;
        outcome
    }

    #[expect(clippy::too_many_arguments, reason = "one session's state, on loan")]
    async fn look_after(
        &self,
        receiver: &mut Running,
        until: Instant,
        now: &impl Fn() -> Timestamp,
        told: &watch::Sender<Archiving>,
        state: &mut Archiving,
        known: &mut Shelf,
        outage: &mut Outage,
    ) -> Result<(), Error> {
        let began = Instant::now();
        let mut looks = tokio::time::interval(LOOK);
        let mut asked: Option<Instant> = None;
        let mut planted: Option<Instant> = None;
        loop {
            tokio::select! {
                () = self.cancelled.cancelled() => return Ok(()),
                () = tokio::time::sleep_until(until) => return Ok(()),
                ended = receiver.wait() => {
                    let status = ended?;
                    let said = receiver.told(status).await?;
                    return Err(Error::Unavailable {
                        what: "pg_receivewal".to_owned(),
                        reason: format!("it ended: {}", said.errors),
                    });
                }
                _ = looks.tick() => {}
            }
            if began.elapsed() >= STEADY {
                outage.worked();
            }
            self.shelve(known, state, now, false).await?;
            let due =
                |last: Option<Instant>, every| last.is_none_or(|last| last.elapsed() >= every);
            if due(asked, ASK) {
                asked = Some(Instant::now());
                let mut connection = self.connect().await?;
                state.slot_bytes = self.slot_bytes(&mut connection).await?;
                if let Some(bytes) = state.slot_bytes {
                    telemetry::restores::slot(&self.target, bytes);
                }
                if due(planted, CANARY) {
                    planted = Some(Instant::now());
                    plant(&mut connection)
                        .await
                        .map_err(|e| self.unavailable(&e))?;
                }
                told.send_replace(state.clone());
            }
        }
    }

    /// Puts away what has come, and the last file's state if that is due.
    async fn shelve(
        &self,
        known: &mut Shelf,
        state: &mut Archiving,
        now: &impl Fn() -> Timestamp,
        last_time: bool,
    ) -> Result<(), Error> {
        let target = self.backups.target(&self.target)?;
        let repositories = self.backups.repositories(target)?;
        let partial_every = Duration::from_millis(self.options.partial_ms);
        let mut kept = Vec::new();
        for file in files(&self.options.folder)? {
            let whole = file.name.strip_suffix(PARTIAL);
            if whole.is_some() {
                let due = known
                    .partial_at
                    .is_none_or(|at| at.elapsed() >= partial_every);
                if (due || last_time) && known.partial != Some((file.name.clone(), file.changed)) {
                    let settled = file.changed.elapsed().is_ok_and(|ago| ago > SETTLED);
                    self.put(&repositories, &file.path, now()).await?;
                    known.partial = settled.then(|| (file.name.clone(), file.changed));
                    known.partial_at = Some(Instant::now());
                }
            } else if known.whole.contains(&file.name) {
                kept.push(file);
            } else {
                self.put(&repositories, &file.path, now()).await?;
                for repository in &repositories {
                    repository.forget_partial(&self.target, &file.name).await?;
                }
                state.archived += 1;
                state.last = Some(file.name.clone());
                known.whole.insert(file.name.clone());
                kept.push(file);
            }
        }
        // The newest stays: from it `pg_receivewal` knows where to go on.
        let segments: Vec<&Found> = kept.iter().filter(|file| is_segment(&file.name)).collect();
        for file in segments.iter().rev().skip(1) {
            tokio::fs::remove_file(&file.path)
                .await
                .map_err(Error::io(format!("deleting {}", file.path.display())))?;
            known.whole.remove(&file.name);
        }
        Ok(())
    }

    async fn put(
        &self,
        repositories: &[&Repository],
        file: &Path,
        at: Timestamp,
    ) -> Result<(), Error> {
        let transfer = Transfer::new(CancellationToken::new(), 0);
        for repository in repositories {
            repository
                .put_segment(&self.target, file.to_owned(), at, &transfer)
                .await?;
        }
        telemetry::restores::archived(&self.target, at);
        Ok(())
    }

    fn receiver(&self) -> Tool {
        let program = self.backups.options().tools.postgres("pg_receivewal");
        let tool = Tool::new(program, "backups.tools.pg_bin")
            .args(["--no-password", "--slot", &self.options.slot, "--dbname"])
            .arg(self.server.for_tools());
        match self.server.password() {
            Some(password) => tool.secret("PGPASSWORD", password.clone()),
            None => tool,
        }
    }

    async fn connect(&self) -> Result<PgConnection, Error> {
        let options = self.server.options();
        tokio::time::timeout(ASK, options.connect())
            .await
            .unwrap_or(Err(sqlx::Error::PoolTimedOut))
            .map_err(|error| self.unavailable(&error))
    }

    async fn slot_bytes(&self, connection: &mut PgConnection) -> Result<Option<i64>, Error> {
        sqlx::query_scalar(include_str!("sql/slot.sql"))
            .bind(&self.options.slot)
            .fetch_optional(connection)
            .await
            .map(Option::flatten)
            .map_err(|error| self.unavailable(&error))
    }

    fn unavailable(&self, error: &sqlx::Error) -> Error {
        Error::Unavailable {
            what: self.server.address(),
            reason: error.to_string(),
        }
    }
}

/// What has been put away already.
#[derive(Debug, Default)]
struct Shelf {
    whole: BTreeSet<String>,
    partial: Option<(String, SystemTime)>,
    partial_at: Option<Instant>,
}

#[derive(Debug)]
struct Found {
    name: String,
    path: PathBuf,
    changed: SystemTime,
}

/// The files of the log in a folder, oldest first.
fn files(folder: &Path) -> Result<Vec<Found>, Error> {
    let failed = || format!("reading {}", folder.display());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|e| Error::io(failed())(e))? {
        let entry = entry.map_err(|e| Error::io(failed())(e))?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let whole = name.strip_suffix(PARTIAL).unwrap_or(&name);
        if !is_segment(whole) && !name.ends_with(".history") {
            continue;
        }
        // Renamed between the list and the look: it comes again under its other name.
        let Ok(changed) = entry.metadata().and_then(|metadata| metadata.modified()) else {
            continue;
        };
        found.push(Found {
            path: entry.path(),
            name,
            changed,
        });
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// Plants a canary, where there is a table for it, and takes away very old ones.
pub async fn plant(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let there: bool = sqlx::query_scalar(include_str!("sql/has_canaries.sql"))
        .fetch_one(&mut *connection)
        .await?;
    if there {
        sqlx::query(include_str!("sql/plant.sql"))
            .execute(&mut *connection)
            .await?;
        sqlx::query(include_str!("sql/forget_canaries.sql"))
            .execute(connection)
            .await?;
    }
    Ok(there)
}

/// When canaries were planted since then, oldest first; none if there is no table of them.
pub async fn canaries(
    server: &PostgresServer,
    since: Timestamp,
) -> Result<Option<Vec<Timestamp>>, Error> {
    let unavailable = |error: sqlx::Error| Error::Unavailable {
        what: server.address(),
        reason: error.to_string(),
    };
    let mut connection = server.options().connect().await.map_err(unavailable)?;
    let there: bool = sqlx::query_scalar(include_str!("sql/has_canaries.sql"))
        .fetch_one(&mut connection)
        .await
        .map_err(unavailable)?;
    if !there {
        return Ok(None);
    }
    let planted: Vec<i64> = sqlx::query_scalar(include_str!("sql/canaries.sql"))
        .bind(since.as_micros())
        .fetch_all(&mut connection)
        .await
        .map_err(unavailable)?;
    Ok(Some(
        planted.into_iter().map(Timestamp::from_micros).collect(),
    ))
}

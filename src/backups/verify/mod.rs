//! Trying out a backup: every level says what it looked at, and a failure names the part.
//!
//! What is tried is a fetched backup, a folder of plain files beside its manifest; the live system is
//! never asked, so that a trial shows what would be left if it were gone.

mod physical;
mod postgres;
mod redis;
mod run;
mod sqlite;
mod structure;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;
use windlass::Timestamp;

use super::command::Tool;
use super::throwaway::{ScratchError, ScratchOptions};
use super::{BackupOptions, Error, Evidence, Kind, Level, Manifest};

pub(super) use physical::{recovery, recovery_time};
pub use postgres::{SAMPLE, WHOLE, digests};
pub use run::Verification;
pub(super) use run::chain;

/// What the engine said of a database it was started on.
#[derive(Debug, Clone, Copy)]
pub struct Answer {
    /// The version of its schema.
    pub schema: i64,
    /// How many queues it found.
    pub queues: usize,
}

/// Starts the engine on a database, reading only, and asks it something.
pub type Probe = fn(SecretString) -> BoxFuture<'static, Result<Answer, String>>;

/// What is tried, and with what.
#[derive(Debug, Clone, Copy)]
pub struct Trial<'a> {
    /// What the backup says of itself.
    pub manifest: &'a Manifest,
    /// Its plain files.
    pub folder: &'a Path,
    /// The backups that a physical one builds on, the full one first: manifest and plain files.
    pub chain: &'a [(Manifest, PathBuf)],
    /// Archived write-ahead log and what is known of canaries, for a physical one.
    pub wal: Option<&'a Archived>,
    /// The settings.
    pub options: &'a BackupOptions,
    /// What starts the engine.
    pub probe: Option<Probe>,
    /// Fires when it is to end.
    pub cancelled: &'a CancellationToken,
}

/// What a physical backup is brought to a moment with.
#[derive(Debug, Clone)]
pub struct Archived {
    /// The folder of segments.
    pub folder: PathBuf,
    /// The moment.
    pub moment: Moment,
}

/// A moment to recover to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The moment.
    pub to: Timestamp,
    /// What must be found then, if canaries are planted there.
    pub canaries: Option<Canaries>,
}

/// How many canaries were planted between two moments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Canaries {
    /// From this one on, until the moment that is recovered to.
    pub since: Timestamp,
    /// So many.
    pub count: u64,
}

/// What came of a trial.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// The highest level that held.
    pub held: Option<Level>,
    /// The level that did not hold, and why: names the part.
    pub failed: Option<(Level, String)>,
    /// What was measured.
    pub figures: BTreeMap<String, f64>,
    /// What was looked at, one sentence each.
    pub checks: Vec<String>,
}

/// Why a level did not hold, or could not be tried.
#[derive(Debug)]
pub(super) enum Fault {
    /// The backup is not what it must be.
    Broken(String),
    /// Nothing is known of the backup: a tool is missing, a disk is full, somebody cancelled.
    Untried(Error),
}

/// What a tool says when it is not the backup's fault.
const NOT_ITS_FAULT: [&str; 3] = ["No space left", "Cannot allocate memory", "out of memory"];

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let told = error.to_string();
        match error {
            Error::ToolFailed { .. } if NOT_ITS_FAULT.iter().any(|words| told.contains(words)) => {
                Self::Untried(error)
            }
            // What a tool says of a backup that it cannot read.
            Error::ToolFailed { .. }
            | Error::Damaged { .. }
            | Error::Sealed { .. }
            | Error::Suspect(_) => Self::Broken(told),
            other => Self::Untried(other),
        }
    }
}

impl From<ScratchError> for Fault {
    fn from(error: ScratchError) -> Self {
        Self::Untried(error.into())
    }
}

impl Found {
    /// A sentence.
    pub(super) fn saw(&mut self, what: impl Into<String>) {
        self.checks.push(what.into());
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "figures of this size are no more exact than that"
    )]
    pub(super) fn count(&mut self, name: &str, number: u64) {
        self.figures.insert(name.to_owned(), number as f64);
    }

    pub(super) fn took(&mut self, name: &str, since: Instant) {
        // Whole milliseconds: a longer fraction is not read again as it was written.
        let millis = u32::try_from(since.elapsed().as_millis()).unwrap_or(u32::MAX);
        self.figures
            .insert(name.to_owned(), f64::from(millis) / 1000.0);
    }
}

impl Trial<'_> {
    /// Tries every level from [`Level::Structure`] up to this one that there is for this kind of backup;
    /// that its bytes are as the manifest says, fetching it has shown. What could not be tried is an
    /// error: nothing is known of that level.
    pub async fn climb(&self, to: Level, found: &mut Found) -> Result<(), Error> {
        let climbed = self
            .cancelled
            .run_until_cancelled(self.levels(to, found))
            .await;
        match climbed {
            Some(Ok(())) => Ok(()),
            Some(Err((level, Fault::Broken(reason)))) => {
                found.failed = Some((level, reason));
                Ok(())
            }
            Some(Err((_, Fault::Untried(error)))) => Err(error),
            None => Err(Error::Cancelled {
                what: "the verification".to_owned(),
            }),
        }
    }

    async fn levels(&self, to: Level, found: &mut Found) -> Result<(), (Level, Fault)> {
        if to < Level::Structure {
            return Ok(());
        }
        structure::structure(self, found)
            .await
            .map_err(|fault| (Level::Structure, fault))?;
        found.held = Some(Level::Structure);
        if to < Level::Restored {
            return Ok(());
        }
        match self.manifest.kind {
            Kind::PostgresLogical => postgres::logical(self, to, found).await,
            Kind::PostgresPhysical => physical::try_out(self, to, found).await,
            Kind::Sqlite => sqlite::try_out(self, to, found).await,
            Kind::Redis => redis::try_out(self, found).await,
            // Their structure is all there is to them.
            Kind::Rabbitmq | Kind::Folder | Kind::Configuration => Ok(()),
        }
    }

    /// Where a throwaway server is run.
    pub(super) fn scratch(&self) -> ScratchOptions {
        self.options.throwaway()
    }

    /// How long one step may take.
    pub(super) const fn patience(&self) -> Duration {
        self.options.timeout()
    }

    /// A program of PostgreSQL.
    pub(super) fn postgres(&self, name: &str) -> Tool {
        Tool::new(self.options.tools.postgres(name), "backups.tools.pg_bin").nice(self.options.nice)
    }

    /// A program of Redis.
    pub(super) fn redis(&self, name: &str) -> Tool {
        Tool::new(self.options.tools.redis(name), "backups.tools.redis_bin").nice(self.options.nice)
    }

    /// Runs it to its end: what it told.
    pub(super) async fn run(&self, tool: Tool) -> Result<String, Error> {
        let told = tool.run(self.patience(), self.cancelled).await?;
        Ok(String::from_utf8_lossy(&told.output).into_owned())
    }

    /// Starts the engine on a restored database.
    pub(super) async fn start_engine(&self, url: &str, found: &mut Found) -> Result<bool, Fault> {
        let Some(probe) = self.probe else {
            found.saw(not_run("the engine", "this program has none to start"));
            return Ok(false);
        };
        let answer = probe(url.to_owned().into()).await.map_err(|reason| {
            Fault::Broken(format!(
                "the engine does not start on what was restored: {reason}"
            ))
        })?;
        found.count("queues", answer.queues as u64);
        found.saw(format!(
            "the engine opened it reading only and answered: schema {}, {} queues",
            answer.schema, answer.queues
        ));
        Ok(true)
    }
}

/// The sentence of evidence that something could not be looked at, and why.
pub(super) fn not_run(what: &str, why: &str) -> String {
    format!("not run: {what}: {why}")
}

/// How long a restore of so many bytes may take, from what earlier ones took.
pub fn estimate(bytes: u64, earlier: &[Evidence]) -> Option<Duration> {
    let seconds = earlier.iter().rev().find_map(|evidence| {
        let took = evidence.figures.get(Evidence::RESTORE_SECONDS)?;
        let size = evidence.figures.get("bytes").filter(|size| **size > 0.0)?;
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let share = bytes as f64 / size;
        Some(took * share)
    })?;
    Some(Duration::from_secs_f64(seconds.clamp(1.0, 1e6)))
}

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use super::{Error, Tx};

/// One SQLite file in WAL mode: one connection writes, several read.
#[derive(Debug, Clone)]
pub struct Sqlite {
    path: PathBuf,
    writer: SqlitePool,
    readers: SqlitePool,
}

/// What a commit waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Synchronous {
    /// The disk: a commit survives a power cut.
    #[default]
    Full,
    /// The operating system: a commit survives a crash of the process, not a power cut.
    Normal,
}

/// How to open the file.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// What a commit waits for.
    pub synchronous: Synchronous,
    /// How long to wait for another process that writes.
    pub busy_timeout: Duration,
    /// Connections that read.
    pub max_readers: u32,
    /// How long to wait for a connection.
    pub acquire_timeout: Duration,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            synchronous: Synchronous::Full,
            busy_timeout: Duration::from_secs(10),
            max_readers: 4,
            acquire_timeout: Duration::from_secs(30),
        }
    }
}

impl Sqlite {
    /// Opens the file when it is first needed; makes it if it is not there.
    pub fn new(path: impl AsRef<Path>, options: &SqliteOptions) -> Self {
        let path = path.as_ref().to_path_buf();
        let connect = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(match options.synchronous {
                Synchronous::Full => SqliteSynchronous::Full,
                Synchronous::Normal => SqliteSynchronous::Normal,
            })
            .busy_timeout(options.busy_timeout)
            .foreign_keys(true)
            .statement_cache_capacity(256)
            // The connection's thread runs ahead of its reader instead of waking it for every row.
            .row_buffer_size(1024)
            // 16 MiB: a job's page is written again when it is claimed and when it ends, and those
            // writes should meet in the log.
            .pragma("wal_autocheckpoint", "4000");
        let pool = |connections, options: &SqliteOptions| {
            SqlitePoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(options.acquire_timeout)
                .test_before_acquire(false)
                .idle_timeout(None)
                .max_lifetime(None)
        };
        // KiB. The writer's pages are written again and again; those who read look up a few.
        // What a statement might have to undo, a few pages, is kept in memory, not in a file of its own.
        let writer = connect
            .clone()
            .pragma("cache_size", "-28672")
            .pragma("temp_store", "memory");
        let readers = connect
            .pragma("query_only", "on")
            .pragma("cache_size", "-2048");
        Self {
            path,
            writer: pool(1, options).connect_lazy_with(writer),
            readers: pool(options.max_readers, options).connect_lazy_with(readers),
        }
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The pool of the one connection that may write.
    pub fn writer(&self) -> &SqlitePool {
        &self.writer
    }

    /// The pool of connections that only read.
    pub fn readers(&self) -> &SqlitePool {
        &self.readers
    }

    /// Begins a writing transaction; the write lock is taken at once, so it cannot fail half-way.
    pub async fn begin(&self) -> Result<Tx, Error> {
        Ok(self.writer.begin_with("begin immediate").await?.into())
    }
}

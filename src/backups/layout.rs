//! What the files of a backup are called.

/// The folder of a dump.
pub(super) const DUMP: &str = "dump";
/// Roles and their settings.
pub(super) const GLOBALS: &str = "globals.sql";
/// What `pg_basebackup` says of its files.
pub(super) const BACKUP_MANIFEST: &str = "backup_manifest";
/// The data folder.
pub(super) const BASE: &str = "base.tar";
/// The write-ahead log that it needs.
pub(super) const WAL: &str = "pg_wal.tar";
/// Redis' append-only set.
pub(super) const APPEND_ONLY: &str = "appendonlydir";

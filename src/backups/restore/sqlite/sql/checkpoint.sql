-- Writes into the file itself what its write-ahead log still holds.
pragma wal_checkpoint(truncate);

-- How many bytes of the write-ahead log a slot keeps the server from throwing away.
select pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint from pg_replication_slots where slot_name = $1;

-- The snapshot that is dumped and counted; first statement of its transaction.
select
    pg_export_snapshot() as snapshot,
    statement_timestamp() as taken_at,
    case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end::text as lsn

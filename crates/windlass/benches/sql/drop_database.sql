-- What a run leaves behind. Caller: store_postgres.rs.
drop database if exists windlass_bench with (force)

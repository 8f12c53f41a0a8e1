-- The database's clock. Caller: read.rs.
select clock_timestamp()

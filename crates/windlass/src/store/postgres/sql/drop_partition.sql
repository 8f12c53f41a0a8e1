-- Drops the oldest day of completed jobs if it ended before $1; says how many went, null if none. Caller: maintain.rs.
select jobs.drop_partition($1)

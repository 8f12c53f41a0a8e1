-- Drops the days of completed jobs that ended before $1; says how many jobs went. Caller: maintain.rs.
select jobs.drop_partitions($1)

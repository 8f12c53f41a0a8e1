-- Makes the coming $1 days' partitions. Caller: maintain.rs.
select jobs.add_partitions($1)

-- unique_kept_by: the other job that holds the unique key of the finished job ?1. Caller: keys.rs.
select held.job_id
from jobs
join job_unique_keys as held on held.key = jobs.unique_scope
where jobs.id = ?1
and held.job_id <> ?1;

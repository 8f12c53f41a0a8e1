-- unique_kept_by: the other job that holds the unique key of the finished job ?1. Caller: keys.rs.
select held.job_id
from finished_jobs
join job_unique_keys as held on held.key = finished_jobs.unique_scope
where finished_jobs.id = ?1
and held.job_id <> ?1;
